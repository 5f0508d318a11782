"""The test error of each seed, paired across models."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ladder_ebgan.report.figures.drawing import (
    Style,
    counted,
    is_number,
    save,
    say_nothing_yet,
    stacks_of_panels,
    style_of,
)
from ladder_ebgan.report.table import model_order
from ladder_ebgan.results import Result
from ladder_ebgan.statistics import mean, t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "0.55"  # of the lines between the points of a seed
COMPARABLE = 4.0  # times the lowest error is the highest at most, or budgets with few errors would lie flat


def error_by_seed(results: Iterable[Result], path: Path) -> None:
    """Write the test errors, those of one seed joined across models, one panel per number of labels.

    The panels share the axis of errors if these are comparable. Beside the seeds stands their mean, with its 95 % t
    interval from three seeds on. Diverged replicas are counted below the name of their model.
    """
    results = list(results)
    cells: dict[int, dict[str, list[Result]]] = {}
    for result in results:
        cells.setdefault(result.labels, {}).setdefault(result.model, []).append(result)
    models = model_order(model for by_model in cells.values() for model in by_model)
    width = 0.6 + 1.2 * max(map(len, cells.values()), default=1)
    errors = [r.test_error_percent for r in results if is_number(r.test_error_percent)]
    comparable = max(errors, default=0) <= COMPARABLE * min(errors, default=0)
    figure, stacks = stacks_of_panels("Test error of each seed", len(cells), 1, width, 3.4, comparable)
    for (axes,), labels in zip(stacks, sorted(cells), strict=False):
        axes.set_title(f"{labels} labels", fontsize=10)
        _draw_errors(axes, cells[labels], models)
    figure.supylabel("test error (%)", fontsize=10)
    if cells:
        _add_legend(figure)
    else:
        say_nothing_yet(stacks[0][0])
    save(figure, path)


def _draw_errors(axes: "Axes", by_model: dict[str, list[Result]], models: Sequence[str]) -> None:
    present = [model for model in models if model in by_model]
    tick_labels = []
    joined: dict[int, list[tuple[int, float]]] = {}  # by seed
    for place, model in enumerate(present):
        of_seed = {result.seed: result.test_error_percent for result in by_model[model]}
        errors = {seed: error for seed, error in of_seed.items() if is_number(error)}
        for seed, error in errors.items():
            joined.setdefault(seed, []).append((place, error))
        side = -0.2 if place == 0 and len(present) > 1 else 0.2  # outside, where no lines run
        own = by_model[model][0]  # of all seeds the same number of labels, and of test rows if they are their own
        overlap = (own.n_test or 0) / own.labels  # as `compare_paired` takes it
        _draw_model(axes, place, list(errors.values()), side, style_of(model, models), overlap)
        n_diverged = len(of_seed) - len(errors)
        seeds = counted(len(errors), "seed")
        tick_labels.append(f"{model}\n{seeds}" + (f"\n{n_diverged} diverged" if n_diverged else ""))
    for points in joined.values():
        axes.plot(*zip(*points, strict=True), color=GREY, linewidth=0.8, zorder=1)
    axes.set_xticks(range(len(present)), tick_labels, fontsize=9)
    axes.set_xlim(-0.5, len(present) - 0.5)


def _draw_model(
    axes: "Axes", place: int, errors: Sequence[float], side: float, style: Style, overlap: float
) -> None:
    color, marker, _ = style
    axes.plot([place] * len(errors), errors, marker, color=color, markersize=5, alpha=0.7, markeredgewidth=0)
    if len(errors) < 2:  # a single seed is its own mean
        return
    centre, interval = mean(errors), t_interval(errors, overlap=overlap)
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


def _add_legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    seed = Line2D([], [], color=GREY, marker="o", markersize=5, markeredgewidth=0, markerfacecolor="0.4")
    centre = Line2D([], [], color="black", marker="o", markersize=7, markerfacecolor="0.7")
    labels = ["one seed", "mean, 95 % t interval from 3 seeds on"]
    figure.legend([seed, centre], labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
