"""The training of one group of replicas inside a run: its checkpoints, its learning curves, what is kept of it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan._version import __version__
from ladder_ebgan.checkpoints import checkpoint_bytes, model_bytes, restore
from ladder_ebgan.data import subset_order
from ladder_ebgan.engine import Engine
from ladder_ebgan.evaluation import (
    calibrate,
    class_probabilities,
    error_percent,
    unlabeled_sample,
)
from ladder_ebgan.ladder import Statistics
from ladder_ebgan.recipe import identity_of_model
from ladder_ebgan.results import CurvePoint, Result
from ladder_ebgan.runs import Group, Replica, RunFolder, replica_name
from ladder_ebgan.streams import Stream, stream_generator
from ladder_ebgan.training import Progress, State, train

CHECKPOINT_SECONDS = 60.0  # between checkpoints, or more where writing one takes long:
CHECKPOINT_WRITINGS = 30.0  # so many times as long
CURVE_SAMPLE_SIZE = 2000  # unlabelled images that the learning curves' error is measured on
CURVE_CALIBRATION_BATCHES = 20  # unlabelled minibatches that calibrate for the curves, if any do
GENERATED_IMAGES = 20  # kept of each replica's generator


@dataclass(frozen=True)
class GroupStarted:
    """A group begins, or goes on from `first_step`."""

    group: Group
    first_step: int
    n_steps: int


@dataclass(frozen=True)
class Stepped:
    """A group has made a step."""

    group: Group
    progress: Progress


@dataclass(frozen=True)
class CurveMeasured:
    """Points of the learning curves, one a replica."""

    group: Group
    points: list[CurvePoint]


@dataclass(frozen=True)
class GroupFinished:
    """All replicas of a group are trained, evaluated and stored."""

    group: Group
    results: list[Result]


GroupEvent = GroupStarted | Stepped | CurveMeasured | GroupFinished


class GroupJob:
    """The training of one group: its state and data, and what is written to the run folder on the way."""

    def __init__(self, folder: RunFolder, group: Group, engine: Engine) -> None:
        self.folder, self.group, self.engine = folder, group, engine
        self.data, self.resolved = engine.data, engine.resolved
        self.settings = engine.recipe.settings(group.model)
        self.seeds = [replica.seed for replica in group.replicas]
        dataset = engine.dataset
        shared = self.settings.labeled_subset_seed
        subset_seeds = self.seeds if shared is None else [shared] * len(self.seeds)
        orders = {seed: subset_order(dataset, seed) for seed in set(subset_seeds)}
        self.subsets = [
            orders[seed][: replica.labels] for seed, replica in zip(subset_seeds, group.replicas, strict=True)
        ]
        self.state = self._initial_state()

    def _initial_state(self) -> State:
        state = self.engine.initial_state(self.group.model, self.seeds)
        path = self.folder.checkpoint_path(self.group)
        if path.exists():
            restore(state, path, self.group.identity)
        self.folder.cut_history(self.group, state.step)
        return state

    def run(self, stop_reason: Callable[[], str | None]) -> Iterator[GroupEvent]:
        """Train; evaluate and store if that came to the end."""
        yield GroupStarted(self.group, self.state.step, self.settings.n_steps)
        yield from self.train(stop_reason)
        if self.state.step == self.settings.n_steps:
            yield GroupFinished(self.group, self.finish())

    def train(self, stop_reason: Callable[[], str | None]) -> Iterator[Stepped | CurveMeasured]:
        """Train to the end or until there is a reason to stop; a checkpoint is left either way."""
        curve = CurveSample(self)
        last_checkpoint, pause = time.monotonic(), CHECKPOINT_SECONDS
        began = time.monotonic() - self.state.seconds
        curve_every = self.engine.recipe.training.curve_every_steps
        batches = self.engine.batches(self.state, self.subsets, self.seeds)
        for progress in train(self.state, batches, self.settings, self.engine.functions, curve_every):
            yield Stepped(self.group, progress)
            last = progress.step == self.settings.n_steps
            if last or progress.step % curve_every == 0:
                points = curve.measure(progress)
                self.folder.append_history(points)
                yield CurveMeasured(self.group, points)
            stopping = stop_reason() is not None
            if last or stopping or time.monotonic() - last_checkpoint > pause:
                started = time.monotonic()
                self.state.seconds = started - began
                self.folder.save_checkpoint(self.group, checkpoint_bytes(self.state, self.group.identity))
                last_checkpoint = time.monotonic()
                pause = max(CHECKPOINT_SECONDS, CHECKPOINT_WRITINGS * (last_checkpoint - started))
            if stopping:
                return

    def finish(self) -> list[Result]:
        """Evaluate on the test images, for the first and only time, and store everything that stays."""
        statistics = self._evaluation_statistics()
        probabilities = class_probabilities(self.state.evaluated, statistics, self.data.test_images)
        generated, dataset = self._generated_images(), self.engine.dataset
        results = []
        for r, replica in enumerate(self.group.replicas):
            tested = dataset.tested(self.subsets[r])
            own = probabilities[r, tested]
            result = self._result(r, replica, error_percent(own[None], self.data.test_labels[tested]).item())
            if dataset.test_rows is not None:
                result = replace(result, n_test=len(tested))
            results.append(result)
            if result.status == "diverged":
                continue
            name = replica_name(self.group.model, *replica)
            arrays = {"labeled_indices": self.subsets[r], "probabilities": own.cpu().numpy()}
            if dataset.test_rows is not None:
                arrays["test_indices"] = dataset.test_rows[tested]
            if generated is not None:
                arrays["generated_images"] = generated[r]
            self.folder.save_predictions(name, arrays)
            metadata = self._model_metadata(replica)
            scaling = None if dataset.columns is None else dataset.columns.scaling
            self.folder.save_model(name, model_bytes(self.state, statistics, r, metadata, scaling))
        self.folder.add_results(results)
        self.folder.remove_checkpoint(self.group)
        return results

    def _evaluation_statistics(self) -> Statistics:
        images = self.data.train_images
        return calibrate(self.state.evaluated, images, *self.calibration(at_most=len(images)), with_decoder=True)

    def calibration(self, at_most: int) -> tuple[Tensor, Tensor]:
        """Return the minibatches that calibrate the evaluation statistics: `Engine.calibration`."""
        return self.engine.calibration(self.group.model, self.subsets, self.seeds, at_most)

    @torch.no_grad()
    def _generated_images(self) -> np.ndarray | None:
        """Return `[replicas, images, features]` as bytes, from a whole batch for the generator's statistics."""
        if self.state.generator is None or self.state.generator.is_noise or self.engine.dataset.columns:
            return None
        shape = (self.engine.recipe.training.batch_size, self.state.generator.sizes[0])
        latents = np.stack(
            [
                stream_generator(seed, Stream.EVALUATION, 2).standard_normal(shape, dtype=np.float32)
                for seed in self.seeds
            ]
        )
        images = self.state.generator(torch.from_numpy(latents).to(self.resolved.device))
        pixels = (255 * images[:, :GENERATED_IMAGES].clamp(0, 1)).nan_to_num().round().to(torch.uint8)
        return np.asarray(pixels.cpu())

    def _result(self, r: int, replica: Replica, error: float) -> Result:
        diverged_step = int(self.state.diverged_step[r])
        if diverged_step < 0 and np.isnan(error):
            diverged_step = self.state.step
        ok = diverged_step < 0
        return Result(
            model=self.group.model,
            labels=replica.labels,
            seed=replica.seed,
            status="ok" if ok else "diverged",
            test_error_percent=error if ok else None,
            diverged_step=None if ok else diverged_step,
            steps=self.state.step,
            seconds=round(self.state.seconds / len(self.seeds), 1),
            device=self.resolved.device_name,
            precision=self.resolved.precision,
            version=__version__,
            torch_version=torch.__version__,
        )

    def _model_metadata(self, replica: Replica) -> dict[str, Any]:
        identity, columns = self.folder.record["identity"], self.engine.dataset.columns
        of_table: dict[str, Any] = {}
        if columns is not None:
            of_table = {"inputs": "features", "scaled": True}
            of_table |= {"columns": list(columns.features), "label_column": columns.label}
        return {
            "model": self.group.model,
            "labels": replica.labels,
            "seed": replica.seed,
            "version": __version__,
            "torch_version": torch.__version__,
            **identity,
            "recipe": identity_of_model(identity["recipe"], self.group.model),
            "classes": list(self.engine.dataset.classes),
            "image_shape": list(self.engine.dataset.image_shape),
            **of_table,
        }


