"""The paper's grid from the folders of two searches: what its figures 2 and 3 show, and the numbers beside them.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, section 4.1.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ladder_ebgan.any_recipe import parse_any_recipe
from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import first_difference
from ladder_ebgan.gan.recipe import GANSettings
from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.ranks import Level, RankComparison, Scored, Share, compare_ranks
from ladder_ebgan.search.gan_summary import GANOutcome, gan_outcome
from ladder_ebgan.search.search import read_search_record
from ladder_ebgan.search.space import GANSpace, stored_space
from ladder_ebgan.search.study import JOURNAL, stored_trials

REAL_SCORE = 11.68  # I' of training images that the classifier's reference does not hold: docs/quality.md
SHARES_OF_REAL = (0.25, 0.5, 0.75)
N_DIGITS = 10


class Optimizers(NamedTuple):
    """How both sides go down their gradients: what figure 3 splits the GANs by."""

    discriminator: str
    generator: str
    discriminator_rate: float
    generator_rate: float


class GridRun(NamedTuple):
    """A run that has come to its end."""

    score: float  # I'; 0 if it diverged
    diverged: bool
    n_modes: int  # digits found
    architecture: tuple[Any, ...]  # layers, sizes, dropout
    most_layers: int  # of the deeper side
    optimizers: Optimizers


@dataclass(frozen=True)
class Grid:
    """The runs of one search."""

    folder: Path
    model: str
    runs: list[GridRun]
    n_unfinished: int
    n_settings: int  # of the whole grid
    shared: dict[str, Any]  # data, and what is not the grid's own


@dataclass(frozen=True)
class Side:
    """One group of a panel."""

    runs: list[GridRun]
    level: Level
    all_digits: Share  # of the runs in which all ten digits are found
    n_diverged: int


@dataclass(frozen=True)
class Panel:
    """A panel of figure 2 or 3: EBGANs beside GANs. A group without a run is None, and so is the comparison."""

    name: str  # such as "2a"
    title: str
    ebgan: Side | None
    gan: Side | None
    comparison: RankComparison | None  # probabilities are those of EBGAN having the higher score


def read_grid(folder: Path) -> Grid:
    """Read a search of GANs from its folder, also while it goes on.

    Raises:
        UsageError: it is no search of GANs, or damaged.
    """
    record = read_search_record(folder)
    space, identity = stored_space(record["space"]), record["identity"]
    if not isinstance(space, GANSpace):
        raise UsageError(f"{folder} is a search of classifiers: give one of GANs, such as of the space grid-ebgan")
    base = {"n_seeds": 1, **identity["space"]["base"]}

    def settings_of(outcome: GANOutcome) -> GANSettings:
        tables = deepcopy(base)
        apply_changes(tables, outcome.settings, f"{folder}: ", "ebgan.margin=10")
        settings = parse_any_recipe(tables, source=str(folder)).settings(space.model)
        assert isinstance(settings, GANSettings)
        return settings

    outcomes = [gan_outcome(trial) for trial in stored_trials(folder / JOURNAL)]
    known = [each for each in outcomes if each.status != "unfinished"]
    n_settings = (
        len(list(space.model_copy(update={"only": {}}).grid())) if space.sampler == "grid" else len(outcomes)
    )
    return Grid(
        folder=folder,
        model=space.model,
        runs=[_run(each, settings_of(each)) for each in known],
        n_unfinished=len(outcomes) - len(known),
        n_settings=n_settings,
        shared={"data": identity["data"], "training": base["training"], **_common(base)},
    )


def _common(base: dict[str, Any]) -> dict[str, Any]:
    """Return what EBGANs and GANs are to agree in: how long they train, what they see."""
    section = base.get("ebgan") or base.get("gan") or {}
    generator = section.get("generator", {})
    of_section = {key: section.get(key) for key in ("n_steps", "padding")}
    return {**of_section, "latent_size": generator.get("latent_size")}


def _run(outcome: GANOutcome, settings: GANSettings) -> GridRun:
    d, g = settings.discriminator, settings.generator
    assert outcome.score is not None
    return GridRun(
        score=outcome.score,
        diverged=outcome.status == "diverged",
        n_modes=int(outcome.scores.get("n_modes", 0)),
        architecture=(g.n_layers, g.size, d.n_layers, d.size, d.dropout),
        most_layers=max(g.n_layers, d.n_layers),
        optimizers=Optimizers(d.optimizer, g.optimizer, d.learning_rate, g.learning_rate),
    )


def check_comparable(ebgan: Grid, gan: Grid) -> None:
    """Refuse two searches that differ in what they are not compared by.

    Raises:
        UsageError: naming the first difference.
    """
    if ebgan.model == "gan" or gan.model == "ebgan":
        raise UsageError("give the folder of the search of EBGANs first, then that of GANs")
    difference = first_difference(ebgan.shared, gan.shared)
    if difference:
        where = difference.replace(" there", f" in {ebgan.folder}").replace(" here", f" in {gan.folder}")
        raise UsageError(f"the two searches cannot be compared: {where}")


def thresholds_of_real() -> list[float]:
    """Return the scores that the shares of runs are counted above, if nobody says: parts of that of real images."""
    return [share * REAL_SCORE for share in SHARES_OF_REAL]


def panels(ebgan: Grid, gan: Grid, thresholds: Sequence[float]) -> list[Panel]:
    """Return the panels of figure 2, by the number of layers, then those of figure 3, by the GANs' optimisers."""
    found = []
    for letter, most, title in (("a", None, "all"), ("b", 4, "at most 4 layers"), ("c", 3, "at most 3 layers")):
        of_ebgan, of_gan = (_with_layers(grid.runs, most) for grid in (ebgan, gan))
        found.append(_panel(f"2{letter}", title, of_ebgan, of_gan, thresholds))
    for each in sorted({run.optimizers for run in gan.runs}, key=_order):
        of_gan = [run for run in gan.runs if run.optimizers == each]
        found.append(_panel("3", _title(each), ebgan.runs, of_gan, thresholds))
    return found


def _with_layers(runs: list[GridRun], most: int | None) -> list[GridRun]:
    return [run for run in runs if most is None or run.most_layers <= most]


def _order(optimizers: Optimizers) -> tuple[str, str, float]:
    return optimizers.discriminator, optimizers.generator, -optimizers.discriminator_rate


def _title(optimizers: Optimizers) -> str:
    rates = dict.fromkeys(f"{rate:g}" for rate in optimizers[2:])
    return f"D {optimizers.discriminator}, G {optimizers.generator}, {', '.join(rates)}"


def _panel(name: str, title: str, ebgan: list[GridRun], gan: list[GridRun], thresholds: Sequence[float]) -> Panel:
    first, second = _group(ebgan, seed=0), _group(gan, seed=1)
    comparison = compare_ranks(first, second) if first is not None and second is not None else None
    return Panel(name, title, _side(ebgan, first, thresholds), _side(gan, second, thresholds), comparison)


def _group(runs: list[GridRun], seed: int) -> Scored | None:
    return Scored([run.score for run in runs], [run.architecture for run in runs], seed) if runs else None


def _side(runs: list[GridRun], group: Scored | None, thresholds: Sequence[float]) -> Side | None:
    if group is None:
        return None
    all_digits = np.array([run.n_modes == N_DIGITS for run in runs])
    return Side(runs, group.level(thresholds), group.share(all_digits), sum(run.diverged for run in runs))
