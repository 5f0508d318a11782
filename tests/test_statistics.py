import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from ladder_ebgan.statistics import (
    PairedComparison,
    compare_paired,
    mean,
    standard_deviation,
    t_interval,
)


def test_mean_and_deviation_by_hand() -> None:
    """1, 2, 6: mean 9/3 = 3; squares of the deviations 4 + 1 + 9 = 14; s = sqrt(14 / 2) = sqrt(7)."""
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert standard_deviation([1.0, 2.0, 6.0]) == pytest.approx(7**0.5)


def test_one_value_has_a_mean_and_no_deviation() -> None:
    assert mean([1.3]) == 1.3
    assert standard_deviation([1.3]) is None
    assert t_interval([1.3]) is None


def test_t_interval_by_hand() -> None:
    """1, 2, 3: mean 2, s = 1, n = 3; the 97.5 % quantile with 2 degrees of freedom.

    For 2 degrees of freedom the quantile has a closed form, (2p - 1) / sqrt(2 p (1 - p)) with p = 0.975:
    0.95 / sqrt(0.04875) = 4.302653; half width 4.302653 / sqrt(3) = 2.484138.
    """
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)


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


def test_equal_differences_have_an_interval_and_no_t_test() -> None:
    """Every seed gains 0.1 (up to rounding): s = 0, so t is a division by zero; the interval is a point."""
    compared = compare_paired([1.2, 1.3, 1.4, 1.7], [1.1, 1.2, 1.3, 1.6])
    assert compared.p_paired_t is None
    assert compared.ci95 == pytest.approx((-0.1, -0.1))


def test_a_model_against_itself() -> None:
    errors = [1.0, 1.2, 1.4, 1.1, 1.3, 1.5, 1.6]
    assert compare_paired(errors, errors) == PairedComparison(7, 0.0, (0.0, 0.0), None, None, 0.0)


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


@settings(deadline=None)
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


def test_importing_does_not_load_scipy() -> None:
    code = "import sys, ladder_ebgan.statistics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
