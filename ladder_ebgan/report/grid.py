"""The numbers beside figures 2 and 3: text, Markdown, and one JSON object.

Keys of the JSON object:

    ebgan, gan           folder, model, n_runs, n_architectures, n_diverged, n_unfinished; n_settings of the grid;
                         covered: values of the runs, by parameter, where they are not all that the grid has
    real_score           I' of real images
    thresholds           scores that shares of the runs are counted above
    panels: one entry a panel
        figure, title    figure2 or figure3
        ebgan, gan       n, n_architectures, median, median_ci95, above: share and ci95 by threshold,
                         all_digits: share and ci95; null without a run
        comparison       probability that a run of EBGAN has the higher score, ci95, p_mann_whitney, p_holm of
                         figure 3; null without
"""

import json
from collections.abc import Iterator
from typing import Any

from ladder_ebgan.ranks import MIN_CLUSTERS, Interval, Share
from ladder_ebgan.report.lines import p_value
from ladder_ebgan.report.search import Block, blocks_markdown, blocks_text
from ladder_ebgan.search.grid import Grid
from ladder_ebgan.search.grid_comparison import Figure, GridComparison, Panel, Side

TITLES: dict[Figure, str] = {
    "figure2": "Figure 2, by number of layers",
    "figure3": "Figure 3, GANs by optimiser and learning rate, beside all EBGANs",
}


def grid_json(found: GridComparison) -> str:
    """Return the JSON object."""
    content = {
        "ebgan": _of_grid(found.ebgan),
        "gan": _of_grid(found.gan),
        "real_score": found.real_score,
        "thresholds": found.thresholds,
        "panels": [_of_panel(panel) for panel in found.panels],
    }
    return json.dumps(content, indent=1) + "\n"


def _of_grid(grid: Grid) -> dict[str, Any]:
    return {
        "folder": str(grid.folder),
        "model": grid.model,
        "n_runs": len(grid.runs),
        "n_architectures": grid.n_architectures,
        "n_diverged": grid.n_diverged,
        "n_unfinished": grid.n_unfinished,
        "n_settings": grid.n_settings,
        "covered": grid.covered,
    }


def _of_panel(panel: Panel) -> dict[str, Any]:
    comparison = panel.comparison
    return {
        "figure": panel.figure,
        "title": panel.title,
        "ebgan": _of_side(panel.ebgan),
        "gan": _of_side(panel.gan),
        "comparison": comparison
        and {
            "probability": comparison.probability,
            "ci95": comparison.ci95,
            "p_mann_whitney": comparison.p,
            "p_holm": panel.p_holm,
        },
    }


def _of_side(side: Side | None) -> dict[str, Any] | None:
    return (
        None
        if side is None
        else {
            "n": side.level.n,
            "n_architectures": side.level.n_clusters,
            "median": side.level.median,
            "median_ci95": side.level.median_ci95,
            "above": [share._asdict() for share in side.level.above],
            "all_digits": side.all_digits._asdict(),
        }
    )


def grid_text(found: GridComparison) -> str:
    """Return the tables as text."""
    return blocks_text(_headline(found), _blocks(found)) + f"\n{_notes(found)}\n"


def grid_markdown(found: GridComparison) -> str:
    """Return the tables as Markdown."""
    return blocks_markdown(_headline(found), _blocks(found)) + f"\n{_notes(found)}\n"


def _headline(found: GridComparison) -> str:
    lines = []
    for name, grid in (("EBGAN", found.ebgan), ("GAN", found.gan)):
        unfinished = f", {grid.n_unfinished} unfinished and left out" if grid.n_unfinished else ""
        values = "; ".join(f"{key} {', '.join(map(str, some))}" for key, some in grid.covered.items())
        lines.append(
            f"{name}: {len(grid.runs)} of {grid.n_settings} settings, of {grid.n_architectures} architectures, "
            f"{grid.n_diverged} diverged{unfinished}.{f' Only with {values}.' if values else ''}"
        )
    comparison = found.panels[0].comparison
    if comparison is not None:
        interval = f" (95 %: {comparison.ci95[0]:.2f} to {comparison.ci95[1]:.2f})" if comparison.ci95 else ""
        lines.append(
            f"A run of EBGAN has a higher I' than one of GAN with a probability of {comparison.probability:.2f}"
            f"{interval}."
        )
    return "\n".join(lines)


def _blocks(found: GridComparison) -> Iterator[Block]:
    above = [f"I' >= {threshold:.2f}" for threshold in found.thresholds]
    for figure, title in TITLES.items():
        p = "p" if figure == "figure2" else "Holm p"
        headings = ["", "runs of", "n", "median I'", *above, "all ten digits", "P(EBGAN > GAN)", p]
        rows = [row for panel in found.of_figure(figure) for row in _rows(panel, len(above))]
        if rows:
            yield title, headings, rows


def _rows(panel: Panel, n_thresholds: int) -> Iterator[list[str]]:
    """Yield the row of EBGAN, which has the comparison, and that of GAN."""
    compared = ["", ""]
    if panel.comparison is not None:
        probability = f"{panel.comparison.probability:.2f}{_interval(panel.comparison.ci95)}"
        compared = [probability, p_value(panel.comparison.p if panel.p_holm is None else panel.p_holm)]
    yield [panel.title, "EBGAN", *_cells(panel.ebgan, n_thresholds), *compared]
    yield ["", "GAN", *_cells(panel.gan, n_thresholds), "", ""]


def _cells(side: Side | None, n_thresholds: int) -> list[str]:
    if side is None:
        return ["0", *[""] * (n_thresholds + 2)]
    level = side.level
    median = f"{level.median:.2f}{_interval(level.median_ci95)}"
    return [str(level.n), median, *map(_share, (*level.above, side.all_digits))]


def _share(share: Share) -> str:
    interval = None if share.ci95 is None else (100 * share.ci95[0], 100 * share.ci95[1])
    return f"{100 * share.share:.0f} %{_interval(interval, '.0f')}"


def _interval(ends: Interval | None, form: str = ".2f") -> str:
    return "" if ends is None else f" [{ends[0]:{form}}, {ends[1]:{form}}]"


def _notes(found: GridComparison) -> str:
    return (
        "In brackets 95 % intervals, of a bootstrap that draws architectures with all their runs; none for fewer\n"
        f"than {MIN_CLUSTERS} architectures, nor where all resamples agree. p is of the Mann-Whitney\n"
        "test of the architectures' medians, in figure 3 corrected by Holm's method for the number of panels.\n"
        "A run that has diverged counts with an I' of 0.\n"
        f"The test images of MNIST have an I' of {found.real_score:.2f}."
    )
