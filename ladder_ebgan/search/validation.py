"""The validation split: training images that no training of a search sees."""

from dataclasses import replace

import numpy as np

from ladder_ebgan.data import Dataset
from ladder_ebgan.data.subsets import subset_order
from ladder_ebgan.errors import UsageError

SPLIT_SEED = 0  # one split for all searches of a data set, so that their errors can be compared


def validation_split(dataset: Dataset, n_validation: int) -> Dataset:
    """Return a data set whose test images are held out of the training images of `dataset`; its own are gone.

    They have labels, and the classes are as even among them as they can be.

    Args:
        dataset: what there is.
        n_validation: how many images to hold out.

    Raises:
        UsageError: too few images, or too few are left.
    """
    dataset = replace(dataset, test_rows=None)
    labeled, n_classes = dataset.labeled_rows, dataset.n_classes
    most = len(labeled) - n_classes
    if not n_classes <= n_validation <= most:
        known = "" if len(labeled) == len(dataset.train_labels) else " with a label"
        raise UsageError(
            f"{n_validation} validation images do not fit {dataset.name}: there must be at least {n_classes}, "
            f"one for each class, and at most {most} of its {len(labeled)} training images{known}"
        )
    held_out = np.sort(subset_order(dataset, SPLIT_SEED)[:n_validation])
    kept = np.delete(np.arange(len(dataset.train_labels)), held_out)
    missing = set(range(n_classes)) - set(dataset.train_labels[kept].tolist())
    if missing:
        which = dataset.classes[min(missing)]
        raise UsageError(f"{n_validation} validation images are all there are of class {which!r}: hold out fewer")
    return replace(
        dataset,
        train_images=dataset.train_images[kept],
        train_labels=dataset.train_labels[kept],
        test_images=dataset.train_images[held_out],
        test_labels=dataset.train_labels[held_out],
    )
