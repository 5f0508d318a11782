"""What all training steps of a process share: recipe, data on the device, the functions that a step is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.batches import BatchStream
from ladder_ebgan.costs import Functions
from ladder_ebgan.data import Dataset
from ladder_ebgan.evaluation import labeled_calibration, unlabeled_calibration
from ladder_ebgan.machine import Resolved
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.training import State, initial_state


@dataclass(frozen=True)
class DeviceData:
    """The training and test images and labels as tensors on the device."""

    train_images: Tensor  # [n_train, features]
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@dataclass(frozen=True)
class Engine:
    """A recipe and a data set, ready to train here: the data on the device, and the functions of a step."""

    recipe: Recipe
    dataset: Dataset
    resolved: Resolved
    data: DeviceData
    functions: Functions

    @classmethod
    def prepare(cls, recipe: Recipe, dataset: Dataset, resolved: Resolved) -> "Engine":
        """Copy the data to the device, and compile the functions if that was chosen."""
        functions = Functions.prepare(resolved.compiled, resolved.device)
        arrays = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
        data = DeviceData(*(torch.from_numpy(array).to(resolved.device) for array in arrays))
        return cls(recipe, dataset, resolved, data, functions)

    def initial_state(self, model: str, seeds: Sequence[int], recipes: Sequence[Recipe] | None = None) -> State:
        """Build the networks and optimisers of a group of replicas, one for each seed.

        With `recipes`, each replica has its own, as `training.initial_state` allows it.
        """
        dataset, resolved = self.dataset, self.resolved
        return initial_state(
            *(recipes or self.recipe, model, seeds, dataset.n_features, dataset.n_classes),
            resolved.device,
            resolved.product_dtype,
            self.functions,
        )

    def batches(self, state: State, subsets: Sequence[np.ndarray], seeds: Sequence[int]) -> BatchStream:
        """Return the batches that train `state`, whose replicas have these labelled images and seeds."""
        return BatchStream(
            self.data.train_images,
            self.data.train_labels,
            subsets,
            seeds,
            self.recipe.training.batch_size,
            state.ladder.n_units,
            state.generator.sizes[0] if state.generator else None,
            self.functions.normal,
        )

    def calibration(
        self, model: str, subsets: Sequence[np.ndarray], seeds: Sequence[int], at_most: int
    ) -> tuple[Tensor, Tensor]:
        """Return the minibatches that calibrate the evaluation statistics of `model`: index and weight.

        At most `at_most` of unlabelled images; all of the labelled ones.
        """
        batch_size = self.recipe.training.batch_size
        if self.recipe.evaluation_statistics(model) == "labeled":
            return labeled_calibration(subsets, batch_size)
        return unlabeled_calibration(len(self.data.train_images), seeds, batch_size, at_most)
