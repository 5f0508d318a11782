"""PNG files as images: grey or colour, 8 or 16 bits, all of one size."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ladder_ebgan.data.npz import one_line
from ladder_ebgan.errors import UsageError


class Picture(NamedTuple):
    """The pixels of a PNG file."""

    pixels: NDArray[np.float32]  # of the model's image shape, in [0, 1]
    was_colored: bool  # and was turned into grey


def read_png(path: Path, image_shape: Sequence[int], who: str = "the model takes") -> Picture:
    """Read a PNG file for a model with images `[height, width]`, `[height, width, 1 or 3]` or `[features]`.

    Colours become the luma of ITU-R BT.601 where the model's images are grey. Black is 0 and white is 1. `who`
    begins what messages say of the right size.

    Raises:
        UsageError: not a PNG file, damaged, of another size, or transparent somewhere.
        OSError: it cannot be read.
    """
    n_channels = image_shape[2] if len(image_shape) == 3 else 1
    if n_channels not in {1, 3}:
        raise UsageError(
            f"the model's images have {n_channels} channels, and PNG files are read as 1 or 3; give an .npz file"
        )
    with _opened(path) as (image, what):
        _check_size(image, image_shape, what, who)
        image.load()
        pixels = _pixels(image, "RGB" if n_channels == 3 else "L", what)
        was_colored = n_channels == 1 and _has_colors(image)
    return Picture(pixels.reshape(image_shape), was_colored)


def png_size(path: Path) -> tuple[int, int]:
    """Return height and width of a PNG file.

    Raises:
        UsageError, OSError: as `read_png`.
    """
    with _opened(path) as (image, _):
        return image.height, image.width


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Image.Image, str]]:
    """Open a PNG file, its pixels still to be read, with what messages call it; errors are those of `read_png`."""
    what = f"the file {str(path)!r}"
    if path.exists() and not (path.is_file() or path.is_dir()):  # a device may have no end
        raise UsageError(f"{what} is not a file: give PNG files only, or one file of arrays")
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            yield image, what
    except UsageError:
        raise
    except UnidentifiedImageError:
        raise UsageError(f"{what} is no PNG file: give PNG files only, or one file of arrays") from None
    # A damaged file fails in zlib, struct or Pillow's own parser, each with errors of its own.
    except Exception as error:
        raise UsageError(f"{what} is damaged ({one_line(error)}); save it anew") from error


def _check_size(image: Image.Image, image_shape: Sequence[int], what: str, who: str) -> None:
    width, height = image.size
    if len(image_shape) == 1:
        if width * height != image_shape[0]:
            raise UsageError(f"{what} has {width} x {height} = {width * height} pixels; {who} {image_shape[0]}")
    elif (height, width) != tuple(image_shape[:2]):
        raise UsageError(
            f"{what} has {width} x {height} pixels (width x height); {who} {image_shape[1]} x {image_shape[0]}"
        )


def _pixels(image: Image.Image, mode: str, what: str) -> NDArray[np.float32]:
    if image.mode.startswith("I"):  # 16 bits, grey
        grey = np.asarray(image, dtype=np.float32) / np.float32(65535)
        return grey if mode == "L" else np.stack([grey] * 3, axis=-1)
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise UsageError(f"{what} has transparent pixels; save it on a background, without transparency")
    return np.asarray(image.convert(mode), dtype=np.float32) / np.float32(255)


def _has_colors(image: Image.Image) -> bool:
    if image.mode in {"1", "L", "LA"} or image.mode.startswith("I"):
        return False
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)
    return not (np.array_equal(red, green) and np.array_equal(green, blue))
