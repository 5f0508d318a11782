"""The training of a batch of settings that share shapes: each a few replicas, one for each labelled subset."""

import json
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ladder_ebgan.checkpoints import checkpoint_bytes, restore, state_tensors
from ladder_ebgan.data import labeled_order
from ladder_ebgan.engine import Engine
from ladder_ebgan.evaluation import calibrate, class_probabilities
from ladder_ebgan.folders import write_atomically
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.training import State, train

CHECKPOINT_SECONDS = 60.0
STATISTICS_BATCHES = 100  # unlabelled minibatches that calibrate for the reports on the way, if any do


class Candidate(NamedTuple):
    """A setting on trial."""

    number: int  # of the trial
    recipe: Recipe


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
    """The batch is trained."""

    n_steps: int
    correct: dict[int, np.ndarray]  # by trial: which validation images are classified rightly [subsets, images]
    errors: dict[int, list[float]]  # as those of `Reported`
    seconds: float  # of training


Trained = Stepped | Reported | Finished


def stackable(recipe: Recipe, model: str) -> str:
    """Return a text that is the same for recipes whose replicas can train in one batched model."""
    settings = recipe.settings(model)
    own: dict[str, Any] = settings.model_dump(
        exclude={"learning_rate": True, "decay_start_step": True, "classification_weight": True, "margin": True}
        | {"pseudo_label_weight": True, "vat_weight": True, "vat_radius": True, "generator": {"learning_rate"}}
    )
    own["consistency"] = [settings.pseudo_label_weight is not None, settings.vat_weight > 0]
    own["denoising_weights"] = [weight > 0 for weight in settings.denoising_weights]
    network = recipe.network.model_dump(exclude={"input_noise", "hidden_noise"})
    return json.dumps([own, network, recipe.training.model_dump()], sort_keys=True)


class SettingsBatch:
    """Settings that train together on the same labelled subsets.

    Args:
        candidates: settings for which `stackable` gives the same.
        model: that is trained.
        labels: size of the labelled subsets.
        seeds: one a subset.
        engine: its data has the validation images in the place of the test images.
        report_every_steps: distance of the reports; None for none.
        checkpoint: where to keep what has been trained.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        model: str,
        labels: int,
        seeds: Sequence[int],
        engine: Engine,
        report_every_steps: int | None,
        checkpoint: Path,
    ) -> None:
        self.candidates, self.model, self.seeds = list(candidates), model, list(seeds)
        self.engine = replace(engine, recipe=candidates[0].recipe)
        self.report_every_steps, self.checkpoint = report_every_steps, checkpoint
        dataset = engine.dataset
        self.subsets = [labeled_order(dataset.train_labels, seed, dataset.n_classes)[:labels] for seed in seeds]
        self.n_steps = candidates[0].recipe.settings(model).n_steps
        self.state = self._initial_state()
        if checkpoint.exists():
            restore(self.state, checkpoint, self.identity)

    @property
    def identity(self) -> dict[str, Any]:
        """What the checkpoint says of the batch."""
        return {"trials": [candidate.number for candidate in self.candidates], "seeds": self.seeds}

    def _initial_state(self) -> State:
        recipes = [candidate.recipe for candidate in self.candidates for _ in self.seeds]
        return self.engine.initial_state(self.model, self._each(self.seeds), recipes)

    def _each(self, of_subsets: Sequence[Any]) -> list[Any]:
        """Return what belongs to the replicas where it is the same for all settings."""
        return list(of_subsets) * len(self.candidates)

    def train(self, stop_reason: Callable[[], str | None]) -> Generator[Trained, set[int] | None, None]:
        """Train to the end, or until there is a reason to stop; a checkpoint is left then.

        Whoever takes a `Reported` sends the numbers of the trials that go on.
        """
        last_checkpoint, began = time.monotonic(), time.monotonic() - self.state.seconds
        while self.state.step < self.n_steps:
            for step in self._steps():
                yield Stepped(step)
                self.state.seconds = time.monotonic() - began
                narrowed = False
                if self._reports_at(step):
                    kept = yield Reported(step, self._errors_of(self._correct(STATISTICS_BATCHES)))
                    assert kept is not None
                    if not kept:
                        self.checkpoint.unlink(missing_ok=True)
                        return
                    narrowed = len(kept) < len(self.candidates)
                    if narrowed:
                        self._keep(kept)
                stopping = stop_reason() is not None
                if stopping or narrowed or time.monotonic() - last_checkpoint > CHECKPOINT_SECONDS:
                    self._save()
                    last_checkpoint = time.monotonic()
                if stopping:
                    return
                if narrowed:
                    break
        correct = self._correct(at_most=len(self.engine.data.train_images))
        yield Finished(self.n_steps, correct, self._errors_of(correct), self.state.seconds)

    def _steps(self) -> Generator[int, None, None]:
        """Train the state that there is, and yield the numbers of steps done."""
        settings = [candidate.recipe.settings(self.model) for candidate in self.candidates for _ in self.seeds]
        engine = self.engine
        batches = engine.batches(self.state, self._each(self.subsets), self._each(self.seeds))
        for progress in train(self.state, batches, settings, engine.functions, self.report_every_steps):
            yield progress.step

    def _reports_at(self, step: int) -> bool:
        every = self.report_every_steps
        return every is not None and step % every == 0 and step < self.n_steps

    def _save(self) -> None:
        write_atomically(self.checkpoint, checkpoint_bytes(self.state, self.identity))

    def _keep(self, kept: set[int]) -> None:
        """Go on with some of the settings."""
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
