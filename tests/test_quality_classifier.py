"""The packaged classifier, its file, and the command that made it."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from ladder_ebgan.data import Dataset, load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.quality import Classifier, load_classifier
from ladder_ebgan.quality import classifier as module
from ladder_ebgan.quality.train_classifier import error_percent, main, train, trained_file
from ladder_ebgan.tensor_files import tensor_bytes

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return load_dataset("mnist")


@pytest.fixture(scope="module")
def few(mnist: Dataset) -> Dataset:
    """300 training images, of which the last batch has 44, and 50 test images."""
    parts = (mnist.train_images[:300], mnist.train_labels[:300], mnist.test_images[:50], mnist.test_labels[:50])
    return Dataset("few", "few digits", *parts, mnist.classes, (28, 28), "0")


def test_the_packaged_classifier_has_the_error_that_its_file_tells(mnist: Dataset) -> None:
    classifier = load_classifier()
    error = error_percent(classifier, torch.from_numpy(mnist.test_images), torch.from_numpy(mnist.test_labels))
    assert error == pytest.approx(classifier.metadata["test_error_percent"], abs=0.021)
    assert error < 1
    assert classifier.metadata["data"]["fingerprint"] == mnist.fingerprint
    assert classifier.metadata["n_train"] == 60_000
    assert {"seconds", "device", "versions", "seed"} <= classifier.metadata.keys()


def test_it_is_ready_for_evaluation() -> None:
    classifier = load_classifier()
    assert not classifier.training
    assert not any(parameter.requires_grad for parameter in classifier.parameters())
    assert sum(parameter.numel() for parameter in classifier.parameters()) == 832 + 25_632 + 5_130


def test_the_network_against_its_parts(mnist: Dataset) -> None:
    """One output of each layer as a plain sum: a convolution, then the largest of four and of 0."""
    classifier = load_classifier()
    images = torch.from_numpy(mnist.train_images[:2]).double().reshape(2, 28, 28)
    weights = {name: tensor.double() for name, tensor in classifier.state_dict().items()}

    def layer(maps: torch.Tensor, number: int, i: int, j: int) -> torch.Tensor:
        """All maps of a pooled layer at (i, j)."""
        weight, bias = weights[f"convolution_{number}.weight"], weights[f"convolution_{number}.bias"]
        four = [
            torch.einsum("cij,ocij->o", maps[:, y : y + 5, x : x + 5], weight) + bias
            for y in (2 * i, 2 * i + 1)
            for x in (2 * j, 2 * j + 1)
        ]
        return torch.stack(four).amax(dim=0).clamp(min=0)

    def pooled(maps: torch.Tensor, number: int, size: int) -> torch.Tensor:
        rows = [torch.stack([layer(maps, number, i, j) for j in range(size)], 1) for i in range(size)]
        return torch.stack(rows, 1)

    features = torch.stack([pooled(pooled(image[None], 1, 12), 2, 4).flatten() for image in images])
    torch.testing.assert_close(classifier.features(images.float()).double(), features, rtol=1e-4, atol=1e-4)
    logits = features @ weights["linear.weight"].T + weights["linear.bias"]
    log_p = classifier.log_probabilities(features.float())
    assert log_p.dtype == torch.float64
    torch.testing.assert_close(log_p, torch.log_softmax(logits, dim=1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(classifier(images.float()).double(), logits, rtol=1e-4, atol=1e-4)


def test_half_of_the_features_are_dropped_in_training_only() -> None:
    classifier = Classifier()
    images = torch.rand(3, 784)
    assert not torch.equal(classifier.train()(images), classifier(images))
    assert torch.equal(classifier.eval()(images), classifier(images))
    kept = functional.dropout(torch.ones(10_000), 0.5)
    assert set(kept.unique().tolist()) == {0, 2}


def test_training_is_fixed_by_the_seed_and_leaves_the_random_numbers(few: Dataset) -> None:
    before = torch.get_rng_state()
    first, again, other = (train(few, seed, CPU, n_epochs=2) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.linear.weight, other.linear.weight)


def test_training_learns(few: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = torch.from_numpy(few.train_images), torch.from_numpy(few.train_labels)
    assert error_percent(train(few, 0, CPU, n_epochs=12), images, labels) < 40
    lines = capsys.readouterr().err.splitlines()
    costs = [float(line.rsplit(maxsplit=1)[1]) for line in lines]
    assert len(lines) == 12
    assert lines[0].startswith("epoch 1 of 12: mean cost 2.")
    assert costs[-1] < 0.75 * costs[0]


def test_the_error_by_hand(few: Dataset) -> None:
    classifier = load_classifier()
    images = torch.from_numpy(few.train_images[:8])
    right = classifier(images).argmax(dim=1)
    assert error_percent(classifier, images, right) == 0
    right[[1, 5]] += 1
    assert error_percent(classifier, images, right) == 25


def test_a_file_that_was_trained_is_read_back(few: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(trained_file(few, 3, CPU, n_epochs=1))
    read, trained = load_classifier("cpu", path), train(few, 3, CPU, n_epochs=1)
    assert all(torch.equal(a, b) for a, b in zip(read.parameters(), trained.parameters(), strict=True))
    assert (read.metadata["seed"], read.metadata["n_train"], read.metadata["n_test"]) == (3, 300, 50)
    test = torch.from_numpy(few.test_images), torch.from_numpy(few.test_labels)
    assert read.metadata["test_error_percent"] == error_percent(trained, *test)


def test_a_damaged_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHA256", "0" * 64)
    with pytest.raises(
        UsageError, match=r"^the installed file mnist_classifier\.safetensors is damaged \(its check"
    ):
        load_classifier()
    monkeypatch.setattr(module, "PACKAGED", "other.safetensors")
    with pytest.raises(UsageError, match=r"^the installed file other\.safetensors is damaged, .*; reinstall"):
        load_classifier()


@pytest.mark.parametrize("kind", ["nothing", "text", "another model", "another kind", "other shapes", "one bit"])
def test_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "c.safetensors"
    state = Classifier().state_dict()
    good = tensor_bytes(state, module.KIND, {})
    contents = {
        "text": b"no tensors",
        "another model": tensor_bytes({"x": torch.zeros(3)}, module.KIND, {}),
        "another kind": tensor_bytes(state, "model", {}),
        "other shapes": tensor_bytes(state | {"linear.bias": torch.zeros(3)}, module.KIND, {}),
        "one bit": good[:-1] + bytes([good[-1] ^ 1]),
    }
    if kind in contents:
        path.write_bytes(contents[kind])
    with pytest.raises(
        UsageError, match=r"^the file '.*' is damaged, or no classifier of digits; name a file that "
    ):
        load_classifier("cpu", path)


def test_the_command(
    tmp_path: Path, few: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ladder_ebgan.quality.train_classifier.load_dataset", lambda _: few)
    monkeypatch.setattr(train, "__defaults__", (1,))
    monkeypatch.setattr(trained_file, "__defaults__", (1,))
    main(["--output", str(tmp_path / "c.safetensors"), "--seed", "5", "--device", "cpu"])
    assert load_classifier("cpu", tmp_path / "c.safetensors").metadata["seed"] == 5
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines()[-1].startswith("test error ")
    assert np.array_equal([path.name for path in tmp_path.iterdir()], ["c.safetensors"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "none/c.safetensors"], "--output none/c.safetensors: name a file in a folder that is there"),
        (["--output", "."], "--output .: name a file in a folder that is there"),
        (["--output", "c", "--seed", "-1"], "--seed -1: must be 0 or more"),
        (["--output", "c", "--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_wrong_use_of_the_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_module_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(module.__file__).with_name("train_classifier.py")
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    assert stop.value.code == 0
    assert "--output FILE" in capsys.readouterr().out
