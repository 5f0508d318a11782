"""Settings of ladders that train together: each a few replicas, one for each labelled subset."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ladder_ebgan.checkpoints import state_tensors
from ladder_ebgan.data import subset_order
from ladder_ebgan.engine import Engine
from ladder_ebgan.evaluation import calibrate, class_probabilities
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.search.events import Candidate, Finished, Reported
from ladder_ebgan.search.space import Space
from ladder_ebgan.training import State, train

STATISTICS_BATCHES = 100  # unlabelled minibatches that calibrate for the reports on the way, if any do


class LadderStack:
    """Settings for which `stackable` gives the same, on the same labelled subsets.

    Args:
        candidates: the settings.
        space: that they are of.
        engine: its data has the validation images in the place of the test images.
    """

    def __init__(self, candidates: Sequence[Candidate], space: Space, engine: Engine) -> None:
        self.candidates, self.model, self.seeds = list(candidates), space.model, list(space.seeds)
        self.engine = replace(engine, recipe=self._recipes()[0])
        self.report_every_steps = space.report_every_steps
        self.subsets = [subset_order(engine.dataset, seed)[: space.labels] for seed in self.seeds]
        self.n_steps = self.engine.recipe.settings(self.model).n_steps
        self.state = self._initial_state()

    def _recipes(self) -> list[Recipe]:
        """Return the recipe of each replica."""
        recipes = [candidate.recipe for candidate in self.candidates for _ in self.seeds]
        return [recipe for recipe in recipes if isinstance(recipe, Recipe)]

    def _initial_state(self) -> State:
        return self.engine.initial_state(self.model, self._each(self.seeds), self._recipes())

    def _each(self, of_subsets: Sequence[Any]) -> list[Any]:
        """Return what belongs to the replicas where it is the same for all settings."""
        return list(of_subsets) * len(self.candidates)

    def steps(self) -> Iterator[int]:
        """Train the state that there is, and yield the numbers of steps done."""
        settings = [recipe.settings(self.model) for recipe in self._recipes()]
        engine = self.engine
        batches = engine.batches(self.state, self._each(self.subsets), self._each(self.seeds))
        for progress in train(self.state, batches, settings, engine.functions, self.report_every_steps):
            yield progress.step

    def reports_at(self, step: int) -> bool:
        """Return whether settings are compared after that step."""
        every = self.report_every_steps
        return every is not None and step % every == 0 and step < self.n_steps

    def report(self) -> Reported:
        """Measure the settings on the way."""
        return Reported(self.state.step, self._errors_of(self._correct(STATISTICS_BATCHES)))

    def finish(self, seconds: float, _: object) -> Finished:
        """Measure the settings at the end, which takes no time in which to stop."""
        correct = self._correct(at_most=len(self.engine.data.train_images))
        return Finished(self.n_steps, correct, self._errors_of(correct), seconds)

    def keep(self, kept: set[int]) -> None:
        """Go on with some of the settings; `steps` is to be called anew."""
        before = self.state
        places = [place for place, candidate in enumerate(self.candidates) if candidate.number in kept]
        self.candidates = [self.candidates[place] for place in places]
        replicas = torch.tensor(
            [place * len(self.seeds) + i for place in places for i in range(len(self.seeds))],
            device=before.diverged_step.device,
        )
        self.state = self._initial_state()
        old = state_tensors(before)
        with torch.no_grad():
            for name, tensor in state_tensors(self.state).items():
                tensor.copy_(old[name][replicas].reshape(tensor.shape))
        self.state.step, self.state.seconds = before.step, before.seconds

    @torch.no_grad()
    def _correct(self, at_most: int) -> dict[int, np.ndarray]:
        """Return by trial which validation images are classified rightly `[subsets, images]`; none if diverged."""
        engine, data = self.engine, self.engine.data
        calibration = engine.calibration(self.model, self._each(self.subsets), self._each(self.seeds), at_most)
        statistics = calibrate(self.state.evaluated, data.train_images, *calibration)
        probabilities = class_probabilities(self.state.evaluated, statistics, data.test_images)
        correct = (probabilities.argmax(dim=-1) == data.test_labels).cpu().numpy()
        sound = probabilities.isfinite().flatten(1).all(dim=1) & (self.state.diverged_step < 0)
        parts = zip(
            self.candidates,
            correct.reshape(len(self.candidates), len(self.seeds), -1),
            sound.cpu().numpy().reshape(len(self.candidates), len(self.seeds)),
            strict=True,
        )
        return {candidate.number: right for candidate, right, fine in parts if fine.all()}

    def _errors_of(self, correct: dict[int, np.ndarray]) -> dict[int, list[float]]:
        lost = [float("nan")] * len(self.seeds)
        return {
            number: (100 * (1 - correct[number].mean(axis=1))).tolist() if number in correct else lost
            for number in (candidate.number for candidate in self.candidates)
        }
