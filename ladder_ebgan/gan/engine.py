"""What all training steps of GANs in a process share: recipe, images on the device, the functions of a step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ladder_ebgan.data import Dataset
from ladder_ebgan.gan.batches import GANBatchStream
from ladder_ebgan.gan.frame import framed_size
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.gan.training import GANFunctions, GANState, initial_gan_state
from ladder_ebgan.machine import Resolved


@dataclass(frozen=True)
class GANEngine:
    """A recipe of GANs and a data set, ready to train here."""

    recipe: GANRecipe
    dataset: Dataset
    resolved: Resolved
    images: Tensor  # [n_train, features], in [0, 1], on the device
    functions: GANFunctions

    @classmethod
    def prepare(cls, recipe: GANRecipe, dataset: Dataset, resolved: Resolved) -> "GANEngine":
        """Copy the images to the device, and compile the functions if that was chosen."""
        functions = GANFunctions.prepare(resolved.compiled, resolved.device)
        images = torch.from_numpy(dataset.train_images).to(resolved.device)
        return cls(recipe, dataset, resolved, images, functions)

    def initial_state(
        self, model: str, seeds: Sequence[int], recipes: Sequence[GANRecipe] | None = None
    ) -> GANState:
        """Build the networks and optimisers of a group of replicas, one for each seed.

        With `recipes`, each replica has its own, as `training.initial_gan_state` allows it.
        """
        settings = [recipe.settings(model) for recipe in recipes or [self.recipe]]
        n_features = framed_size(self.dataset.image_shape, settings[0].padding)
        how = (self.resolved.device, self.resolved.product_dtype, self.functions)
        return initial_gan_state(settings, self.recipe.training, seeds, n_features, *how)

    def batches(self, model: str, state: GANState, seeds: Sequence[int]) -> GANBatchStream:
        """Return the batches that train `state`, whose replicas have these seeds."""
        return GANBatchStream(
            self.images,
            self.dataset.image_shape,
            self.recipe.settings(model).padding,
            seeds,
            self.recipe.training.batch_size,
            state.generator.sizes[0],
            state.discriminator.n_noise,
            self.functions.normal,
        )
