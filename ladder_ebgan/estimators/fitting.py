"""The training of an estimator: replicas on the same labelled rows, with a stop of its own for each if asked."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ladder_ebgan.engine import Engine
from ladder_ebgan.evaluation import calibrate, class_probabilities
from ladder_ebgan.ladder import Statistics
from ladder_ebgan.training import Progress, State, train

CALIBRATION_BATCHES = 20  # of unlabelled rows, when the network is only looked at
SMALLEST = 1e-12  # probability that a cross-entropy is taken of


class Fit:
    """The training of a replica for each seed, all on the same labelled rows.

    Args:
        engine: recipe and rows. The test images of its data set are rows held out of the labelled ones, whose
            labels say when to stop; without any the training goes to its end.
        model: what is trained.
        seeds: one a replica.
        labeled: rows whose labels are trained on.
        patience: for how many looks in a row a replica may become no better on the rows held out.
        show: called with the step and the curves' newest point, numbers of the replicas by name.
    """

    def __init__(
        self,
        engine: Engine,
        model: str,
        seeds: Sequence[int],
        labeled: NDArray[np.int64],
        patience: int,
        show: Callable[[int, dict[str, list[float]]], None],
    ) -> None:
        self.engine, self.model, self.show = engine, model, show
        self.seeds, self.subsets = seeds, [labeled] * len(seeds)
        self.settings = engine.recipe.settings(model)
        self.state = engine.initial_state(model, seeds)
        self.best = Best(self.state, patience) if len(engine.data.test_images) else None
        self.best_steps: tuple[int, ...] = ()  # of each replica: the step whose parameters it has in the end
        self.history: list[dict[str, Any]] = []  # the points of the curves

    def run(self) -> Statistics:
        """Train to the end, or until no replica becomes better, and return the statistics of the evaluation.

        Raises:
            ValueError: a replica diverged.
        """
        engine, state = self.engine, self.state
        batches, every = engine.batches(state, self.subsets, self.seeds), engine.recipe.training.curve_every_steps
        for progress in train(state, batches, self.settings, engine.functions, every):
            if progress.step % every == 0 or progress.step == self.settings.n_steps:
                point = self._look(progress)
                self.history.append({"step": progress.step, **point})
                self.show(progress.step, point)
                if self.best is not None and self.best.all_waited_long_enough:
                    break
        self._refuse_divergence()
        self.best_steps = (state.step,) * len(self.seeds) if self.best is None else self.best.restore()
        return self._statistics(len(engine.data.train_images), with_decoder=True)

    def _look(self, progress: Progress) -> dict[str, list[float]]:
        """Note where the training is; with held-out rows, which parameters are the best so far."""
        costs = progress.costs
        values = {"classification_cost": costs.ladder.classification, "denoising_cost": costs.ladder.denoising}
        if costs.energy_generated is not None:
            values |= {"energy": costs.ladder.energy, "energy_generated": costs.energy_generated}
        if self.best is not None:
            values["validation_loss"] = self._validation_loss()
            self.best.look(progress.step, values["validation_loss"])
        return {name: value.tolist() for name, value in values.items()}

    def _validation_loss(self) -> Tensor:
        """Return the mean cross-entropy of the rows held out `[replicas]`."""
        data, statistics = self.engine.data, self._statistics(CALIBRATION_BATCHES, with_decoder=False)
        probabilities = class_probabilities(self.state.evaluated, statistics, data.test_images)
        labels = data.test_labels.expand(len(self.seeds), -1).unsqueeze(-1)
        return -probabilities.gather(-1, labels).clamp_min(SMALLEST).log().mean(dim=(1, 2))

    def _statistics(self, at_most: int, with_decoder: bool) -> Statistics:
        calibration = self.engine.calibration(self.model, self.subsets, self.seeds, at_most)
        images = self.engine.data.train_images
        return calibrate(self.state.evaluated, images, *calibration, with_decoder=with_decoder)

    def _refuse_divergence(self) -> None:
        steps = self.state.diverged_step.tolist()
        diverged = [(seed, step) for seed, step in zip(self.seeds, steps, strict=True) if step > 0]
        if diverged:
            seed, step = diverged[0]
            raise ValueError(
                f"the training diverged at step {step} (seed {seed}: a cost that is not finite); "
                "make learning_rate smaller, and look for features with extreme values"
            )


class Best:
    """The parameters of each replica at its lowest validation loss.

    A replica that has become no better for `patience` looks in a row keeps what it has, however long the others
    train on: its result does not depend on them.
    """

    def __init__(self, state: State, patience: int) -> None:
        self.parameters = dict(state.evaluated.named_parameters())
        if state.generator is not None:
            self.parameters |= {f"generator.{key}": value for key, value in state.generator.named_parameters()}
        self.kept = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        n_replicas = len(state.diverged_step)
        self.patience = patience
        self.losses, self.steps, self.n_worse = [np.inf] * n_replicas, [0] * n_replicas, [0] * n_replicas

    @property
    def all_waited_long_enough(self) -> bool:
        """Whether no replica may become better any more."""
        return min(self.n_worse) >= self.patience

    def look(self, step: int, losses: Tensor) -> None:
        """Keep the parameters of the replicas that have become better; losses are `[replicas]`."""
        for r, loss in enumerate(losses.tolist()):
            if self.n_worse[r] >= self.patience:
                continue
            if loss < self.losses[r]:
                self.losses[r], self.steps[r], self.n_worse[r] = loss, step, 0
                for name, parameter in self.parameters.items():
                    self.kept[name][r] = parameter.detach()[r]
            else:
                self.n_worse[r] += 1

    @torch.no_grad()
    def restore(self) -> tuple[int, ...]:
        """Give each replica its best parameters, and return the steps that they are of."""
        for name, parameter in self.parameters.items():
            parameter.copy_(self.kept[name])
        return tuple(self.steps)
