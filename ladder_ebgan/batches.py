"""What a training step is given: images, noise and latents, on the device.

Every number is a function of (seed, stream, step), so that a run goes on from any step as if never stopped, and a
replica gets the same batches and noise whichever replicas train beside it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.data import EpochSequence, Order
from ladder_ebgan.philox import philox_normal
from ladder_ebgan.streams import Stream, stream_key

WINDOW_STEPS = 64  # the images of so many steps are chosen at a time


class Batch(NamedTuple):
    """The arguments of a step; the batch axis holds the labelled images, then the unlabelled ones."""

    images: Tensor  # [replicas, 2 batch, features]
    labels: Tensor  # [replicas, batch], class indices
    noise: Tensor  # [replicas, 2 batch, units of all layers], standard normal
    latents: Tensor | None  # [replicas, batch, latent], standard normal; None without a generator
    generated_noise: Tensor | None  # [replicas, batch, units of all layers]; None where they pass a clean ladder
    directions: Tensor | None = None  # [replicas, batch, features], standard normal; None where they are not used


Normal = Callable[[Tensor, Tensor, Sequence[int]], Tensor]  # as philox_normal


class NormalStream:
    """Standard normal numbers of one stream: a function of seed and step, without any state.

    Args:
        seeds: of each replica.
        stream: what they are for.
        shape: of one replica's numbers.
        device: where they are drawn.
        normal: `philox_normal`, or what computes the same faster.
    """

    def __init__(
        self, seeds: Sequence[int], stream: Stream, shape: tuple[int, ...], device: torch.device, normal: Normal
    ) -> None:
        self.keys = torch.tensor([stream_key(seed, stream) for seed in seeds], device=device)
        self.shape, self.normal = shape, normal

    def at(self, step: Tensor) -> Tensor:
        """Return the numbers of `step`, an int64 `[]` on the device, as `[replicas, *shape]`."""
        return self.normal(self.keys, step, self.shape)


class ImageStream:
    """Which images the replicas of a group see, one step after the other.

    Where it stands is on the device, so that a captured step finds it there and moves it on.

    Args:
        n_replicas: of the group.
        n_images: of a replica in a step.
        device: where the step takes them from.
    """

    def __init__(self, n_replicas: int, n_images: int, device: torch.device) -> None:
        self.step = torch.zeros((), dtype=torch.int64, device=device)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)  # in the window
        self.window = torch.zeros(WINDOW_STEPS, n_replicas, n_images, dtype=torch.int64, device=device)

    def seek(self, step: int) -> None:
        """Go to `step`, the first of a window of WINDOW_STEPS steps; their images are chosen and sent over."""
        self.window.copy_(torch.from_numpy(np.stack(self.chosen(step), axis=1)))
        self.position.zero_()
        self.step.fill_(step)

    def chosen(self, step: int) -> list[np.ndarray]:
        """Return the images of the window from `step` on, as indices `[WINDOW_STEPS, n_images]` of each replica."""
        raise NotImplementedError

    def indices(self) -> Tensor:
        """Return the images of the step that the stream stands at `[replicas, n_images]`."""
        return self.window.index_select(0, self.position).squeeze(0)

    def advance(self) -> None:
        """Go to the next step, in place, so that a captured step does it whenever it is replayed."""
        self.step += 1
        self.position += 1


class BatchStream(ImageStream):
    """The batches of a group of replicas, one step after the other.

    Args:
        images: all training images `[n_images, features]`, on the device.
        labels: their class indices `[n_images]`; only those of the subsets are ever read.
        subsets: the labelled images of each replica, as indices.
        seeds: of each replica.
        batch_size: labelled and unlabelled images a step, each.
        n_units: noise values an image takes.
        latent_size: of the generator's input; None without a generator.
        normal: `philox_normal`, or what computes the same faster.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        subsets: Sequence[np.ndarray],
        seeds: Sequence[int],
        batch_size: int,
        n_units: int,
        latent_size: int | None,
        normal: Normal = philox_normal,
    ) -> None:
        super().__init__(len(seeds), 2 * batch_size, images.device)
        self.images, self.labels = images, labels
        self.subsets, self.batch_size = subsets, batch_size
        self.labeled = [
            EpochSequence(len(subset), seed, Order.LABELED) for subset, seed in zip(subsets, seeds, strict=True)
        ]
        self.unlabeled = [EpochSequence(len(images), seed, Order.UNLABELED) for seed in seeds]

        def normals(stream: Stream, *shape: int) -> NormalStream:
            return NormalStream(seeds, stream, shape, images.device, normal)

        self.noise = normals(Stream.CORRUPTION_NOISE, 2 * batch_size, n_units)
        self.directions = normals(Stream.ADVERSARIAL_DIRECTIONS, batch_size, images.shape[1])
        if latent_size is not None:
            self.latents = normals(Stream.LATENTS, batch_size, latent_size)
            self.generated_noise = normals(Stream.GENERATED_NOISE, batch_size, n_units)

    def chosen(self, step: int) -> list[np.ndarray]:
        """Return the images of the window from `step` on: labelled, then unlabelled ones."""
        span = (step, WINDOW_STEPS, self.batch_size)
        return [
            np.concatenate([subset[labeled.batches(*span)], unlabeled.batches(*span)], axis=1)
            for subset, labeled, unlabeled in zip(self.subsets, self.labeled, self.unlabeled, strict=True)
        ]

    def current(
        self, adversarial: bool = False, with_directions: bool = False, corrupt_generated: bool = True
    ) -> Batch:
        """Return the batch of the step that the stream stands at.

        Args:
            adversarial: with latents and the noise of generated images.
            with_directions: with those of virtual adversarial training.
            corrupt_generated: whether generated images have noise.
        """
        index = self.indices()
        return Batch(
            images=self.images[index],
            labels=self.labels[index[:, : self.batch_size]],
            noise=self.noise.at(self.step),
            latents=self.latents.at(self.step) if adversarial else None,
            generated_noise=self.generated_noise.at(self.step) if adversarial and corrupt_generated else None,
            directions=self.directions.at(self.step) if with_directions else None,
        )