class CurveSample:
    """The fixed images that a group's learning curves are measured on: their labels are never trained on."""

    def __init__(self, job: GroupJob) -> None:
        self.job = job
        watched = job.engine.dataset.watched_rows
        samples = [
            unlabeled_sample(subset, watched, seed, CURVE_SAMPLE_SIZE)
            for subset, seed in zip(job.subsets, job.seeds, strict=True)
        ]
        size = max(len(sample) for sample in samples)
        padded = [np.pad(sample, (0, size - len(sample))) for sample in samples]
        self.index = torch.from_numpy(np.stack(padded)).to(job.resolved.device)  # [replicas, size]
        self.sizes = torch.tensor([len(sample) for sample in samples], device=job.resolved.device)
        self.calibration = job.calibration(CURVE_CALIBRATION_BATCHES)

    def measure(self, progress: Progress) -> list[CurvePoint]:
        """Return a point for each replica; costs are those of this step's minibatch."""
        job, costs = self.job, progress.costs
        columns: list[Tensor | None] = [
            costs.ladder.classification,
            costs.ladder.denoising,
            self._errors() if self.index.shape[1] else None,
            costs.ladder.energy,
            costs.energy_generated,
            None if costs.open_hinges is None else 100 * costs.open_hinges,
        ]
        values = [[None] * len(job.seeds) if c is None else _numbers(c) for c in columns]
        return [
            CurvePoint(
                model=job.group.model,
                labels=replica.labels,
                seed=replica.seed,
                step=progress.step,
                learning_rate=progress.learning_rate,
                margin=progress.margin,
                classification_cost=values[0][r],
                denoising_cost=values[1][r],
                unlabeled_error_percent=values[2][r],
                energy_real=values[3][r],
                energy_generated=values[4][r],
                open_hinges_percent=values[5][r],
            )
            for r, replica in enumerate(job.group.replicas)
        ]

    def _errors(self) -> Tensor:
        ladder, data = self.job.state.evaluated, self.job.data
        statistics = calibrate(ladder, data.train_images, *self.calibration)
        probabilities = class_probabilities(ladder, statistics, data.train_images[self.index])
        return error_percent(probabilities, data.train_labels[self.index], self.sizes)


def _numbers(values: Tensor) -> list[float | None]:
    """Return the values of the replicas, to 6 digits; None where one is not finite."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]
