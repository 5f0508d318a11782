"""Two groups of runs that are not paired: medians, shares above thresholds, and which of them is the higher one.

Runs come in clusters, such as the settings of one architecture, and runs of a cluster resemble each other. So
intervals are those of a bootstrap that draws whole clusters, and a test compares the medians of the clusters: both
count architectures, not runs.

Mann, Whitney, "On a test of whether one of two random variables is stochastically larger than the other", Annals of
Mathematical Statistics 18 (1947). Davison, Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 2000
MIN_CLUSTERS = 6  # for an interval: of fewer, 95 % of the resamples hold what they should too seldom
Interval = tuple[float, float]
Floats = NDArray[np.float64]


class Share(NamedTuple):
    """How many of the runs do something."""

    share: float
    ci95: Interval | None


@dataclass(frozen=True)
class Level:
    """Where the scores of a group lie."""

    n: int
    n_clusters: int
    median: float
    median_ci95: Interval | None
    above: list[Share]  # of the runs with a score of at least each threshold


@dataclass(frozen=True)
class RankComparison:
    """Whether scores of the one group are higher than those of the other."""

    probability: float  # that a run of the first group has the higher score; a tie counts half
    ci95: Interval | None
    p: float  # of the Mann-Whitney test, two-sided, of the clusters' medians


class ClusteredScores:
    """Scores of a group with the clusters that they come in, and resamples of these clusters.

    Args:
        scores: one a run; there is at least one.
        clusters: what says which of them belong together.
        seed: of the resamples.
    """

    def __init__(self, scores: Sequence[float], clusters: Sequence[Hashable], seed: int) -> None:
        self.scores = np.asarray(scores, dtype=np.float64)
        names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
        self.cluster = np.array([names[name] for name in clusters])
        self.n_clusters = len(names)
        even = np.full(self.n_clusters, 1 / self.n_clusters)
        generator = np.random.default_rng(seed)
        drawn = generator.multinomial(self.n_clusters, even, size=N_RESAMPLES)
        self.counts = drawn.astype(np.float64)  # of each cluster [resamples, clusters]
        self.weights = self.counts[:, self.cluster]  # of each run [resamples, runs]
        self.sizes = self.weights.sum(axis=1)  # of the resamples

    def interval(self, resampled: Floats) -> Interval | None:
        """Return the middle 95 % of what the resamples give.

        None for fewer than MIN_CLUSTERS, or if all give the same, as where all runs do something or none: that
        makes no interval of no width.
        """
        if self.n_clusters < MIN_CLUSTERS or not np.ptp(resampled):
            return None
        low, high = np.quantile(resampled, [0.025, 0.975])
        return float(low), float(high)

    def share(self, holds: NDArray[np.bool_]) -> Share:
        """Return the share of the runs for which something holds `[runs]`."""
        share = float(holds.mean())
        return Share(share, self.interval(self.weights @ holds / self.sizes))

    def level(self, thresholds: Sequence[float]) -> Level:
        """Return where the scores lie."""
        return Level(
            n=len(self.scores),
            n_clusters=self.n_clusters,
            median=float(np.median(self.scores)),
            median_ci95=self.interval(self._medians()),
            above=[self.share(self.scores >= threshold) for threshold in thresholds],
        )

    def cluster_medians(self) -> Floats:
        """Return the median of each cluster `[clusters]`."""
        return np.array([np.median(self.scores[self.cluster == cluster]) for cluster in range(self.n_clusters)])

    def _medians(self) -> Floats:
        """Return the median of each resample, whose runs count as often as their cluster was drawn."""
        order = np.argsort(self.scores, kind="stable")
        cumulated, values = self.weights[:, order].cumsum(axis=1), self.scores[order]
        n = self.sizes[:, None]
        low, high = ((cumulated > place).argmax(axis=1) for place in ((n - 1) // 2, n // 2))
        return np.asarray((values[low] + values[high]) / 2)


def compare_ranks(first: ClusteredScores, second: ClusteredScores) -> RankComparison:
    """Compare two groups: `P(first > second) + P(first = second) / 2`, its interval, and the Mann-Whitney test.

    The probability is `U / (n m)`. Of the resamples it comes from the wins of each cluster over each other one.
    """
    from scipy.stats import mannwhitneyu

    wins = _wins(first, second)  # [clusters of the first, clusters of the second]
    resampled = (first.counts @ wins * second.counts).sum(axis=1) / (first.sizes * second.sizes)
    probability = float(wins.sum() / (len(first.scores) * len(second.scores)))
    test = mannwhitneyu(first.cluster_medians(), second.cluster_medians(), method="asymptotic")
    either = first if first.n_clusters < second.n_clusters else second
    return RankComparison(probability, either.interval(resampled), float(test.pvalue))


def _wins(first: ClusteredScores, second: ClusteredScores) -> Floats:
    """Return how many pairs of runs each cluster wins against each cluster of the other group, ties as halves."""
    columns = []
    for cluster in range(second.n_clusters):
        theirs = np.sort(second.scores[second.cluster == cluster])
        below, up_to = (np.searchsorted(theirs, first.scores, side=side) for side in ("left", "right"))
        columns.append(np.bincount(first.cluster, weights=(below + up_to) / 2, minlength=first.n_clusters))
    return np.stack(columns, axis=1)
