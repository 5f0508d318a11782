"""How well a setting can be chosen with a small validation set.

A large validation set is more labels than a semi-supervised task has: with it, settings can be told apart that
nobody with as few labels could. Oliver, Odena, Raffel, Cubuk, Goodfellow 2018, "Realistic Evaluation of Deep
Semi-Supervised Learning Algorithms", arXiv 1804.09170, section 4.6.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_DRAWS = 2000


class Choice(NamedTuple):
    """What comes of choosing the setting by a validation set of some size."""

    n_images: int  # of the validation set
    error_percent: float  # mean error, on all validation images, of the setting that is chosen
    best_percent: float  # how often that is the setting which is best on all of them


def choices(
    correct: NDArray[np.bool_], labels: NDArray[np.int64], sizes: Sequence[int], seed: int = 0
) -> list[Choice]:
    """Choose many times by validation sets of each size, drawn at random, as even over the classes as they can be.

    Each time the models of one labelled subset are compared, as somebody would who has that subset.

    Args:
        correct: whether an image is classified rightly `[settings, subsets, images]`.
        labels: class indices of the images `[images]`.
        sizes: numbers of images.
        seed: of the draws.
    """
    errors = 100 * (1 - correct.mean(axis=2))  # [settings, subsets]
    mean_errors = errors.mean(axis=1)
    best = int(mean_errors.argmin())
    found = []
    for size in sizes:
        generator = np.random.default_rng((seed, size))
        chosen = [_chosen(correct, _even_sample(labels, size, generator), generator) for _ in range(N_DRAWS)]
        found.append(Choice(size, float(mean_errors[chosen].mean()), 100 * chosen.count(best) / N_DRAWS))
    return found


def _chosen(correct: NDArray[np.bool_], images: NDArray[np.int64], generator: np.random.Generator) -> int:
    """Return the setting with the fewest errors on some images, for a subset at random; of equals, any."""
    subset = generator.integers(correct.shape[1])
    n_right = correct[:, subset][:, images].sum(axis=1)
    return int(generator.choice(np.flatnonzero(n_right == n_right.max())))


def _even_sample(labels: NDArray[np.int64], size: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return indices of images at random, of each class as many, give or take one, as long as it has some."""
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)  # within its class
    return by_class[np.lexsort((generator.random(len(labels)), rank))][:size]
