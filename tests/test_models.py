from pathlib import Path

import pytest
import torch
import trained
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan.errors import UsageError
from ladder_ebgan.evaluation import class_probabilities, clean_energies
from ladder_ebgan.model_files import find_models, read_model_file
from ladder_ebgan.models import TrainedModel, assemble, load, trained_tensors
from ladder_ebgan.prediction import predict
from ladder_ebgan.sampling import sample


def loaded(*paths: Path) -> TrainedModel:
    return load([read_model_file(path) for path in paths], trained.CPU)


def refusal(*paths: Path) -> str:
    with pytest.raises(UsageError) as caught:
        loaded(*paths)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    trained.write_model(path, "ebgan-ladder", 9, 3)
    return path


@pytest.mark.parametrize("model", ["ladder", "ladder-matched", "ebgan-ladder"])
def test_a_loaded_model_is_the_written_one_to_the_bit(tmp_path: Path, model: str) -> None:
    path = tmp_path / "m.safetensors"
    state = trained.write_model(path, model, 9, 3)
    found = loaded(path)
    assert (found.name, found.labels, found.seeds) == (model, 9, (3,))
    assert found.classes == (0, 1, 2)
    assert found.image_shape == (2, 4)
    assert found.device == trained.CPU
    assert found.description == f"{model}, 9 labels, seed 3"
    pairs = [(found.ladder, state.ladder), (found.generator, state.generator)]
    for module, original in pairs:
        assert (module is None) == (original is None)
        if module is not None and original is not None:
            for (name, a), (other, b) in zip(module.named_parameters(), original.named_parameters(), strict=True):
                assert name == other
                assert torch.equal(a, b)
                assert not a.requires_grad
    assert (found.generator is not None) == (model == "ebgan-ladder")
    assert found.statistics.decoder is not None
    assert found.why_no_energy is None


@pytest.mark.parametrize("combinator", ["gaussian", "vanilla", "amlp"])
def test_a_model_of_any_combinator_is_loaded_and_says_what_it_said(tmp_path: Path, combinator: str) -> None:
    path, changed = (
        tmp_path / "m.safetensors",
        (f"network.combinator={combinator}", "network.hidden_noise=[0.1, 0, 1, 0, 2, 0]"),
    )
    state = trained.write_model(path, "ladder", 9, 3, *changed)
    found, images = loaded(path), torch.from_numpy(trained.images(5))
    assert found.ladder.combinator_kind == combinator
    assert found.ladder.noise_stds == (0.3, 0.1, 0.0, 1.0, 0.0, 2.0, 0.0)
    energies = [clean_energies(ladder, found.statistics, images) for ladder in (found.ladder, state.ladder)]
    assert torch.equal(*energies)
    assert_close(dict(found.ladder.named_parameters()), dict(state.ladder.named_parameters()), rtol=0, atol=0)


def test_the_averages_are_the_weights_of_a_model(tmp_path: Path) -> None:
    path, averaged = tmp_path / "m.safetensors", "training.averaging_decay=0.5"
    state = trained.write_model(path, "ebgan-ladder", 9, 3, averaged)
    found = loaded(path)
    assert state.average is not None
    assert found.generator is not None
    assert state.generator is not None
    for own, average, last in zip(
        found.ladder.parameters(), state.average.ladder.parameters(), state.ladder.parameters(), strict=True
    ):
        assert torch.equal(own, average)
        assert not torch.equal(own, last)
    assert_close(dict(found.generator.named_parameters()), dict(state.generator.named_parameters()), rtol=0, atol=0)


def test_a_file_of_another_combinator_than_it_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    trained.write_model(path, "ladder", 9, 3, "network.combinator=vanilla")
    assert "ladder.combinator.0 has shape [1, 9, 1, 8], and should have [1, 10, 1, 8]" in refusal(
        trained.rewrite(path, recipe=trained.recipe().identity())
    )


def test_seeds_are_loaded_as_one_batched_model(tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path, *(("ladder", 9, seed) for seed in (0, 1, 2)))
    together, images = load(find_models(run), trained.CPU), torch.from_numpy(trained.images(5))
    assert together.seeds == (0, 1, 2)
    assert together.description == "ladder, 9 labels, seeds 0-2"
    of_all = class_probabilities(together.ladder, together.statistics, images)
    for r, file in enumerate(find_models(run)):
        alone = load([file], trained.CPU)
        assert_close(of_all[r : r + 1], class_probabilities(alone.ladder, alone.statistics, images))
    assert not torch.allclose(of_all[0], of_all[1])


def test_bfloat16_products_stay_what_they_were_in_training(path: Path) -> None:
    found = loaded(trained.rewrite(path, precision="bfloat16"))
    assert found.ladder.product_dtype == torch.bfloat16
    assert loaded(trained.rewrite(path, precision="tf32")).ladder.product_dtype == torch.float32


def test_a_file_of_the_first_format_has_no_energy(path: Path) -> None:
    found = loaded(trained.as_format_1(path))
    assert found.statistics.decoder is None
    assert found.why_no_energy == (
        "No energies: the model file is of an earlier version, without the statistics of its decoder."
    )


