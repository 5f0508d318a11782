import io
from pathlib import Path

import numpy as np
import pytest
import tiny
import trained
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ladder_ebgan.errors import UsageError
from ladder_ebgan.model_files import choose, find_models
from ladder_ebgan.models import TrainedModel, load
from ladder_ebgan.prediction import predict
from ladder_ebgan.sampling import Samples, sample


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    run = trained.run_folder(tmp_path_factory.mktemp("sampling"), ("ebgan-ladder", 9, 3))
    return load(find_models(run), trained.CPU)


@pytest.mark.parametrize("seed", [0, 1])
def test_with_its_own_seed_a_model_draws_what_its_run_has_kept(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    run = tiny.finished_run(tmp_path_factory)
    model = load(choose(find_models(run), run, "ebgan-ladder", seeds=[seed]), trained.CPU)
    with np.load(run / "predictions" / f"ebgan-ladder-20-{seed}.npz", allow_pickle=False) as arrays:
        kept = arrays["generated_images"]
    images = sample(model, len(kept), latent_seed=seed).images
    assert images.shape == (20, 8, 8)
    assert_allclose(255 * images.reshape(20, 64), kept, atol=0.51)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 30))
def test_an_image_does_not_depend_on_how_many_are_drawn(model: TrainedModel, n: int) -> None:
    """The batch size is 6: some end within a batch, some with one."""
    most, some = sample(model, 30, 5), sample(model, n, 5)
    assert some.images.shape == (n, 2, 4)
    assert_array_equal(some.images, most.images[:n])
    assert some.energies is not None
    assert most.energies is not None
    assert_allclose(some.energies, most.energies[:n], rtol=1e-5)


def test_another_seed_draws_other_images(model: TrainedModel) -> None:
    first, second = sample(model, 12, 0).images, sample(model, 12, 1).images
    assert not np.isclose(first, second).all(axis=(1, 2)).any()
    assert len(np.unique(first.reshape(12, -1), axis=0)) == 12
    assert first.min() >= 0
    assert first.max() <= 1


def test_energies_are_those_of_the_drawn_images(model: TrainedModel) -> None:
    samples = sample(model, 8, 0)
    assert_array_equal(samples.energies, predict(model, samples.images.reshape(8, 8)).energies)


def test_a_model_without_a_generator_is_refused(tmp_path: Path) -> None:
    ladder = load(find_models(trained.run_folder(tmp_path, ("ladder", 9, 0))), trained.CPU)
    with pytest.raises(UsageError, match=r"^ladder, 9 labels, seed 0: it has no generator to draw images with; "):
        sample(ladder, 3, 0)


def test_an_archive_holds_images_and_energies_if_there_are_any() -> None:
    images, energies = np.ones((2, 3, 4), dtype=np.float32), np.array([1.5, 2.5], dtype=np.float32)
    with np.load(io.BytesIO(Samples(images, energies).npz()), allow_pickle=False) as archive:
        assert set(archive.files) == {"images", "energies"}
        assert_array_equal(archive["images"], images)
        assert_array_equal(archive["energies"], energies)
    with np.load(io.BytesIO(Samples(images, None).npz()), allow_pickle=False) as archive:
        assert archive.files == ["images"]


def test_several_models_draw_in_turn(tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path, ("ebgan-ladder", 9, 3), ("ebgan-ladder", 9, 4))
    together = sample(load(find_models(run), trained.CPU), 15, 5).images
    for r, seed in enumerate((3, 4)):
        alone = sample(load(choose(find_models(run), run, seeds=[seed]), trained.CPU), 15, 5).images
        assert_allclose(together[r::2], alone[: len(together[r::2])], rtol=1e-5)
