"""The table of error rates over seeds, laid out as the paper's Table 2, with paired comparisons below it.

Zhao, Mathieu, LeCun, "Energy-based Generative Adversarial Network", ICLR 2017, arXiv 1609.03126, section 4.2.
`build_table` does the arithmetic once; the writers (`table_text`, `table_markdown`, `table_csv`,
`table_json`) only print it. Diverged replicas have no error: they are left out, counted, and named in a note.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ladder_ebgan.errors import UsageError
from ladder_ebgan.results import Result
from ladder_ebgan.statistics import (
    MIN_FOR_INTERVAL,
    MIN_FOR_WILCOXON,
    PairedComparison,
    compare_paired,
    mean,
    standard_deviation,
)

MODELS = ("ladder", "ladder-matched", "ebgan-ladder")  # the order of rows; any other model comes after
MISSING = "–"


@dataclass(frozen=True)
class Row:
    """The test errors in percent of one model with one number of labels; `errors[i]` is of `seeds[i]`."""

    model: str
    labels: int
    n_seeds: int  # finished ones: those that the statistics are over
    n_diverged: int
    mean: float | None
    std: float | None  # sample standard deviation; None for a single seed
    median: float | None
    min: float | None
    max: float | None
    seeds: tuple[int, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """A model against a baseline with the same number of labels, over the seeds that both finished."""

    labels: int
    baseline: str
    model: str
    paired: PairedComparison


@dataclass(frozen=True)
class Reported:
    """An error rate in percent from a paper; what its `plus_minus` is the papers do not all say."""

    model: str
    source: str
    labels: int
    n_seeds: int
    mean: float
    plus_minus: float


@dataclass(frozen=True)
class Table:
    """All that is known of one data set; `notes` says what the numbers leave out."""

    dataset_name: str
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    reported: tuple[Reported, ...]
    notes: tuple[str, ...]


BOTTOM = "LN bottom-layer-cost"
REPORTED_ON_MNIST = (  # Table 2 of the paper
    Reported(BOTTOM, "Pezeshki et al. 2015", 100, 10, 1.69, 0.18),
    Reported(BOTTOM, "Pezeshki et al. 2015", 1000, 10, 1.05, 0.02),
    Reported(BOTTOM, "Rasmus et al. 2015", 100, 10, 1.09, 0.32),
    Reported(BOTTOM, "Rasmus et al. 2015", 1000, 10, 0.90, 0.05),
    Reported(BOTTOM, "Zhao et al. 2017", 100, 15, 1.36, 0.21),
    Reported(BOTTOM, "Zhao et al. 2017", 200, 15, 1.24, 0.09),
    Reported(BOTTOM, "Zhao et al. 2017", 1000, 15, 1.04, 0.06),
    Reported("EBGAN-LN", "Zhao et al. 2017", 100, 15, 1.04, 0.12),
    Reported("EBGAN-LN", "Zhao et al. 2017", 200, 15, 0.99, 0.12),
    Reported("EBGAN-LN", "Zhao et al. 2017", 1000, 15, 0.89, 0.04),
)


def model_order(models: Iterable[str]) -> list[str]:
    """Return each model once: baselines first, then the energy-based one, then any other by name."""
    return sorted(set(models), key=lambda model: (MODELS.index(model) if model in MODELS else len(MODELS), model))


def build_table(results: Iterable[Result], dataset_name: str) -> Table:
    """Return the table of the results of one data set, which may come from several run folders.

    The paper's own numbers stand beside ours for `mnist` only. UsageError where two results of one model,
    number of labels and seed differ: they are of different recipes or machines, and have no common mean.
    """
    cells = _cells(results)
    models = model_order(model for model, _ in cells)
    budgets = sorted({labels for _, labels in cells})
    rows = [_row(cells[model, labels]) for model in models for labels in budgets if (model, labels) in cells]
    pairs = [("ladder", model) for model in models if model != "ladder"] + [("ladder-matched", "ebgan-ladder")]
    by_key = {(row.model, row.labels): row for row in rows}
    notes = [_diverged_note(cells[key]) for key, row in by_key.items() if row.n_diverged]
    comparisons = []
    for labels in budgets:
        for baseline, model in pairs:
            if (baseline, labels) not in by_key or (model, labels) not in by_key:
                continue
            comparison = _compare(by_key[baseline, labels], by_key[model, labels])
            if comparison:
                comparisons.append(comparison)
            else:
                notes.append(f"{labels} labels: {model} and {baseline} have no finished seed in common")
    if not cells:
        notes.append("no results yet")
    reported = REPORTED_ON_MNIST if dataset_name == "mnist" else ()
    return Table(dataset_name, tuple(rows), tuple(comparisons), reported, tuple(notes))


def _cells(results: Iterable[Result]) -> dict[tuple[str, int], list[Result]]:
    """Return the results of each (model, labels), by seed; the same row read twice counts once."""
    unique = dict.fromkeys(results)
    cells: dict[tuple[str, int], list[Result]] = {}
    for result in sorted(unique, key=lambda result: (result.model, result.labels, result.seed)):
        cell = cells.setdefault((result.model, result.labels), [])
        if cell and cell[-1].seed == result.seed:
            raise UsageError(
                f"{result.model} with {result.labels} labels has two results of seed {result.seed}; "
                "make one table per recipe, from folders that do not overlap"
            )
        cell.append(result)
    return cells


def _diverged_note(cell: Sequence[Result]) -> str:
    diverged = [result for result in cell if result.test_error_percent is None]
    where = ", ".join(
        f"seed {result.seed}" + ("" if result.diverged_step is None else f" at step {result.diverged_step}")
        for result in diverged
    )
    return (
        f"{cell[0].labels} labels: {len(diverged)} of {_seeds(len(cell))} of {cell[0].model} diverged and "
        f"{'is' if len(diverged) == 1 else 'are'} left out ({where})"
    )


def _row(cell: Sequence[Result]) -> Row:
    by_seed = {result.seed: result.test_error_percent for result in cell}
    finished = {seed: error for seed, error in by_seed.items() if error is not None}
    errors = tuple(finished.values())
    return Row(
        model=cell[0].model,
        labels=cell[0].labels,
        n_seeds=len(errors),
        n_diverged=len(cell) - len(errors),
        mean=mean(errors) if errors else None,
        std=standard_deviation(errors) if errors else None,
        median=float(np.median(errors)) if errors else None,
        min=min(errors, default=None),
        max=max(errors, default=None),
        seeds=tuple(finished),
        errors=errors,
    )


def _compare(baseline: Row, model: Row) -> Comparison | None:
    """Return the comparison over the seeds that both finished; None where there is no such seed."""
    before = dict(zip(baseline.seeds, baseline.errors, strict=True))
    after = dict(zip(model.seeds, model.errors, strict=True))
    shared = [seed for seed in before if seed in after]
    if not shared:
        return None
    paired = compare_paired([before[seed] for seed in shared], [after[seed] for seed in shared])
    return Comparison(model.labels, baseline.model, model.model, paired)


def table_json(table: Table) -> str:
    """Return the table as JSON, one row a line, with full precision; a missing number is null."""
    comparisons = []
    for comparison in table.comparisons:
        paired = asdict(comparison.paired)
        names = {"labels": comparison.labels, "baseline": comparison.baseline, "model": comparison.model}
        comparisons.append({**names, "n_seeds": paired.pop("n"), **paired})
    blocks = {
        "rows": [asdict(row) for row in table.rows],
        "comparisons": comparisons,
        "reported": [asdict(reported) for reported in table.reported],
        "notes": table.notes,
    }
    lines = [f'"dataset": {json.dumps(table.dataset_name)}']
    for name, entries in blocks.items():
        body = ",\n  ".join(json.dumps(entry, allow_nan=False) for entry in entries)
        lines.append(f'"{name}": [\n  {body}\n ]' if body else f'"{name}": []')
    return "{" + ",\n ".join(lines) + "}\n"


def table_csv(table: Table) -> str:
    """Return one row per model and number of labels, with full precision; a missing number is empty."""
    columns = ["model", "labels", "n_seeds", "n_diverged", "mean", "std", "median", "min", "max"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in table.rows)
    return text.getvalue()


def table_markdown(table: Table) -> str:
    """Return the table for a Markdown page, the comparisons and notes as a list below it."""
    budgets, reported, ours = _grid(table)
    header = ["model", "source", *(f"{labels} labels" for labels in budgets)]
    alignment = [":--", ":--", *("--:" for _ in budgets)]
    lines = [_title(table), ""]
    lines += [f"| {' | '.join(cells)} |" for cells in [header, alignment, *reported, *ours]]
    lines += ["", *(f"- {line}" for line in [*_comparison_lines(table), *table.notes]), "", _footnote(table)]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def table_text(table: Table, *, color: bool = False) -> str:
    """Return the table for a terminal; without `color` it holds no ANSI codes, whatever the environment."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    budgets, reported, ours = _grid(table)
    grid = RichTable(box=box.HORIZONTALS)
    grid.add_column("model")
    grid.add_column("source")
    for labels in budgets:
        grid.add_column(f"{labels} labels", justify="right")
    for cells in reported:
        grid.add_row(*cells, style="dim")
    grid.add_section()
    for cells in ours:
        grid.add_row(*(Text(cell) for cell in cells))
    console = Console(
        file=io.StringIO(),
        width=1000,  # never wraps; the table takes what it needs
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as capture:
        console.print(Text(_title(table), style="bold"))
        console.print(grid)
        for line in _comparison_lines(table):
            console.print(Text(line), soft_wrap=True)
        for line in [*table.notes, _footnote(table)]:
            console.print(Text(line, style="dim"), soft_wrap=True)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _title(table: Table) -> str:
    return f"Test error in %, {table.dataset_name}"


def _grid(table: Table) -> tuple[list[int], list[list[str]], list[list[str]]]:
    """Return the label budgets that somebody has, and the cells of the reported rows and of ours."""
    reported: dict[tuple[str, str], dict[int, str]] = {}
    for entry in table.reported:
        cell = _cell(entry.mean, entry.plus_minus, entry.n_seeds)
        reported.setdefault((entry.model, entry.source), {})[entry.labels] = cell
    ours: dict[tuple[str, str], dict[int, str]] = {}
    for row in table.rows:
        ours.setdefault((row.model, "ours"), {})[row.labels] = _cell(row.mean, row.std, row.n_seeds)
    budgets = sorted({labels for cells in [*reported.values(), *ours.values()] for labels in cells})

    def lines(block: dict[tuple[str, str], dict[int, str]]) -> list[list[str]]:
        return [[*names, *(cells.get(labels, MISSING) for labels in budgets)] for names, cells in block.items()]

    return budgets, lines(reported), lines(ours)


def _cell(centre: float | None, spread: float | None, n_seeds: int) -> str:
    if centre is None:
        return MISSING
    return f"{centre:.2f}{'' if spread is None else f' ± {spread:.2f}'} ({n_seeds})"


def _comparison_lines(table: Table) -> list[str]:
    return [_comparison_line(comparison) for comparison in table.comparisons]


def _comparison_line(comparison: Comparison) -> str:
    paired = comparison.paired
    parts = []
    if paired.relative_improvement_percent is not None:
        parts.append(f"relative improvement {paired.relative_improvement_percent:z.1f} %")
    difference = f"paired difference {paired.mean_difference:+z.2f} points"
    if paired.ci95 is not None:
        difference += f" [95 % interval {paired.ci95[0]:+z.2f}, {paired.ci95[1]:+z.2f}]"
    parts.append(difference)
    if paired.p_paired_t is not None:
        parts.append(f"paired t p {_p_value(paired.p_paired_t)}")
    if paired.p_wilcoxon is not None:
        parts.append(f"Wilcoxon p {_p_value(paired.p_wilcoxon)}")
    why = _why_missing(paired)
    return (
        f"{comparison.labels} labels: {comparison.model} against {comparison.baseline}: {', '.join(parts)} "
        f"({_seeds(paired.n)}{': ' + why if why else ''})"
    )


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"


def _why_missing(paired: PairedComparison) -> str:
    """Return why a test that the line does not show is not there; an empty string where all are."""
    if paired.n < MIN_FOR_INTERVAL:
        return "too few for an interval or a test"
    if paired.p_paired_t is None and paired.p_wilcoxon is None:
        return "the same difference in each, no test"
    if paired.p_paired_t is None:
        return "the same difference in each, no t test"
    if paired.p_wilcoxon is None:
        few = "too few" if paired.n < MIN_FOR_WILCOXON else f"fewer than {MIN_FOR_WILCOXON} differ, too few"
        return f"{few} for the Wilcoxon test"
    return ""


def _footnote(table: Table) -> str:
    reported = " (the papers of the reported rows do not all say what theirs is)" if table.reported else ""
    return (
        f"Error rates in % of the test set; ± is the standard deviation over seeds{reported}; "
        "the number of seeds is in brackets."
    )


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"
