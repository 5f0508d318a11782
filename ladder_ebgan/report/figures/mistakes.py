"""The worst mistakes on the test images."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.report.figures.drawing import counted, printable
from ladder_ebgan.report.figures.sheet import (
    PAD,
    PAGE_WIDTH,
    Sheet,
    dots,
    fitting_scale,
    pictures,
    words_width,
)

Probabilities = NDArray[np.floating[Any]]
MAX_ROWS = 4  # of mistakes
TILE = 0.8  # inches, the longer side of an image
TEXT_LINE = 0.145  # inches


def worst_mistakes(
    certain: Probabilities,
    labels: NDArray[np.int64],
    images: NDArray[Any],
    image_shape: Sequence[int],
    classes: Sequence[object],
    path: Path,
    title: str,
    names: Sequence[str],
    means: str,
) -> None:
    """Write the test images that were given a wrong class with the highest probability.

    Args:
        certain: class probabilities `[n, classes]`, means over seeds.
        labels: `[n]`, the true class indices.
        images: `[n, features]`, bytes or floats in [0, 1].
        image_shape: of an image.
        classes: the name of each class.
        path: of the figure, without the suffix.
        title: of the figure.
        names: `[n]`, what the images are called.
        means: what the probabilities are means over, such as `means over 2 seeds`; empty where they are of one.
    """
    n_wrong = int((certain.argmax(axis=1) != labels).sum())
    shown_classes = printable(classes)
    widest = [f"true {name}: 99.9 %" for name in shown_classes]
    *_, height, width, _ = pictures(images[:1], image_shape).shape
    scale = fitting_scale(width, TILE, height, TILE)
    cell_width = max(width, dots(words_width(widest, 8), scale)) + dots(0.15, scale)
    line = dots(TEXT_LINE, scale)
    cell_height = height + PAD + 3 * line + dots(0.15, scale)
    n_columns = max(1, dots(PAGE_WIDTH, scale) // cell_width)
    worst = wrong_by_confidence(certain, labels)[: n_columns * MAX_ROWS]
    sheet = Sheet(max(1, math.ceil(len(worst) / n_columns) * cell_height), n_columns * cell_width, scale)
    drawn = pictures(images[worst], image_shape)
    for number, index in enumerate(worst):
        top, left = number // n_columns * cell_height, number % n_columns * cell_width
        sheet.put(drawn[number : number + 1], top, left, 1)
        row, given, true = top + height + PAD + line / 2, certain[index].argmax(), labels[index]
        sheet.write(f"{shown_classes[given]}: {percent(certain[index, given])}", row, left, weight="bold")
        sheet.write(f"true {shown_classes[true]}: {percent(certain[index, true])}", row + line, left)
        sheet.write(names[index], row + 2 * line, left, fontsize=7, color="0.3")
    sheet.save(path, title, _note(len(worst), n_wrong, len(labels), means))


def _note(n_shown: int, n_wrong: int, n_images: int, means: str) -> str:
    of = f", {means}" if means else ""
    if n_wrong == 0:
        return f"None on {n_images} test images, by the largest probability{of}."
    part = "" if n_shown == n_wrong else f"The {n_shown} most certain of "
    return (
        f"{part}{counted(n_wrong, 'mistake')} on {n_images} test images. "
        f"Bold: the predicted class and its probability; below it the true class and its probability{of}."
    )


def wrong_by_confidence(certain: Probabilities, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of wrongly classified images, the highest probability first; of equals the first one.

    `certain` is `[n, classes]`.
    """
    wrong = np.flatnonzero(certain.argmax(axis=1) != labels)
    return wrong[np.argsort(-certain[wrong].max(axis=1), kind="stable")]


def percent(probability: float) -> str:
    """Return a probability in percent, and never as certain or impossible when it is not quite."""
    if probability >= 0.9995:
        return "100 %" if probability == 1 else ">99.9 %"
    if probability < 0.0005:
        return "0 %" if probability == 0 else "<0.1 %"
    return f"{100 * probability:.1f} %"
