"""Archives of NumPy arrays (.npz): x_train, y_train, and x_test, y_test or not. No pickled objects are loaded."""

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.dataset import RawArrays
from ladder_ebgan.errors import UsageError

NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")  # in the order of RawArrays
RIGHT = "x_train, y_train (and x_test, y_test where the test is apart)"


def read_npz(path: Path, without_labels: bool = False) -> RawArrays:
    """Read the arrays of an .npz archive: four, or those of the training alone, whose labels may be left out."""
    arrays, present = read_archive(path, NPZ_ARRAYS, f"data must be an .npz archive with {RIGHT}, or a folder")
    needed = NPZ_ARRAYS if present.intersection(NPZ_ARRAYS[2:]) else NPZ_ARRAYS[:2]
    if without_labels and "x_train" in arrays and "y_train" not in present:
        return RawArrays(arrays["x_train"], np.full(len(arrays["x_train"]), ""))
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise UsageError(
            f"the archive {str(path)!r} lacks {', '.join(missing)}; it must hold {RIGHT}, "
            f"and holds {listed(present)}"
        )
    return RawArrays(*(arrays[name] for name in needed))


def read_archive(path: Path, names: Collection[str], right: str) -> tuple[dict[str, NDArray[Any]], set[str]]:
    """Return those arrays of an .npz archive that have one of the names, and the names of all that it holds.

    Raises:
        UsageError: it is no archive, and then `right` says what would be, or damaged, or not of arrays.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise UsageError(f"the file {str(path)!r} is not an .npz archive, or not a whole one; {right}")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                present = set(archive.files)
                arrays = {name: archive[name] for name in names if name in present}
        # A damaged archive fails in zipfile, zlib, struct or NumPy's own header, each with errors of its own.
        except Exception as error:
            problem = one_line(error)
            raise UsageError(f"the archive {str(path)!r} cannot be read: {problem}; save it anew") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy hands out the bytes of a member that is not an array
            raise UsageError(f"{name} of the archive {str(path)!r} is not an array; save it with numpy.savez")
    return arrays, present


def read_npy(path: Path) -> NDArray[Any]:
    """Read the array of an .npy file."""
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except Exception as error:  # as of an archive
        raise UsageError(f"the file {str(path)!r} cannot be read: {one_line(error)}; save it anew") from error
    return array


def listed(names: Collection[str]) -> str:
    """Return names for a message: the first ten in quotes."""
    return ", ".join(repr(name) for name in sorted(names)[:10]) or "nothing"


def one_line(error: Exception) -> str:
    """Return what a reader's error says, as one line."""
    if "allow_pickle" in str(error):
        return "it holds Python objects, which are never loaded, not arrays of numbers or text"
    return " ".join(str(error).split()) or type(error).__name__
