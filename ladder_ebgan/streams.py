"""Named streams of random numbers: what a seed means.

Each replica owns one seed; each use of chance owns one stream of it. What a stream gives at a step is a function
of (seed, stream, step) alone: it does not matter which other replicas train beside it, or whether the run was
resumed.
"""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Uses of chance. The numbers are part of what a seed means: never reorder or reuse them."""

    LABELED_SUBSET = 0
    INITIAL_WEIGHTS = 1
    BATCH_ORDER = 2
    CORRUPTION_NOISE = 3
    GENERATED_NOISE = 4
    LATENTS = 5
    EVALUATION = 6
    ADVERSARIAL_DIRECTIONS = 7


def stream_generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Return the generator of one stream of `seed`; `key` is what in the stream it is for, such as a tensor."""
    return np.random.Generator(np.random.SFC64(_sequence(seed, stream, *key)))


def stream_key(seed: int, stream: Stream) -> int:
    """Return the 63-bit key of a stream of normal numbers."""
    return int(_sequence(seed, stream).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _sequence(seed: int, stream: Stream, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(int(stream), *key))
