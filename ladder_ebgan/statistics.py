"""Statistics of error rates over seeds: mean, deviation, interval, and paired tests of difference and equivalence.

The same seed gives every model the same labelled subset and the same initial ladder weights, so models are
compared by the differences within seeds. Errors are in percent, differences in percentage points. What a few
seeds cannot tell is None, never a number that looks like an answer.

Student, "The probable error of a mean", Biometrika 6 (1908). Wilcoxon, "Individual comparisons by ranking
methods", Biometrics Bulletin 1 (1945). Schuirmann, "A comparison of the two one-sided tests procedure and the
power approach for assessing the equivalence of average bioavailability", Journal of Pharmacokinetics and
Biopharmaceutics 15 (1987). Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
Statistics 6 (1979). Nadeau, Bengio, "Inference for the generalization error", Machine Learning 52 (2003).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MIN_FOR_INTERVAL = 3  # with two values the t quantile is 12.7: an interval that says nothing
MIN_FOR_WILCOXON = 6  # five signs can at best give p = 2 / 2^5 = 0.0625
DECIMALS = 9  # of a difference: 1.3 - 1.2 and 1.2 - 1.1 must tie although their last bits differ
ALPHA = 0.05  # of each of the two one-sided tests of equivalence, and so 90 % for their interval


@dataclass(frozen=True)
class PairedComparison:
    """A model against a baseline over the `n` seeds that both have; None where these cannot tell."""

    n: int
    mean_difference: float  # model minus baseline, percentage points: negative where the model is better
    ci95: tuple[float, float] | None
    p_paired_t: float | None
    p_wilcoxon: float | None
    relative_improvement_percent: float | None


@dataclass(frozen=True)
class Equivalence:
    """Whether two ways of training have equal error rates but for `margin`; None where the pairs are too few."""

    n: int  # pairs with two errors
    n_left_out: int  # pairs without two errors, as of a diverged seed
    margin: float  # percentage points
    mean_difference: float | None  # other minus baseline, percentage points
    standard_deviation: float | None  # of the differences
    ci90: tuple[float, float] | None
    p: float | None  # the larger of the two one-sided tests
    equivalent: bool

    @property
    def verdict(self) -> Literal["yes", "no", "undecided"]:
        """The answer in a word: "no" where the 90 % interval lies outside the margin, "undecided" where it crosses.

        A wrong "yes" has a probability of at most 5 %, a wrong "no" of at most 10 %: the interval has two ends.
        """
        if self.equivalent:
            return "yes"
        outside = self.ci90 is not None and (self.ci90[0] > self.margin or self.ci90[1] < -self.margin)
        return "no" if outside else "undecided"


def mean(errors: Sequence[float]) -> float:
    """Return the mean, `sum_i x_i / n`."""
    return float(np.mean(_checked(errors)))


def standard_deviation(errors: Sequence[float]) -> float | None:
    """Return the sample standard deviation `s = sqrt(sum_i (x_i - mean)^2 / (n - 1))`; None for one value."""
    values = _checked(errors)
    if len(values) == 1:
        return None
    return float(np.std(values, ddof=1)) if np.ptp(values) else 0.0  # not the rounding error of the mean


def sampling_error(error_percent: float, n_images: float) -> float | None:
    """Return the standard error, in points, of an error rate that was measured on so many images.

    `100 sqrt(p (1 - p) / n)` with `p = error_percent / 100`: each image is drawn from all that there are, and is
    wrong with probability `p` (Guyon, Makhoul, Schwartz, Vapnik, "What size test set gives good error rate
    estimates?", IEEE Transactions on Pattern Analysis and Machine Intelligence 20 (1998)). Seeds that share a test
    set share this error, so their deviation does not show it and more seeds do not lower it. For a mean over seeds
    it is an upper bound, met where all seeds fail on the same images: the share of seeds that fail on an image
    lies in [0, 1] and has the mean `p`, so its variance is at most `p (1 - p)`.

    None where no image is wrong, or every one: the formula's 0 would be no answer. ValueError for an error rate
    outside [0, 100] or fewer than one image.
    """
    if not 0 <= error_percent <= 100 or n_images < 1:
        raise ValueError(f"{error_percent} % of {n_images} images is no error rate")
    p = error_percent / 100
    return 100 * (p * (1 - p) / n_images) ** 0.5 if 0 < p < 1 else None


def largest_error_without_one(n_images: float) -> float:
    """Return the highest error rate, in percent, at which all of so many images are right in 5 % of the cases.

    `100 (1 - 0.05^(1 / n))`, about `300 / n`: the upper end of Clopper and Pearson's one-sided 95 % interval
    ("The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934)).
    ValueError for fewer than one image.
    """
    if n_images < 1:
        raise ValueError(f"{n_images} images have no error rate")
    return float(100 * (1 - ALPHA ** (1 / n_images)))


def held_out_size(n_test: int, n_labeled: int, n_seeds: int) -> float:
    """Return how many rows a mean error rests on if each seed is tested on `n_test` of `n_labeled`, drawn anew.

    Row i counts with the weight `w_i`, the share of all tests that it is in, and errors that are independent
    between rows give the mean the variance `p (1 - p) sum_i w_i^2`. Two seeds share `n_test^2 / n_labeled` rows on
    average, so over `S` seeds `sum_i w_i^2` is `1 / (S n_test) + (1 - 1 / S) / n_labeled`. This is its inverse:
    from `n_test` of a single seed up to `n_labeled`.
    """
    return 1 / (1 / (n_seeds * n_test) + (1 - 1 / n_seeds) / n_labeled)


def t_interval(errors: Sequence[float], level: float = 0.95, overlap: float = 0.0) -> tuple[float, float] | None:
    """Return Student's confidence interval of the mean; None for fewer than three values, or if all are equal.

    `mean ± t * s / sqrt(n)`, where `t` is the `(1 + level) / 2` quantile of Student's distribution with
    `n - 1` degrees of freedom and `s` the sample standard deviation; `overlap` is told at `compare_paired`. Equal
    values say that errors come in steps, not that nothing varies: an interval of one point would be no answer.
    """
    from scipy.special import stdtrit

    values = _checked(errors)
    n = len(values)
    if n < MIN_FOR_INTERVAL or np.ptp(values) == 0:
        return None
    quantile = float(stdtrit(n - 1, (1 + level) / 2))
    centre, half_width = float(np.mean(values)), quantile * _standard_error(values, overlap)
    return centre - half_width, centre + half_width


def welch_interval(
    first: tuple[float, float, int], second: tuple[float, float, int], level: float = 0.95
) -> tuple[float, float]:
    """Return Welch's confidence interval of the difference of two means, first minus second.

    `difference ± t sqrt(a + b)`, where `a` and `b` are the squared standard errors `s^2 / n` and `t` is the
    quantile of Student's distribution with `(a + b)^2 / (a^2 / (n_a - 1) + b^2 / (n_b - 1))` degrees of freedom
    (Welch 1947).

    Args:
        first, second: mean, sample standard deviation and number of independent values, two at least. One of the
            deviations must be above 0.
        level: of confidence.
    """
    from scipy.special import stdtrit

    difference, (a, b) = first[0] - second[0], (std**2 / n for _, std, n in (first, second))
    freedom = (a + b) ** 2 / (a**2 / (first[2] - 1) + b**2 / (second[2] - 1))
    half_width = float(stdtrit(freedom, (1 + level) / 2)) * (a + b) ** 0.5
    return difference - half_width, difference + half_width


def _standard_error(values: NDArray[np.float64], overlap: float) -> float:
    """Return the standard error of a mean, `s / sqrt(n)`, or `s sqrt(1 / n + overlap)`."""
    deviation, n = float(np.std(values, ddof=1)), len(values)
    return float(deviation * (1 / n + overlap) ** 0.5 if overlap else deviation / n**0.5)


def compare_paired(baseline: Sequence[float], model: Sequence[float], overlap: float = 0.0) -> PairedComparison:
    """Compare errors paired by seed: `baseline[i]` and `model[i]` are of the same seed.

    With `d_i = model_i - baseline_i`: the mean of `d` and its 95 % t interval, the paired t test and the
    signed-rank test of "no difference", both two-sided, and the relative improvement in percent,
    `100 * (mean(baseline) - mean(model)) / mean(baseline)`, None where the baseline makes no error.
    ValueError where the two differ in length, are empty or hold a number that is not finite.

    Where the test rows of each seed are drawn from the same rows as those it learns, seeds are not independent, and
    `s^2 / n` underestimates the variance of the mean. `overlap`, the number of test rows divided by that of learned
    ones, corrects interval and t test: `(1 / n + overlap) s^2` (Nadeau and Bengio 2003). The signed-rank test
    has no such form and is then left out.
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
        ci95=t_interval(differences.tolist(), overlap=overlap),
        p_paired_t=_paired_t_test(differences, overlap),
        p_wilcoxon=None if overlap else _signed_rank_test(differences),
        relative_improvement_percent=improvement,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for how many comparisons were made (Holm 1979).

    Of `m` p-values in increasing order, the i-th becomes `max_{j <= i} min(1, (m - j + 1) p_j)`. Rejecting where
    that is below 0.05, any wrong rejection at all has a probability of at most 5 %, however the comparisons are
    related. None, of a comparison without a test, stays None, but was tried: it counts, as the largest.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p))
        corrected[place] = largest
    return corrected


