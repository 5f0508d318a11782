"""Energies over time: how those of real and of generated images are spread, beside the margin."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.energy_bins import BINS_PER_OCTAVE, histogram_of, lower_edge
from ladder_ebgan.report.figures.curves import in_thousands
from ladder_ebgan.report.figures.drawing import BLUE, VERMILION, logarithmic, save, stacks_of_panels
from ladder_ebgan.results import EnergyHistogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {"real": ("real", BLUE), "generated": ("generated", VERMILION)}  # column: its name and colour
WIDTH, HEIGHT = 6.5, 2.3  # inches of a panel


def energy_histograms(
    histograms: Iterable[EnergyHistogram], path: Path, title: str, examples: str = "images"
) -> None:
    """Write two maps, of real and of generated images: which share of them has which energy at each step.

    Shares are over all the histograms of a step, such as those of several seeds. The colour goes by the square
    root of the share, so that a few images show as well. The line is the margin. Without a histogram there is
    nothing to write.

    Args:
        histograms: of one model.
        path: of the figure, without the suffix.
        title: of the figure.
        examples: what the data has.
    """
    rows = sorted(histograms, key=lambda row: row.step)
    if not rows:
        return
    figure, ((above, below),) = stacks_of_panels(title, 1, len(PANELS), WIDTH, HEIGHT)
    below.sharey(above)
    bins = _bins(rows)
    for axes, (column, (name, color)) in zip((above, below), PANELS.items(), strict=True):
        _draw_map(axes, rows, column, bins, color)
        axes.set_title(f"{name} {examples}", fontsize=10)
        axes.set_ylabel(f"energy per {examples.removesuffix('s')}", fontsize=9)
    energies = lower_edge(np.array([bins[0], bins[-1] + 1])).tolist()
    logarithmic(below, energies)
    below.set_ylim(*energies)
    below.set_xlabel("training step", fontsize=9)
    in_thousands(below, rows[-1].step)
    if above.lines:
        figure.legend(above.lines[:1], ["margin"], loc="outside lower center", frameon=False, fontsize=9)
    save(figure, path)


def _bins(rows: Sequence[EnergyHistogram]) -> NDArray[np.int64]:
    """Return all bins from the lowest to the highest that has an image, or the margin when it is largest.

    A margin that decays to 0 leaves the map: on a logarithmic axis that would take all the room.
    """
    numbers = {number for row in rows for text in (row.real, row.generated) for number in histogram_of(text)}
    margin = max(row.margin for row in rows)
    if margin > 0:
        numbers.add(int(np.floor(BINS_PER_OCTAVE * np.log2(margin))))
    return np.arange(min(numbers, default=0), max(numbers, default=0) + 1)


def _draw_map(
    axes: "Axes", rows: Sequence[EnergyHistogram], column: str, bins: NDArray[np.int64], color: str
) -> None:
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    steps = np.array(sorted({row.step for row in rows}))
    counts = np.zeros((len(bins), len(steps)))
    for row in rows:
        place = np.searchsorted(steps, row.step)
        for number, count in histogram_of(getattr(row, column)).items():
            counts[number - bins[0], place] += count
    shares = 100 * counts / np.maximum(counts.sum(axis=0), 1)
    colors = LinearSegmentedColormap.from_list(column, ["white", color, "black"])
    mesh = axes.pcolormesh(
        _edges(steps),
        lower_edge(np.append(bins, bins[-1] + 1)),
        shares,
        cmap=colors,
        norm=PowerNorm(0.5, 0, max(1, shares.max())),
        rasterized=True,  # as so many squares an SVG would be megabytes
    )
    colorbar = axes.figure.colorbar(mesh, ax=axes, pad=0.01)
    colorbar.set_label("% in a bin", fontsize=8)
    margins = {row.step: row.margin for row in rows if row.margin > 0}
    if margins:
        axes.plot(list(margins), list(margins.values()), color="black", linestyle=":", linewidth=1.5)


def _edges(steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the borders between steps, half-way, and as far beyond the first and the last."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    middles = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([[2 * steps[0] - middles[0]], middles, [2 * steps[-1] - middles[-1]]])
