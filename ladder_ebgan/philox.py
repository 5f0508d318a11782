"""Standard normal numbers without generator or state: each is a function of (key, step, place).

Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
doi:10.1145/2063384.2063405. From words to normal numbers: Box and Muller, "A note on the generation of random
normal deviates", Annals of Mathematical Statistics, 1958, doi:10.1214/aoms/1177706645.

All of it is plain operations on tensors, and `step` is one of them: what was compiled or captured once gives new
numbers as soon as the step's tensor holds another number.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

WORD = 2**32 - 1  # 32-bit words are held in int64: few operations know uint32
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)  # fractions of the golden ratio and of sqrt(3)
N_ROUNDS = 10


def philox4x32(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return four random words for each counter and key; all words are int64 in [0, 2**32) and broadcast."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(N_ROUNDS):
        # M c may need one bit more than int64 has, and C++ compilers take it that nothing overflows. (M - 2**32) c
        # does fit: it has the same low word, and a high word that is less by c.
        product0, product1 = c0 * (MULTIPLIERS[0] - 2**32), c2 * (MULTIPLIERS[1] - 2**32)
        low0, high0 = product0 & WORD, (product0 >> 32) + c0
        low1, high1 = product1 & WORD, (product1 >> 32) + c2
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + KEY_INCREMENTS[0]) & WORD, (k1 + KEY_INCREMENTS[1]) & WORD
    return c0, c1, c2, c3


def philox_normal(keys: Tensor, step: Tensor, shape: Sequence[int]) -> Tensor:
    """Return standard normal numbers for each key at `step`, float32 `[replicas, *shape]`.

    The flattened shape is cut into four parts of as many places as there are counters, the last one perhaps
    incomplete: counter i, which is (i, step) in words, gives the i-th number of each part. A number therefore
    depends on the shape, but not on the other keys. Shapes share their words: numbers that are used together need
    keys of their own.

    Args:
        keys: int64 `[replicas]`, as `streams.stream_key` gives them.
        step: int64 `[]`, on the device of `keys`.
        shape: of one replica's numbers. The result is contiguous if their count is a multiple of four.
    """
    n_numbers = math.prod(shape)
    n_counters = -(-n_numbers // 4)
    counter = (*_words(torch.arange(n_counters, device=keys.device)), *_words(step))
    w0, w1, w2, w3 = philox4x32(counter, _words(keys[:, None]))  # [replicas, counters]
    numbers = torch.cat([*_box_muller(w0, w1), *_box_muller(w2, w3)], dim=1)  # [replicas, 4 counters]
    return numbers[:, :n_numbers].reshape(len(keys), *shape)


def _words(number: Tensor) -> tuple[Tensor, Tensor]:
    """Return the low and the high word of a number of up to 64 bits."""
    return number & WORD, (number >> 32) & WORD


def _box_muller(radius_word: Tensor, angle_word: Tensor) -> tuple[Tensor, Tensor]:
    """Return sqrt(-2 log u) cos(2 pi v) and sqrt(-2 log u) sin(2 pi v), float32, u in (0, 1] and v in [0, 1]."""
    u = (radius_word + 1).to(torch.float32) * 2.0**-32
    angle = angle_word.to(torch.float32) * (2 * math.pi * 2.0**-32)
    cosine = (-2 * u.log()).sqrt() * angle.cos()
    # On a GPU, Inductor computes a short `cat` place by place, every part at every place, unless something else
    # reads a part, as the sine does here. No float32 is so close to a pole that the tangent would harm it.
    return cosine, cosine * angle.tan()
