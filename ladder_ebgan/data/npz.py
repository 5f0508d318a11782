"""Archives of NumPy arrays (.npz): x_train, y_train, x_test, y_test. Pickled objects are never loaded."""

import zipfile
from pathlib import Path

import numpy as np

from ladder_ebgan.data.dataset import RawArrays
from ladder_ebgan.errors import UsageError

NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")  # in the order of RawArrays


def read_npz(path: Path) -> RawArrays:
    """Read the four arrays of an .npz archive."""
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise UsageError(
                f"the file {str(path)!r} is not an .npz archive, or not a whole one; "
                f"data must be an .npz archive with {', '.join(NPZ_ARRAYS)}, or a folder of IDX files"
            )
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                present = set(archive.files)
                arrays = {name: archive[name] for name in NPZ_ARRAYS if name in present}
        # A damaged archive fails in zipfile, zlib, struct or NumPy's own header, each with errors of its own.
        except Exception as error:
            raise UsageError(f"the archive {str(path)!r} cannot be read: {_one_line(error)}") from error
    missing = [name for name in NPZ_ARRAYS if name not in arrays]
    if missing:
        raise UsageError(
            f"the archive {str(path)!r} lacks {', '.join(missing)}; it must hold {', '.join(NPZ_ARRAYS)}, "
            f"and holds {', '.join(repr(name) for name in sorted(present)[:10]) or 'nothing'}"
        )
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy hands out the bytes of a member that is not an array
            raise UsageError(f"{name} of the archive {str(path)!r} is not an array; save it with numpy.savez")
    return RawArrays(*(arrays[name] for name in NPZ_ARRAYS))


def _one_line(error: Exception) -> str:
    if "allow_pickle" in str(error):
        return "it holds Python objects, which are never loaded; save arrays of numbers or text"
    return " ".join(str(error).split()) or type(error).__name__
