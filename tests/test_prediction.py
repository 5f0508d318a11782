from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import trained
from numpy.testing import assert_allclose, assert_array_equal

from ladder_ebgan.data import load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.evaluation import clean_energies
from ladder_ebgan.model_files import choose, find_models
from ladder_ebgan.models import TrainedModel, load
from ladder_ebgan.prediction import Predictions, far_features, predict
from ladder_ebgan.scaling import Scaling

DIGITS = load_dataset("digits")


def model_of(path: Path, model: str, *seeds: int) -> TrainedModel:
    return load(choose(find_models(path), path, model, seeds=list(seeds) or "all"), trained.CPU)


def stored(run: Path, model: str, seed: int) -> np.ndarray:
    with np.load(run / "predictions" / f"{model}-20-{seed}.npz", allow_pickle=False) as arrays:
        return np.asarray(arrays["probabilities"])


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_probabilities_of_the_test_images_are_those_of_the_run(
    tmp_path_factory: pytest.TempPathFactory, model: str
) -> None:
    """To the bit where the same seeds are computed together; a seed alone may round otherwise."""
    run = tiny.finished_run(tmp_path_factory)
    together = predict(model_of(run, model), DIGITS.test_images)
    for seed in (0, 1):
        assert_array_equal(together.of_models[seed], stored(run, model, seed))
        alone = predict(model_of(run, model, seed), DIGITS.test_images)
        assert_allclose(alone.probabilities, stored(run, model, seed), rtol=1e-5, atol=1e-7)


def test_a_run_leaves_the_energies_of_its_discriminator(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Close to those of the last steps, which were corrupted: within a factor of three, on 8 x 8 images."""
    run = tiny.finished_run(tmp_path_factory)
    energies = predict(model_of(run, "ebgan-ladder"), DIGITS.test_images).energies_of_models
    assert energies is not None
    assert energies.shape == (2, 500)
    rows = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
    column = rows[0].index("energy_real")
    last = [float(row[column]) for row in rows if row[0] == "ebgan-ladder" and row[3] == "24"]
    assert len(last) == 2
    for of_model, noisy in zip(energies.mean(axis=1), last, strict=True):
        assert noisy / 3 < of_model < noisy * 3


def test_an_ensemble_averages_probabilities_and_energies(tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path, *(("ladder", 9, seed) for seed in (0, 1, 2)))
    pixels = trained.images(7, seed=1)
    together = predict(model_of(run, "ladder"), pixels)
    alone = [predict(model_of(run, "ladder", seed), pixels) for seed in (0, 1, 2)]
    assert together.of_models.shape == (3, 7, 3)
    assert_allclose(together.probabilities, sum(one.probabilities for one in alone) / 3, rtol=1e-5)
    assert_allclose(together.probabilities.sum(axis=1), 1, rtol=1e-6)
    energies = [one.energies for one in alone if one.energies is not None]
    assert_allclose(together.energies, sum(energies) / 3, rtol=1e-4)


def test_means_by_hand() -> None:
    found = Predictions(
        np.array([[[0.9, 0.1]], [[0.5, 0.5]]], dtype=np.float32), np.array([[1.0], [4.0]], dtype=np.float32)
    )
    assert_allclose(found.probabilities, [[0.7, 0.3]], rtol=1e-6)
    assert_allclose(found.energies, [2.5])


def test_energies_are_those_of_the_clean_pass(tmp_path: Path) -> None:
    model = model_of(trained.run_folder(tmp_path, ("ladder", 9, 0)), "ladder")
    pixels = trained.images(5, seed=1)
    expected = clean_energies(model.ladder, model.statistics, torch.from_numpy(pixels))
    found = predict(model, pixels)
    assert found.energies is not None
    assert_array_equal(found.energies, expected[0].numpy())
    assert_allclose(predict(model, pixels[3:4]).energies, found.energies[3:4], rtol=1e-5)


def test_without_the_decoders_statistics_there_are_probabilities_and_no_energies(tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path, ("ladder", 9, 0))
    pixels = trained.images(5)
    before = predict(model_of(run, "ladder"), pixels)
    trained.as_format_1(run / "models" / "ladder-9-0.safetensors")
    after = predict(model_of(run, "ladder"), pixels)
    assert after.energies is None
    assert_array_equal(after.probabilities, before.probabilities)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_predicts_the_same(tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path, ("ladder", 9, 0), ("ladder", 9, 1))
    pixels = trained.images(50)
    cpu = predict(model_of(run, "ladder"), pixels)
    gpu = predict(load(choose(find_models(run), run, seeds="all"), torch.device("cuda")), pixels)
    assert_allclose(gpu.of_models, cpu.of_models, rtol=1e-4, atol=1e-6)
    assert_allclose(gpu.energies_of_models, cpu.energies_of_models, rtol=1e-3)


def test_rows_that_are_infinite_once_they_are_scaled_are_refused(tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path / "run", ("ladder", 9, 0))
    model = replace(model_of(run, "ladder"), scaling=Scaling(np.zeros(8), np.full(8, 1e-30)))
    assert np.isfinite(predict(model, np.full((1, 8), 1e-30)).probabilities).all()
    with pytest.raises(
        UsageError, match=r"^row 1, counted from 0, lies so far from those of the training that 32-"
    ):
        predict(model, np.stack([np.full(8, 1e-30), np.full(8, 1e9)]))


def test_an_energy_that_32_bits_do_not_hold_is_infinite(tmp_path: Path) -> None:
    """A feature of 1e25 is a number of 32 bits, its square is none; infinities may make NaN of each other."""
    run = trained.run_folder(tmp_path / "run", ("ladder", 9, 0))
    model = replace(model_of(run, "ladder"), scaling=Scaling(np.zeros(8), np.ones(8)))
    found = predict(model, np.stack([np.full(8, value) for value in (1.0, 1e25, 1e37)]))
    assert found.energies is not None
    assert np.isfinite(found.energies).tolist() == [True, False, False]
    assert np.isposinf(found.energies[1:]).all()
    assert np.isfinite(found.probabilities).all()


def test_features_further_out_than_those_of_the_training(tmp_path: Path) -> None:
    """Scaled features of the training lie within 5; twice that is far."""
    run = trained.run_folder(tmp_path / "run", ("ladder", 9, 0))
    model = model_of(run, "ladder")
    assert not far_features(model, np.full((1, 8), 1e9)).any()
    scaled = replace(model, scaling=Scaling(np.full(8, 100.0), np.full(8, 2.0)))
    features = np.full((2, 8), 100.0)
    features[1, 3], features[1, 4] = 121, 119
    assert np.argwhere(far_features(scaled, features)).tolist() == [[1, 3]]
