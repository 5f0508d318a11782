import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from ladder_ebgan.statistics import (
    Equivalence,
    PairedComparison,
    compare_equivalence,
    compare_paired,
    equivalence_power,
    held_out_size,
    holm,
    mean,
    pairs_for_equivalence,
    sampling_error,
    standard_deviation,
    t_interval,
    welch_interval,
)


def test_mean_and_deviation_by_hand() -> None:
    """1, 2, 6: mean 9/3 = 3; squares of the deviations 4 + 1 + 9 = 14; s = sqrt(14 / 2) = sqrt(7)."""
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert standard_deviation([1.0, 2.0, 6.0]) == pytest.approx(7**0.5)


def test_one_value_has_a_mean_and_no_deviation() -> None:
    assert mean([1.3]) == 1.3
    assert standard_deviation([1.3]) is None
    assert t_interval([1.3]) is None


def test_sampling_error_by_hand() -> None:
    """20 % of 400: 100 sqrt(0.2 * 0.8 / 400) = 100 sqrt(0.0004) = 2 points. 1.04 % of 10,000: 0.101449."""
    assert sampling_error(20.0, 400) == pytest.approx(2.0)
    assert sampling_error(1.04, 10_000) == pytest.approx(0.101449, abs=1e-6)


@given(error=st.floats(0.001, 99.999), n=st.integers(1, 10**6))
def test_sampling_error_is_the_deviation_of_a_binomial_share(error: float, n: int) -> None:
    deviation = float(scipy.stats.binom(n, error / 100).std()) / n
    assert sampling_error(error, n) == pytest.approx(100 * deviation)
    assert sampling_error(100 - error, n) == pytest.approx(100 * deviation)
    assert sampling_error(error, 4 * n) == pytest.approx(50 * deviation)


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=5))
def test_sampling_error_bounds_that_of_a_mean_over_seeds(wrong: list[list[bool]]) -> None:
    """Of each image the share of seeds that fail; its deviation over the images, by the root of their number."""
    share = np.mean(wrong, axis=0)
    bound = sampling_error(float(100 * share.mean()), 7)
    assert 100 * float(np.std(share)) / 7**0.5 <= (0.0 if bound is None else bound) + 1e-9


def test_no_sampling_error_where_nothing_or_all_is_wrong() -> None:
    assert sampling_error(0.0, 100) is None
    assert sampling_error(100.0, 100) is None


@pytest.mark.parametrize(("error", "n"), [(-0.1, 100), (100.1, 100), (float("nan"), 100), (5.0, 0)])
def test_sampling_error_of_nonsense_is_refused(error: float, n: int) -> None:
    with pytest.raises(ValueError, match=f"{error} % of {n} images is no error rate"):
        sampling_error(error, n)


def test_t_interval_by_hand() -> None:
    """1, 2, 3: mean 2, s = 1, n = 3; the 97.5 % quantile with 2 degrees of freedom.

    For 2 degrees of freedom the quantile has a closed form, (2p - 1) / sqrt(2 p (1 - p)) with p = 0.975:
    0.95 / sqrt(0.04875) = 4.302653; half width 4.302653 / sqrt(3) = 2.484138.
    """
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_welch_interval_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 0.1, 7), rng.normal(1.2, 0.4, 15)
    expected = scipy.stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    (m, s), (m2, s2) = ((float(x.mean()), float(x.std(ddof=1))) for x in (first, second))
    assert welch_interval((m, s, 7), (m2, s2, 15), 0.9) == pytest.approx((expected.low, expected.high))


def test_t_interval_widens_with_its_level() -> None:
    """p = 0.75, two degrees of freedom (as above): 0.5 / sqrt(0.375) = 0.816497, / sqrt(3) = 0.471405."""
    assert t_interval([1.0, 2.0, 3.0], level=0.5) == pytest.approx((2 - 0.471405, 2 + 0.471405), abs=1e-6)


