import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from ladder_ebgan import checkpoints
from ladder_ebgan.checkpoints import Pace, checkpoint_bytes, checkpoint_step, model_bytes, restore
from ladder_ebgan.errors import UsageError
from ladder_ebgan.evaluation import calibrate, labeled_calibration
from ladder_ebgan.recipe import Recipe, load_recipe
from ladder_ebgan.training import State, initial_state

IDENTITY = {"model": "ebgan-ladder", "replicas": [[20, 0], [20, 1]]}


def recipe() -> Recipe:
    sizes = ["network.hidden_sizes=[6,5,4,4,4]", "ebgan-ladder.generator.hidden_sizes=[5]"]
    return load_recipe("table2", [*sizes, "ebgan-ladder.generator.latent_size=3"])


def fresh(model: str = "ebgan-ladder") -> State:
    return initial_state(recipe(), model, [0, 1], 9, 3, torch.device("cpu"))


def trained(model: str = "ebgan-ladder") -> State:
    """A state whose every tensor has moved, as training moves them."""
    state = fresh(model)
    generator = torch.Generator().manual_seed(0)
    pairs = [(state.ladder, state.ladder_optimizer), (state.generator, state.generator_optimizer)]
    for module, optimizer in pairs:
        if module is not None and optimizer is not None:
            for _ in range(2):
                for parameter in module.parameters():
                    parameter.grad = torch.randn(parameter.shape, generator=generator)
                optimizer.step()
    state.diverged_step[1] = 7
    state.step, state.seconds = 12, 3.5
    return state


def tensors(state: State) -> list[torch.Tensor]:
    found = [state.diverged_step, *state.ladder.parameters()]
    for optimizer in (state.ladder_optimizer, state.generator_optimizer):
        if optimizer is not None:
            found += [value for moments in optimizer.state.values() for value in moments.values()]
    return found + ([] if state.generator is None else list(state.generator.parameters()))


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
@pytest.mark.parametrize("make", [fresh, trained])
def test_a_restored_state_is_the_saved_one_to_the_bit(
    tmp_path: Path, model: str, make: Callable[[str], State]
) -> None:
    saved = make(model)
    path = tmp_path / "x.safetensors"
    path.write_bytes(checkpoint_bytes(saved, IDENTITY))
    state = fresh(model)
    restore(state, path, IDENTITY)
    assert (state.step, state.seconds) == (saved.step, saved.seconds)
    assert len(tensors(state)) == len(tensors(saved)) > 20
    for restored, original in zip(tensors(state), tensors(saved), strict=True):
        torch.testing.assert_close(restored, original, rtol=0, atol=0)
    assert checkpoint_step(path) == saved.step
    assert checkpoint_bytes(state, IDENTITY) == path.read_bytes()


def test_the_file_holds_tensors_and_json_only(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(checkpoint_bytes(trained(), IDENTITY))
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["checkpoint"])
    assert isinstance(metadata.pop("crc32"), int)
    assert metadata == {"step": 12, "seconds": 3.5, "group": IDENTITY}


def test_a_checkpoint_of_another_group_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(checkpoint_bytes(trained(), {**IDENTITY, "replicas": [[20, 0], [20, 2]]}))
    with pytest.raises(
        UsageError, match=r"x\.safetensors belongs to other replicas; remove it to train them anew$"
    ):
        restore(fresh(), path, IDENTITY)


def test_every_cut_is_refused(tmp_path: Path) -> None:
    path, content = tmp_path / "x.safetensors", checkpoint_bytes(trained(), IDENTITY)
    for length in (0, 1, 7, 8, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(UsageError, match=r"is damaged \(.*\); remove it to train its replicas anew$") as caught:
            restore(fresh(), path, IDENTITY)
        assert len(str(caught.value).splitlines()) == 1
        assert checkpoint_step(path) == 0


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"other": "1"},
        {"checkpoint": "{"},
        {"checkpoint": "3"},
        {"checkpoint": json.dumps({"group": IDENTITY})},
        {"checkpoint": json.dumps({"group": IDENTITY, "step": 1, "seconds": 1.0})},  # and no tensors
    ],
)
def test_wrong_metadata_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(save({"diverged_step": torch.zeros(2, dtype=torch.int64)}, metadata))
    with pytest.raises(UsageError, match="is damaged"):
        restore(fresh(), path, IDENTITY)


def test_tensors_of_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(
        checkpoint_bytes(initial_state(recipe(), "ladder", [0, 1], 8, 3, torch.device("cpu")), IDENTITY)
    )
    with pytest.raises(UsageError, match="is damaged"):
        restore(fresh("ladder"), path, IDENTITY)


def test_a_checkpoint_is_due_after_a_minute_or_thirty_times_its_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    pace = Pace()
    for wait, writing, due in (
        (60, 0, False),
        (61, 1, True),
        (60, 0, False),
        (61, 4, True),
        (120, 0, False),
        (121, 0, True),
    ):
        now[0] = pace.last + wait
        assert pace.is_due() == due
        if due:
            with pace.writing():
                now[0] += writing


def test_no_checkpoint_is_step_0(tmp_path: Path) -> None:
    assert checkpoint_step(tmp_path / "none.safetensors") == 0


@pytest.mark.parametrize("with_decoder", [False, True])
@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_a_model_is_one_replica_with_its_statistics(tmp_path: Path, model: str, with_decoder: bool) -> None:
    state = trained(model)
    index, weight = labeled_calibration([torch.arange(6).numpy(), torch.arange(3, 9).numpy()], 3)
    images = torch.rand(9, 9, generator=torch.Generator().manual_seed(1))
    statistics = calibrate(state.ladder, images, index, weight, with_decoder)
    path = tmp_path / "x.safetensors"
    path.write_bytes(model_bytes(state, statistics, 1, {"seed": 1}))
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["model"])
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert isinstance(metadata.pop("crc32"), int)
    assert metadata == {"format": 2, "seed": 1}
    expected = {f"ladder.{name}": value[1:] for name, value in state.ladder.named_parameters()}
    if state.generator is not None:
        expected |= {f"generator.{name}": value[1:] for name, value in state.generator.named_parameters()}
    for layer in range(1, 7):
        expected[f"statistics.mean.{layer}"] = statistics.means[layer - 1][1:]
        expected[f"statistics.variance.{layer}"] = statistics.variances[layer - 1][1:]
    for layer, (mean, variance) in (statistics.decoder or {}).items():
        expected[f"statistics.decoder_mean.{layer}"] = mean[1:]
        expected[f"statistics.decoder_variance.{layer}"] = variance[1:]
    assert len(statistics.decoder or {}) == (7 if with_decoder else 0)
    assert set(held) == set(expected)
    for name, value in held.items():
        torch.testing.assert_close(value, expected[name].detach(), rtol=0, atol=0)
