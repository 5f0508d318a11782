"""Folders of PNG files: a subfolder for each class, named like it, and images without a label beside these."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.dataset import RawArrays
from ladder_ebgan.data.png import png_size, read_png
from ladder_ebgan.errors import UsageError

TRAIN, TEST = "train", "test"  # subfolders, each a folder of classes, where the test is apart
IMAGES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"}
PLACE = "images of a class lie in a subfolder named like it, those without a label beside these subfolders"


def has_pngs(folder: Path) -> bool:
    """Return whether there are PNG files in a folder or its subfolders, or in those of `train` in it."""
    return any(True for each in (folder, folder / TRAIN) if each.is_dir() for _ in _pngs(each))


def read_png_folder(folder: Path) -> RawArrays:
    """Read the images of a folder: of `train` and `test` in it, if it has both, else all are for the training.

    Images are `[n, height, width]`, or `[n, height, width, 3]` if one of them has colours. Labels are names of
    folders, empty where an image lies beside the folders.

    Raises:
        UsageError: images of several sizes or other formats or in other places, or test images without a label.
    """
    test = test_folder(folder)
    if test is None and _has_folders(folder / TRAIN):
        raise UsageError(
            f"the folder {str(folder)!r} has folders in {TRAIN!r}: give that one, or put {TEST!r} beside it"
        )
    paths, labels = labeled_pngs(folder if test is None else folder / TRAIN)
    test_paths, test_labels = ([], np.array([])) if test is None else labeled_pngs(test)
    if test is not None and (not test_paths or (test_labels == "").any()):
        raise UsageError(f"the folder {str(test)!r} must have its PNG files in a subfolder for each class")
    _refuse_others(folder, {*paths, *test_paths})
    images = _read([*paths, *test_paths])
    if test is None:
        return RawArrays(images, labels)
    return RawArrays(images[: len(paths)], labels, images[len(paths) :], test_labels)


def test_folder(folder: Path) -> Path | None:
    """Return the subfolder `test` where it lies beside `train`, and that has subfolders of classes."""
    return folder / TEST if (folder / TEST).is_dir() and _has_folders(folder / TRAIN) else None


def labeled_pngs(folder: Path) -> tuple[list[Path], NDArray[np.str_]]:
    """Return the PNG files in a folder, then those in its subfolders, and the names of these as their labels."""
    paths = list(_pngs(folder))
    return paths, np.array(["" if path.parent == folder else path.parent.name for path in paths], dtype=np.str_)


def _pngs(folder: Path) -> Iterator[Path]:
    for each in (folder, *(sub for sub in entries(folder) if sub.is_dir())):
        yield from (path for path in entries(each) if path.suffix.lower() == ".png" and path.is_file())


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, in the order of its names and without hidden files."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _has_folders(folder: Path) -> bool:
    return folder.is_dir() and any(sub.is_dir() for sub in entries(folder))


def _refuse_others(folder: Path, read: Collection[Path]) -> None:
    """Refuse images that would be left out without a word."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in IMAGES and path not in read and not hidden:
            wrong = PLACE if path.suffix.lower() == ".png" else "save all images as PNG files"
            raise UsageError(f"the file {str(path)!r} would not be read: {wrong}; put that right, or remove it")


def _read(paths: Sequence[Path]) -> NDArray[np.float32]:
    """Return the images of PNG files of one size, without a colour channel if none has colours."""
    shape = (*png_size(paths[0]), 3)
    images = np.empty((len(paths), *shape), dtype=np.float32)
    for place, path in enumerate(paths):
        images[place] = read_png(path, shape, f"{str(paths[0])!r} has").pixels
    grey = np.array_equal(images[..., 0], images[..., 1]) and np.array_equal(images[..., 0], images[..., 2])
    return np.ascontiguousarray(images[..., 0]) if grey else images
