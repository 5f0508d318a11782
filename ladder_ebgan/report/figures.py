"""The figures of a run: errors by seed, learning curves with energies and margin, generated images.

Colours are from the palette of Okabe and Ito, "Color universal design" (2008), which colour-blind readers can
tell apart; markers and line styles say the same in grey print. Matplotlib is used through its objects, never
through pyplot, which keeps figures and settings of the whole process.
"""

import math
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.report.table import model_order
from ladder_ebgan.results import CurvePoint, Result
from ladder_ebgan.runs import write_atomically
from ladder_ebgan.statistics import mean, t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
Line = Literal["-", "--", "-.", ":"]
Style = tuple[str, str, Line]  # colour, marker, line
STYLES: dict[str, Style] = {
    "ladder": (BLUE, "o", "-"),
    "ladder-matched": (GREEN, "s", "--"),
    "ebgan-ladder": (VERMILION, "^", "-."),
}
OTHER_STYLES: list[Style] = [(PURPLE, "D", ":"), (ORANGE, "v", "--"), (SKY, "P", "-.")]
ENERGIES: dict[str, tuple[str, str, Line]] = {  # quantity of a CurvePoint: label, colour, line
    "energy_real": ("energy of real images", BLUE, "-"),
    "energy_generated": ("energy of generated images", VERMILION, "-."),
    "margin": ("margin", "black", ":"),
}
GREY = "0.65"
DPI = 150
MAX_IMAGES_A_ROW = 20


def error_by_seed(results: Iterable[Result], path: Path) -> None:
    """Write the test errors, those of one seed joined across models, one panel per number of labels.

    Beside the seeds stands their mean, with its 95 % t interval from three seeds on. Diverged replicas are
    counted below the name of their model.
    """
    cells: dict[int, dict[str, list[Result]]] = {}
    for result in results:
        cells.setdefault(result.labels, {}).setdefault(result.model, []).append(result)
    models = model_order(model for by_model in cells.values() for model in by_model)
    widths = [len(cells[labels]) for labels in sorted(cells)] or [1]
    figure = _figure("Test error of each seed", 1 + sum(0.4 + 1.2 * width for width in widths), 4.4)
    panels = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    panels[0].set_ylabel("test error (%)")
    for axes, labels in zip(panels, sorted(cells), strict=False):
        axes.set_title(f"{labels} labels", fontsize=10)
        _draw_errors(axes, cells[labels], models)
    figure.align_xlabels()
    if cells:
        _add_seed_legend(figure)
    else:
        _say_nothing_yet(panels[0])
    _save(figure, path)


def _draw_errors(axes: "Axes", by_model: dict[str, list[Result]], models: Sequence[str]) -> None:
    present = [model for model in models if model in by_model]
    tick_labels = []
    joined: dict[int, list[tuple[int, float]]] = {}  # by seed
    for place, model in enumerate(present):
        of_seed = {result.seed: result.test_error_percent for result in by_model[model]}
        errors = {seed: error for seed, error in of_seed.items() if _is_number(error)}
        for seed, error in errors.items():
            joined.setdefault(seed, []).append((place, error))
        side = -0.2 if place == 0 and len(present) > 1 else 0.2  # outside, where no lines run
        _draw_model(axes, place, list(errors.values()), side, _style(model, models))
        n_diverged = len(of_seed) - len(errors)
        seeds = f"{len(errors)} seed{'' if len(errors) == 1 else 's'}"
        tick_labels.append(f"{model}\n{seeds}" + (f"\n{n_diverged} diverged" if n_diverged else ""))
    for points in joined.values():
        axes.plot(*zip(*points, strict=True), color=GREY, linewidth=0.8, zorder=1)
    axes.set_xticks(range(len(present)), tick_labels, fontsize=9)
    axes.set_xlim(-0.5, len(present) - 0.5)
    axes.set_xlabel("model")


