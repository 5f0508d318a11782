"""The images that a generator draws, and those that a seed has the labels of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.report.figures.drawing import DPI, printable
from ladder_ebgan.report.figures.sheet import (
    PAD,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    Sheet,
    dots,
    fitting_scale,
    pictures,
    words_width,
)

MAX_IMAGES_A_LINE = 20
MAX_IMAGES_A_CLASS = 10
MAX_PANELS = 6
PANEL_WIDTH = 2.3  # inches, of images at scale 1
LARGEST_IMAGE = 0.5  # inches
HEAD, LINE = 0.3, 0.13  # inches: above a panel, and of a line at least, so that names of classes do not touch


def generated_images(
    images: NDArray[Any], image_shape: Sequence[int], sources: Sequence[str], path: Path, title: str
) -> None:
    """Write generated images, a block of lines for each replica.

    Args:
        images: `[replicas, n, features]`, bytes or floats in [0, 1].
        image_shape: of an image.
        sources: what to write beside each block: whose images these are.
        path: of the figure, without the suffix.
        title: of the figure.
    """
    drawn = pictures(images, image_shape)
    n_replicas, n, height, width, _ = drawn.shape
    left = words_width(sources, 8) + 0.1
    a_line = min(n, MAX_IMAGES_A_LINE, max(1, int((PAGE_WIDTH - left) * DPI) // (width + PAD)))
    n_lines = math.ceil(n / a_line)
    a_line = math.ceil(n / n_lines)
    scale = fitting_scale(a_line * (width + PAD), PAGE_WIDTH - left)
    block = max(n_lines * (height + PAD) + (0 if n_lines == 1 else 3 * PAD), dots(0.16, scale))
    n_shown = _at_most(n_replicas, PAGE_HEIGHT, block * scale)
    column = dots(left, scale)
    sheet = Sheet(n_shown * block, column + a_line * (width + PAD), scale)
    for number in range(n_shown):
        sheet.write(sources[number], number * block + n_lines * (height + PAD) / 2, 0)
        sheet.put(drawn[number], number * block, column, a_line)
    sheet.save(path, title, _limits((n_shown, n_replicas, "seeds")))


def labeled_images(
    indices: NDArray[np.int64],
    labels: NDArray[np.int64],
    images: NDArray[Any],
    image_shape: Sequence[int],
    classes: Sequence[object],
    titles: Sequence[str],
    path: Path,
    title: str,
) -> None:
    """Write the labelled images of each seed, a panel for each, a line in it for each class.

    Args:
        indices: `[panels, labels]`, which of the training images have a label.
        labels: `[n]`, the class indices of the training images.
        images: `[n, features]`, bytes or floats in [0, 1].
        image_shape: of an image.
        classes: the name of each class.
        titles: of the panels.
        path: of the figure, without the suffix.
        title: of the figure.
    """
    shape = pictures(images[:1], image_shape).shape
    names = printable(classes)[: max(1, int((PAGE_HEIGHT - HEAD) * DPI) // _pitch(shape, 1))]
    most = int(max(np.bincount(labels[of_seed]).max() for of_seed in indices))
    plan = _fitting_plan(shape, names, titles, most)
    n_shown = min(len(titles), MAX_PANELS, plan.most_panels)
    n_rows = math.ceil(n_shown / plan.most_columns)
    n_columns = math.ceil(n_shown / n_rows)
    sheet = Sheet(n_rows * plan.height, plan.left + n_columns * plan.width, plan.scale)
    for number, (of_panel, of_seed) in enumerate(zip(titles[:n_shown], indices, strict=False)):
        top, left = number // n_columns * plan.height, plan.left + number % n_columns * plan.width
        sheet.write(of_panel, top + plan.head / 2, left, fontsize=9)
        for index, name in enumerate(names):
            line = top + plan.head + index * plan.pitch
            if left == plan.left:
                sheet.write(name, line + shape[1] / 2, 0)
            of_class = of_seed[labels[of_seed] == index][: plan.a_line]
            sheet.put(pictures(images[of_class], image_shape), line, left, plan.a_line)
    limits = _limits((len(names), len(classes), "classes"), (n_shown, len(titles), "panels"))
    a_class = f"The first {plan.a_line} of each class, of up to {most}. " if plan.a_line < most else ""
    sheet.save(path, title, f"A line for each class. {a_class}{limits}".strip())


@dataclass(frozen=True)
class _Plan:
    """How the panels of labelled images lie on a sheet, in its pixels."""

    scale: int
    a_line: int  # images of a class
    pitch: int  # of the lines
    head: int  # height of what stands above a panel
    left: int  # of the first panel
    height: int
    width: int

    @property
    def most_columns(self) -> int:
        return max(1, int(PAGE_WIDTH * DPI / self.scale - self.left) // self.width)

    @property
    def most_panels(self) -> int:
        return self.most_columns * max(1, int(PAGE_HEIGHT * DPI / self.scale) // self.height)


def _fitting_plan(shape: tuple[int, ...], names: Sequence[str], titles: Sequence[str], most: int) -> _Plan:
    """Return the plan with the largest images that has room for all panels, else with the smallest."""
    width, n_panels = shape[2], min(len(titles), MAX_PANELS)
    for scale in range(fitting_scale(width + PAD, LARGEST_IMAGE, shape[1] + PAD, LARGEST_IMAGE), 0, -1):
        a_line = min(most, MAX_IMAGES_A_CLASS, max(1, int(PANEL_WIDTH * DPI) // (width + PAD)))
        pitch, head = _pitch(shape, scale), dots(HEAD, scale)
        plan = _Plan(
            scale=scale,
            a_line=a_line,
            pitch=pitch,
            head=head,
            left=dots(words_width(names, 8) + 0.1, scale),
            height=head + len(names) * pitch,
            width=max(a_line * (width + PAD), dots(words_width(titles, 9), scale)) + dots(0.2, scale),
        )
        fits = plan.left + plan.width <= PAGE_WIDTH * DPI / scale and plan.height <= PAGE_HEIGHT * DPI / scale
        if fits and plan.most_panels >= n_panels:
            break
    return plan


def _pitch(shape: tuple[int, ...], scale: int) -> int:
    """Return the pixels from one line of a panel to the next."""
    return max(shape[1] + PAD, dots(LINE, scale))


def _at_most(n: int, inches: float, screen_pixels: int) -> int:
    """Return how many of `n` things of a size fit, at least one."""
    return min(n, max(1, int(inches * DPI // screen_pixels)))


def _limits(*shown: tuple[int, int, str]) -> str:
    """Say what is left out: of each kind of thing how many are shown, and how many there are."""
    return " ".join(f"The first {part} of {whole} {what}." for part, whole, what in shown if part < whole)
