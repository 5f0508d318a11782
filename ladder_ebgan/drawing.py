"""Images drawn from generators: image i is a function of a seed and i, however many are drawn."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.generator import Generator
from ladder_ebgan.streams import Stream, stream_generator


def as_bytes(images: Tensor) -> np.ndarray:
    """Return images in [0, 1] as bytes; what is not finite becomes 0 or 255."""
    return np.asarray((255 * images.clamp(0, 1)).nan_to_num().round().to(torch.uint8).cpu())


@torch.no_grad()
def draw(generator: Generator, seeds: Sequence[int], n: int, batch_size: int) -> Tensor:
    """Return `[replicas, n, features]` as the generators make them.

    Latents come in whole batches of the training's size, whose own statistics normalise them as in training.

    Args:
        generator: of several replicas.
        seeds: of the latents, one a replica.
        n: how many of each replica.
        batch_size: of the training.
    """
    device, shape = generator.weight[0].device, (batch_size, generator.sizes[0])
    streams = [stream_generator(seed, Stream.EVALUATION, 2) for seed in seeds]
    batches = []
    for _ in range(math.ceil(n / batch_size)):
        latents = np.stack([stream.standard_normal(shape, dtype=np.float32) for stream in streams])
        batches.append(generator(torch.from_numpy(latents).to(device)).float())
    return torch.cat(batches, dim=1)[:, :n]