def test_a_ladder_without_a_decoder_to_the_pixels_has_no_energy(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    trained.write_model(path, "ladder", 9, 0, "ladder.denoising_weights=[0, 0, 0, 0, 0, 0, 1]")
    assert loaded(path).why_no_energy == (
        "No energies: ladder, 9 labels, seed 0 has no decoder down to the pixels."
    )


@pytest.mark.parametrize(
    ("name", "tensor", "expected"),
    [
        ("ladder.encoder.2", None, "lacks ladder.encoder.2, which its metadata ask for"),
        (
            "ladder.encoder.1",
            torch.zeros(1, 7, 9),
            "contradicts its metadata: ladder.encoder.1 has shape [1, 7, 9], and should have [1, 7, 6]",
        ),
        ("generator.weight.0", torch.zeros(1, 4, 8), "generator.weight.0 has shape [1, 4, 8], and should have"),
        ("ladder.beta.0", torch.zeros(7), "ladder.beta.0 has shape [7], and should have [1, 1, 7]"),
        ("statistics.decoder_mean.0", None, "lacks statistics.decoder_mean.0, which its metadata ask for"),
        ("ladder.gamma", torch.ones(1, 1, 3), "contradicts its metadata: it should have no ladder.gamma"),
        ("ladder.beta.1", torch.full((1, 1, 6), torch.nan), "is damaged: the numbers of ladder.beta.1 cannot be"),
        (
            "ladder.beta.1",
            torch.zeros(1, 1, 6).double(),
            "is damaged: the numbers of ladder.beta.1 cannot be right",
        ),
        ("statistics.variance.1", -torch.ones(1, 1, 7), "the numbers of statistics.variance.1 cannot be right"),
    ],
)
def test_tensors_that_contradict_the_metadata_are_refused(
    path: Path, name: str, tensor: Tensor | None, expected: str
) -> None:
    message = refusal(trained.rewrite(path, {name: tensor}))
    assert message.startswith(f"the model file '{path}' ")
    assert expected in message


def test_metadata_of_a_huge_network_are_refused_before_it_is_built(path: Path) -> None:
    assert "has shape [1, 8, 7], and should have [1, 10000000000000, 7]" in refusal(
        trained.rewrite(path, image_shape=[10**6, 10**7])
    )


def test_more_classes_than_the_network_has_are_refused(path: Path) -> None:
    assert "and should have [1, 4, 4]" in refusal(trained.rewrite(path, classes=[0, 1, 2, 3]))


def test_damage_between_finding_and_loading_is_refused(path: Path) -> None:
    found = read_model_file(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"^the model file '.*' is damaged \("):
        load([found], trained.CPU)


def test_models_that_were_trained_differently_make_no_ensemble(tmp_path: Path, path: Path) -> None:
    other = tmp_path / "other.safetensors"
    trained.write_model(other, "ebgan-ladder", 9, 4)
    trained.rewrite(other, classes=["a", "b", "c"])
    assert refusal(path, other) == (
        f'\'{path}\' and \'{other}\' were trained differently: classes is [0, 1, 2] there, ["a", "b", "c"] here'
    )


def test_a_file_may_hold_several_seeds_and_how_its_inputs_are_scaled(tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.safetensors" for seed in (3, 4)]
    for seed, path in zip((3, 4), paths, strict=True):
        trained.write_model(path, "ebgan-ladder", 9, seed)
    apart = loaded(*paths)
    both = {name: tensor.clone() for name, tensor in trained_tensors(apart).items()}
    scale = torch.arange(1, 9, dtype=torch.float64)
    both |= {"inputs.mean": 2 * scale, "inputs.scale": scale}
    together = tmp_path / "both.safetensors"
    trained.write_model(together, "ebgan-ladder", 9, 3)
    trained.rewrite(together, dict(both), seeds=[3, 4], scaled=True, inputs="features", format=3)
    found = loaded(together)
    assert found.seeds == (3, 4)
    assert found.scaling is not None
    images = trained.images(5)
    rows = images * scale.numpy() + 2 * scale.numpy()
    assert_close(predict(found, rows).of_models, predict(apart, images).of_models, rtol=1e-4, atol=1e-5)
    assert_close(predict(found, rows).energies, predict(apart, images).energies, rtol=1e-3, atol=1e-3)
    one, two = sample(apart, 7, 0), sample(found, 7, 0)
    assert_close(one.images * scale.numpy().reshape(2, 4) + 2 * scale.numpy().reshape(2, 4), two.images)
    assert "inputs.mean" in refusal(trained.rewrite(together, {"inputs.mean": None}))
    assert "inputs.mean cannot be right" in refusal(trained.rewrite(together, {"inputs.mean": scale.float()}))
    assert "should have [1, 8, 7]" in refusal(trained.rewrite(together, dict(both), seeds=[3]))
    assert "it should have no inputs.mean" in refusal(trained.rewrite(together, seeds=[3, 4], scaled=False))


def test_a_model_is_assembled_without_a_file(path: Path) -> None:
    found = loaded(path)
    again = assemble(found.metadata, found.recipe, trained_tensors(found), trained.CPU)
    assert again.seeds == (3,)
    for name, tensor in trained_tensors(found).items():
        other = trained_tensors(again)[name]
        assert torch.equal(other, tensor)
        assert other.data_ptr() != tensor.data_ptr()
        assert not other.requires_grad
