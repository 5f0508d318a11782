"""Figures 2 and 3 of Zhao, Mathieu, LeCun 2017: histograms of the scores of a grid's runs, EBGAN against GAN."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ladder_ebgan.report.figures.drawing import (
    BLUE,
    VERMILION,
    new_figure,
    save,
    say_nothing_yet,
)
from ladder_ebgan.search.grid import REAL_SCORE, Panel, Side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_BINS = 24
N_COLUMNS = 3
PANEL_WIDTH, PANEL_HEIGHT = 3.0, 2.3  # inches
FIGURE_2, FIGURE_3 = "figure2", "figure3"


def draw_grid(panels: Sequence[Panel], thresholds: Sequence[float], folder: Path) -> None:
    """Write both figures into a folder."""
    for figure, name in (("2", FIGURE_2), ("3", FIGURE_3)):
        mine = [panel for panel in panels if panel.name.startswith(figure)]
        title = {
            "2": "Modified inception score I' over the grid",
            "3": "Modified inception score I' by the GANs' optimisers and learning rate",
        }
        histograms(mine, thresholds, title[figure], folder / name)


def histograms(panels: Sequence[Panel], thresholds: Sequence[float], title: str, path: Path) -> None:
    """Write one panel for each: shares of the runs with a score in each bin, the same bins in all panels."""
    n_rows = max(1, -(-len(panels) // N_COLUMNS))
    figure = new_figure(title, PANEL_WIDTH * N_COLUMNS + 0.8, PANEL_HEIGHT * n_rows + 1.0, "constrained")
    grid = figure.subplots(n_rows, N_COLUMNS, sharex=True, sharey=True, squeeze=False)
    bins = _bins(panels)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel, bins, thresholds)
    for axes in grid.flat[max(1, len(panels)) :]:
        axes.set_axis_off()
    if not panels:
        say_nothing_yet(grid.flat[0])
    figure.supxlabel("I' (dotted: the thresholds; dashed: real images)", fontsize=9)
    figure.supylabel("share of the runs (%)", fontsize=9)
    save(figure, path)


def _bins(panels: Sequence[Panel]) -> np.ndarray:
    scores = [run.score for panel in panels for side in (panel.ebgan, panel.gan) if side for run in side.runs]
    return np.linspace(0, 1.02 * max([REAL_SCORE, *scores]), N_BINS + 1)


def _draw(axes: "Axes", panel: Panel, bins: np.ndarray, thresholds: Sequence[float]) -> None:
    sides = (("EBGAN", panel.ebgan, BLUE, "//"), ("GAN", panel.gan, VERMILION, "\\\\"))
    for name, side, colour, hatch in sides:
        if side is None:
            continue
        axes.hist(
            [run.score for run in side.runs], bins.tolist(), weights=[100 / len(side.runs)] * len(side.runs),
            histtype="stepfilled", facecolor="none", edgecolor=colour, hatch=hatch, alpha=0.8, linewidth=1.3,
            label=_label(name, side),
        )  # fmt: skip
    for threshold in thresholds:
        axes.axvline(threshold, color="0.6", linestyle=":", linewidth=0.8)
    axes.axvline(REAL_SCORE, color="0.4", linestyle="--", linewidth=0.8)
    letter = f"({panel.name[1]}) " if len(panel.name) > 1 else ""
    axes.set_title(letter + panel.title, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False)


def _label(name: str, side: Side) -> str:
    return f"{name}, {len(side.runs)} runs, median {side.level.median:.2f}"
