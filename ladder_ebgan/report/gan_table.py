"""The table of GANs without labels: how good their images are, over seeds, and in which formats it is written.

`ladder_ebgan.quality` says what the scores are. Where images were not scored, as those of other data than MNIST are
not, the table has the numbers of seeds alone.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ladder_ebgan.report.latex import escape
from ladder_ebgan.report.lines import plus_minus, text_console
from ladder_ebgan.report.table import MISSING, Comparison, Divergence, by_cell, model_order, named_seeds
from ladder_ebgan.report.table_layout import comparison_cells
from ladder_ebgan.results import Result
from ladder_ebgan.statistics import PairedComparison, compare_paired, holm, mean, standard_deviation

MAIN = "modified_inception_score"
SCORES = {  # columns of `Result`: what they are called, digits behind the point
    "modified_inception_score": ("modified inception score", 2),
    "inception_score": ("inception score", 2),
    "generated_precision": ("precision", 3),
    "generated_recall": ("recall", 3),
    "n_modes": ("modes", 1),
    "class_kl": ("class KL", 3),
}


@dataclass(frozen=True)
class Spread:
    """A score over the seeds that have it, in the order of `GANRow.seeds`."""

    mean: float
    std: float | None  # sample standard deviation; None for a single seed
    values: tuple[float, ...]


@dataclass(frozen=True)
class GANRow:
    """The seeds of one model."""

    model: str
    n_seeds: int  # finished ones
    n_diverged: int
    seeds: tuple[int, ...]
    diverged: tuple[Divergence, ...]
    scores: dict[str, Spread]  # by column of `Result`, as far as all finished seeds have it


@dataclass(frozen=True)
class GANTable:
    """All GANs of one data set; `notes` says what the numbers leave out."""

    dataset_name: str
    recipes: tuple[str, ...]
    rows: tuple[GANRow, ...]
    comparisons: tuple[Comparison, ...]  # of variants with what they are of, by the modified inception score
    notes: tuple[str, ...]

    @property
    def examples(self) -> str:
        """What the data has."""
        return "images"

    @property
    def columns(self) -> list[str]:
        """The scores that some model has."""
        return [name for name in SCORES if any(name in row.scores for row in self.rows)]


def build_gan_table(
    results: Iterable[Result], dataset_name: str, recipes: Sequence[str] = (), variants: Mapping[str, str] = {}
) -> GANTable:
    """Return the table of the results of one data set; `variants` are models by name, with what each is of.

    Raises:
        UsageError: two results of one model and seed differ.
    """
    cells = {model: cell for (model, _), cell in by_cell(results).items()}
    rows = tuple(_row(model, cells[model]) for model in model_order(cells, variants))
    notes = [
        f"{row.n_diverged} of {row.n_seeds + row.n_diverged} seeds of {row.model} diverged and are left out "
        f"({named_seeds(row.diverged)})"
        for row in rows
        if row.diverged
    ]
    if not rows:
        notes.append("no results yet")
    return GANTable(dataset_name, tuple(recipes), rows, tuple(_comparisons(rows, variants)), tuple(notes))


def _comparisons(rows: Sequence[GANRow], variants: Mapping[str, str]) -> list[Comparison]:
    """Compare variants with the models that they are of, over the seeds that both finished."""
    by_seed = {
        row.model: dict(zip(row.seeds, row.scores[MAIN].values, strict=True)) for row in rows if MAIN in row.scores
    }
    diverged = {row.model: {each.seed for each in row.diverged} for row in rows}
    compared: dict[str, PairedComparison] = {}
    for model, after in by_seed.items():
        before = by_seed.get(variants.get(model, ""), {})
        shared = [seed for seed in before if seed in after]
        if shared:
            scores = [before[seed] for seed in shared], [after[seed] for seed in shared]
            paired = compare_paired(*scores)
            compared[model] = replace(paired, relative_improvement_percent=None)  # that is one of errors
    tried = [model for model in diverged if model in variants]
    corrected = holm([compared[model].p_paired_t if model in compared else None for model in tried])
    return [
        Comparison(
            *(0, variants[model], model, compared[model], p, len(tried)),
            n_left_out=len(diverged[model] | diverged[variants[model]]),
        )
        for model, p in zip(tried, corrected, strict=True)
        if model in compared
    ]


def comparison_line(comparison: Comparison) -> str:
    """Return a comparison of modified inception scores in a line, with the tests that its seeds allow."""
    cells = comparison_cells(comparison)
    known = [f"{name} {cell}" for name, cell in cells.items() if cell != MISSING]
    return f"{comparison.model} against {comparison.baseline}, modified inception score: {', '.join(known)}"


def _row(model: str, results: Sequence[Result]) -> GANRow:
    finished = [result for result in results if result.status == "ok"]
    scores = {}
    for name in SCORES:
        values = [getattr(result, name) for result in finished]
        if values and None not in values:
            scores[name] = Spread(mean(values), standard_deviation(values), tuple(values))
    return GANRow(
        model=model,
        n_seeds=len(finished),
        n_diverged=len(results) - len(finished),
        seeds=tuple(result.seed for result in finished),
        diverged=tuple(Divergence(r.seed, r.diverged_step) for r in results if r.status != "ok"),
        scores=scores,
    )


def gan_table_in(table: GANTable, layout: str, color: bool = False) -> str:
    """Return the table as text, markdown, latex, csv or json; only text may have colours."""
    writers = {"markdown": _markdown, "latex": _latex, "csv": _csv, "json": _json}
    return _text(table, color) if layout == "text" else writers[layout](table)


def title(table: GANTable) -> str:
    """Return what the table is of."""
    return f"Generated images, {table.dataset_name}"


def gan_footnotes(table: GANTable) -> list[str]:
    """Return what the numbers are."""
    if not any(row.n_seeds for row in table.rows):
        return []
    if not table.columns:
        return ["Images were not scored: the classifier that scores them knows MNIST's digits of 28 x 28 alone."]
    return [
        "± is the standard deviation over seeds. Scores are of 10,000 generated images against 10,000 training "
        "images; of all but the class KL more is better."
    ]


def gan_cells(table: GANTable) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows as text."""
    header = ["model", "seeds", *(SCORES[name][0] for name in table.columns)]
    rows = [
        [row.model, str(row.n_seeds), *(_cell(row.scores.get(name), SCORES[name][1]) for name in table.columns)]
        for row in table.rows
    ]
    return header, rows


