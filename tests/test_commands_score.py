"""The command `score`: what is scored, what is printed, what is refused."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import trained
from numpy.testing import assert_array_equal
from PIL import Image

from ladder_ebgan import data
from ladder_ebgan.checkpoints import model_bytes
from ladder_ebgan.commands import score as module
from ladder_ebgan.data import load_dataset
from ladder_ebgan.evaluation import calibrate, labeled_calibration
from ladder_ebgan.model_files import find_models
from ladder_ebgan.models import load
from ladder_ebgan.quality import comparison as compared
from ladder_ebgan.quality import load_classifier, measure
from ladder_ebgan.sampling import sample
from ladder_ebgan.training import initial_state

mnist_once = cache(load_dataset)
MOST = compared.MOST_IMAGES
REFERENCE = 400
NAMES = ["modified inception score", "inception score", "precision", "recall", "digits found", "digits' divergence"]
KEYS = ["modified_inception_score", "inception_score", "precision", "recall", "n_modes", "class_kl"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small reference, and MNIST read once: they are what takes time."""
    monkeypatch.setattr(data, "load_dataset", mnist_once)
    monkeypatch.setattr(compared, "MOST_IMAGES", REFERENCE)


def write_digits_model(path: Path, name: str, fingerprint: str) -> Path:
    """Write an untrained model of 28 x 28 images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = initial_state(trained.recipe(), name, [0], 784, 10, trained.CPU)
    index, weight = labeled_calibration([np.arange(9)], 6)
    images = torch.from_numpy(np.random.default_rng(0).random((9, 784), dtype=np.float32))
    statistics = calibrate(state.ladder, images, index, weight, with_decoder=True)
    metadata = trained.metadata_of(name, 9, 0) | {"classes": list(range(10)), "image_shape": [28, 28]}
    metadata["data"] = {"name": "mine", "fingerprint": fingerprint}
    path.write_bytes(model_bytes(state, statistics, 0, metadata))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ladder and an ebgan-ladder."""
    folder = tmp_path_factory.mktemp("score") / "run"
    fingerprint = mnist_once("mnist").fingerprint
    for name in ("ladder", "ebgan-ladder"):
        write_digits_model(folder / "models" / f"{name}-9-0.safetensors", name, fingerprint)
    return folder


def test_the_drawn_images_are_scored(run: Path) -> None:
    outcome = tiny.done("score", str(run), "--n", "30", "--latent-seed", "7", "--json")
    assert outcome.stderr == ""
    record = json.loads(outcome.stdout)
    model = load([file for file in find_models(run) if file.has_generator], trained.CPU)
    images = torch.from_numpy(sample(model, 30, 7).images.reshape(30, 784))
    reference = torch.from_numpy(mnist_once("mnist").train_images[:REFERENCE])
    classifier = load_classifier()
    assert record["scored"] == "ebgan-ladder, 9 labels, seed 0"
    assert (record["n_images"], record["n_reference"]) == (30, REFERENCE)
    for key, value in vars(measure(images, reference, classifier)).items():
        assert record["images"][key] == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert record["classifier"]["test_error_percent"] == classifier.metadata["test_error_percent"]


def test_a_table_with_words(run: Path) -> None:
    path = next((run / "models").glob("ebgan*"))
    outcome = tiny.done("score", str(path), "--n", "40")
    record = json.loads(tiny.done("score", str(path), "--n", "40", "--json").stdout)
    lines = outcome.stdout.splitlines()
    assert lines[0] == "ebgan-ladder, 9 labels, seed 0: 40 images"
    assert lines[2].split() == ["these", "images", "real", "images", "noise"]
    for name, key, line in zip(NAMES, KEYS, lines[3:9], strict=True):
        assert line.startswith(name)
        numbers = [float(number) for number in line.removeprefix(name).split()]
        expected = [record[column][key] for column in ("images", "real_test_images", "pixel_noise")]
        assert numbers == pytest.approx(expected, abs=6e-4)
    assert [line[:24].strip() for line in lines[10:16]] == NAMES
    assert lines[17].startswith("Real images are 40 test images of MNIST, noise is 40 images")
    assert f"with {REFERENCE} training images" in lines[18]
    assert outcome.stderr == ""


