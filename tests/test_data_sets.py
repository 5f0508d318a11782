"""The comparison on tables: its splits, its file, its table."""

from pathlib import Path

import numpy as np
import pytest
from ladder_ebgan_benchmarks import data_sets
from ladder_ebgan_benchmarks.data_sets import Fit


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_a_split_has_so_many_labels_of_each_class_and_no_test_row(name: str) -> None:
    rows, classes = data_sets.load(name)
    train, test, few, test_classes = data_sets.split(rows, classes, 5, seed=3)
    assert len(train) + len(test) == len(rows)
    assert len(test) == len(test_classes) == pytest.approx(0.3 * len(rows), abs=1)
    found, counts = np.unique(few, return_counts=True)
    assert found.tolist() == [-1, *np.unique(classes).tolist()]
    assert set(counts[1:]) == {5}
    by_row = {row.tobytes(): each for row, each in zip(rows, classes, strict=True)}
    assert [by_row[row.tobytes()] for row in train[few >= 0]] == few[few >= 0].tolist()
    again = data_sets.split(rows, classes, 5, seed=3)
    assert np.array_equal(again[2], few)
    assert not np.array_equal(data_sets.split(rows, classes, 5, seed=4)[2], few)


def test_mnist_is_of_the_training_images() -> None:
    images, labels = data_sets.load("mnist")
    assert images.shape == (10_000, 784)
    assert np.bincount(labels).min() > 800


def test_diabetes_has_two_classes_of_one_size() -> None:
    _, classes = data_sets.load("diabetes")
    assert abs(int(np.bincount(classes)[0]) - int(np.bincount(classes)[1])) <= 2


def test_what_was_fitted_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two seeds, then three: only the third is fitted then, and the table is of all."""
    quick = {name: data_sets.METHODS[name] for name in ("LabelSpreading", "gradient boosting")}
    monkeypatch.setattr(data_sets, "METHODS", {"ladder": data_sets.METHODS["self-training"], **quick})
    monkeypatch.setattr(data_sets, "BUDGETS", (5,))
    data_sets.main([str(tmp_path / "out"), "--seeds", "2", "--jobs", "1", "--data", "iris"])
    before = (tmp_path / "out" / "results.csv").read_text()
    assert capsys.readouterr().out.count("iris 5 ") == 6
    data_sets.main([str(tmp_path / "out"), "--seeds", "3", "--jobs", "1", "--data", "iris"])
    assert capsys.readouterr().out.count("iris 5 2 ") == 3
    after = (tmp_path / "out" / "results.csv").read_text()
    assert after.startswith(before)
    errors = data_sets.read(tmp_path / "out" / "results.csv")
    assert len(errors) == 9
    assert all(0 <= error < 60 for error in errors.values())  # of three flowers with five labels each
    written = (tmp_path / "out" / "table.md").read_text()
    assert written == data_sets.table(errors)
    assert "| iris | 5 | 3 |" in written


def test_the_table_marks_what_a_paired_test_tells_apart() -> None:
    """Differences of about -5 (better), about +5 (worse), and of both signs."""
    shifts = {"ladder": 0.0, "supervised network": 5.0, "LabelSpreading": -5.0}
    errors = {
        Fit("wine", 2, seed, method): 10 + seed + shift + 0.1 * ((seed * 7) % 3) * (method != "ladder")
        for seed in range(6)
        for method, shift in shifts.items()
    }
    errors |= {Fit("wine", 2, seed, "self-training"): 10 + seed + (-1) ** seed for seed in range(6)}
    row = data_sets.table(errors).splitlines()[2].split(" | ")
    assert row[:4] == ["| wine", "2", "6", "12.5 ± 1.9"]
    assert row[4].endswith(" +")
    assert row[5].endswith(" -")
    assert row[6][-1].isdigit()
    assert row[7] == "– |"