def compare_equivalence(
    baseline: Sequence[float | None], other: Sequence[float | None], margin: float
) -> Equivalence:
    """Test by two one-sided t tests whether errors paired by seed are equivalent (Schuirmann 1987).

    With `d_i = other_i - baseline_i` of mean `m` and standard deviation `s`, the hypotheses `E d <= -margin`
    and `E d >= margin` are both rejected if `p = P(T <= (|m| - margin) / (s / sqrt(n))) < 0.05`, where `T` has
    Student's distribution with `n - 1` degrees of freedom: exactly if the 90 % interval of `m` is within
    `±margin`, the ends excluded. `margin` and the seeds have to be chosen before the errors are seen.

    Fewer than three pairs have no interval and no p. Where all differences are equal, `s = 0` says that the
    errors come in steps, not that nothing varies; the sign test answers, which assumes no distribution and is
    about the median: `p = 2^-n` with the difference inside the margin, else 1, and from five pairs on an
    interval of one point, `[min d, max d]`, which holds the median with probability `1 - 2^(1 - n)`.

    None or NaN is the error of a diverged seed. Its pair is left out of the numbers and counted, and
    `equivalent` is then False whatever they say: the seeds that remain are chosen by their outcome.
    ValueError where the two differ in length, hold an infinite error, or the margin is not a number above 0.
    """
    if not 0 < margin < float("inf"):
        raise ValueError(f"margin must be a number of percentage points above 0, not {margin}")
    if len(baseline) != len(other):
        raise ValueError(f"{len(baseline)} baseline errors and {len(other)} others cannot be paired")
    before, after = np.asarray(baseline, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if np.isinf(before).any() or np.isinf(after).any():
        raise ValueError("an error is infinite; that of a diverged seed is None")
    difference = np.round(after - before, DECIMALS)
    difference = difference[~np.isnan(difference)]
    n = len(difference)
    p, interval = _equivalence_test(difference, margin)
    return Equivalence(
        n=n,
        n_left_out=len(before) - n,
        margin=margin,
        mean_difference=float(np.mean(difference)) if n else None,
        standard_deviation=standard_deviation(difference.tolist()) if n else None,
        ci90=interval,
        p=p,
        equivalent=p is not None and p < ALPHA and n == len(before),
    )


def equivalence_power(n: int, standard_deviation: float, margin: float) -> float:
    """Return the probability that `n` pairs without a true difference are found equivalent at level 0.05.

    With normal differences of standard deviation `σ`, whose sample has `s = σ x`, where `(n - 1) x^2` is
    chi-square with `n - 1` degrees of freedom and independent of the mean, the interval is within the margin if
    `|mean| < margin - t s / sqrt(n)`. The exact power is the mean over `x` of what the normal distribution gives,

        E_x max(0, 2 Φ(a - t x) - 1),    a = sqrt(n) margin / σ,  t the 0.95 quantile of Student's distribution.

    Phillips, "Power of the two one-sided tests procedure in bioequivalence", Journal of Pharmacokinetics and
    Biopharmaceutics 18 (1990). ValueError for fewer than three pairs, or a deviation or margin not above 0.
    """
    from scipy.integrate import quad
    from scipy.special import gammainc, gammaincinv, ndtr, stdtrit

    if n < MIN_FOR_INTERVAL or not 0 < standard_deviation < float("inf") or not 0 < margin < float("inf"):
        raise ValueError(
            f"power needs at least {MIN_FOR_INTERVAL} pairs, a standard deviation and a margin above 0, "
            f"not {n}, {standard_deviation} and {margin}"
        )
    half = (n - 1) / 2
    a, t = n**0.5 * margin / standard_deviation, float(stdtrit(n - 1, 1 - ALPHA))

    def found(probability: float) -> float:  # at that quantile of x: integrated over it, x has its density
        return float(2 * ndtr(a - t * (gammaincinv(half, probability) / half) ** 0.5) - 1)

    return float(quad(found, 0, float(gammainc(half, half * (a / t) ** 2)), limit=200)[0])


def pairs_for_equivalence(standard_deviation: float, margin: float, power: float = 0.9) -> int:
    """Return the least number of pairs with `equivalence_power` of at least `power`; never fewer than three.

    Meant for the plan: the deviation is that of earlier seeds, and the pairs are new ones. ValueError as
    for `equivalence_power`, and where the power is not between 0 and 1.
    """
    if not 0 < power < 1:
        raise ValueError(f"power must be between 0 and 1, not {power}")
    too_few, enough = MIN_FOR_INTERVAL - 1, MIN_FOR_INTERVAL
    while equivalence_power(enough, standard_deviation, margin) < power:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if equivalence_power(middle, standard_deviation, margin) < power:
            too_few = middle
        else:
            enough = middle
    return enough


def _checked(errors: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"errors must be a non-empty list of finite numbers, not {errors!r}")
    return values


def _paired_t_test(differences: NDArray[np.float64], overlap: float) -> float | None:
    """Return the two-sided p of `t = mean(d) / (s / sqrt(n))` with `n - 1` degrees of freedom.

    None for fewer than three differences, or where all are equal and `t` would be a division by zero.
    """
    from scipy.special import stdtr

    n = len(differences)
    if n < MIN_FOR_INTERVAL or np.ptp(differences) == 0:
        return None
    t = np.mean(differences) / _standard_error(differences, overlap)
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


def _equivalence_test(
    differences: NDArray[np.float64], margin: float
) -> tuple[float | None, tuple[float, float] | None]:
    """Return p and the 90 % interval, which agree: p < 0.05 exactly if the interval is within the margin."""
    from scipy.special import stdtr

    n = len(differences)
    if n < MIN_FOR_INTERVAL:
        return None, None
    if np.ptp(differences) == 0:
        difference, p_inside = float(differences[0]), 2.0**-n
        interval = (difference, difference) if p_inside < ALPHA else None
        return p_inside if abs(difference) < margin else 1.0, interval
    standard_error = np.std(differences, ddof=1) / n**0.5
    p = float(stdtr(n - 1, (abs(np.mean(differences)) - margin) / standard_error))
    return p, t_interval(differences.tolist(), level=1 - 2 * ALPHA)
