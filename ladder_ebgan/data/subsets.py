"""Which training images keep their labels: subsets nested, and balanced as far as each class has images."""

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.dataset import Dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.streams import Stream, stream_generator

LEARNED_SHARE = 0.8  # of the labels, where the others are the test


def labeled_order(labels: NDArray[np.int64], seed: int, n_classes: int) -> NDArray[np.int64]:
    """Return an order `[n]` of images with these labels: its first n are the labelled subset of n labels.

    Round k takes one more image of every class that still has one; within a round the classes come in an
    order drawn anew, so the seed decides which get the remainder of a budget that does not divide evenly.
    """
    generator = stream_generator(seed, Stream.LABELED_SUBSET)
    by_class, round_of_image = _shuffled_by_class(labels, generator, n_classes)
    # A round holds one image of a class at most: ordering its images at random orders its classes at random.
    place_in_round = generator.random(len(labels))
    return by_class[np.lexsort((place_in_round, round_of_image))]


def proportional_order(labels: NDArray[np.int64], seed: int, n_classes: int) -> NDArray[np.int64]:
    """Return an order `[n]` whose first m hold one of each class, and the classes in the proportions of `labels`.

    Those that are left then have these proportions too, so that an error rate can be measured on them. (In
    `labeled_order` the smaller classes come first, and few or none of them are left.)
    """
    generator = stream_generator(seed, Stream.LABELED_SUBSET)
    by_class, round_of_row = _shuffled_by_class(labels, generator, n_classes)
    offset, tie = generator.random(n_classes), generator.random(len(labels))
    of_row = labels[by_class]
    share = (round_of_row + offset[of_row]) / np.bincount(labels, minlength=n_classes)[of_row]
    return by_class[np.lexsort((tie, np.where(round_of_row == 0, -1.0, share)))]


def _shuffled_by_class(
    labels: NDArray[np.int64], generator: np.random.Generator, n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return an order, one class after the other and each shuffled, and the place of each within its class."""
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    n_of_class = np.bincount(labels, minlength=n_classes)
    first_of_class = np.cumsum(n_of_class) - n_of_class
    return by_class, np.arange(len(labels)) - first_of_class[labels[by_class]]


def subset_order(dataset: Dataset, seed: int) -> NDArray[np.int64]:
    """Return an order of the images with a label: its first n are the labelled subset of n labels of that seed."""
    order = labeled_order if dataset.is_images_with_test else proportional_order
    rows = dataset.labeled_rows
    return rows[order(dataset.train_labels[rows], seed, dataset.n_classes)]


def default_budget(dataset: Dataset) -> int:
    """Return how many labels are learned at most: all, or four fifths where the others have to be the test."""
    n = len(dataset.labeled_rows)
    return n if dataset.test_rows is None else max(dataset.n_classes, min(round(LEARNED_SHARE * n), n - 1))


def check_budget(labels_budget: int, dataset: Dataset) -> None:
    """Raise UsageError unless a budget gives every class a label and there are that many training images."""
    if not dataset.is_images_with_test:
        _check_budget_beside_test(labels_budget, dataset)
        return
    n_labeled = len(dataset.labeled_rows)
    if not dataset.n_classes <= labels_budget <= n_labeled:
        labeled = "" if n_labeled == len(dataset.train_labels) else " with a label"
        raise UsageError(
            f"{labels_budget} labels do not fit {dataset.name}: there must be at least {dataset.n_classes}, "
            f"one for each class, and at most {n_labeled}, the number of training images{labeled}"
        )


def _check_budget_beside_test(labels_budget: int, dataset: Dataset) -> None:
    """As `check_budget`, where labelled rows, or images, may have to be left for the test."""
    n_labeled, n_classes, held_out = len(dataset.labeled_rows), dataset.n_classes, dataset.test_rows is not None
    most, examples = n_labeled - held_out, dataset.examples
    how = "" if dataset.columns is None else " with --test-data"
    rest = f"some must be left to test on; label more, or give a test set{how}" if held_out else ""
    if most < n_classes:
        raise UsageError(f"{dataset.name} has {n_labeled} labelled {examples} of {n_classes} classes, and {rest}")
    if not n_classes <= labels_budget <= most:
        raise UsageError(
            f"{labels_budget} labels do not fit {dataset.name}: there must be at least {n_classes}, one for each "
            f"class, and at most {most} of its {n_labeled} labelled {examples}" + (f": {rest}" if rest else "")
        )
