"""IDX files, the format of MNIST (LeCun, Cortes and Burges 1998), plain or compressed with gzip.

Two zero bytes, the type of the elements, the number of dimensions, each size in four big-endian bytes, data.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.dataset import RawArrays
from ladder_ebgan.errors import UsageError

# Name and number of dimensions, in the order of RawArrays.
IDX_FILES = (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1))

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx_folder(folder: Path) -> RawArrays:
    """Read the four files of a folder under MNIST's names, in either spelling, compressed or not."""
    candidates = [_possible_names(stem, n_dimensions) for stem, n_dimensions in IDX_FILES]
    found = [[folder / name for name in names if (folder / name).is_file()] for names in candidates]
    missing = [names[0] for names, paths in zip(candidates, found, strict=True) if not paths]
    if missing:
        raise UsageError(
            f"the folder {str(folder)!r} lacks {', '.join(missing)}; it must hold four IDX files under "
            f"MNIST's names, such as {' or '.join(_possible_names('train-images', 3))}, or PNG files, those of a "
            "class in a subfolder named like it"
        )
    return RawArrays(
        *(_read(paths[0], n_dimensions) for paths, (_, n_dimensions) in zip(found, IDX_FILES, strict=True))
    )


def parse_idx(content: bytes, n_dimensions: int, what: str) -> NDArray[np.uint8]:
    """Return the array of an uncompressed IDX file of unsigned bytes; `what` begins each UsageError."""
    right = bytes((0, 0, _UNSIGNED_BYTE, n_dimensions))
    if content[:2] != right[:2]:
        raise UsageError(
            f"{what} is not an IDX file: it begins with the bytes {content[:4].hex(' ') or '(none)'}; "
            f"right would be {right.hex(' ')}"
        )
    n_header = 4 + 4 * n_dimensions
    if len(content) < n_header:
        raise UsageError(f"{what} is cut short: expected a header of {n_header} bytes, found {len(content)} in all")
    if content[2] != _UNSIGNED_BYTE:
        raise UsageError(f"{what} has elements of type 0x{content[2]:02x}; it must have unsigned bytes, 0x08")
    if content[3] != n_dimensions:
        raise UsageError(f"{what} has {content[3]} dimensions; it must have {n_dimensions}")
    sizes = np.frombuffer(content, dtype=">u4", count=n_dimensions, offset=4).tolist()
    by = " x ".join(str(size) for size in sizes)
    if 0 in sizes:
        raise UsageError(f"{what} is empty ({by}); every size must be at least 1")
    n_expected = n_header + math.prod(sizes)
    if len(content) != n_expected:
        raise UsageError(
            f"{what} is {'cut short' if len(content) < n_expected else 'too long'}: "
            f"expected {n_expected} bytes for {by} elements, found {len(content)}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=n_header).reshape(sizes)


def decompressed(content: bytes, what: str) -> bytes:
    """Undo gzip where the content, not the name, says that it is gzip."""
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{what} is damaged and cannot be decompressed ({error}); copy it anew") from error


def _read(path: Path, n_dimensions: int) -> NDArray[np.uint8]:
    what = f"the file {str(path)!r}"
    return parse_idx(decompressed(path.read_bytes(), what), n_dimensions, what)


def _possible_names(stem: str, n_dimensions: int) -> list[str]:
    return [f"{stem}{mark}idx{n_dimensions}-ubyte{gz}" for mark in "-." for gz in ("", ".gz")]
