"""How good predicted class probabilities are against known labels: error, likelihood, calibration.

Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599 (calibration error).
Brier 1950, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 78.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.statistics import largest_error_without_one, sampling_error

N_BINS = 15  # of equal width over the confidences, as Guo et al. have them
LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)  # a smaller one counts as this in the likelihood: log -87.3


@dataclass(frozen=True)
class Bin:
    """The images whose confidence, the probability of the predicted label, is in (lower, upper]."""

    lower: float
    upper: float
    n: int
    mean_confidence: float | None  # None without images
    accuracy_percent: float | None


@dataclass(frozen=True)
class Scores:
    """What predictions are worth on labelled images."""

    n: int
    n_wrong: int
    error_percent: float
    sampling_error: float | None  # of the error, in points; None where no image or every one is wrong
    largest_error: float | None  # in percent, at 95 %, that the rate may have where no image is wrong; else None
    mean_log_likelihood: float  # natural logarithm of the true label's probability
    brier_score: float  # from 0, the best, to 2
    calibration_error_percent: float
    bins: list[Bin]
    confusion: list[list[int]]  # [true class][predicted class]


def score(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> Scores:
    """Score class probabilities `[n, classes]` against class indices `[n]`.

    The sampling error, that of `statistics.sampling_error`, says how far the error on other images of the same kind
    may be, and nothing of other seeds or labelled subsets. The Brier score is the mean over images of
    `sum_k (p_k - y_k)^2`, with `y` 1 at the true class and 0 elsewhere.
    """
    p = probabilities.astype(np.float64)
    n, n_classes = p.shape
    predicted, of_true = p.argmax(axis=1), p[np.arange(n), labels]
    n_wrong = int((predicted != labels).sum())
    confusion = np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    bins = _bins(p.max(axis=1), predicted == labels)
    return Scores(
        n=n,
        n_wrong=n_wrong,
        error_percent=100 * n_wrong / n,
        sampling_error=sampling_error(100 * n_wrong / n, n),
        largest_error=None if n_wrong else largest_error_without_one(n),
        mean_log_likelihood=float(np.log(np.maximum(of_true, LEAST_PROBABILITY)).mean()),
        brier_score=float((np.square(p).sum(axis=1) - 2 * of_true + 1).mean()),
        calibration_error_percent=_calibration_error(bins),
        bins=bins,
        confusion=confusion.tolist(),
    )


def _bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Bin]:
    edges = np.arange(N_BINS + 1) / N_BINS
    place = np.searchsorted(edges[1:-1], confidence, side="left")  # 0 .. N_BINS - 1
    bins = []
    for number, (lower, upper) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        inside = place == number
        n = int(inside.sum())
        mean_confidence = float(confidence[inside].mean()) if n else None
        bins.append(Bin(lower, upper, n, mean_confidence, 100 * float(right[inside].mean()) if n else None))
    return bins


def _calibration_error(bins: list[Bin]) -> float:
    """Return `sum_b n_b / n |accuracy_b - confidence_b|` in percent, Eq. (3) of Guo et al."""
    n = sum(one.n for one in bins)
    gaps = (
        one.n * abs(one.accuracy_percent - 100 * one.mean_confidence)
        for one in bins
        if one.accuracy_percent is not None and one.mean_confidence is not None
    )
    return sum(gaps) / n