def test_two_values_have_no_interval() -> None:
    assert t_interval([1.0, 2.0]) is None


def test_paired_comparison_by_hand() -> None:
    """Differences -1, -2, -3: mean -2, s = 1, t = -2 / (1 / sqrt(3)) = -2 sqrt(3), two degrees of freedom.

    For 2 degrees of freedom P(T < -t) = 1/2 - t / (2 sqrt(2 + t^2)): with t^2 = 12, two-sided
    p = 1 - sqrt(12 / 14) = 0.0741799. Interval -2 ± 2.484138 (see above). Baseline mean (4 + 4 + 10) / 3 = 6,
    model mean (3 + 2 + 7) / 3 = 4: relative improvement 100 * 2 / 6 = 33.333 %. Three seeds: no Wilcoxon.
    """
    compared = compare_paired([4.0, 4.0, 10.0], [3.0, 2.0, 7.0])
    assert compared.n == 3
    assert compared.mean_difference == pytest.approx(-2)
    assert compared.ci95 == pytest.approx((-4.484138, 0.484138), abs=1e-6)
    assert compared.p_paired_t == pytest.approx(0.0741799, abs=1e-7)
    assert compared.p_wilcoxon is None
    assert compared.relative_improvement_percent == pytest.approx(100 / 3)


def test_the_paper_s_relative_improvement() -> None:
    """Table 2 at 100 labels: 1.36 becomes 1.04, 0.32 / 1.36 = 23.5 %."""
    assert compare_paired([1.36], [1.04]).relative_improvement_percent == pytest.approx(23.529, abs=1e-3)


def test_wilcoxon_by_hand() -> None:
    """Six differences, one sign: only 1 of the 2^6 sign patterns is as far out on each side, p = 2 / 64.

    With the smallest turned (ranks 1..6, W = 1): patterns with W <= 1 are {} and {1}: p = 2 * 2 / 64.
    """
    down = compare_paired([9.0] * 6, [8.0, 7.0, 6.0, 5.0, 4.0, 3.0])
    assert down.p_wilcoxon == 2 / 64
    one_up = compare_paired([9.0] * 6, [10.0, 7.0, 6.0, 5.0, 4.0, 3.0])
    assert one_up.p_wilcoxon == 4 / 64


def test_wilcoxon_with_ties_by_hand() -> None:
    """Differences 1, -1, -1, -1, -1, -1: all of rank 3.5. W = 3.5 with one plus sign.

    At most one plus sign: 1 + 6 of 64 patterns, p = 2 * 7 / 64.
    """
    assert compare_paired([5.0] * 6, [6.0, 4.0, 4.0, 4.0, 4.0, 4.0]).p_wilcoxon == 14 / 64


def test_wilcoxon_ties_despite_rounding() -> None:
    """1.1 - 1.2, 1.2 - 1.3, ...: all are -0.1 but for their last bits and must share a rank (p = 14 / 64)."""
    baseline = [1.2, 1.3, 1.4, 1.5, 1.6, 0.3]
    model = [1.1, 1.2, 1.3, 1.4, 1.5, 0.4]
    assert len({after - before for before, after in zip(baseline, model, strict=True)}) > 2
    assert compare_paired(baseline, model).p_wilcoxon == 14 / 64


def test_zero_differences_do_not_count_for_wilcoxon() -> None:
    """Six seeds, one of them equal: five signs can give 2 / 32 = 0.0625 at best, so there is no p."""
    assert compare_paired([9.0] * 6, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]).p_wilcoxon is None
    assert compare_paired([9.0] * 7, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0]).p_wilcoxon == 2 / 64


def test_balanced_signs_give_p_one() -> None:
    """Differences ±1, ±2, ±3: W is not in a tail: both sides hold more than half, and p is capped at 1."""
    assert compare_paired([5.0] * 6, [6.0, 4.0, 7.0, 3.0, 8.0, 2.0]).p_wilcoxon == 1.0


