"""EBGANs beside GANs over the paper's grid: what its figures 2 and 3 show, and the numbers beside them.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, section 4.1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import first_difference
from ladder_ebgan.ranks import ClusteredScores, Level, RankComparison, Share, compare_ranks
from ladder_ebgan.search.grid import Grid, GridRun, Optimizers
from ladder_ebgan.statistics import holm

SHARES_OF_REAL = (0.25, 0.5, 0.75)  # of the score of real images: thresholds, if nobody says others
N_DIGITS = 10
Figure = Literal["figure2", "figure3"]


@dataclass(frozen=True)
class Side:
    """One group of a panel."""

    runs: list[GridRun]
    scores: ClusteredScores  # by architecture
    level: Level
    all_digits: Share  # of the runs in which all ten digits are found


@dataclass(frozen=True)
class Panel:
    """A panel of a figure: EBGANs beside GANs. A group without a run is None, and so is the comparison."""

    figure: Figure
    title: str
    ebgan: Side | None
    gan: Side | None
    comparison: RankComparison | None  # probabilities are those of EBGAN having the higher score
    p_holm: float | None = None  # of figure 3: corrected for how many panels were compared


@dataclass(frozen=True)
class GridComparison:
    """Everything that figures and tables are made of."""

    ebgan: Grid
    gan: Grid
    real_score: float  # I' of real images
    thresholds: list[float]  # scores that shares of the runs are counted above
    panels: list[Panel]  # at first all runs

    def of_figure(self, figure: Figure) -> list[Panel]:
        """Return the panels of one figure."""
        return [panel for panel in self.panels if panel.figure == figure]


def compare_grids(ebgan: Grid, gan: Grid, real_score: float, thresholds: Sequence[float] = ()) -> GridComparison:
    """Compare two grids: figure 2 by the number of layers, figure 3 by the GANs' optimisers and learning rates.

    Args:
        ebgan, gan: the grids.
        real_score: I' of real images.
        thresholds: scores that shares of the runs are counted above; parts of `real_score` if there are none.

    Raises:
        UsageError: they differ in what they are not compared by, or stand in the wrong order.
    """
    if not ebgan.has_energy or gan.has_energy:
        raise UsageError("give the folder of the search of EBGANs first, then that of GANs")
    difference = first_difference(ebgan.shared, gan.shared)
    if difference:
        where = difference.replace(" there", f" in {ebgan.folder}").replace(" here", f" in {gan.folder}")
        raise UsageError(f"the two searches cannot be compared: {where}")
    limits = sorted(set(thresholds)) or [share * real_score for share in SHARES_OF_REAL]
    by_layers = []
    for title, most in (("(a) all", math.inf), ("(b) at most 4 layers", 4), ("(c) at most 3 layers", 3)):
        of_ebgan, of_gan = ([run for run in grid.runs if run.most_layers <= most] for grid in (ebgan, gan))
        by_layers.append(_panel("figure2", title, _side(of_ebgan, 0, limits), _side(of_gan, 1, limits)))
    by_optimizers = []
    for each in sorted({run.optimizers for run in gan.runs}, key=_order):
        of_gan = [run for run in gan.runs if run.optimizers == each]
        by_optimizers.append(_panel("figure3", _title(each), by_layers[0].ebgan, _side(of_gan, 1, limits)))
    corrected = holm([None if panel.comparison is None else panel.comparison.p for panel in by_optimizers])
    by_optimizers = [replace(panel, p_holm=p) for panel, p in zip(by_optimizers, corrected, strict=True)]
    return GridComparison(ebgan, gan, real_score, limits, by_layers + by_optimizers)


def _order(optimizers: Optimizers) -> tuple[str, str, float, float]:
    """Return what panels stand in the order of: the largest learning rate first."""
    discriminator, generator, *rates = optimizers
    return discriminator, generator, -rates[0], -rates[1]


def _title(optimizers: Optimizers) -> str:
    rates = dict.fromkeys(f"{rate:g}" for rate in optimizers[2:])
    return f"D {optimizers.discriminator}, G {optimizers.generator}, {', '.join(rates)}"


def _panel(figure: Figure, title: str, ebgan: Side | None, gan: Side | None) -> Panel:
    comparison = compare_ranks(ebgan.scores, gan.scores) if ebgan is not None and gan is not None else None
    return Panel(figure, title, ebgan, gan, comparison)


def _side(runs: list[GridRun], seed: int, thresholds: Sequence[float]) -> Side | None:
    if not runs:
        return None
    scores = ClusteredScores([run.score for run in runs], [run.architecture for run in runs], seed)
    all_digits = np.array([run.n_modes == N_DIGITS for run in runs])
    return Side(runs, scores, scores.level(thresholds), scores.share(all_digits))