def test_an_archive_of_images_and_the_first_of_them(tmp_path: Path) -> None:
    images = mnist_once("mnist").test_images[:60]
    np.savez(tmp_path / "a.npz", images=images.reshape(60, 28, 28), energies=np.zeros(60))
    record = json.loads(tiny.done("score", str(tmp_path / "a.npz"), "--json").stdout)
    assert record["scored"] == str(tmp_path / "a.npz")
    assert record["n_images"] == 60
    assert record["images"] == record["real_test_images"]
    first = json.loads(tiny.done("score", str(tmp_path / "a.npz"), "--json", "--n", "25").stdout)
    np.save(tmp_path / "b.npy", images[:25])
    assert first["images"] == json.loads(tiny.done("score", str(tmp_path / "b.npy"), "--json").stdout)["images"]


def test_what_sample_writes_is_scored_as_the_model(run: Path, tmp_path: Path) -> None:
    tiny.done("sample", str(run), "--n", "20", "--output", str(tmp_path / "s.npz"))
    of_file = json.loads(tiny.done("score", str(tmp_path / "s.npz"), "--json").stdout)
    assert of_file["images"] == json.loads(tiny.done("score", str(run), "--n", "20", "--json").stdout)["images"]


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    digits = mnist_once("mnist").test_images[:5].reshape(5, 28, 28)
    for number, digit in enumerate(digits):
        Image.fromarray(np.rint(255 * digit).astype(np.uint8)).save(tmp_path / f"{number}.png")
    record = json.loads(tiny.done("score", str(tmp_path), "--json").stdout)
    assert record["images"] == pytest.approx(record["real_test_images"], rel=1e-4)
    Image.new("RGB", (28, 28), "red").save(tmp_path / "4.png")
    outcome = tiny.done("score", str(tmp_path), "--json")
    assert json.loads(outcome.stdout)["n_images"] == 5
    assert outcome.stderr == "Images with colours, which were turned into grey (ITU-R BT.601): 1 of 5.\n"


def test_the_test_images_by_name() -> None:
    record = json.loads(tiny.done("score", "mnist", "--n", "50", "--json").stdout)
    assert record["images"] == record["real_test_images"]


def test_other_data_is_noted(tmp_path: Path) -> None:
    path = write_digits_model(tmp_path / "m.safetensors", "ebgan-ladder", "other")
    outcome = tiny.done("score", str(path), "--n", "4")
    assert outcome.stderr == "The model was trained on mine; its images are scored against MNIST's.\n"


def test_no_more_are_drawn_than_are_scored() -> None:
    assert module.MOST == MOST
    assert "10001 is not in the range" in tiny.refused("score", "mnist", "--n", "10001")


def test_wrong_use(run: Path, tmp_path: Path) -> None:
    assert "it has no generator" in tiny.refused("score", str(run), "--model", "ladder")
    np.save(tmp_path / "three.npy", np.zeros((3, 784), dtype=np.float32))
    assert tiny.refused("score", str(tmp_path / "three.npy")) == (
        "3 images are too few to be scored: give 4 or more"
    )
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "run.json").write_text("{}")
    assert "holds no models" in tiny.refused("score", str(tmp_path / "unfinished"))
    (tmp_path / "empty").mkdir()
    assert "holds no PNG files" in tiny.refused("score", str(tmp_path / "empty"))
    trained.write_model(tmp_path / "small.safetensors", "ebgan-ladder")
    assert "is of images of 2 x 4: only digits of 28 x 28" in tiny.refused(
        "score", str(tmp_path / "small.safetensors")
    )


def test_features_are_no_images(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.safetensors"
    path.write_bytes(next((run / "models").glob("ebgan*")).read_bytes())
    trained.rewrite(path, inputs="features")
    assert "only digits of 28 x 28 can be scored" in tiny.refused("score", str(path))


def test_noise_is_the_same_each_time() -> None:
    first, more = compared.pixel_noise(5), compared.pixel_noise(9)
    assert_array_equal(first, more[:5])
    assert 0 <= float(more.min()) < float(more.max()) <= 1


def test_too_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(compared, "describe", fail)
    assert tiny.refused("score", "mnist", code=1) == "out of memory; score fewer images: give a smaller --n"
