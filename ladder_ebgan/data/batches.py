"""Which images each step sees.

The labelled and the unlabelled order of a replica are each one endless sequence of indices made of epochs,
every epoch a fresh permutation. Step s sees places `s * batch_size` up to `(s + 1) * batch_size`: a function
of (seed, s) alone, whichever steps are asked for together. A batch may straddle epochs, and a labelled subset
smaller than the batch is cycled within it.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.streams import Stream, stream_generator

_BLOCK_INDICES = 65_536


class Order(IntEnum):
    """Which of a replica's two sequences. The numbers are part of what a seed means."""

    LABELED = 0
    UNLABELED = 1


class EpochSequence:
    """The endless sequence of image indices of one replica; it keeps the part that was asked for last, no more.

    Args:
        n: how many images an epoch has.
        seed: of the replica.
        order: of which images.
    """

    def __init__(self, n: int, seed: int, order: Order) -> None:
        self.n, self.seed, self.order = n, seed, order
        # Epochs that share a generator: one for a whole data set, many for a small labelled subset, since to set up
        # a generator costs as much as to shuffle thousands of indices, and 100 labels make an epoch of every step.
        self.epochs_per_block = max(1, _BLOCK_INDICES // n)
        self.blocks: dict[int, NDArray[np.int64]] = {}

    def batches(self, first_step: int, n_steps: int, batch_size: int) -> NDArray[np.int64]:
        """Return the indices, below n, that steps `first_step` onwards see `[n_steps, batch_size]`."""
        start, stop = first_step * batch_size, (first_step + n_steps) * batch_size
        n_block = self.n * self.epochs_per_block
        numbers = range(start // n_block, stop // n_block + 1)
        self.blocks = {number: self._block(number) for number in numbers}
        pieces = [
            block[max(start - number * n_block, 0) : stop - number * n_block]
            for number, block in self.blocks.items()
        ]
        return np.concatenate(pieces).reshape(n_steps, batch_size)

    def _block(self, number: int) -> NDArray[np.int64]:
        if number in self.blocks:
            return self.blocks[number]
        epochs = np.tile(np.arange(self.n), (self.epochs_per_block, 1))
        generator = stream_generator(self.seed, Stream.BATCH_ORDER, self.order, number)
        return generator.permuted(epochs, axis=1).ravel()
