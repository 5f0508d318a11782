"""New images for a trained model: of arrays, IDX files, PNG files or a data set; labels if known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.dataset import Dataset, label_values, scaled_images
from ladder_ebgan.data.idx import decompressed, parse_idx
from ladder_ebgan.data.loading import DATASET_NAMES, load_dataset
from ladder_ebgan.data.npz import listed, read_archive, read_npy
from ladder_ebgan.data.png import read_png
from ladder_ebgan.data.png_folders import entries, labeled_pngs, test_folder
from ladder_ebgan.errors import UsageError

# Names of images and of their labels in an archive; an archive has one pair, or the images alone.
NPZ_PAIRS = {"x": "y", "images": "labels", "x_test": "y_test"}
TRAINED = {"x_train": "y_train"}  # of the archive of a run without a test set, where there are no others
RIGHT = (
    "images must be an IDX file, an .npz or .npy file, PNG files or a folder of them, "
    f"or the name of a data set ({', '.join(DATASET_NAMES)})"
)


@dataclass(frozen=True, eq=False)
class Images:
    """Images that fit a model."""

    pixels: NDArray[np.floating]  # [n, features], in [0, 1]; of a table, features in their own units
    names: tuple[str, ...]  # of each image: its file, or its index from 0
    labels: NDArray[Any] | None = None  # [n], whole numbers or text as they were found
    notes: tuple[str, ...] = ()  # one line each on what was done to them
    labeled: NDArray[np.intp] | None = None  # indices of those with a label, where not all have one


def read_images(sources: Sequence[str], image_shape: Sequence[int]) -> Images:
    """Read the images of a model with images of that shape.

    `sources` is the name of a data set, whose test images it gives, one file, a folder, or several PNG files. A
    folder has the files of a data set, or PNG files: those in a subfolder have its name as their label; if it has
    `train` and `test`, those of the latter are read.

    Raises:
        UsageError: whatever is wrong with the names, the files or what they hold.
    """
    source, path = sources[0], Path(sources[0])
    try:
        if len(sources) > 1:
            return _from_pngs([Path(each) for each in sources], sources, image_shape)
        if source in DATASET_NAMES:
            return _from_dataset(load_dataset(source), image_shape)
        if source and path.is_dir():
            return _from_folder(path, image_shape)
        if path.is_file():
            return _from_file(path, image_shape)
    except OSError as error:
        raise UsageError(f"cannot read {str(error.filename or source)!r}: {error.strerror or error}") from error
    raise UsageError(f"there is no data set, file or folder {source!r}; {RIGHT}")


def with_labels_of(images: Images, path: Path) -> Images:
    """Return the images with labels from an IDX file, plain or compressed, or an .npy file.

    Raises:
        UsageError: they have labels already, or the file is damaged or not of one label for each.
    """
    what = f"the labels file {str(path)!r}"
    if images.labels is not None:
        raise UsageError(f"{what} is not needed: the images come with labels of their own")
    if path.exists() and not (path.is_file() or path.is_dir()):  # a device may have no end
        raise UsageError(f"{what} is not a file; give an IDX file or an .npy file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {what}: {error.strerror}") from error
    labels = read_npy(path) if content.startswith(b"\x93NUMPY") else parse_idx(decompressed(content, what), 1, what)
    return replace(images, labels=label_values(labels, len(images.pixels), f"the labels of {str(path)!r}"))


def with_missing_labels(images: Images, classes: Sequence[int | str]) -> Images:
    """Return the images with -1, unless it is a class of the model, and empty words taken as no label."""
    if images.labels is None or images.labeled is not None:
        return images
    texts = images.labels.astype(np.str_)
    unlabeled = np.isin(texts, list({"", "-1"} - set(map(str, classes))))
    labeled = np.flatnonzero(~unlabeled)
    if len(labeled) == len(texts):
        return images
    known = np.where(unlabeled, "", texts) if len(labeled) else None
    return replace(images, labels=known, labeled=labeled if len(labeled) else None)


def class_indices(labels: NDArray[Any], classes: Sequence[int | str]) -> NDArray[np.int64]:
    """Return the class index of each label; the folder '3' and the number 3 are the same label.

    Raises:
        UsageError: a label that is no class of the model.
    """
    index = {str(label): i for i, label in enumerate(classes)}
    values, inverse = np.unique(labels, return_inverse=True)
    unknown = [str(value) for value in values.tolist() if str(value) not in index]
    if unknown:
        known = ", ".join(list(index)[:20]) + (", ..." if len(index) > 20 else "")
        raise UsageError(f"labels that are no class of the model: {listed(unknown)}; its classes are {known}")
    return np.array([index[str(value)] for value in values.tolist()], dtype=np.int64)[inverse]


def _from_dataset(dataset: Dataset, image_shape: Sequence[int]) -> Images:
    pixels = dataset.test_images.reshape(-1, *dataset.image_shape)
    labels = np.array(dataset.classes)[dataset.test_labels]
    return _from_array(pixels, labels, image_shape, f"the test images of {dataset.name}")


def _from_file(path: Path, image_shape: Sequence[int]) -> Images:
    """Read a file by what it holds, whatever it is called."""
    what = f"the images of {str(path)!r}"
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"\x89PNG"):
        return _from_pngs([path], [str(path)], image_shape)
    if start.startswith(b"\x93NUMPY"):
        return _from_array(read_npy(path), None, image_shape, what)
    if start.startswith(b"PK"):
        return _from_archive(path, image_shape, what)
    if not start.startswith((b"\0\0", b"\x1f\x8b")):
        raise UsageError(f"the file {str(path)!r} holds no images that can be read; {RIGHT}")
    file_name = f"the file {str(path)!r}"
    return _from_array(parse_idx(decompressed(path.read_bytes(), file_name), 3, file_name), None, image_shape, what)


def _from_archive(path: Path, image_shape: Sequence[int], what: str) -> Images:
    pairs = NPZ_PAIRS
    arrays, present = read_archive(path, [*pairs, *pairs.values()], RIGHT)
    if TRAINED.keys() <= present and not NPZ_PAIRS.keys() & present:
        pairs = TRAINED
        arrays, _ = read_archive(path, [*pairs, *pairs.values()], RIGHT)
    found = [name for name in pairs if name in arrays]
    if len(found) != 1:
        raise UsageError(
            f"the archive {str(path)!r} must hold images under one of the names {', '.join(NPZ_PAIRS)}, or else "
            f"x_train (with labels under {', '.join(NPZ_PAIRS.values())}, y_train); it holds {listed(present)}"
        )
    return _from_array(arrays[found[0]], arrays.get(pairs[found[0]]), image_shape, what)


def _from_array(array: NDArray[Any], labels: NDArray[Any] | None, image_shape: Sequence[int], what: str) -> Images:
    if array.shape == tuple(image_shape):
        array = array[None]  # a single image
    pixels = scaled_images(array, what)
    n, found, wanted = len(pixels), pixels.shape[1:], tuple(image_shape)
    flat = pixels.reshape(n, -1)
    if found != wanted and (flat.shape[1] != np.prod(wanted) or min(len(found), len(wanted)) > 1):
        raise UsageError(f"{what} have shape {list(found)}; the model takes {list(wanted)}")
    if labels is not None:
        labels = label_values(labels, n, f"the labels of {what.removeprefix('the images of ')}")
    return Images(flat, tuple(map(str, range(n))), labels)


def _from_folder(folder: Path, image_shape: Sequence[int]) -> Images:
    if any(folder.glob("t10k-images*")):
        return _from_dataset(load_dataset(str(folder)), image_shape)
    folder = test_folder(folder) or folder
    paths, labels = labeled_pngs(folder)
    if not paths:
        raise UsageError(f"the folder {str(folder)!r} holds no PNG files, and no subfolder of it does")
    images = _from_pngs(paths, [path.relative_to(folder).as_posix() for path in paths], image_shape)
    n_others = sum(path.is_file() for parent in {path.parent for path in paths} for path in entries(parent))
    n_others -= len(paths)
    notes = [f"Files left out, since they are no PNG files: {n_others}."] if n_others else []
    images, labeled = replace(images, notes=(*images.notes, *notes)), np.flatnonzero(labels != "")
    if not len(labeled):
        return images
    return replace(images, labels=labels, labeled=None if len(labeled) == len(labels) else labeled)


def _from_pngs(paths: Sequence[Path], names: Sequence[str], image_shape: Sequence[int]) -> Images:
    pictures = [read_png(path, image_shape) for path in paths]
    pixels = np.stack([picture.pixels for picture in pictures]).reshape(len(paths), -1)
    n_colored = sum(picture.was_colored for picture in pictures)
    note = f"Images with colours, which were turned into grey (ITU-R BT.601): {n_colored} of {len(paths)}."
    return Images(pixels, tuple(names), notes=(note,) if n_colored else ())