def _cell(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return MISSING
    return plus_minus(spread.mean, spread.std, f".{digits}f")


def _text(table: GANTable, color: bool) -> str:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    header, rows = gan_cells(table)
    grid = Table(box=box.HORIZONTALS)
    for number, name in enumerate(header):
        grid.add_column(name, justify="right" if number else "left")
    for row in rows:
        grid.add_row(*map(Text, row))
    console = text_console(color)
    with console.capture() as capture:
        console.print(Text(title(table), style="bold"))
        console.print(grid)
        for comparison in table.comparisons:
            console.print(Text(comparison_line(comparison)), soft_wrap=True)
        for line in [*table.notes, *gan_footnotes(table)]:
            console.print(Text(line, style="dim"), soft_wrap=True)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _markdown(table: GANTable) -> str:
    header, rows = gan_cells(table)
    alignment = [":--", *["--:"] * (len(header) - 1)]
    lines = [title(table), "", *(f"| {' | '.join(line)} |" for line in [header, alignment, *rows])]
    said = [*map(comparison_line, table.comparisons), *table.notes, *gan_footnotes(table)]
    return "\n".join([*lines, *(f"\n{line}" for line in said)]) + "\n"


def _latex(table: GANTable) -> str:
    header, rows = gan_cells(table)
    sentences = [title(table), *map(comparison_line, table.comparisons), *table.notes]
    caption = " ".join(map(escape, [*(f"{sentence}." for sentence in sentences), *gan_footnotes(table)]))
    lines = [" & ".join(map(escape, line)) + " \\\\" for line in [header, *rows]]
    body = "\n".join([lines[0], "\\midrule", *lines[1:]])
    return (
        "% Needs \\usepackage{booktabs}.\n\\begin{table}\n\\centering\n\\small\n"
        f"\\caption{{{caption}}}\n\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}\n\\toprule\n{body}\n"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def _csv(table: GANTable) -> str:
    """Return one row a model, with full precision; a missing number is empty."""
    of_scores = [f"{name}_{part}" for name in table.columns for part in ("mean", "std")]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["model", "n_seeds", "n_diverged", *of_scores], lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        numbers = {
            f"{name}_{part}": getattr(spread, part)
            for name, spread in row.scores.items()
            for part in ("mean", "std")
        }
        writer.writerow({"model": row.model, "n_seeds": row.n_seeds, "n_diverged": row.n_diverged, **numbers})
    return text.getvalue()


def _json(table: GANTable) -> str:
    """Return the table with full precision, every seed's scores among it."""
    return json.dumps(asdict(table), indent=1, allow_nan=False) + "\n"
