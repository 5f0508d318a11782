"""The benchmark of ensembles: what is measured of the replicas, what is kept, and the table."""

from pathlib import Path

import numpy as np
import pytest
from ladder_ebgan_benchmarks import ensembles
from ladder_ebgan_benchmarks.ensembles import Fit, Measured

from ladder_ebgan.data import load_dataset


class Fixed:
    """A classifier of MNIST's test images with two replicas: one right everywhere, one wrong at first."""

    fitted_on: list[int]

    def __init__(self, recipe: str, n_replicas: int, random_state: int) -> None:
        assert (recipe, n_replicas, random_state) == ("demo", 2, 3)

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        Fixed.fitted_on = np.bincount(labels[labels >= 0], minlength=10).tolist()
        assert np.array_equal(labels[labels >= 0], load_dataset("mnist").train_labels[labels >= 0])

    def predict_proba_replicas(self, images: np.ndarray) -> np.ndarray:
        right = np.eye(10)[load_dataset("mnist").test_labels]
        second = 0.6 * right
        second[:300] = 0.9 * np.roll(right[:300], 1, axis=1)  # surer than the first, which says 0.5 up to row 200
        first = right.copy()
        first[:200] *= 0.5
        first[9_900:] = second[9_900:] = np.roll(right[9_900:], 1, axis=1)  # both wrong
        return np.stack([first, second])


def test_replicas_are_measured_one_by_one_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 % both wrong; 3 % the second alone, of which 2 % drag the mean along; 97 % agreed on."""
    monkeypatch.setattr(ensembles, "LadderClassifier", Fixed)
    found = ensembles.measure(Fit("demo", 20, 2, 3))
    assert Fixed.fitted_on == [2] * 10
    assert found.errors == pytest.approx([1.0, 4.0])
    assert found.ensemble_error == pytest.approx(3.0)
    assert found.disagreement == pytest.approx(3.0)
    assert found.error_where_agreed == pytest.approx(100 * 100 / 9_700)


def test_what_was_fitted_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measured(fit: Fit) -> Measured:
        asked.append(fit)
        return Measured([5.0 + fit.seed, 6.0 + fit.seed], 4.0, 10.0, 1.0, 2.0)

    monkeypatch.setattr(ensembles, "measure", measured)
    given = [str(tmp_path / "out"), "--replicas", "2", "--jobs", "1", "--seeds"]
    ensembles.main([*given, "2"])
    ensembles.main([*given, "3"])
    assert [fit.seed for fit in asked] == [0, 1, 2]
    lines = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert lines[3] == "| demo | 100 | 1 | 6.00, 7.00 | 6.50 | 4.00 | 10.00 | 1.00 |"
    assert "| demo | 100 | all | mean ± deviation over seeds | 6.50 ± 1.00 | 4.00 ± 0.00 |  |  |" in lines
    assert "2 networks together against one: -2.50 points (95 % interval -4.98 to -0.02)." in lines
