"""What a step of a GAN is given: real images, latents, and the noise of dropout, on the device.

Every number is a function of (seed, stream, step), as in `ladder_ebgan.batches`. Real images come in the order in
which a ladder of the same seed sees its unlabelled ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.batches import WINDOW_STEPS, ImageStream, Normal, NormalStream
from ladder_ebgan.data import EpochSequence, Order
from ladder_ebgan.gan.frame import framed
from ladder_ebgan.philox import philox_normal
from ladder_ebgan.streams import Stream


class GANBatch(NamedTuple):
    """The arguments of a step."""

    images: Tensor  # [replicas, batch, features], real ones
    latents: Tensor  # [replicas, batch, latent], standard normal
    noise: Tensor | None  # [replicas, 2 batch, hidden units], standard normal: of the real, the generated


class GANBatchStream(ImageStream):
    """The batches of a group of replicas, one step after the other.

    Args:
        images: all training images `[n_images, features]` in [0, 1], on the device.
        image_shape: of an image.
        padding: pixels of zeros that images get on each side.
        seeds: of each replica.
        batch_size: real and generated images a step, each.
        latent_size: of the generator's input.
        n_noise: values that an image takes for the discriminator's dropout; 0 for none.
        normal: `philox_normal`, or what computes the same faster.
    """

    def __init__(
        self,
        images: Tensor,
        image_shape: Sequence[int],
        padding: int,
        seeds: Sequence[int],
        batch_size: int,
        latent_size: int,
        n_noise: int,
        normal: Normal = philox_normal,
    ) -> None:
        super().__init__(len(seeds), batch_size, images.device)
        self.images, self.image_shape, self.padding = images, image_shape, padding
        self.batch_size = batch_size
        self.order = [EpochSequence(len(images), seed, Order.UNLABELED) for seed in seeds]
        device = images.device
        self.latents = NormalStream(seeds, Stream.LATENTS, (batch_size, latent_size), device, normal)
        self.noises = [
            NormalStream(seeds, stream, (batch_size, n_noise), device, normal)
            for stream in (Stream.CORRUPTION_NOISE, Stream.GENERATED_NOISE)
            if n_noise
        ]

    def chosen(self, step: int) -> list[np.ndarray]:
        """Return the images of the window from `step` on."""
        return [order.batches(step, WINDOW_STEPS, self.batch_size) for order in self.order]

    def current(self) -> GANBatch:
        """Return the batch of the step that the stream stands at."""
        noises = [noise.at(self.step) for noise in self.noises]
        return GANBatch(
            images=framed(self.images[self.indices()], self.image_shape, self.padding),
            latents=self.latents.at(self.step),
            noise=torch.cat(noises, dim=1) if noises else None,
        )
