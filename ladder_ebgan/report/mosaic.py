"""Images side by side as a PNG file."""

import io
import math

import numpy as np
from numpy.typing import NDArray

GAP = 2  # pixels between images
WIDTH = 800  # up to which an image's pixels are drawn as squares of whole screen pixels


def mosaic_png(images: NDArray[np.floating]) -> bytes:
    """Return a PNG of images `[n, height, width]` or `[n, height, width, 1 or 3]` in a square grid, row by row.

    0 is black and 1 is white, as in a PNG file that is read.
    """
    from PIL import Image

    n, height, width = images.shape[:3]
    channels = images.shape[3:]
    a_row = math.ceil(n**0.5)
    n_rows = math.ceil(n / a_row)
    tiles = np.full((n_rows * a_row, height + GAP, width + GAP, *channels), 0.5)
    tiles[:n, :height, :width] = images.clip(0, 1)  # a generator may have a linear output
    rows = tiles.reshape(n_rows, a_row, height + GAP, width + GAP, *channels).swapaxes(1, 2)
    grid = rows.reshape(n_rows * (height + GAP), a_row * (width + GAP), *channels)[:-GAP, :-GAP]
    scale = max(1, min(6, WIDTH // grid.shape[1]))
    pixels = np.rint(255 * grid).astype(np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if channels == (1,) else pixels).save(buffer, format="png")
    return buffer.getvalue()
