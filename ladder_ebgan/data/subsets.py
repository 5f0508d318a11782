"""Which training images keep their labels: subsets nested, and balanced as far as each class has images."""

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.dataset import Dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.streams import Stream, stream_generator


def labeled_order(labels: NDArray[np.int64], seed: int, n_classes: int) -> NDArray[np.int64]:
    """Return an order `[n_train]` of all training images: its first n are the labelled subset of n labels.

    Round k takes one more image of every class that still has one; within a round the classes come in an
    order drawn anew, so the seed decides which get the remainder of a budget that does not divide evenly.
    """
    generator = stream_generator(seed, Stream.LABELED_SUBSET)
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]  # classes one after the other, each shuffled
    n_of_class = np.bincount(labels, minlength=n_classes)
    first_of_class = np.cumsum(n_of_class) - n_of_class
    round_of_image = np.arange(len(labels)) - first_of_class[labels[by_class]]
    # A round holds one image of a class at most: ordering its images at random orders its classes at random.
    place_in_round = generator.random(len(labels))
    return by_class[np.lexsort((place_in_round, round_of_image))]


def check_budget(labels_budget: int, dataset: Dataset) -> None:
    """Raise UsageError unless a budget gives every class a label and there are that many training images."""
    n_train = len(dataset.train_labels)
    if not dataset.n_classes <= labels_budget <= n_train:
        raise UsageError(
            f"{labels_budget} labels do not fit {dataset.name}: there must be at least {dataset.n_classes}, "
            f"one for each class, and at most {n_train}, the number of training images"
        )
