"""What a data set is to everything else: images in [0, 1], class indices, and a fingerprint of both."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.errors import UsageError
from ladder_ebgan.scaling import Scaling

MARKS_AS_TEXT = frozenset({"-1", "-1.0", "nan"})  # what NumPy makes of marks in an array of text
_LARGEST_EXACT_FLOAT = 2**53  # beyond it a float label no longer names one integer


class RawArrays(NamedTuple):
    """The arrays as a file holds them, before anything is checked or scaled; of the test both or none."""

    train_images: NDArray[Any]
    train_labels: NDArray[Any]
    test_images: NDArray[Any] | None = None
    test_labels: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Columns:
    """What the features of a table are called, and how they were brought to mean 0 and deviation 1."""

    features: tuple[str, ...]
    label: str  # name of the column of labels
    scaling: Scaling


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test images with their labels; `make_dataset` builds one from checked arrays.

    Images are flat, since the networks are permutation invariant; `image_shape` is what they are drawn with. The
    rows of a table take the place of images: standardised features, and -1 as the label of a row without one.
    """

    name: str  # short enough and plain enough for the name of a folder
    description: str  # one line: the source
    train_images: NDArray[np.float32]  # [n_train, features], in [0, 1]
    train_labels: NDArray[np.int64]  # [n_train], class indices 0 .. n_classes - 1; -1 without a label
    test_images: NDArray[np.float32]  # [n_test, features]
    test_labels: NDArray[np.int64]  # [n_test]
    classes: tuple[int | str, ...]  # the original label of each class index, sorted
    image_shape: tuple[int, ...]  # (28, 28), or (features,) where the data has no image shape
    fingerprint: str  # SHA-256 of the content; name, path and compression have no part in it
    columns: Columns | None = None  # of a table
    test_rows: NDArray[np.int64] | None = None  # [n_test], where no test set is apart: the labelled training images

    @property
    def examples(self) -> str:
        """What the images are called."""
        return "images" if self.columns is None else "rows"

    @property
    def is_images_with_test(self) -> bool:
        """Whether it is of images, and a test set of them apart, as MNIST is."""
        return self.columns is None and self.test_rows is None

    @property
    def labeled_rows(self) -> NDArray[np.int64]:
        """Indices of the training images whose label is known."""
        return np.flatnonzero(self.train_labels >= 0)

    @property
    def watched_rows(self) -> NDArray[np.int64]:
        """Indices of the training images whose label may be looked at while training: none that is for the test."""
        return self.labeled_rows if self.test_rows is None else np.zeros(0, dtype=np.int64)

    def tested(self, subset: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which test images a replica is tested on, as indices, that has learned the labels of `subset`.

        All, where the test set is apart; else those labelled rows whose label it has not seen.
        """
        if self.test_rows is None:
            return np.arange(len(self.test_labels))
        return np.flatnonzero(~np.isin(self.test_rows, subset))

    @property
    def n_features(self) -> int:
        """Number of pixels of an image."""
        return int(self.train_images.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of different labels of the training images."""
        return len(self.classes)


def make_dataset(
    name: str, description: str, arrays: RawArrays, source: str, without_labels: bool = False
) -> Dataset:
    """Return the data set of raw arrays; `source` begins the message of every UsageError.

    Images are `[n, features]`, `[n, height, width]` or `[n, height, width, channels]`: floats in [0, 1],
    booleans, or integers in 0..255, which are divided by 255. Labels are integers, booleans (0 and 1), floats
    without a fraction, or text; class indices follow their sorted order. A training image with an empty text has no
    label, nor has one with -1, but where there is one other label alone: -1 and 1 are two classes. Among text what
    NumPy makes of -1 or of a missing value is refused.

    Without test images the labelled training images are the test, each for those replicas that have not learned its
    label (`Dataset.tested`).

    `without_labels` takes images of one class or none as well, as if none had a label: for GANs.
    """
    train_images = scaled_images(arrays.train_images, f"{source}: the training images")
    train_shape = train_images.shape[1:]
    train_values = label_values(arrays.train_labels, len(train_images), f"{source}: the training labels")
    test = _test_set(arrays, train_shape, source)
    marks = sorted(MARKS_AS_TEXT.intersection(train_values.tolist())) if train_values.dtype.kind == "U" else []
    if marks:
        raise UsageError(
            f"{source}: the training labels have the text '{marks[0]}', which may be a class or mean that an image "
            "has no label: let those of such images be empty, or give the class another name"
        )
    has_label = _has_label(train_values)
    if not has_label.any() and not without_labels:
        raise UsageError(f"{source}: no training image has a label")
    classes, known = np.unique(train_values[has_label], return_inverse=True)
    if len(classes) < 2 and without_labels:
        test, has_label = None, np.zeros_like(has_label)
        classes, known = classes[:0], known[:0]
    elif len(classes) < 2:
        raise UsageError(
            f"{source}: every training label is {classes[0].item()!r}; there must be two classes or more"
        )
    train_labels = np.full(len(train_values), -1, dtype=np.int64)
    train_labels[has_label] = known
    train_images, class_values = train_images.reshape(len(train_images), -1), tuple(classes.tolist())
    if test is None:
        test_rows, hashed = np.flatnonzero(has_label), (train_images[:0], train_labels[:0])
        test_images, test_labels = train_images[test_rows], train_labels[test_rows]
    else:
        test_images, test_labels = test[0], indices_of_test_labels(test[1], classes, source)
        test_rows, hashed = None, (test_images, test_labels)
    return Dataset(
        *(name, description, train_images, train_labels, test_images, test_labels, class_values, train_shape),
        fingerprint=_fingerprint(train_shape, class_values, train_images, train_labels, *hashed),
        test_rows=test_rows,
    )


def _test_set(
    arrays: RawArrays, train_shape: tuple[int, ...], source: str
) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
    """Return the test images `[n, features]` and their labels as they are; None where there are none."""
    if arrays.test_images is None or arrays.test_labels is None:
        return None
    images = scaled_images(arrays.test_images, f"{source}: the test images")
    if images.shape[1:] != train_shape:
        raise UsageError(
            f"{source}: a training image has shape {_sizes(train_shape)} and a test image "
            f"{_sizes(images.shape[1:])}; the two must be the same"
        )
    values = label_values(arrays.test_labels, len(images), f"{source}: the test labels")
    return images.reshape(len(images), -1), values


def _has_label(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which images have a label, by the rules of `make_dataset`."""
    has_label: NDArray[np.bool_] = values != ("" if values.dtype.kind == "U" else -1)
    alone = values.dtype.kind != "U" and len(np.unique(values[has_label])) == 1
    return np.ones_like(has_label) if alone else has_label


def describe(dataset: Dataset) -> dict[str, object]:
    """Return what `ladder-ebgan data describe` says of a data set, ready for JSON."""
    known = dataset.train_labels[dataset.labeled_rows]
    test_labels = dataset.test_labels if dataset.test_rows is None else dataset.test_labels[:0]
    n_train_of_class = np.bincount(known, minlength=dataset.n_classes).tolist()
    n_test_of_class = np.bincount(test_labels, minlength=dataset.n_classes).tolist()
    both = (dataset.train_images, dataset.test_images)
    return {
        "name": dataset.name,
        "description": dataset.description,
        "n_train": len(dataset.train_labels),
        "n_labeled": len(known),
        "n_test": len(test_labels),
        "n_features": dataset.n_features,
        "image_shape": list(dataset.image_shape),
        "n_classes": dataset.n_classes,
        "classes": [
            {"label": label, "n_train": n_train, "n_test": n_test}
            for label, n_train, n_test in zip(dataset.classes, n_train_of_class, n_test_of_class, strict=True)
        ],
        "pixel_range": [
            min(float(images.min()) for images in both),
            max(float(images.max()) for images in both),
        ],
        "fingerprint": dataset.fingerprint,
    }


def scaled_images(images: NDArray[Any], what: str) -> NDArray[np.float32]:
    """Return images as floats in [0, 1], by the rules of `make_dataset`; `what` begins each UsageError."""
    if images.ndim not in {2, 3, 4}:
        raise UsageError(
            f"{what} have shape {_sizes(images.shape)}; they must be "
            "[n, features], [n, height, width] or [n, height, width, channels]"
        )
    if images.size == 0:
        raise UsageError(f"{what} are empty (shape {_sizes(images.shape)}); at least one image is needed")
    if images.dtype.kind not in "buif":
        raise UsageError(f"{what} are of type {images.dtype}; they must be floats, integers or booleans")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise UsageError(f"{what} contain NaN or infinite pixels; every pixel must lie in [0, 1]")
    lowest, highest = images.min().item(), images.max().item()
    if images.dtype.kind in "bf":
        if not 0 <= lowest <= highest <= 1:
            raise UsageError(f"{what} are floats in [{lowest}, {highest}]; they must lie in [0, 1]")
        return np.ascontiguousarray(images, dtype=np.float32)
    if not 0 <= lowest <= highest <= 255:
        raise UsageError(f"{what} are integers in [{lowest}, {highest}]; they must lie in 0..255")
    if highest == 1:  # dividing by 255 would leave images that are black to the eye, without a word
        raise UsageError(
            f"{what} are integers in [0, 1], but integers are divided by 255; "
            "to mean 0 and 1, store booleans or floats"
        )
    scaled = np.ascontiguousarray(images, dtype=np.float32)
    scaled /= 255
    return scaled


def label_values(labels: NDArray[Any], n_images: int, what: str) -> NDArray[Any]:
    """Return labels as int64 or text, by the rules of `make_dataset`; `what` begins each UsageError."""
    if labels.ndim != 1:
        raise UsageError(f"{what} have shape {_sizes(labels.shape)}; they must be [n], one label for each image")
    if len(labels) != n_images:
        raise UsageError(f"{what} are {len(labels)} for {n_images} images; there must be one for each image")
    kind = labels.dtype.kind
    if kind == "U":
        return labels
    if kind not in "buif":
        raise UsageError(f"{what} are of type {labels.dtype}; they must be integers or text")
    if kind == "f":
        with np.errstate(over="ignore"):  # of a long double: infinity is refused below like any other
            labels = labels.astype(np.float64)
        integral = (np.rint(labels) == labels) & (np.abs(labels) <= _LARGEST_EXACT_FLOAT)  # NaN is neither
        if not integral.all():
            raise UsageError(f"{what} contain {labels[~integral][0].item()}; they must be integers or text")
    if kind == "u" and labels.max() > np.iinfo(np.int64).max:
        raise UsageError(f"{what} contain {labels.max().item()}; integers must be below 2**63")
    return labels.astype(np.int64)


def indices_of_test_labels(values: NDArray[Any], classes: NDArray[Any], source: str) -> NDArray[np.int64]:
    """Return the class index of each test label; `source` begins each UsageError."""
    if values.dtype.kind != classes.dtype.kind:
        kinds = {"i": "numbers", "U": "text"}
        raise UsageError(
            f"{source}: training labels are {kinds[classes.dtype.kind]} and test labels "
            f"{kinds[values.dtype.kind]}; they must be of one kind"
        )
    indices = np.searchsorted(classes, values).clip(max=len(classes) - 1)
    unseen = np.unique(values[classes[indices] != values]).tolist()
    if unseen:
        listed = ", ".join(repr(label) for label in unseen[:5]) + (", ..." if len(unseen) > 5 else "")
        raise UsageError(f"{source}: test labels {listed} never occur in training; they must be known from it")
    return indices.astype(np.int64)


def _fingerprint(
    image_shape: tuple[int, ...],
    classes: tuple[int | str, ...],
    train_images: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    test_images: NDArray[np.float32],
    test_labels: NDArray[np.int64],
) -> str:
    """Return the SHA-256 of sizes and classes as JSON, then the arrays, little-endian on any machine."""
    header = {
        "n_train": len(train_labels),
        "n_test": len(test_labels),
        "image_shape": image_shape,
        "classes": classes,
    }
    digest = hashlib.sha256(json.dumps(header).encode())
    for images, labels in ((train_images, train_labels), (test_images, test_labels)):
        digest.update(_pixel_bytes(images))
        digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def _pixel_bytes(images: NDArray[np.float32]) -> bytes:
    """Return 8-bit images as one byte a pixel, a quarter of what there is to hash, and others as float32."""
    levels: NDArray[np.uint8] = np.rint(images * np.float32(255)).astype(np.uint8)
    if np.array_equal(levels / np.float32(255), images):
        return b"8-bit" + levels.tobytes()
    return b"float" + images.astype("<f4").tobytes()


def _sizes(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(str(size) for size in shape) + "]"
