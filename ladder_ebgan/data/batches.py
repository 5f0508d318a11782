"""Which images each step sees.

The labelled and the unlabelled order of a replica are each one endless sequence of indices made of epochs,
every epoch a fresh permutation. Step s sees places `s * batch_size` up to `(s + 1) * batch_size`: a function
of (seed, s) alone, whichever steps are asked for together. A batch may straddle epochs, and a labelled subset
smaller than the batch is cycled within it.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.streams import Stream, stream_generator

_LABELED, _UNLABELED = 0, 1
_BLOCK_INDICES = 65_536


def labeled_batches(
    subset: NDArray[np.int64], seed: int, first_step: int, n_steps: int, batch_size: int
) -> NDArray[np.int64]:
    """Return the images `[n_steps, batch_size]` that steps `first_step` onwards draw from a subset `[n]`."""
    return subset[_window(len(subset), (seed, _LABELED), first_step, n_steps, batch_size)]


def unlabeled_batches(n_train: int, seed: int, first_step: int, n_steps: int, batch_size: int) -> NDArray[np.int64]:
    """Return the images `[n_steps, batch_size]` that steps `first_step` onwards draw from all `n_train`."""
    return _window(n_train, (seed, _UNLABELED), first_step, n_steps, batch_size)


def _window(n: int, order: tuple[int, int], first_step: int, n_steps: int, batch_size: int) -> NDArray[np.int64]:
    start, stop = first_step * batch_size, (first_step + n_steps) * batch_size
    n_block = n * _epochs_per_block(n)
    pieces = [
        _block(n, order, block)[max(start - block * n_block, 0) : stop - block * n_block]
        for block in range(start // n_block, stop // n_block + 1)
    ]
    return np.concatenate(pieces).reshape(n_steps, batch_size)


def _epochs_per_block(n: int) -> int:
    """Return how many epochs share a generator: one for a whole data set, many for a small labelled subset.

    Setting up a generator costs as much as shuffling thousands of indices, and 100 labels make an epoch of
    every step.
    """
    return max(1, _BLOCK_INDICES // n)


# Windows are short and blocks long: each block is asked for many times. 64 replicas use up to 256 at a time.
@lru_cache(maxsize=512)
def _block(n: int, order: tuple[int, int], block: int) -> NDArray[np.int64]:
    seed, which = order
    epochs = np.tile(np.arange(n), (_epochs_per_block(n), 1))
    indices = stream_generator(seed, Stream.BATCH_ORDER, which, block).permuted(epochs, axis=1).ravel()
    indices.flags.writeable = False  # the cache hands the same array to every caller
    return indices
