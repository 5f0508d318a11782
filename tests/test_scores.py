import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import entropy
from sklearn.metrics import brier_score_loss, confusion_matrix, log_loss

from ladder_ebgan.scores import N_BINS, Scores, score

P = np.array(
    [[0.5, 0.25, 0.25], [0.0625, 0.875, 0.0625], [0.25, 0.25, 0.5], [0.125, 0.75, 0.125]], dtype=np.float32
)
LABELS = np.array([0, 1, 0, 1])


def test_four_images_by_hand() -> None:
    """Predicted are 0, 1, 2, 1 with confidence 1/2, 7/8, 1/2, 3/4: the third is wrong.

    p = 1/4, standard error sqrt(1/4 * 3/4 / 4) = 0.2165. Likelihoods 1/2, 7/8, 1/4, 3/4. Brier scores
    (1/4 + 1/16 + 1/16 = 0.375), (1/64 + 2/256 = 0.0234375), (9/16 + 1/16 + 1/4 = 0.875), (1/16 + 2/64 = 0.09375).
    Bins of 1/15: 1/2 in the eighth (7/15, 8/15], with confidence 1/2 and half right; 3/4 in (11/15, 12/15] with gap
    1/4; 7/8 in (13/15, 14/15] with gap 1/8. Calibration error (2 * 0 + 1/4 + 1/8) / 4 = 0.09375.
    """
    scores = score(P, LABELS)
    assert (scores.n, scores.n_wrong, scores.error_percent) == (4, 1, 25.0)
    assert scores.sampling_error == pytest.approx(21.6506, abs=1e-4)
    assert scores.mean_log_likelihood == pytest.approx(np.log([1 / 2, 7 / 8, 1 / 4, 3 / 4]).mean())
    assert scores.brier_score == pytest.approx((0.375 + 0.0234375 + 0.875 + 0.09375) / 4)
    assert scores.calibration_error_percent == pytest.approx(9.375)
    assert scores.confusion == [[1, 0, 1], [0, 2, 0], [0, 0, 0]]
    filled = {number: one for number, one in enumerate(scores.bins) if one.n}
    assert {number: (one.n, one.mean_confidence, one.accuracy_percent) for number, one in filled.items()} == {
        7: (2, 0.5, 50.0),
        11: (1, 0.75, 100.0),
        13: (1, 0.875, 100.0),
    }
    assert [one.lower for one in scores.bins] == [one / N_BINS for one in range(N_BINS)]
    assert [one.upper for one in scores.bins] == [(one + 1) / N_BINS for one in range(N_BINS)]
    assert scores.bins[0].mean_confidence is None
    assert scores.bins[0].accuracy_percent is None


def test_a_confidence_at_an_edge_is_in_the_bin_below() -> None:
    """(lower, upper]: 0.6 = 9/15 belongs to the ninth, 1 to the last."""
    p = np.array([[0.6, 0.4], [1.0, 0.0]])
    assert [number for number, one in enumerate(score(p, np.array([0, 0])).bins) if one.n] == [8, 14]


@pytest.mark.parametrize(("labels", "error"), [([0, 1, 2, 1], 0.0), ([1, 0, 1, 0], 100.0)])
def test_all_right_or_all_wrong_tells_no_standard_error(labels: list[int], error: float) -> None:
    scores = score(P, np.array(labels))
    assert scores.error_percent == error
    assert scores.sampling_error is None
    assert scores.largest_error == (None if error else pytest.approx(100 * (1 - 0.05 ** (1 / 4))))


def test_a_probability_of_zero_counts_as_the_least_normal_number() -> None:
    scores = score(np.array([[0.0, 1.0]], dtype=np.float32), np.array([0]))
    assert scores.mean_log_likelihood == pytest.approx(-87.3365, abs=1e-4)
    assert scores.brier_score == 2.0
    assert scores.calibration_error_percent == 100.0
    json.dumps(asdict(scores), allow_nan=False)


def test_perfect_predictions() -> None:
    scores = score(np.eye(3, dtype=np.float32), np.arange(3))
    assert (scores.error_percent, scores.mean_log_likelihood, scores.brier_score) == (0.0, 0.0, 0.0)
    assert scores.calibration_error_percent == 0.0


def drawn(n: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray, Scores]:
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(n_classes, 0.3), n)
    p = (p + 1e-6) / (p + 1e-6).sum(axis=1, keepdims=True)
    labels = random.integers(0, n_classes, n)
    return p, labels, score(p, labels)


@settings(max_examples=40)
@given(st.integers(1, 200), st.integers(2, 6), st.integers(0, 100))
def test_scores_are_those_of_scikit_learn(n: int, n_classes: int, seed: int) -> None:
    p, labels, scores = drawn(n, n_classes, seed)
    classes = list(range(n_classes))
    assert scores.mean_log_likelihood == pytest.approx(-log_loss(labels, p, labels=classes))
    assert scores.confusion == confusion_matrix(labels, p.argmax(axis=1), labels=classes).tolist()
    brier = brier_score_loss(labels, p, labels=classes, scale_by_half=False)
    assert scores.brier_score == pytest.approx(brier)
    assert sum(one.n for one in scores.bins) == n
    assert scores.n_wrong == n - np.trace(np.array(scores.confusion))


def test_calibrated_predictions_have_a_small_calibration_error() -> None:
    """Labels that are drawn with the predicted probabilities; overconfident predictions have a large one."""
    random = np.random.default_rng(0)
    p = random.dirichlet([1.0, 1.0, 1.0], 20_000)
    labels = (random.random((20_000, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=2)
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert score(p, labels).calibration_error_percent < 1.5
    assert score(sharp, labels).calibration_error_percent > 10
    assert_allclose(score(p, labels).mean_log_likelihood, -entropy(p, axis=1).mean(), atol=0.02)
