"""Figures 2 and 3 of Zhao, Mathieu, LeCun 2017: histograms of the scores of a grid's runs, EBGAN against GAN."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.report.figures.drawing import BLUE, VERMILION, counted, new_figure, save, say_nothing_yet
from ladder_ebgan.search.grid_comparison import Figure, GridComparison, Panel

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

N_BINS = 24
N_COLUMNS = 3
STYLES: dict[str, dict[str, Any]] = {
    name: {"facecolor": "none", "edgecolor": colour, "hatch": hatch, "alpha": 0.8, "linewidth": 1.3}
    for name, colour, hatch in (("EBGAN", BLUE, "//"), ("GAN", VERMILION, "\\\\"))
}
THRESHOLD: dict[str, Any] = {"color": "0.6", "linestyle": ":", "linewidth": 0.8}
REAL: dict[str, Any] = {"color": "0.4", "linestyle": "--", "linewidth": 0.8}
PANEL_WIDTH, PANEL_HEIGHT = 3.0, 2.3  # inches
TITLES: dict[Figure, str] = {
    "figure2": "Modified inception score I' over the grid",
    "figure3": "Modified inception score I' by the GANs' optimisers and learning rate",
}


def draw_grid(found: GridComparison, folder: Path) -> None:
    """Write both figures into a folder."""
    for name, title in TITLES.items():
        histograms(found, found.of_figure(name), title, folder / name)


def histograms(found: GridComparison, panels: Sequence[Panel], title: str, path: Path) -> None:
    """Write one histogram a panel: shares of the runs with a score in each bin, the same bins in all panels."""
    n_rows = max(1, -(-len(panels) // N_COLUMNS))
    figure = new_figure(title, PANEL_WIDTH * N_COLUMNS + 0.8, PANEL_HEIGHT * n_rows + 1.2, "constrained")
    grid = figure.subplots(n_rows, N_COLUMNS, sharex=True, sharey=True, squeeze=False)
    bins = _bins(found)
    for place, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw(axes, panel, bins, found)
        if place + N_COLUMNS >= len(panels):  # the lowest of its column
            axes.set_xlabel("I'", fontsize=9)
            axes.tick_params(labelbottom=True)
    for axes in grid.flat[max(1, len(panels)) :]:
        axes.set_axis_off()
    if panels:
        figure.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    else:
        say_nothing_yet(grid.flat[0])
    figure.supylabel("share of the runs (%)", fontsize=9)
    save(figure, path)


def _bins(found: GridComparison) -> NDArray[np.float64]:
    scores = [run.score for run in (*found.ebgan.runs, *found.gan.runs)]
    return np.linspace(0, 1.02 * max([found.real_score, *scores]), N_BINS + 1)


def _draw(axes: "Axes", panel: Panel, bins: NDArray[np.float64], found: GridComparison) -> None:
    medians = []
    for (name, style), side in zip(STYLES.items(), (panel.ebgan, panel.gan), strict=True):
        if side is None:
            continue
        shares = [100 / len(side.runs)] * len(side.runs)
        axes.hist([run.score for run in side.runs], bins.tolist(), weights=shares, histtype="stepfilled", **style)
        medians.append(f"{name} {counted(len(side.runs), 'run')}, median {side.level.median:.2f}")
    for threshold in found.thresholds:
        axes.axvline(threshold, **THRESHOLD)
    axes.axvline(found.real_score, **REAL)
    axes.set_title("\n".join([panel.title, *medians]), fontsize=8)
    axes.tick_params(labelsize=7)


def _legend() -> "list[Artist]":
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    patches = [Patch(label=name, **style) for name, style in STYLES.items()]
    lines = {"thresholds": THRESHOLD, "real images": REAL}
    return [*patches, *(Line2D([], [], label=name, **style) for name, style in lines.items())]
