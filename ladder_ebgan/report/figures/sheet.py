"""White paper, measured in the pixels of images, on which pictures and words are put."""

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.report.figures.drawing import DPI, new_figure, save

Pictures = NDArray[np.uint8]  # [..., height, width, 3]
PAGE_HEIGHT, PAGE_WIDTH = 10.0, 9.0  # inches that a sheet should not go beyond
PAD = 2  # pixels between two pictures
LARGEST = 128  # pixels of a side; what is larger is reduced
LARGEST_SCALE = 12
SIDE, TITLE, NOTE_LINE = 0.15, 0.42, 0.17  # inches: the margin, and the height of the words above
CHARACTER, IN_A_LINE = 0.0095, 0.0079  # inches a point of the font's size: in a word, in a long line


def is_picture(image_shape: Sequence[int]) -> bool:
    """Return whether images of a data set can be shown: [height, width], or that with 1 or 3 channels."""
    return len(image_shape) == 2 or (len(image_shape) == 3 and image_shape[2] in {1, 3})


def pictures(images: NDArray[Any], image_shape: Sequence[int]) -> Pictures:
    """Return images as they are printed: 0 is black and 1 is white, as in their data and in what `sample` writes.

    Dark ink on paper would suit digits, but make negatives of photographs.

    Args:
        images: `[..., features]`, bytes or floats in [0, 1].
        image_shape: of an image; `is_picture` says which can be shown.
    """
    levels = images if images.dtype == np.uint8 else np.rint(255 * images).astype(np.uint8)
    channels = image_shape[2] if len(image_shape) == 3 else 1
    levels = levels.reshape(*images.shape[:-1], *image_shape[:2], channels)
    if channels == 1:
        levels = np.repeat(levels, 3, axis=-1)
    factor = math.ceil(max(image_shape[:2]) / LARGEST)
    return _reduced(levels, factor) if factor > 1 else levels


def _reduced(levels: Pictures, factor: int) -> Pictures:
    """Return the means of squares of `factor` by `factor` pixels; those at the edge may be smaller."""
    *_, height, width, _ = levels.shape
    rows, columns = np.arange(0, height, factor), np.arange(0, width, factor)
    sums = np.add.reduceat(np.add.reduceat(levels.astype(np.float64), rows, axis=-3), columns, axis=-2)
    sizes = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    means: Pictures = np.rint(sums / sizes[..., None]).astype(np.uint8)
    return means


def fitting_scale(width: int, of_width: float, height: int = 1, of_height: float = PAGE_HEIGHT) -> int:
    """Return how many screen pixels wide a pixel can be where so many of them have to fit into inches."""
    fits = min(of_width * DPI // width, of_height * DPI // height)
    return int(min(LARGEST_SCALE, max(1, fits)))


def words_width(words: Sequence[str], size: float) -> float:
    """Return about how many inches the longest of some words takes in a font of `size` points."""
    return CHARACTER * size * max((len(word) for word in words), default=0)


class Sheet:
    """Paper of `height` by `width` pixels, each of them `scale` pixels of the screen wide."""

    def __init__(self, height: int, width: int, scale: int) -> None:
        self.pixels = np.full((height, width, 3), 255, np.uint8)
        self.scale = scale
        self.words: list[tuple[float, float, str, dict[str, Any]]] = []  # row, column, text, its look

    def put(self, pictures: Pictures, row: int, column: int, a_line: int) -> None:
        """Put pictures `[n, height, width, 3]` beside each other, `a_line` of them on a line."""
        _, height, width, _ = pictures.shape
        for number, picture in enumerate(pictures):
            line, place = divmod(number, a_line)
            top, left = row + line * (height + PAD), column + place * (width + PAD)
            self.pixels[top : top + height, left : left + width] = picture

    def write(self, text: str, row: float, column: float, **look: Any) -> None:
        """Write a line of words, centred at `row`, to the right of `column` unless `ha` says otherwise."""
        self.words.append((row, column, text, {"va": "center", "fontsize": 8} | look))

    def save(self, path: Path, title: str, note: str) -> None:
        """Store the sheet as a figure, with a title and a note above it."""
        height, width = (self.scale * size / DPI for size in self.pixels.shape[:2])
        figure = new_figure(title, width + 2 * SIDE, 1.0, None)
        across = figure.get_size_inches()[0]
        lines = wrap(note, int((across - 2 * SIDE) / (IN_A_LINE * 9)))
        top = TITLE + NOTE_LINE * len(lines) + 0.1
        down = top + height + SIDE
        figure.set_size_inches(across, down)
        figure.suptitle(title, x=SIDE / across, y=1 - SIDE / down, ha="left", va="top", fontsize=12)
        figure.text(SIDE / across, 1 - TITLE / down, "\n".join(lines), va="top", fontsize=9, color="0.2")
        axes = figure.add_axes((SIDE / across, SIDE / down, width / across, height / down))
        axes.imshow(self.pixels, interpolation="none", aspect="auto")
        axes.set_axis_off()
        for row, column, text, look in self.words:
            axes.text(column - 0.5, row - 0.5, text, parse_math=False, **look)
        save(figure, path)


def dots(inches: float, scale: int) -> int:
    """Return the pixels of a sheet that are at least so many inches."""
    return math.ceil(inches * DPI / scale)
