"""The table as text, Markdown, CSV and JSON; `latex.py` writes it for a paper."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from ladder_ebgan.report.lines import text_console
from ladder_ebgan.report.table import Comparison, Table, named_seeds
from ladder_ebgan.report.table_layout import cell_grid, comparison_lines, footnotes, paper_lines, title

VARIANT_COLUMNS = [  # of a CSV file, behind those that all models have
    *("baseline", "n_pairs", "mean_difference", "ci95_low", "ci95_high", "relative_improvement_percent"),
    *("p_paired_t", "p_paired_t_holm", "p_wilcoxon", "n_variants"),
]


def table_text(table: Table, *, color: bool = False) -> str:
    """Return the table for a terminal; without `color` it holds no ANSI codes, whatever the environment."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    budgets, reported, ours = cell_grid(table)
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
    console = text_console(color)
    with console.capture() as capture:
        console.print(Text(title(table), style="bold"))
        console.print(grid)
        for line in [*comparison_lines(table), *paper_lines(table)]:
            console.print(Text(line), soft_wrap=True)
        for line in [*table.notes, *footnotes(table)]:
            console.print(Text(line, style="dim"), soft_wrap=True)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def table_markdown(table: Table) -> str:
    """Return the table for a Markdown page, the comparisons and notes as a list below it."""
    budgets, reported, ours = cell_grid(table)
    header = ["model", "source", *(f"{labels} labels" for labels in budgets)]
    alignment = [":--", ":--", *("--:" for _ in budgets)]
    lines = [title(table), ""]
    lines += [f"| {' | '.join(cells)} |" for cells in [header, alignment, *reported, *ours]]
    lines += ["", *(f"- {line}" for line in [*comparison_lines(table), *paper_lines(table), *table.notes])]
    for line in footnotes(table):
        lines += ["", line]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def table_csv(table: Table) -> str:
    """Return one row per model and number of labels, with full precision; a missing number is empty.

    Where there are variants, their rows have the comparison with the model that they are of.
    """
    columns = [
        *("model", "labels", "n_seeds", "n_diverged", "mean", "std", "median", "min", "max"),
        *("sampling_error", "diverged", "recipe"),
    ]
    columns += ["n_test"] if any(row.n_test for row in table.rows) else []
    compared = {
        (each.model, each.labels, each.recipe): each for each in table.comparisons if each.n_variants is not None
    }
    columns += VARIANT_COLUMNS if compared else []
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        comparison = compared.get((row.model, row.labels, row.recipe))
        more = {} if comparison is None else _compared(comparison)
        writer.writerow(asdict(row) | {"diverged": named_seeds(row.diverged, "; ")} | more)
    return text.getvalue()


def _compared(comparison: Comparison) -> dict[str, Any]:
    """Return the numbers of a comparison by their columns in a CSV file."""
    paired = asdict(comparison.paired)
    low, high = comparison.paired.ci95 or (None, None)
    names = {"baseline": comparison.baseline, "n_pairs": paired["n"], "ci95_low": low, "ci95_high": high}
    return {**asdict(comparison), **paired, **names}


def table_json(table: Table) -> str:
    """Return the table as JSON, one row a line, with full precision; a missing number is null."""
    comparisons = []
    for comparison in table.comparisons:
        paired = asdict(comparison.paired)
        rest = {key: value for key, value in asdict(comparison).items() if key != "paired"}
        corrected = {key: rest.pop(key) for key in ("p_paired_t_holm", "n_variants")}
        comparisons.append({**rest, "n_seeds": paired.pop("n"), **paired, **corrected})
    head = {"dataset": table.dataset_name, "n_test": table.n_test, "recipes": table.recipes}
    blocks = {
        "rows": [
            {key: value for key, value in asdict(row).items() if key != "n_test" or value} for row in table.rows
        ],
        "comparisons": comparisons,
        "beside_paper": [asdict(each) for each in table.beside_paper],
        "reported": [asdict(reported) for reported in table.reported],
        "notes": table.notes,
    }
    lines = [f'"{name}": {json.dumps(value)}' for name, value in head.items()]
    for name, entries in blocks.items():
        body = ",\n  ".join(json.dumps(entry, allow_nan=False) for entry in entries)
        lines.append(f'"{name}": [\n  {body}\n ]' if body else f'"{name}": []')
    return "{" + ",\n ".join(lines) + "}\n"
