r"""The table as LaTeX, ready for a paper: a `table` environment with booktabs rules, its own explanation above it.

Names beyond Latin, Greek and Cyrillic letters need XeLaTeX or LuaLaTeX and a font that has them.
"""

import re
from collections.abc import Iterable, Sequence
from string import ascii_lowercase

from ladder_ebgan.report.seeds import seed_list
from ladder_ebgan.report.table import MISSING, Table
from ladder_ebgan.report.table_layout import (
    REPORTED,
    cell_grid,
    comparison_cells,
    difference_lines,
    sampling_lines,
    shown_name,
)

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\textasciigrave{}"},
    **{'"': "''", MISSING: "--", "±": r"$\pm$"},
    **{"[": "{[}", "*": "{*}"},  # behind \\ they would be its options
}


def escape(text: str) -> str:
    """Return plain text for LaTeX: nothing in it is a command, and signs before digits are those of numbers."""
    text = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return re.sub(
        r"(?P<sign>(?<![^\s\[(])[+-](?=\d))|(?P<tie>(?<=\d) (?=%)|(?<=et al\.) )"
        r"|(?P<ligature>[-–](?=[-–]))|(?P<other>.)",
        lambda match: {
            "sign": f"${match[0]}$",
            "tie": "~",
            "ligature": SPECIAL.get(match[0], match[0]) + "{}",
            "other": SPECIAL.get(match[0], match[0]),
        }[str(match.lastgroup)],
        text,
    )


def table_latex(table: Table) -> str:
    """Return the table as a LaTeX `table`, which needs `booktabs`; with three budgets it is as wide as a page.

    Its blocks of rows are the papers' own, ours, and for each pair of models the comparison.
    """
    budgets, reported, ours = cell_grid(table)
    marks = _source_marks(table)
    blocks = [
        [[escape(model) + marks[source], *map(escape, cells)] for model, source, *cells in reported],
        [[escape(model), *map(escape, cells)] for model, _, *cells in ours],
        *_comparison_blocks(table, budgets),
    ]
    rows = ["\\midrule\n" + "".join(map(_row, block)) for block in blocks if block]
    label = re.sub(r"[^A-Za-z0-9]+", "-", "-".join([table.dataset_name, *table.recipes])).strip("-")
    caption = "\n".join(f"  {line}" for line in _caption(table, marks))
    return (
        "% Needs \\usepackage{booktabs}.\n"
        "\\begin{table}\n\\centering\n\\small\n\\setlength{\\belowcaptionskip}{\\abovecaptionskip}\n"
        f"\\caption[{{Test error on {escape(table.dataset_name)}}}]{{%\n{caption}%\n}}\n"
        f"\\label{{tab:{label or 'test-error'}}}\n"
        f"\\begin{{tabular}}{{l{'r' * len(budgets)}}}\n\\toprule\n"
        f"{_row(['Model', *(f'{labels} labels' for labels in budgets)])}{''.join(rows)}"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def _row(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\\n"


def _comparison_blocks(table: Table, budgets: Sequence[int]) -> list[list[list[str]]]:
    """Return a block for each pair of models: a line that names it, then a row for each number that is known."""
    blocks = []
    pairs = dict.fromkeys((each.model, each.baseline, each.recipe) for each in table.comparisons)
    for model, baseline, recipe in pairs:
        by_budget = {
            each.labels: comparison_cells(each)
            for each in table.comparisons
            if (each.model, each.baseline, each.recipe) == (model, baseline, recipe)
        }
        pair = f"{shown_name(table, model, recipe)} against {baseline}"
        title = f"\\multicolumn{{{len(budgets) + 1}}}{{l}}{{{escape(pair)}}}"
        block = [[title]]
        for name in next(iter(by_budget.values())):
            row = [by_budget[labels][name] if labels in by_budget else MISSING for labels in budgets]
            if set(row) != {MISSING}:
                block.append([f"\\quad {escape(name)}", *map(escape, row)])
        blocks.append(block)
    return blocks


def _source_marks(table: Table) -> dict[str, str]:
    """Return the mark of each source of reported rows; the caption says what it stands for."""
    sources = dict.fromkeys(reported.source for reported in table.reported)
    return {source: f"$^{{{letter}}}$" for source, letter in zip(sources, ascii_lowercase, strict=False)}


def _caption(table: Table, marks: dict[str, str]) -> list[str]:
    """Return the sentences of the caption, escaped, a line each."""
    seeds = {seed for row in table.rows for seed in [*row.seeds, *(each.seed for each in row.diverged)]}
    how = [f"recipe{'s'[: len(table.recipes) - 1]} {' and '.join(table.recipes)}"] if table.recipes else []
    how += [f"seed{'s'[: len(seeds) - 1]} {seed_list(seeds, MISSING)}"] if seeds else []
    where = table.dataset_name + (f" ({', '.join(how)})" if how else "")
    what = "mean ± standard deviation over seeds, the number of seeds in brackets"
    lines = [escape(f"Test error in % on {where}: {what}.")]
    if marks:
        sources = ", ".join(mark + escape(source) for source, mark in marks.items())
        lines.append(
            f"Marked rows are those reported in Table 2 of Zhao et al.~2017 ({sources}); {escape(REPORTED)}."
        )
    plain = [*(f"{note}." for note in table.notes), *difference_lines(table), *sampling_lines(table)]
    if table.comparisons:
        plain.insert(
            0,
            "Models are compared in pairs of the same seed, which fixes initial weights and, unless a recipe says "
            "otherwise, labelled images: the mean of first minus second in points, the number of pairs in "
            "brackets, its 95 % t interval, and two-sided tests, as far as the pairs allow them.",
        )
    return [*lines, *map(escape, plain)]