def _draw_model(axes: "Axes", place: int, errors: Sequence[float], side: float, style: Style) -> None:
    color, marker, _ = style
    axes.plot([place] * len(errors), errors, marker, color=color, markersize=5, alpha=0.7, markeredgewidth=0)
    if len(errors) < 2:  # a single seed is its own mean
        return
    centre, interval = mean(errors), t_interval(errors)
    spread = None if interval is None else [[centre - interval[0]], [interval[1] - centre]]
    axes.errorbar(
        [place + side],
        [centre],
        spread,
        fmt=marker,
        color=color,
        markersize=7,
        markeredgecolor="black",
        ecolor="black",
        capsize=3,
        zorder=3,
    )


def _add_seed_legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    seed = Line2D([], [], color=GREY, marker="o", markersize=5, markeredgewidth=0, markerfacecolor="0.4")
    centre = Line2D([], [], color="black", marker="o", markersize=7, markerfacecolor="0.7")
    labels = ["one seed", "mean, 95 % t interval from 3 seeds on"]
    figure.legend([seed, centre], labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)


def learning_curves(points: Iterable[CurvePoint], path: Path) -> None:
    """Write the error on unlabelled images over the steps, one panel per number of labels.

    A line is the mean over seeds, its band goes from the lowest seed to the highest. Each model that
    generates images adds a row of panels: energies of real and of generated images and the margin, means over
    seeds.
    """
    points = list(points)
    budgets = sorted({point.labels for point in points})
    models = model_order(point.model for point in points)
    generating = model_order(point.model for point in points if _is_number(point.energy_generated))
    n_rows, n_columns = 1 + len(generating), max(1, len(budgets))
    title = "Learning curves: mean over seeds, band from lowest to highest"
    figure = _figure(title, 2.8 + 3.2 * n_columns, 1.0 + 2.7 * n_rows)
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey="row", squeeze=False)
    grid[0, 0].set_ylabel("error on unlabelled images (%)")
    for column, labels in enumerate(budgets):
        of_budget = [point for point in points if point.labels == labels]
        grid[0, column].set_title(f"{labels} labels", fontsize=10)
        _draw_error_curves(grid[0, column], of_budget, models)
        for axes, model in zip(grid[1:, column], generating, strict=True):
            _draw_energies(axes, [point for point in of_budget if point.model == model])
        grid[-1, column].set_xlabel("training step")
    for axes, model in zip(grid[1:, 0], generating, strict=True):
        axes.set_ylabel(f"{model}\nenergy per image")
    if any(_is_number(point.unlabeled_error_percent) for point in points):
        _finish_curves(grid, points, models)
    else:
        _say_nothing_yet(grid[0, 0])
    _save(figure, path)


def _draw_error_curves(axes: "Axes", points: Sequence[CurvePoint], models: Sequence[str]) -> None:
    for model in models:
        of_model = [point for point in points if point.model == model]
        steps, centre, low, high = _over_seeds(of_model, "unlabeled_error_percent")
        color, marker, line = _style(model, models)
        alone = marker if len(steps) == 1 else ""
        axes.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
        axes.plot(steps, centre, color=color, linestyle=line, marker=alone)


def _draw_energies(axes: "Axes", points: Sequence[CurvePoint]) -> None:
    for quantity, (_, color, line) in ENERGIES.items():
        steps, centre, _, _ = _over_seeds(points, quantity)
        axes.plot(steps, centre, color=color, linestyle=line, marker="o" if len(steps) == 1 else "")