def test_equal_differences_have_no_interval_and_no_t_test() -> None:
    """Every seed gains 0.1 (up to rounding): s = 0, so t divides by zero, and the interval would be a point."""
    compared = compare_paired([1.2, 1.3, 1.4, 1.7], [1.1, 1.2, 1.3, 1.6])
    assert compared.p_paired_t is None
    assert compared.ci95 is None
    assert t_interval([12.5] * 5) is None


def test_holm_by_hand() -> None:
    """In order 0.005, 0.01, 0.03, 0.04, times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, which may not fall below 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.5]) == [0.8, 0.8]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_holm_counts_a_comparison_without_a_test() -> None:
    """Three were tried: 3 * 0.01 and 2 * 0.02."""
    assert holm([0.02, None, 0.01]) == [0.04, None, 0.03]
    assert holm([None]) == [None]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_agrees_with_its_definition_and_lies_between_p_and_bonferroni_s(p_values: list[float]) -> None:
    """The i-th hypothesis is rejected at a level if all up to it are, each at the level over those that remain."""
    corrected = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    for p, found in zip(p_values, corrected, strict=True):
        assert found is not None
        assert p <= found <= min(1.0, len(p_values) * p) or found == pytest.approx(p)
    for level in (0.01, 0.05, 0.3):
        n_rejected = 0
        while n_rejected < len(p_values) and (len(p_values) - n_rejected) * p_values[order[n_rejected]] <= level:
            n_rejected += 1
        assert [corrected[place] <= level for place in order] == [  # type: ignore[operator]
            place < n_rejected for place in range(len(p_values))
        ]


def test_a_model_against_itself() -> None:
    errors = [1.0, 1.2, 1.4, 1.1, 1.3, 1.5, 1.6]
    assert compare_paired(errors, errors) == PairedComparison(7, 0.0, None, None, None, 0.0)


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_seeds_for_anything_but_means(n: int) -> None:
    """Differences of -1 from a baseline of 4: 25 % better."""
    assert compare_paired([4.0] * n, [3.0] * n) == PairedComparison(n, -1.0, None, None, None, 25.0)


def test_a_baseline_without_errors_has_no_relative_improvement() -> None:
    assert compare_paired([0.0, 0.0, 0.0], [1.0, 0.0, 2.0]).relative_improvement_percent is None


percent = st.integers(0, 500).map(lambda hundredths: hundredths / 100)
pairs = st.lists(st.tuples(percent, percent), min_size=6, max_size=8)


@settings(deadline=None, max_examples=25)  # scipy's p with ties goes through all sign patterns
@given(pairs)
def test_agrees_with_scipy(errors: list[tuple[float, float]]) -> None:
    baseline, model = map(list, zip(*errors, strict=True))
    compared = compare_paired(baseline, model)
    differences = np.round(np.subtract(model, baseline), 9)
    if compared.p_paired_t is not None:
        expected = scipy.stats.ttest_1samp(differences, 0)
        assert compared.p_paired_t == pytest.approx(expected.pvalue)
        assert compared.ci95 == pytest.approx(tuple(expected.confidence_interval()))
    if compared.p_wilcoxon is not None:
        assert compared.p_wilcoxon == pytest.approx(scipy.stats.wilcoxon(differences).pvalue)


@given(pairs)
def test_swapping_the_models_turns_the_signs(errors: list[tuple[float, float]]) -> None:
    baseline, model = zip(*errors, strict=True)
    there, back = compare_paired(baseline, model), compare_paired(model, baseline)
    assert back.mean_difference == -there.mean_difference
    assert back.p_paired_t == there.p_paired_t
    assert back.p_wilcoxon == pytest.approx(there.p_wilcoxon)


def test_wilcoxon_of_fifteen_seeds_is_exact_as_scipy_s() -> None:
    differences = np.array([-0.3, -0.25, 0.1, -0.4, -0.5, -0.02, 0.15, -0.33, -0.21, -0.6, 0.07, -0.45, -0.1001])
    differences = np.concatenate([differences, [-0.28, 0.04]])
    ours = compare_paired([2.0] * 15, (2 + differences).tolist()).p_wilcoxon
    assert ours == pytest.approx(scipy.stats.wilcoxon(differences, method="exact").pvalue)


@pytest.mark.parametrize("errors", [[], [1.0, float("nan")], [float("inf")]])
def test_refuses_what_has_no_mean(errors: list[float]) -> None:
    with pytest.raises(ValueError, match="non-empty list of finite numbers"):
        mean(errors)


def test_refuses_what_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="2 baseline errors and 1 of the model cannot be paired"):
        compare_paired([1.0, 2.0], [1.0])


# Equivalence: two one-sided tests.


def of_differences(differences: list[float], margin: float) -> Equivalence:
    return compare_equivalence([5.0] * len(differences), [5 + difference for difference in differences], margin)


def test_equivalence_by_hand() -> None:
    """Differences 0, 1, 2: m = 1, s = 1, n = 3, s / sqrt(3) = 0.577350; margin 4: t = (1 - 4) sqrt(3) = -sqrt(27).

    For 2 degrees of freedom P(T < -t) = 1/2 - t / (2 sqrt(2 + t^2)) = 1/2 - sqrt(27 / 29) / 2 = 0.0175494. The 95 %
    quantile is 0.9 / sqrt(2 * 0.95 * 0.05) = 2.919986, half width 2.919986 / sqrt(3) = 1.685854: within ±4.
    """
    found = of_differences([0.0, 1.0, 2.0], margin=4)
    assert (found.n, found.n_left_out, found.margin) == (3, 0, 4)
    assert found.mean_difference == pytest.approx(1)
    assert found.standard_deviation == pytest.approx(1)
    assert found.ci90 == pytest.approx((-0.685854, 2.685854), abs=1e-6)
    assert found.p == pytest.approx(0.0175494, abs=1e-7)
    assert found.equivalent
    assert found.verdict == "yes"


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.0, 1.0, 2.0], "yes"),  # up to 2.686
        ([0.1, 1.1, 2.1], "undecided"),  # up to 2.786
        ([5.0, 6.0, 7.0], "no"),  # from 4.314
        ([4.0, 5.0, 6.0], "no"),  # from 3.314
        ([3.0, 4.0, 5.0], "undecided"),  # from 2.314
    ],
)
def test_the_interval_decides(differences: list[float], verdict: str) -> None:
    """The 90 % interval is the mean ± 1.685854 (see above); the margin is 2.7; down is as far as up."""
    assert of_differences(differences, 2.7).verdict == verdict
    assert of_differences([-difference for difference in differences], 2.7).verdict == verdict


@given(pairs, st.sampled_from([0.1, 0.5, 1.0, 3.0]))
def test_equivalence_agrees_with_scipy_s_one_sided_tests(errors: list[tuple[float, float]], margin: float) -> None:
    baseline, other = map(list, zip(*errors, strict=True))
    found = compare_equivalence(baseline, other, margin)
    differences = np.round(np.subtract(other, baseline), 9)
    if np.ptp(differences) == 0:
        return
    above = scipy.stats.ttest_1samp(differences, -margin, alternative="greater")
    below = scipy.stats.ttest_1samp(differences, margin, alternative="less")
    assert found.p == pytest.approx(max(above.pvalue, below.pvalue))
    interval = scipy.stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    assert found.ci90 == pytest.approx(tuple(interval))
    assert found.equivalent == (-margin < interval.low and interval.high < margin)


@pytest.mark.parametrize(
    ("n", "p", "verdict"), [(3, 1 / 8, "undecided"), (4, 1 / 16, "undecided"), (5, 1 / 32, "yes")]
)
def test_equal_differences_inside_the_margin_by_the_sign_test(n: int, p: float, verdict: str) -> None:
    """Were the median outside, each difference would be inside with a probability of 1/2 at most: p = 2^-n."""
    for difference in (0.0, 0.06, -0.06):
        found = of_differences([difference] * n, 0.1)
        assert found.p == p
        assert found.verdict == verdict
        assert found.ci90 == (None if verdict == "undecided" else (difference, difference))
        assert found.standard_deviation == 0.0


@pytest.mark.parametrize(("difference", "verdict"), [(0.1, "undecided"), (-0.1, "undecided"), (0.11, "no")])
def test_equal_differences_at_the_margin_and_outside(difference: float, verdict: str) -> None:
    """1.3 + 0.1 - 1.3 is not 0.1 in the last bits, but it is at the margin and not inside."""
    found = compare_equivalence([1.3] * 9, [1.3 + difference] * 9, 0.1)
    assert found.p == 1
    assert found.verdict == verdict
    assert of_differences([difference] * 4, 0.1).verdict == "undecided"


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_pairs_are_undecided(n: int) -> None:
    found = compare_equivalence([1.0, 2.0][:n], [1.0, 2.01][:n], 0.1)
    assert (found.n, found.p, found.ci90, found.verdict) == (n, None, None, "undecided")
    assert (found.mean_difference is None) == (n == 0)
    assert (found.standard_deviation is None) == (n < 2)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_diverged_seed_forbids_equivalence_but_not_its_opposite(missing: float | None) -> None:
    baseline, same = [1.0, 1.1, 1.2, 1.3], [1.01, 1.1, 1.19, 1.3]
    found = compare_equivalence([*baseline, 1.4], [*same, missing], 0.1)
    complete = compare_equivalence(baseline, same, 0.1)
    assert complete.equivalent
    assert (found.n, found.n_left_out, found.ci90, found.p) == (4, 1, complete.ci90, complete.p)
    assert not found.equivalent
    assert found.verdict == "undecided"
    assert compare_equivalence([missing, 1.4], [1.0, missing], 0.1).n_left_out == 2
    assert compare_equivalence([*baseline, missing], [3.0, 3.1, 3.21, 3.3, 3.0], 0.1).verdict == "no"


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan"), float("inf")])
def test_equivalence_refuses_a_margin_that_is_none(margin: float) -> None:
    with pytest.raises(ValueError, match="margin must be a number of percentage points above 0"):
        compare_equivalence([1.0], [1.0], margin)


def test_equivalence_refuses_what_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="1 baseline errors and 2 others cannot be paired"):
        compare_equivalence([1.0], [1.0, None], 0.1)
    with pytest.raises(ValueError, match="an error is infinite"):
        compare_equivalence([1.0, float("inf")], [1.0, 2.0], 0.1)


@pytest.mark.parametrize(("n", "deviation"), [(3, 0.04), (5, 0.06), (15, 0.1), (15, 0.2), (40, 0.2)])
def test_power_agrees_with_a_simulation(n: int, deviation: float) -> None:
    """The share of 40,000 simulated runs has a standard error of up to sqrt(1/4 / 40000) = 0.0025; four of it."""
    differences = np.random.default_rng(0).normal(0, deviation, (40_000, n))
    interval = scipy.stats.ttest_1samp(differences, 0, axis=1).confidence_interval(0.9)
    share = np.mean((interval.low > -0.1) & (interval.high < 0.1))
    assert equivalence_power(n, deviation, 0.1) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("n", "deviation"), [(12, 0.08), (30, 0.15), (300, 0.5)])
def test_power_agrees_with_the_noncentral_t(n: int, deviation: float) -> None:
    """Where the power is high, one test or the other fails, not both: 1 - 2 P(T' <= t), T' noncentral by a."""
    quantile = scipy.stats.t.ppf(0.95, n - 1)
    fails = scipy.stats.nct.cdf(quantile, n - 1, n**0.5 * 0.1 / deviation)
    assert equivalence_power(n, deviation, 0.1) == pytest.approx(1 - 2 * fails, abs=1e-5)


@pytest.mark.parametrize("deviation", [0.03, 0.1, 0.15, 0.4])
def test_pairs_needed_are_the_fewest_that_suffice(deviation: float) -> None:
    n = pairs_for_equivalence(deviation, 0.1)
    assert equivalence_power(n, deviation, 0.1) >= 0.9
    assert n == 3 or equivalence_power(n - 1, deviation, 0.1) < 0.9
    assert n == pairs_for_equivalence(10 * deviation, 1.0)  # the ratio counts


def test_many_pairs_needed_are_those_of_the_normal_distribution() -> None:
    """2 Φ(sqrt(n) margin / σ - 1.644854) - 1 = 0.9: sqrt(n) = 2 * 1.644854 * 30 = 98.69, n = 9740.

    Student's quantile adds about 1.644854^2 / 2 = 1.4 to that.
    """
    assert pairs_for_equivalence(30.0, 1.0) == pytest.approx(9741, abs=2)


@pytest.mark.parametrize(
    ("n", "deviation", "margin"), [(2, 0.1, 0.1), (9, 0.0, 0.1), (9, float("nan"), 0.1), (9, 1, 0)]
)
def test_power_refuses_what_it_cannot_say(n: int, deviation: float, margin: float) -> None:
    with pytest.raises(ValueError, match="power needs at least 3 pairs"):
        equivalence_power(n, deviation, margin)


@pytest.mark.parametrize("power", [0, 1, 90])
def test_pairs_refuse_a_power_that_is_none(power: float) -> None:
    with pytest.raises(ValueError, match="power must be between 0 and 1"):
        pairs_for_equivalence(0.1, 0.1, power)


def test_importing_does_not_load_scipy() -> None:
    code = "import sys, ladder_ebgan.statistics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Test rows that are drawn from the same rows as those that are learned.


def test_the_rows_that_a_mean_rests_on() -> None:
    """One seed rests on its own 10 rows, very many on all 50; two share a fifth of theirs: 1 / (1/20 + 1/100)."""
    assert held_out_size(10, 50, 1) == pytest.approx(10)
    assert held_out_size(10, 50, 2) == pytest.approx(100 / 6)
    assert held_out_size(10, 50, 10**9) == pytest.approx(50)


def test_the_weights_of_rows_against_a_simulation() -> None:
    """The mean of `sum_i w_i^2` over draws of 4 times 3 of 12 rows."""
    random = np.random.default_rng(0)
    squares = []
    for _ in range(20_000):
        weights = np.zeros(12)
        for _ in range(4):
            weights[random.permutation(12)[:3]] += 1 / 12
        squares.append(np.square(weights).sum())
    assert 1 / held_out_size(3, 12, 4) == pytest.approx(np.mean(squares), rel=0.005)


def test_an_interval_is_wider_where_seeds_share_rows() -> None:
    """Differences -1, -2, -3: mean -2, s = 1; with a quarter as many test rows as learned ones 1/3 + 1/4 = 7/12.

    t = -2 / sqrt(7/12) with two degrees of freedom, whose distribution is 1/2 + t / (2 sqrt(2 + t^2)), and whose
    0.975 quantile is 4.30265.
    """
    compared = compare_paired([5, 6, 7], [4, 4, 4], overlap=0.25)
    assert compared.ci95 == pytest.approx(
        (-2 - 4.30265 * (7 / 12) ** 0.5, -2 + 4.30265 * (7 / 12) ** 0.5), abs=1e-4
    )
    t = 2 / (7 / 12) ** 0.5
    assert compared.p_paired_t == pytest.approx(1 - t / (2 + t * t) ** 0.5)
    errors = [1.0, 2.0, 3.5, 4.0, 5.5, 7.0]
    assert compare_paired(errors, [0.0] * 6, overlap=0.25).p_wilcoxon is None
    assert compare_paired(errors, [0.0] * 6).p_wilcoxon == pytest.approx(2 / 64)
