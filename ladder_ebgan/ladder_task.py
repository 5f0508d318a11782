"""A group of ladders, alone or against generators: what it trains on, its learning curves, its evaluation."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.checkpoints import model_bytes
from ladder_ebgan.data import subset_order
from ladder_ebgan.diversity import Diversity
from ladder_ebgan.drawing import as_bytes, draw
from ladder_ebgan.engine import Engine
from ladder_ebgan.evaluation import calibrate, class_probabilities, error_percent, unlabeled_sample
from ladder_ebgan.ladder import Statistics
from ladder_ebgan.outcome import curve_points, energy_histograms, model_metadata, result_of
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result
from ladder_ebgan.runs import Group, RunFolder, replica_name
from ladder_ebgan.training import Progress, train

CURVE_SAMPLE_SIZE = 2000  # unlabelled images that the learning curves' error is measured on
CURVE_CALIBRATION_BATCHES = 20  # unlabelled minibatches that calibrate for the curves, if any do
GENERATED_IMAGES = 20  # kept of each replica's generator


class LadderTask:
    """The training of one group of ladders: its state and data, its evaluation."""

    def __init__(self, group: Group, engine: Engine) -> None:
        self.group, self.engine = group, engine
        self.data, self.resolved = engine.data, engine.resolved
        self.settings = engine.recipe.settings(group.model)
        self.n_steps = self.settings.n_steps
        self.curve_every_steps = engine.recipe.training.curve_every_steps
        self.seeds = [replica.seed for replica in group.replicas]
        dataset = engine.dataset
        shared = self.settings.labeled_subset_seed
        subset_seeds = self.seeds if shared is None else [shared] * len(self.seeds)
        orders = {seed: subset_order(dataset, seed) for seed in set(subset_seeds)}
        self.subsets = [
            orders[seed][: replica.labels] for seed, replica in zip(subset_seeds, group.replicas, strict=True)
        ]
        self.state = engine.initial_state(group.model, self.seeds)
        self.curve = CurveSample(self)

    def train(self) -> Iterator[Progress]:
        """Train from the state's step to the end."""
        batches = self.engine.batches(self.state, self.subsets, self.seeds)
        return train(self.state, batches, self.settings, self.engine.functions, self.curve_every_steps)

    def curve_points(self, progress: Progress) -> list[CurvePoint]:
        """Return points of the learning curves, one a replica."""
        return self.curve.measure(progress)

    def energy_histograms(self, progress: Progress) -> list[EnergyHistogram]:
        """Return the energies of that step, one row a replica; none without a generator."""
        return energy_histograms(self.group, progress.step, progress.margin, *progress.costs.energies)

    def finish(self, folder: RunFolder) -> list[Result]:
        """Evaluate on the test images, for the first and only time, and store everything that stays."""
        statistics = self._evaluation_statistics()
        probabilities = class_probabilities(self.state.evaluated, statistics, self.data.test_images)
        generated, dataset = self._generated_images(), self.engine.dataset
        results = []
        for r, replica in enumerate(self.group.replicas):
            tested = dataset.tested(self.subsets[r])
            own = probabilities[r, tested]
            error = error_percent(own[None], self.data.test_labels[tested]).item()
            values = {"test_error_percent": error}
            result = result_of(self.group, r, self.state, self.resolved, bool(np.isnan(error)), values)
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
            folder.save_predictions(name, arrays)
            metadata = model_metadata(folder.record["identity"], self.group.model, replica, dataset)
            scaling = None if dataset.columns is None else dataset.columns.scaling
            folder.save_model(name, model_bytes(self.state, statistics, r, metadata, scaling))
        return results

    def _evaluation_statistics(self) -> Statistics:
        images = self.data.train_images
        return calibrate(self.state.evaluated, images, *self.calibration(at_most=len(images)), with_decoder=True)

    def calibration(self, at_most: int) -> tuple[Tensor, Tensor]:
        """Return the minibatches that calibrate the evaluation statistics: `Engine.calibration`."""
        return self.engine.calibration(self.group.model, self.subsets, self.seeds, at_most)

    def _generated_images(self) -> np.ndarray | None:
        """Return `[replicas, images, features]` as bytes."""
        generator = self.state.generator
        if generator is None or generator.is_noise or self.engine.dataset.columns:
            return None
        return as_bytes(draw(generator, self.seeds, GENERATED_IMAGES, self.engine.recipe.training.batch_size))


class CurveSample:
    """The fixed images that a group's learning curves are measured on: their labels are never trained on."""

    def __init__(self, job: LadderTask) -> None:
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
        self.diversity = Diversity(job.data.train_images, watched)

    def measure(self, progress: Progress) -> list[CurvePoint]:
        """Return a point for each replica; costs are those of this step's minibatch."""
        costs = progress.costs
        measured = {
            "classification_cost": costs.ladder.classification,
            "denoising_cost": costs.ladder.denoising,
            "unlabeled_error_percent": self._errors() if self.index.shape[1] else None,
            "energy_real": costs.ladder.energy,
            "energy_generated": costs.energy_generated,
            "open_hinges_percent": None if costs.open_hinges is None else 100 * costs.open_hinges,
            "generated_diversity": None if progress.margin is None else self._diversity(),
        }
        return curve_points(self.job.group, progress.step, progress.learning_rate, progress.margin, measured)

    def _errors(self) -> Tensor:
        ladder, data = self.job.state.evaluated, self.job.data
        statistics = calibrate(ladder, data.train_images, *self.calibration)
        probabilities = class_probabilities(ladder, statistics, data.train_images[self.index])
        return error_percent(probabilities, data.train_labels[self.index], self.sizes)

    def _diversity(self) -> Tensor | None:
        generator, seeds = self.job.state.generator, self.job.seeds
        if generator is None or generator.is_noise:
            return None
        batch_size = self.job.engine.recipe.training.batch_size
        return self.diversity.of(lambda n: draw(generator, seeds, n, batch_size))
