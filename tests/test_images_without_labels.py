"""A run on images of which most have no label, from the file to the prediction."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tiny

from ladder_ebgan.data import load_dataset

N_LABELED = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits with 60 labels, six of each class; -1 in the place of the others."""
    digits, path = load_dataset("digits"), tmp_path_factory.mktemp("data") / "mine.npz"
    labels = np.full(len(digits.train_labels), -1)
    for digit in range(10):
        rows = np.flatnonzero(digits.train_labels == digit)[: N_LABELED // 10]
        labels[rows] = digit
    test = digits.test_images[:100], digits.test_labels[:100]
    np.savez(path, x_train=digits.train_images, y_train=labels, x_test=test[0], y_test=test[1])
    return path


def run(data: Path, output: Path, labels: int, *more: str) -> tiny.Outcome:
    given = ["--data", str(data), "--recipe", "table2", "--no-compile", "--output", str(output), *tiny.settings()]
    return tiny.done("run", *given, "--labels", str(labels), "--seeds", "2", *more)


@pytest.mark.parametrize("labels", [N_LABELED, 20])
def test_a_run_learns_from_all_images_and_the_labels_there_are(data: Path, tmp_path: Path, labels: int) -> None:
    outcome = run(data, tmp_path / "run", labels)
    assert "1297 training and 100 test images (60 of the training images have a label)" in outcome.stderr
    with np.load(data) as arrays:
        known = arrays["y_train"]
    for seed in (0, 1):
        with np.load(tmp_path / f"run/predictions/ladder-{labels}-{seed}.npz") as arrays:
            learned = known[arrays["labeled_indices"]]
        assert np.bincount(learned).tolist() == [labels // 10] * 10
    with (tmp_path / "run/history.csv").open() as file:
        errors = {row["unlabeled_error_percent"] for row in csv.DictReader(file)}
    assert (errors == {""}) == (labels == N_LABELED), "only labels that are not learned can be watched"
    tiny.done("predict", str(tmp_path / "run"), str(data), "--model", "ladder", "--seed", "0")


def test_more_labels_than_there_are_is_refused(data: Path, tmp_path: Path) -> None:
    given = ["--data", str(data), "--recipe", "table2", "--output", str(tmp_path / "run")]
    message = tiny.refused("run", *given, *tiny.settings(), "--labels", "61")
    assert message.endswith("at most 60, the number of training images with a label")
    assert not (tmp_path / "run").exists()
