"""The numbers beside figures 2 and 3: text, Markdown, and one JSON object.

Keys of the JSON object:

    ebgan, gan           folder, model, n_runs, n_diverged, n_unfinished, n_settings of the whole grid
    real_score           I' of real images
    thresholds           scores that shares are counted above
    panels: one entry a panel, first those of figure 2
        name, title      "2a", "2b", "2c", "3"
        ebgan, gan       n, n_architectures, n_diverged, median, median_ci95, above: share and ci95 by threshold,
                         all_digits: share and ci95; null without a run
        comparison       probability that a run of EBGAN has the higher score, ci95, p_mann_whitney; null without
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ladder_ebgan.ranks import Share
from ladder_ebgan.report.search import Block, blocks_markdown, blocks_text
from ladder_ebgan.search.grid import REAL_SCORE, Grid, Panel, Side


def grid_json(ebgan: Grid, gan: Grid, panels: Sequence[Panel], thresholds: Sequence[float]) -> str:
    """Return the JSON object."""
    content = {
        **{name: _of_grid(grid) for name, grid in (("ebgan", ebgan), ("gan", gan))},
        "real_score": REAL_SCORE,
        "thresholds": list(thresholds),
        "panels": [_of_panel(panel) for panel in panels],
    }
    return json.dumps(content, indent=1) + "\n"


def _of_grid(grid: Grid) -> dict[str, Any]:
    return {
        "folder": str(grid.folder),
        "model": grid.model,
        "n_runs": len(grid.runs),
        "n_diverged": sum(run.diverged for run in grid.runs),
        "n_unfinished": grid.n_unfinished,
        "n_settings": grid.n_settings,
    }


def _of_panel(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = {"name": panel.name, "title": panel.title}
    for name, side in (("ebgan", panel.ebgan), ("gan", panel.gan)):
        found[name] = None if side is None else _of_side(side)
    comparison = panel.comparison
    found["comparison"] = comparison and {
        "probability": comparison.probability,
        "ci95": comparison.ci95,
        "p_mann_whitney": comparison.p,
    }
    return found


def _of_side(side: Side) -> dict[str, Any]:
    level = side.level
    return {
        "n": level.n,
        "n_architectures": level.n_clusters,
        "n_diverged": side.n_diverged,
        "median": level.median,
        "median_ci95": level.median_ci95,
        "above": [share._asdict() for share in level.above],
        "all_digits": side.all_digits._asdict(),
    }


def grid_text(ebgan: Grid, gan: Grid, panels: Sequence[Panel], thresholds: Sequence[float]) -> str:
    """Return the tables as text."""
    return blocks_text(_headline(ebgan, gan, panels), _blocks(panels, thresholds)) + f"\n{_notes()}\n"


def grid_markdown(ebgan: Grid, gan: Grid, panels: Sequence[Panel], thresholds: Sequence[float]) -> str:
    """Return the tables as Markdown."""
    return blocks_markdown(_headline(ebgan, gan, panels), _blocks(panels, thresholds)) + f"\n{_notes()}\n"


def _headline(ebgan: Grid, gan: Grid, panels: Sequence[Panel]) -> str:
    parts = []
    for name, grid in (("EBGAN", ebgan), ("GAN", gan)):
        n_diverged = sum(run.diverged for run in grid.runs)
        architectures = len({run.architecture for run in grid.runs})
        unfinished = f", {grid.n_unfinished} unfinished and left out" if grid.n_unfinished else ""
        parts.append(
            f"{name}: {len(grid.runs)} of {grid.n_settings} settings, of {architectures} architectures, "
            f"{n_diverged} diverged{unfinished}."
        )
    comparison = panels[0].comparison
    if comparison is not None:
        interval = f" (95 %: {comparison.ci95[0]:.2f} to {comparison.ci95[1]:.2f})" if comparison.ci95 else ""
        higher = f"with a probability of {comparison.probability:.2f}{interval}"
        parts.append(f"A run of EBGAN has a higher I' than one of GAN {higher}.")
    return "\n".join(parts)


def _blocks(panels: Sequence[Panel], thresholds: Sequence[float]) -> Iterator[Block]:
    titles = {"2": "by number of layers", "3": "GANs by optimiser and learning rate, beside all EBGANs"}
    above = [f"I' >= {threshold:.2f}" for threshold in thresholds]
    for figure, title in titles.items():
        mine = [panel for panel in panels if panel.name.startswith(figure)]
        headings = ["runs of", "", "n", "median I'", *above, "all ten digits", "P(EBGAN > GAN)", "p"]
        if mine:
            yield f"Figure {figure}, {title}", headings, [row for panel in mine for row in _rows(panel)]


def _rows(panel: Panel) -> Iterator[list[str]]:
    letter = f"({panel.name[1]}) " if len(panel.name) > 1 else ""
    compared = ["", ""]
    if panel.comparison is not None:
        low_high = panel.comparison.ci95
        interval = "" if low_high is None else f" [{low_high[0]:.2f}, {low_high[1]:.2f}]"
        compared = [f"{panel.comparison.probability:.2f}{interval}", _p_value(panel.comparison.p)]
    for name, side in (("EBGAN", panel.ebgan), ("GAN", panel.gan)):
        first = name == "EBGAN"
        head = [letter + panel.title if first else "", name]
        if side is None:
            yield [*head, "0", *[""] * (len(compared) + 2)]
            continue
        level = side.level
        interval = "" if level.median_ci95 is None else " [{:.2f}, {:.2f}]".format(*level.median_ci95)
        shares = [_share(share) for share in (*level.above, side.all_digits)]
        yield [*head, str(level.n), f"{level.median:.2f}{interval}", *shares, *(compared if first else ["", ""])]


def _share(share: Share) -> str:
    interval = "" if share.ci95 is None else f" [{100 * share.ci95[0]:.0f}, {100 * share.ci95[1]:.0f}]"
    return f"{100 * share.share:.0f} %{interval}"


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def _notes() -> str:
    return (
        "In brackets 95 % intervals, of a bootstrap that draws architectures with all their runs; none for fewer\n"
        "than three architectures, nor where all runs do something or none. p is that of the Mann-Whitney test,\n"
        "which takes each run as independent. A run that has diverged counts with an I' of 0.\n"
        f"Real images have an I' of {REAL_SCORE}; shares are counted above parts of it, or above each --threshold."
    )
