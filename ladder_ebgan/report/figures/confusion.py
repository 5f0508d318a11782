"""Which classes are taken for which."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.report.figures.drawing import new_figure, printable, save
from ladder_ebgan.report.figures.sheet import words_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_CLASSES = 30  # of a matrix whose numbers can be read
LIGHTEST, DARKEST = "#ffffff", "#00457c"  # one hue, whose lightness falls evenly in between
DIAGONAL = "0.9"
DARK = 0.65  # part of the way to the darkest: from there on white letters are easier to read than black ones


def mean_confusion(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many images of each class (rows) were given each class (columns): the mean over seeds.

    `probabilities` is `[seeds, n, classes]`, `labels` `[n]` or, if each seed has images of its own, `[seeds, n]`.
    """
    n_seeds, _, n_classes = probabilities.shape
    pairs = n_classes * labels + probabilities.argmax(axis=2)  # [seeds, n]
    counts = np.bincount(pairs.ravel(), minlength=n_classes**2).reshape(n_classes, n_classes)
    means: NDArray[np.float64] = counts / n_seeds
    return means


def confusion_matrix(
    probabilities: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    classes: Sequence[object],
    path: Path,
    title: str,
    examples: str = "images",
) -> None:
    """Write which classes were taken for which: numbers of test images, means over seeds.

    Colour is for mistakes only, and grows with the square root of their number: what is right, on the diagonal,
    is many times more. Of more classes than can be read, those with the most mistakes are shown.

    Args:
        probabilities: `[seeds, n, classes]`.
        labels: `[n]` or `[seeds, n]`, the true class indices.
        classes: the name of each class.
        path: of the figure, without the suffix.
        title: of the figure.
        examples: what is counted.
    """
    counts = mean_confusion(probabilities, labels)
    mistakes = counts - np.diag(counts.diagonal())
    both_ways = mistakes.sum(axis=0) + mistakes.sum(axis=1)
    shown = np.sort(np.argsort(-both_ways, kind="stable")[:MAX_CLASSES])
    printed = printable(classes)
    names = [printed[index] for index in shown]
    cell = min(0.5, max(0.27, 7 / len(shown)))  # inches
    size, words = cell * len(shown), words_width(names, 9)
    figure = new_figure(title, size + 1.5 + words, size + 1.1 + words, "constrained")
    axes = figure.add_subplot()
    _draw_counts(axes, counts[np.ix_(shown, shown)], len(probabilities), 9 if cell > 0.4 else 6.5)
    of = "" if len(probabilities) == 1 else f", mean over {len(probabilities)} seeds"
    part = "" if len(shown) == len(classes) else f"; the {len(shown)} of {len(classes)} classes with most mistakes"
    axes.set_title(f"number of test {examples}{of}{part}", fontsize=9)
    errors = [_error(mistakes[index].sum(), counts[index].sum()) for index in shown]
    _name_lines(axes, names, errors)
    save(figure, path)


def _draw_counts(axes: "Axes", counts: NDArray[np.float64], n_seeds: int, font_size: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    right = np.eye(len(counts), dtype=bool)
    mistakes = np.ma.array(counts, mask=right)
    root = PowerNorm(0.5, vmin=0, vmax=max(1.0, counts[~right].max()))  # few pairs have most of the mistakes
    lightness = LinearSegmentedColormap.from_list("mistakes", [LIGHTEST, DARKEST])
    axes.set_facecolor(DIAGONAL)
    # Cells as shapes: an image of few pixels is blurred by some programs that show SVG.
    axes.pcolormesh(mistakes, cmap=lightness, norm=root, edgecolor="0.85", linewidth=0.3)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    for row, column in np.argwhere(counts):  # nothing is written where there is none, so that mistakes stand out
        count = counts[row, column]
        dark = row != column and root(count) > DARK
        color = "0.35" if row == column else "white" if dark else "black"
        words: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": font_size, "color": color}
        axes.text(column + 0.5, row + 0.5, _number(count, n_seeds), in_layout=False, **words)


def _name_lines(axes: "Axes", names: Sequence[str], errors: Sequence[str]) -> None:
    places = np.arange(len(names)) + 0.5
    upright = max(map(len, names)) > 3
    axes.set_xticks(places, names, rotation=90 if upright else 0, fontsize=9, parse_math=False)
    axes.set_yticks(places, names, fontsize=9, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    right = axes.secondary_yaxis("right")
    right.set_yticks(places, errors, fontsize=9)
    right.set_ylabel("error of the class")
    for axis in (axes, right):
        axis.tick_params(length=0)


def _number(count: float, n_seeds: int) -> str:
    """Return a mean count, with a decimal where it may have one."""
    return f"{count:.0f}" if n_seeds == 1 or count >= 10 else f"{count:.1f}"


def _error(n_mistakes: float, n_images: float) -> str:
    return f"{100 * n_mistakes / n_images:.1f} %" if n_images else "–"
