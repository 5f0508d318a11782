"""What a training step is given: images, noise and latents, on the device.

Every number is a function of (seed, stream, step), so that a run goes on from any step as if never stopped, and a
replica gets the same batches and noise whichever replicas train beside it.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.data import labeled_batches, unlabeled_batches
from ladder_ebgan.streams import Stream, stream_key

INDEX_BLOCK_STEPS = 64  # batch indices are made for so many steps at a time


class Batch(NamedTuple):
    """The arguments of a step; the batch axis holds the labelled images, then the unlabelled ones."""

    images: Tensor  # [replicas, 2 batch, features]
    labels: Tensor  # [replicas, batch], class indices
    noise: Tensor  # [replicas, 2 batch, units of all layers], standard normal
    latents: Tensor | None  # [replicas, batch, latent], standard normal; None without a generator
    generated_noise: Tensor | None  # [replicas, batch, units of all layers]


class NormalStream:
    """Standard normal numbers of one stream, a fixed number for each replica and step.

    On a CPU the numbers of the next step are drawn on another thread while this one is computed; as they depend
    on (seed, stream, step) alone, they are the same numbers. Two buffers take turns.
    """

    def __init__(self, seeds: Sequence[int], stream: Stream, shape: tuple[int, ...], device: torch.device) -> None:
        self.seeds, self.stream = seeds, stream
        self.generator = torch.Generator(device)
        self.buffers = [torch.empty((len(seeds), *shape), device=device) for _ in range(2)]
        self.drawer = ThreadPoolExecutor(1, thread_name_prefix="noise") if device.type == "cpu" else None
        self.ahead: tuple[int, Future[Tensor]] | None = None  # a step, and its numbers to come

    def at(self, step: int) -> Tensor:
        """Return the numbers of `step`, `[replicas, *shape]`; the next call may overwrite them."""
        if self.drawer is None:
            return self._draw(step)
        ahead = self.ahead if self.ahead is not None and self.ahead[0] == step else None
        numbers = (ahead[1] if ahead else self.drawer.submit(self._draw, step)).result()
        self.ahead = (step + 1, self.drawer.submit(self._draw, step + 1))
        return numbers

    def _draw(self, step: int) -> Tensor:
        buffer = self.buffers[step % 2]
        for values, seed in zip(buffer, self.seeds, strict=True):
            self.generator.manual_seed(stream_key(seed, self.stream, step))
            values.normal_(generator=self.generator)
        return buffer


class BatchStream:
    """The batches of a group of replicas.

    Args:
        images: all training images `[n_images, features]`, on the device.
        labels: their class indices `[n_images]`; only those of the subsets are ever read.
        subsets: the labelled images of each replica, as indices.
        seeds: of each replica.
        batch_size: labelled and unlabelled images a step, each.
        n_units: noise values an image takes.
        latent_size: of the generator's input; None without a generator.
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
    ) -> None:
        self.images, self.labels = images, labels
        self.subsets, self.seeds, self.batch_size = subsets, seeds, batch_size
        self.block_start, self.block = -INDEX_BLOCK_STEPS, torch.empty(0)
        device = images.device
        self.noise = NormalStream(seeds, Stream.CORRUPTION_NOISE, (2 * batch_size, n_units), device)
        self.has_generator = latent_size is not None
        if latent_size is not None:
            self.latents = NormalStream(seeds, Stream.LATENTS, (batch_size, latent_size), device)
            self.generated_noise = NormalStream(seeds, Stream.GENERATED_NOISE, (batch_size, n_units), device)

    def at(self, step: int, adversarial: bool = False) -> Batch:
        """Return the batch of `step`, with latents and their noise if `adversarial`."""
        index = self._index(step)
        return Batch(
            images=self.images[index],
            labels=self.labels[index[:, : self.batch_size]],
            noise=self.noise.at(step),
            latents=self.latents.at(step) if adversarial else None,
            generated_noise=self.generated_noise.at(step) if adversarial else None,
        )

    def _index(self, step: int) -> Tensor:
        """Return image indices `[replicas, 2 batch]`, from a block of steps that lies on the device."""
        if not self.block_start <= step < self.block_start + INDEX_BLOCK_STEPS:
            window = (step, INDEX_BLOCK_STEPS, self.batch_size)
            replicas = [
                np.concatenate(
                    [
                        labeled_batches(subset, seed, *window),
                        unlabeled_batches(len(self.images), seed, *window),
                    ],
                    axis=1,
                )
                for subset, seed in zip(self.subsets, self.seeds, strict=True)
            ]
            self.block = torch.from_numpy(np.stack(replicas, axis=1)).to(self.images.device)
            self.block_start = step
        return self.block[step - self.block_start]
