"""Statistics of error rates over seeds: mean, deviation, interval, and the paired comparison of two models.

The same seed gives every model the same labelled subset and the same initial ladder weights, so models are
compared by the differences within seeds. Errors are in percent, differences in percentage points. What a few
seeds cannot tell is None, never a number that looks like an answer.

Student, "The probable error of a mean", Biometrika 6 (1908). Wilcoxon, "Individual comparisons by ranking
methods", Biometrics Bulletin 1 (1945).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_FOR_INTERVAL = 3  # with two values the t quantile is 12.7: an interval that says nothing
MIN_FOR_WILCOXON = 6  # five signs can at best give p = 2 / 2^5 = 0.0625
DECIMALS = 9  # of a difference: 1.3 - 1.2 and 1.2 - 1.1 must tie although their last bits differ


@dataclass(frozen=True)
class PairedComparison:
    """A model against a baseline over the `n` seeds that both have; None where the seeds are too few."""

    n: int
    mean_difference: float  # model minus baseline, percentage points: negative where the model is better
    ci95: tuple[float, float] | None
    p_paired_t: float | None
    p_wilcoxon: float | None
    relative_improvement_percent: float | None


def mean(errors: Sequence[float]) -> float:
    """Return the mean, `sum_i x_i / n`."""
    return float(np.mean(_checked(errors)))


def standard_deviation(errors: Sequence[float]) -> float | None:
    """Return the sample standard deviation `s = sqrt(sum_i (x_i - mean)^2 / (n - 1))`; None for one value."""
    values = _checked(errors)
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def t_interval(errors: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return Student's confidence interval of the mean; None for fewer than three values.

    `mean ± t * s / sqrt(n)`, where `t` is the `(1 + level) / 2` quantile of Student's distribution with
    `n - 1` degrees of freedom and `s` the sample standard deviation.
    """
    from scipy.special import stdtrit

    values = _checked(errors)
    n = len(values)
    if n < MIN_FOR_INTERVAL:
        return None
    quantile = float(stdtrit(n - 1, (1 + level) / 2))
    centre, half_width = float(np.mean(values)), quantile * float(np.std(values, ddof=1)) / n**0.5
    return centre - half_width, centre + half_width


def compare_paired(baseline: Sequence[float], model: Sequence[float]) -> PairedComparison:
    """Compare errors paired by seed: `baseline[i]` and `model[i]` are of the same seed.

    With `d_i = model_i - baseline_i`: the mean of `d` and its 95 % t interval, the paired t test and the
    signed-rank test of "no difference", both two-sided, and the relative improvement in percent,
    `100 * (mean(baseline) - mean(model)) / mean(baseline)`, None where the baseline makes no error.
    ValueError where the two differ in length, are empty or hold a number that is not finite.
    """
    before, after = _checked(baseline), _checked(model)
    if len(before) != len(after):
        raise ValueError(f"{len(before)} baseline errors and {len(after)} of the model cannot be paired")
    differences = np.round(after - before, DECIMALS)
    baseline_mean = float(np.mean(before))
    improvement = 100 * (baseline_mean - float(np.mean(after))) / baseline_mean if baseline_mean else None
    return PairedComparison(
        n=len(differences),
        mean_difference=float(np.mean(differences)),
        ci95=t_interval(differences.tolist()),
        p_paired_t=_paired_t_test(differences),
        p_wilcoxon=_signed_rank_test(differences),
        relative_improvement_percent=improvement,
    )


def _checked(errors: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"errors must be a non-empty list of finite numbers, not {errors!r}")
    return values


def _paired_t_test(differences: NDArray[np.float64]) -> float | None:
    """Return the two-sided p of `t = mean(d) / (s / sqrt(n))` with `n - 1` degrees of freedom.

    None for fewer than three differences, or where all are equal and `t` would be a division by zero.
    """
    from scipy.special import stdtr

    n = len(differences)
    if n < MIN_FOR_INTERVAL or np.ptp(differences) == 0:
        return None
    t = np.mean(differences) / (np.std(differences, ddof=1) / n**0.5)
    return float(2 * stdtr(n - 1, -abs(t)))


def _signed_rank_test(differences: NDArray[np.float64]) -> float | None:
    """Return the exact p of Wilcoxon's two-sided signed-rank test, `min(1, 2 P(W <= w), 2 P(W >= w))`.

    Zero differences are dropped, then `|d|` is ranked (mean rank for ties); `w` is the sum of the ranks of
    the positive `d`. Under "no difference" each rank counts with probability 1/2, independently, which gives
    the distribution of `W` by adding one rank after the other: exact with ties too, which error rates in
    steps of 0.01 % often have. None where fewer than six differences are not zero.
    """
    moved = differences[differences != 0]
    if len(moved) < MIN_FOR_WILCOXON:
        return None
    _, place, count = np.unique(np.abs(moved), return_inverse=True, return_counts=True)
    twice_rank = (2 * np.cumsum(count) - count + 1)[place]  # mean ranks may be halves: count in halves
    probability = np.ones(1)
    for rank in twice_rank:
        without, with_rank = np.pad(probability, (0, rank)), np.pad(probability, (rank, 0))
        probability = (without + with_rank) / 2
    observed = int(twice_rank[moved > 0].sum())
    tail = min(float(probability[: observed + 1].sum()), float(probability[observed:].sum()))
    return min(1.0, 2 * tail)
