"""What the training of a batch of settings is given, and what it says on the way."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ladder_ebgan.any_recipe import AnyRecipe


class Candidate(NamedTuple):
    """A setting on trial."""

    number: int  # of the trial
    recipe: AnyRecipe
    seed: int | None = None  # its own, where settings do not share the seeds of labelled subsets
    goes_on: bool = True  # False: what it has come to is known, and it is here since the batch's checkpoint has it


@dataclass(frozen=True)
class Stepped:
    """The batch has made a step."""

    step: int


@dataclass(frozen=True)
class Reported:
    """Validation errors on the way; the trainer is to be told which settings go on."""

    step: int
    errors: dict[int, list[float]]  # percent, by trial and subset; NaN where a replica has diverged


@dataclass(frozen=True)
class Finished:
    """The batch, of classifiers, is trained."""

    n_steps: int
    correct: dict[int, np.ndarray]  # by trial: which validation images are classified rightly [subsets, images]
    errors: dict[int, list[float]]  # as those of `Reported`
    seconds: float  # of training


@dataclass(frozen=True)
class Scored:
    """The batch, of GANs, is trained, and the images that it generates are scored."""

    n_steps: int
    scores: dict[int, dict[str, float]]  # by trial, then by name; {} where it has diverged
    diverged: dict[int, int]  # by trial that has: after how many steps
    seconds: float  # of training


Trained = Stepped | Reported | Finished | Scored
