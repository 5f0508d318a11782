"""Learning curves, and what the generator and the discriminator do to each other, over the training steps."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.report.figures.drawing import (
    BLUE,
    VERMILION,
    Style,
    is_number,
    logarithmic,
    save,
    say_nothing_yet,
    stacks_of_panels,
    style_of,
)
from ladder_ebgan.report.table import model_order
from ladder_ebgan.results import CurvePoint
from ladder_ebgan.statistics import mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENERGIES: dict[str, tuple[str, Style]] = {  # quantity of a CurvePoint: label and style
    "energy_real": ("energy of real images", (BLUE, "o", "-")),
    "energy_generated": ("energy of generated images", (VERMILION, "^", "-.")),
    "margin": ("margin", ("black", "x", ":")),
}
BANDS = "lines: means over seeds; bands: from the lowest seed to the highest"
MAX_MARKERS = 8  # a line


def learning_curves(points: Iterable[CurvePoint], path: Path, examples: str = "images") -> None:
    """Write the error on unlabelled images, or other examples, over the steps, one panel per number of labels.

    A line is the mean over seeds, its band goes from the lowest seed to the highest.
    """
    points = list(points)
    budgets = sorted({point.labels for point in points})
    models = model_order(point.model for point in points)
    figure, stacks = stacks_of_panels("Learning curves", len(budgets), 1, 3.0, 3.0)
    for (axes,), labels in zip(stacks, budgets, strict=False):
        axes.set_title(f"{labels} labels", fontsize=10)
        for model in models:
            mine = [point for point in points if (point.labels, point.model) == (labels, model)]
            _draw_band(axes, mine, "unlabeled_error_percent", style_of(model, models))
    figure.supylabel(f"error on unlabelled {examples} (%)", fontsize=10)
    errors = [p.unlabeled_error_percent for p in points if is_number(p.unlabeled_error_percent)]
    if errors:
        _finish(figure, stacks, {model: style_of(model, models) for model in models}, points)
        logarithmic(stacks[0][0], errors)
    else:
        say_nothing_yet(stacks[0][0])
    save(figure, path)


def energies(points: Iterable[CurvePoint], path: Path, examples: str = "images") -> None:
    """Write energies and margin, and below them the share of open hinges, of each model and number of labels.

    A hinge of Eq. (1), Zhao, Mathieu, LeCun 2017, is open where a generated image has less energy than the margin:
    there alone the discriminator learns from the generator. Lines and bands are those of `learning_curves`. The
    panels of a single model have one scale. Without a model that generates images there is nothing to write.
    """
    points = [point for point in points if is_number(point.energy_real)]
    models = model_order(point.model for point in points if is_number(point.energy_generated))
    if not models:
        return
    found = {(point.model, point.labels) for point in points if point.model in models}
    cells = sorted(found, key=lambda cell: (models.index(cell[0]), cell[1]))
    alone = len(models) == 1
    title = f"Energies of {models[0]}" if alone else "Energies"
    figure, stacks = stacks_of_panels(title, len(cells), 2, 2.2, 2.3, comparable=alone)
    for (above, below), (model, labels) in zip(stacks, cells, strict=True):
        names = [*([] if alone else [model]), *([f"{labels} labels"] if labels else [])]
        above.set_title("\n".join(names), fontsize=10)
        mine = [point for point in points if (point.labels, point.model) == (labels, model)]
        for quantity, (_, style) in ENERGIES.items():
            _draw_band(above, mine, quantity, style)
        _draw_band(below, mine, "open_hinges_percent", ("black", "s", "-"))
        below.set_ylim(-4, 104)
        if _is_leftmost(above):
            above.set_ylabel(f"energy per {examples.removesuffix('s')}")
            below.set_ylabel("open hinges (%)")
    styles = {name.replace("images", examples): style for name, style in ENERGIES.values()}
    _finish(figure, stacks, styles, points)
    save(figure, path)


def _draw_band(axes: "Axes", points: Iterable[CurvePoint], quantity: str, style: Style) -> None:
    color, marker, line = style
    steps, centre, low, high = _over_seeds(points, quantity)
    axes.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
    every = max(1, len(steps) // MAX_MARKERS)
    axes.plot(steps, centre, color=color, linestyle=line, marker=marker, markevery=every, markersize=4)


def _is_leftmost(axes: "Axes") -> bool:
    place = axes.get_subplotspec()
    return place is not None and place.is_first_col()


def _over_seeds(points: Iterable[CurvePoint], quantity: str) -> tuple[NDArray[np.float64], ...]:
    """Return the steps that have the quantity, and its mean, lowest and highest value over seeds there."""
    at_step: dict[int, list[float]] = {}
    for point in points:
        value = getattr(point, quantity)
        if is_number(value):
            at_step.setdefault(point.step, []).append(value)
    rows = [(step, mean(values), min(values), max(values)) for step, values in sorted(at_step.items())]
    return tuple(np.array(rows, dtype=np.float64).reshape(-1, 4).T)


def _finish(
    figure: "Figure", stacks: Sequence[Sequence["Axes"]], styles: Mapping[str, Style], points: Sequence[CurvePoint]
) -> None:
    """Name the axis of the steps, and put the legend below all panels, where it hides no curve."""
    from matplotlib.lines import Line2D

    for axes in stacks:
        in_thousands(axes[-1], max(point.step for point in points))
        axes[-1].set_xlabel("training step", fontsize=9)
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": 3, "frameon": False}
    place |= {"fontsize": 9, "title_fontsize": 9}
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle=line, markersize=4)
        for color, marker, line in styles.values()
    ]
    figure.legend(
        handles, list(styles), **place, title=BANDS if len({point.seed for point in points}) > 1 else None
    )


def in_thousands(axes: "Axes", last_step: int) -> None:
    """Count the steps of the horizontal axis in thousands, if there are as many."""
    from matplotlib.ticker import FuncFormatter

    if last_step >= 1000:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / 1000:g}k" if step else "0"))
