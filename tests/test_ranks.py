"""Medians, shares and rank comparisons of runs in clusters, against plain loops over the resamples."""

import math
from collections.abc import Callable
from statistics import NormalDist, median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladder_ebgan.ranks import N_RESAMPLES, ClusteredScores, compare_ranks

SCORES, CLUSTERS = [5.0, 1.0, 4.0, 4.0, 2.0, 3.0, 0.0, 2.5], ["a", "b", "a", "c", "c", "d", "e", "f"]
OTHERS, OTHER_CLUSTERS = [4.0, 0.0, 1.0, 6.0, 2.5, 3.5, 2.0], ["u", "v", "v", "w", "x", "y", "z"]
scores = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=8)


def resampled(scored: ClusteredScores, resample: int) -> list[float]:
    """The scores of a resample: those of each cluster as often as it was drawn."""
    counts = scored.counts[resample]
    return [s for s, c in zip(scored.scores, scored.cluster, strict=True) for _ in range(int(counts[c]))]


def middle(of_resample: Callable[[int], float]) -> tuple[float, float]:
    low, high = np.quantile([of_resample(b) for b in range(N_RESAMPLES)], [0.025, 0.975])
    return pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12)


def wins(first: list[float], second: list[float]) -> float:
    """`P(first > second) + P(first = second) / 2`, pair by pair."""
    return float(np.mean([(a > b) + (a == b) / 2 for a in first for b in second]))


def test_a_resample_draws_whole_clusters() -> None:
    scored = ClusteredScores(SCORES, CLUSTERS, seed=0)
    assert scored.n_clusters == 6
    assert scored.counts.sum(axis=1).tolist() == [6] * N_RESAMPLES
    assert scored.counts.mean(axis=0) == pytest.approx(np.ones(6), abs=0.1)
    assert (scored.counts != ClusteredScores(SCORES, CLUSTERS, seed=1).counts).any()


def test_median_and_shares_are_those_of_the_runs() -> None:
    """0, 1, 2, 2.5, 3, 4, 4, 5: in the middle 2.5, 3; four are 3 or more, seven 1 or more, all 0 or more."""
    level = ClusteredScores(SCORES, CLUSTERS, seed=0).level([3, 1, 0, 6])
    assert (level.n, level.n_clusters, level.median) == (8, 6, 2.75)
    assert [share.share for share in level.above] == [4 / 8, 7 / 8, 1.0, 0.0]
    assert [share.ci95 is None for share in level.above] == [False, False, True, True]
    assert ClusteredScores([1, 2, 4, 8], "abcd", seed=0).level([]).median == 3.0


def test_intervals_are_those_of_a_plain_loop() -> None:
    scored = ClusteredScores(SCORES, CLUSTERS, seed=3)
    level = scored.level([3])
    assert level.median_ci95 == middle(lambda b: median(resampled(scored, b)))
    assert level.above[0].ci95 == middle(lambda b: float(np.mean(np.array(resampled(scored, b)) >= 3)))


def test_runs_that_come_twice_make_no_interval_narrower() -> None:
    once, twice = ClusteredScores(SCORES, CLUSTERS, 0), ClusteredScores(SCORES * 2, CLUSTERS * 2, 0)
    assert once.level([2]).above == twice.level([2]).above
    assert once.level([]).median_ci95 == twice.level([]).median_ci95


def test_fewer_than_six_clusters_have_no_interval() -> None:
    level = ClusteredScores([1, 2, 3, 4, 5, 6], "aabcde", seed=0).level([2])
    assert (level.n, level.n_clusters, level.median_ci95, level.above[0].ci95) == (6, 5, None, None)
    six, five = (
        ClusteredScores([1, 2, 3, 4, 5, 6], "abcdef", seed=0),
        ClusteredScores([1, 2, 3, 4, 5], "abcde", seed=1),
    )
    assert compare_ranks(six, ClusteredScores([1, 2, 3, 4, 5, 6], "abcdef", seed=2)).ci95 is not None
    assert compare_ranks(six, five).ci95 is None
    assert compare_ranks(five, six).ci95 is None


@given(scores, scores)
def test_the_probability_is_that_of_all_pairs(first: list[float], second: list[float]) -> None:
    sides = [ClusteredScores(each, range(len(each)), seed=0) for each in (first, second)]
    found = compare_ranks(*sides)
    assert found.probability == pytest.approx(wins(first, second))
    assert compare_ranks(*sides[::-1]).probability == pytest.approx(1 - found.probability)


def test_the_interval_of_the_probability_is_that_of_a_plain_loop() -> None:
    first, second = ClusteredScores(SCORES, CLUSTERS, 0), ClusteredScores(OTHERS, OTHER_CLUSTERS, 1)
    expected = middle(lambda b: wins(resampled(first, b), resampled(second, b)))
    assert compare_ranks(first, second).ci95 == expected


def test_p_is_that_of_mann_and_whitney() -> None:
    """8, 9, 10 win all pairs against 1 to 5: U = 15, its mean 7.5, its deviation = sqrt(15 (3 + 5 + 1) / 12),
    and a half is taken off for continuity.
    """
    high, low = ClusteredScores([8, 9, 10], "abc", 0), ClusteredScores([1, 2, 3, 4, 5], "abcde", 1)
    z = (15 - 7.5 - 0.5) / math.sqrt(15 * 9 / 12)
    found = compare_ranks(high, low)
    assert (found.probability, found.ci95) == (1.0, None)
    assert found.p == pytest.approx(2 * NormalDist().cdf(-z))


def test_p_is_that_of_the_medians_of_the_clusters() -> None:
    """Runs of a cluster that say the same make no difference more certain."""
    high = ClusteredScores([8, 0, 9, 9, 10, 20], "aaabbc", 0)  # medians 8, 9.5, 20
    low = ClusteredScores([1, 2, 3, 4, 5], "abcde", 1)
    assert high.cluster_medians().tolist() == [8, 9.5, 20]
    assert compare_ranks(high, low).p == compare_ranks(ClusteredScores([8, 9, 10], "abc", 0), low).p


def test_equal_groups_differ_in_nothing() -> None:
    same = compare_ranks(ClusteredScores([0] * 6, "abcdef", 0), ClusteredScores([0] * 7, "abcdefg", 1))
    assert (same.probability, same.ci95, same.p) == (0.5, None, 1.0)