def _finish_curves(grid: NDArray[Any], points: Sequence[CurvePoint], models: Sequence[str]) -> None:
    """Set the scales, and put the legend of each row beside its last panel, where it hides no curve."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    beside = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "frameon": False, "fontsize": 9}
    styles = [_style(model, models) for model in models]
    handles = [Line2D([], [], color=color, linestyle=line) for color, _, line in styles]
    grid[0, -1].legend(handles, models, **beside)
    handles = [Line2D([], [], color=color, linestyle=line) for _, color, line in ENERGIES.values()]
    for axes in grid[1:, -1]:
        axes.legend(handles, [label for label, _, _ in ENERGIES.values()], **beside)
    for axes in grid[-1]:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / 1000:g}k" if step else "0"))
    if any((point.unlabeled_error_percent or 0) > 0 for point in points):  # all zero has no logarithm
        grid[0, 0].set_yscale("log", nonpositive="clip")
        grid[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        grid[0, 0].yaxis.set_minor_locator(NullLocator())
        grid[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{error:g}"))


def _over_seeds(points: Iterable[CurvePoint], quantity: str) -> tuple[NDArray[np.float64], ...]:
    """Return the steps that have the quantity, and its mean, lowest and highest value over seeds there."""
    at_step: dict[int, list[float]] = {}
    for point in points:
        value = getattr(point, quantity)
        if _is_number(value):
            at_step.setdefault(point.step, []).append(value)
    rows = [(step, mean(values), min(values), max(values)) for step, values in sorted(at_step.items())]
    return tuple(np.array(rows, dtype=np.float64).reshape(-1, 4).T)


def generated_images(images: NDArray[np.floating[Any]], path: Path, seeds: Sequence[int]) -> None:
    """Write generated images, a block for each replica with its seed beside it.

    `images` is `[replicas, n, height, width]` in [0, 1]. ValueError where it is not, or where there is not
    one seed for each replica. Images of a diverged replica stay blank where they are not finite.
    """
    if images.ndim != 4 or 0 in images.shape or len(seeds) != len(images):
        raise ValueError(f"images of shape {images.shape} are not [{len(seeds)} seeds, n, height, width]")
    pad = 2
    n_lines = math.ceil(images.shape[1] / MAX_IMAGES_A_ROW)
    blocks = [_tiled(of_seed, n_lines, pad) for of_seed in images]
    gap = np.full((pad if n_lines == 1 else 4 * pad, blocks[0].shape[1]), np.nan)
    mosaic = np.concatenate([part for block in blocks for part in (gap, block)][1:])
    labels = [
        f"seed {seed}" + ("" if np.isfinite(of_seed).all() else ", not finite")
        for seed, of_seed in zip(seeds, images, strict=True)
    ]
    scale = min(6, max(1, round(1200 / mosaic.shape[1])))  # whole screen pixels for each pixel of an image
    height, width = (scale * size / DPI for size in mosaic.shape)
    left, bottom, top = 0.25 + 0.075 * max(len(label) for label in labels), 0.15, 0.5  # inches
    figure = _figure("Generated images", max(3.0, left + width + 0.2), bottom + height + top, layout="none")
    size = figure.get_size_inches()
    axes = figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))
    axes.imshow(mosaic, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    rows = len(blocks[0]) + len(gap)
    centres = [number * rows + (len(blocks[0]) - 1) / 2 for number in range(len(blocks))]
    axes.set_yticks(centres, labels, fontsize=9)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _save(figure, path)


def _tiled(images: NDArray[np.floating[Any]], n_lines: int, pad: int) -> NDArray[np.float64]:
    """Return `[n, height, width]` as one picture of `n_lines` lines, with blank pixels between the images."""
    n, height, width = images.shape
    a_line = math.ceil(n / n_lines)
    tiles = np.full((n_lines * a_line, height + pad, width + pad), np.nan)
    tiles[:n, :height, :width] = images
    lines = tiles.reshape(n_lines, a_line, height + pad, width + pad).swapaxes(1, 2)
    return lines.reshape(n_lines * (height + pad), a_line * (width + pad))[:-pad, :-pad]


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _style(model: str, models: Sequence[str]) -> Style:
    """Return colour, marker and line style: always the same for the models we know."""
    others = [other for other in models if other not in STYLES]
    return STYLES[model] if model in STYLES else OTHER_STYLES[others.index(model) % len(OTHER_STYLES)]


def _figure(title: str, width: float, height: float, layout: str = "constrained") -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(width, 5.5), height), dpi=DPI, layout=layout)  # type: ignore[arg-type]
    figure.suptitle(title, fontsize=12)
    return figure


def _say_nothing_yet(axes: "Axes") -> None:
    axes.text(0.5, 0.5, "nothing to show yet", transform=axes.transAxes, ha="center", va="center", color="0.4")


def _save(figure: "Figure", path: Path) -> None:
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    write_atomically(path, picture.getvalue())
