"""How long a grid of GANs takes here: a few of its steps are timed, and the others follow from their arithmetic."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ladder_ebgan.gan import scores as gan_scores
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.frame import framed_size
from ladder_ebgan.gan.recipe import GANRecipe, GANSettings
from ladder_ebgan.machine import apply
from ladder_ebgan.search.space import GANSpace, Proposal
from ladder_ebgan.search.stacking import stackable
from ladder_ebgan.search.study import values_of
from ladder_ebgan.search.trainer import Task
from ladder_ebgan.timing import stack_seconds

N_TIMED = 6  # architectures
TIMED_STEPS = 3
PASSES = {"adam": 7, "sgd": 3}  # over parameters, gradients and moments in a step: what is read, what is written


@dataclass(frozen=True)
class Work:
    """The arithmetic of a step of one replica."""

    flops: float  # of matrix products
    bytes: float  # that the optimisers move

    @classmethod
    def of(cls, settings: GANSettings, n_features: int, batch_size: int) -> "Work":
        """Count both sides: a forward pass costs two operations a weight and image, and so does each gradient.

        The discriminator sees real and generated images, forward and for the gradients of its weights and inputs,
        then generated ones forward and for the gradient of the images. A side's first layer needs no gradient of
        its inputs.
        """
        d, g = settings.discriminator_sizes(n_features), settings.generator.sizes(n_features)
        weights_d, weights_g = (sum(a * b for a, b in pairwise(sizes)) for sizes in (d, g))
        of_d = 2 * (3 * weights_d - d[0] * d[1]) + 2 * weights_d
        of_g = 3 * weights_g - g[0] * g[1]
        moved = (
            PASSES[settings.discriminator.optimizer] * weights_d + PASSES[settings.generator.optimizer] * weights_g
        )
        return cls(2.0 * batch_size * (of_d + of_g), 4.0 * moved)


@dataclass(frozen=True)
class Timed:
    """An architecture that was timed."""

    name: str
    work: Work  # mean over the settings that were timed together
    seconds: float  # of a step of one of them


@dataclass(frozen=True)
class Estimate:
    """What is left of a grid, and how long it takes."""

    n_wanted: int
    n_known: int  # of them
    n_batches: int
    n_steps: int  # of each setting
    flops: float  # of matrix products, of all that is left
    training_seconds: float  # of one process that does it all
    scoring_seconds: float  # likewise
    n_processes: int
    timed: list[Timed]
    predicted: list[float]  # seconds of these, as the fit has them

    @property
    def seconds(self) -> float:
        """How long all processes take together, if all batches take as long."""
        n_batches = max(1, self.n_batches)
        return (self.training_seconds + self.scoring_seconds) * math.ceil(n_batches / self.n_processes) / n_batches


def estimate(task: Task, trials_at_once: int, known: Sequence[Proposal] = ()) -> Estimate:
    """Time some steps of what is left of a grid of GANs beside what is known; takes about a minute.

    The time of a step is taken as a sum of three terms that are not negative: one of its matrix products, one of
    the optimisers' memory traffic, and one that all steps share. They are fitted to the timed architectures, from
    the one with the fewest products to the one with the most, by least squares of relative errors.
    """
    space, dataset = task.space, task.dataset
    assert isinstance(space, GANSpace)
    apply(task.resolved)
    whole, there = list(space.grid()), set(map(values_of, known))
    unknown = [proposal for proposal in whole if values_of(proposal) not in there]
    n_wanted, n_known = min(space.n_trials or len(whole), len(whole)), len(whole) - len(unknown)
    left = unknown[: max(0, n_wanted - n_known)]
    recipes = [space.recipe_of(proposal) for proposal in left]
    every = [recipe.settings(space.model) for recipe in recipes]
    n_features = framed_size(dataset.image_shape, every[0].padding) if every else 0
    works = [Work.of(recipe.settings(space.model), n_features, recipe.training.batch_size) for recipe in recipes]
    timed = _timed(task, recipes, works, trials_at_once if space.together else 1)
    steps = np.array([each.n_steps for each in every], dtype=np.float64)
    fitted = _fitted(timed)
    return Estimate(
        n_wanted=n_wanted,
        n_known=n_wanted - len(left),
        n_batches=_n_batches(space, left, recipes, trials_at_once),
        n_steps=max((each.n_steps for each in every), default=0),
        flops=float(sum(work.flops * n for work, n in zip(works, steps, strict=True))),
        training_seconds=float((_predicted(works, fitted) * steps).sum()),
        scoring_seconds=len(left) * _scoring_seconds(task) if left else 0.0,
        n_processes=task.resolved.n_processes,
        timed=timed,
        predicted=_predicted([each.work for each in timed], fitted).tolist(),
    )


def _n_batches(space: GANSpace, left: Sequence[Proposal], recipes: Sequence[GANRecipe], at_once: int) -> int:
    """Return in how many batches they train, proposed as the study does."""
    n_batches, start = 0, 0
    while start < len(left):
        end = min(start + at_once, len(left))
        if space.together:
            first = space.stack_of(left[start])
            end = next((i for i in range(start, end) if space.stack_of(left[i]) != first), end)
        n_batches += len({stackable(recipe, space.model) for recipe in recipes[start:end]})
        start = end
    return n_batches


def _timed(task: Task, recipes: Sequence[GANRecipe], works: Sequence[Work], at_most: int) -> list[Timed]:
    """Time stacks whose work is spread over that of all, each of at most so many settings."""
    model, order = task.space.model, np.argsort([work.flops for work in works], kind="stable")
    found = {}
    for place in order[np.linspace(0, len(order) - 1, min(N_TIMED, len(order))).round().astype(int)]:
        key = stackable(recipes[place], model)
        if key in found:
            continue
        places = [i for i, recipe in enumerate(recipes) if stackable(recipe, model) == key][:at_most]
        settings, stack = recipes[place].settings(model), [recipes[i] for i in places]
        engine = GANEngine.prepare(stack[0], task.dataset, task.resolved)
        seconds = stack_seconds(engine, model, stack, TIMED_STEPS) / len(stack)
        g, d = settings.generator, settings.discriminator
        name = f"G {g.n_layers} layers of {g.size}, D {d.n_layers} of {d.size}"
        flops, moved = (float(np.mean([getattr(works[i], part) for i in places])) for part in ("flops", "bytes"))
        found[key] = Timed(name, Work(flops, moved), seconds)
    return list(found.values())


def _fitted(timed: Sequence[Timed]) -> NDArray[np.float64]:
    """Return seconds of a step, of a floating-point operation, of a byte."""
    from scipy.optimize import nnls

    if not timed:
        return np.zeros(3)
    measured = np.array([each.seconds for each in timed])
    terms = _terms([each.work for each in timed])
    scale = terms.max(axis=0)
    return np.asarray(nnls(terms / scale / measured[:, None], np.ones(len(timed)))[0] / scale)


def _predicted(works: Sequence[Work], fitted: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_terms(works) @ fitted)


def _terms(works: Sequence[Work]) -> NDArray[np.float64]:
    return np.array([[1.0, work.flops, work.bytes] for work in works]).reshape(-1, 3)


def _scoring_seconds(task: Task) -> float:
    """Return how long the images of one generator take to be scored."""
    scores = gan_scores.Scores(task.dataset, task.resolved.device)
    images = torch.rand(gan_scores.SCORED_IMAGES, task.dataset.n_features)
    began = time.perf_counter()
    scores.of(images.to(task.resolved.device))
    return time.perf_counter() - began
