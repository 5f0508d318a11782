"""The runs of the paper's grid, from the folder of a search of GANs.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, section 4.1.
"""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ladder_ebgan.any_recipe import parse_any_recipe
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.recipe import EBGANSettings, GANSettings
from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.search.gan_summary import GANOutcome, gan_outcome
from ladder_ebgan.search.search import read_search_record
from ladder_ebgan.search.space import GANSpace, decoded, stored_space
from ladder_ebgan.search.study import JOURNAL, stored_trials


class Optimizers(NamedTuple):
    """How both sides go down their gradients: what figure 3 splits the GANs by."""

    discriminator: str
    generator: str
    discriminator_rate: float
    generator_rate: float


class Architecture(NamedTuple):
    """What runs that may train as one batched model have in common."""

    generator_layers: int
    generator_size: int
    discriminator_layers: int
    discriminator_size: int
    dropout: float


class GridRun(NamedTuple):
    """A run that has come to its end."""

    score: float  # I'; 0 if it diverged
    diverged: bool
    n_modes: int  # digits found
    architecture: Architecture
    optimizers: Optimizers

    @property
    def most_layers(self) -> int:
        """The number of layers of the deeper side."""
        return max(self.architecture.generator_layers, self.architecture.discriminator_layers)


@dataclass(frozen=True)
class Grid:
    """The runs of one search."""

    folder: Path
    model: str
    has_energy: bool  # whether it is an EBGAN
    runs: list[GridRun]
    n_unfinished: int
    n_settings: int  # of the whole grid
    covered: dict[str, list[Any]]  # values of the runs, by parameter, where they are not all that the grid has
    shared: dict[str, Any]  # what a grid has in common with another one that it may be compared with

    @property
    def n_diverged(self) -> int:
        """How many of the runs have diverged."""
        return sum(run.diverged for run in self.runs)

    @property
    def n_architectures(self) -> int:
        """How many architectures there are among the runs."""
        return len({run.architecture for run in self.runs})


def read_grid(folder: Path) -> Grid:
    """Read a grid of GANs from the folder of its search, also while that goes on.

    Raises:
        UsageError: it is no search of a grid of GANs, or damaged.
    """
    record = read_search_record(folder)
    space, identity = stored_space(record["space"]), record["identity"]
    if not isinstance(space, GANSpace) or space.sampler != "grid":
        raise UsageError(f"{folder} is no search of a grid of GANs: give one such as of the space grid-ebgan")
    base = {"n_seeds": 1, **identity["space"]["base"]}
    outcomes = [gan_outcome(trial) for trial in stored_trials(folder / JOURNAL)]
    known = [each for each in outcomes if each.status != "unfinished"]
    shared = _settings([], base, space.model, folder)
    return Grid(
        folder=folder,
        model=space.model,
        has_energy=isinstance(shared, EBGANSettings),
        runs=[_run(each, _settings(each.settings, base, space.model, folder)) for each in known],
        n_unfinished=len(outcomes) - len(known),
        n_settings=math.prod(len(parameter.samples()) for parameter in space.parameters.values()),
        covered=_covered(space, known),
        shared={
            "data": identity["data"],
            "precision": identity["precision"],
            "training": {key: value for key, value in base["training"].items() if key != "curve_every_steps"},
            "n_steps": shared.n_steps,
            "padding": shared.padding,
            "latent_size": shared.generator.latent_size,
        },
    )


def _covered(space: GANSpace, outcomes: Sequence[GANOutcome]) -> dict[str, list[Any]]:
    """Return the values of each parameter in some outcomes, where the grid has others too."""
    covered = {}
    for key, parameter in space.parameters.items():
        choices = [decoded(sample) for sample in parameter.samples()]
        values = [choice for choice in choices if any(each.parameters[key] == choice for each in outcomes)]
        if outcomes and len(values) < len(choices):
            covered[key.replace(f"{space.model}.", "")] = values
    return covered


def _settings(changes: list[str], base: dict[str, Any], model: str, folder: Path) -> GANSettings:
    """Return the settings of a model in the recipe of a search with some changes."""
    tables = deepcopy(base)
    apply_changes(tables, changes, f"{folder}: ", "ebgan.margin=10")
    settings = parse_any_recipe(tables, source=str(folder)).settings(model)
    assert isinstance(settings, GANSettings)
    return settings


def _run(outcome: GANOutcome, settings: GANSettings) -> GridRun:
    d, g = settings.discriminator, settings.generator
    assert outcome.score is not None
    return GridRun(
        score=outcome.score,
        diverged=outcome.status == "diverged",
        n_modes=int(outcome.scores.get("n_modes", 0)),
        architecture=Architecture(g.n_layers, g.size, d.n_layers, d.size, d.dropout),
        optimizers=Optimizers(d.optimizer, g.optimizer, d.learning_rate, g.learning_rate),
    )
