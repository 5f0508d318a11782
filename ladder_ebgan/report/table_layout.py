"""What all formats that are read by people have in common: the cells of the table and the sentences below it.

Rows are the papers' own first, then ours; columns are the label budgets, smallest first, as in the paper's Table 2.
"""

from ladder_ebgan.report.lines import SMALLEST_P, p_value, plus_minus, signed
from ladder_ebgan.report.table import MISSING, Comparison, Table
from ladder_ebgan.statistics import MIN_FOR_INTERVAL, MIN_FOR_WILCOXON, PairedComparison

REPORTED = "the ± of Pezeshki et al. is a standard error, that of the other papers is not known"
OVER_SEEDS = (
    "Intervals and p-values of differences are over seeds, for this test set; only p-values called Holm are "
    "corrected for how many there are."
)
BESIDE_PAPER = (
    "Zhao et al. 2017 do not say what their ± is: intervals beside them take it as a standard deviation over "
    "seeds, and the two means as independent."
)


def title(table: Table) -> str:
    """Return what the table is of."""
    return f"Test error in %, {table.dataset_name}"


def shown_name(table: Table, model: str, recipe: str) -> str:
    """Return what the table calls a model: with its recipe where there are rows of several."""
    return model if len({row.recipe for row in table.rows}) < 2 else f"{model} ({recipe})"


def cell_grid(table: Table) -> tuple[list[int], list[list[str]], list[list[str]]]:
    """Return the label budgets that somebody has, and the cells of the reported rows and of ours."""
    reported: dict[tuple[str, str], dict[int, str]] = {}
    for entry in table.reported:
        cell = _cell(entry.mean, entry.plus_minus, entry.n_seeds)
        reported.setdefault((entry.model, entry.source), {})[entry.labels] = cell
    ours: dict[tuple[str, str], dict[int, str]] = {}
    for row in table.rows:
        name = shown_name(table, row.model, row.recipe)
        ours.setdefault((name, "ours"), {})[row.labels] = _cell(row.mean, row.std, row.n_seeds)
    budgets = sorted({labels for cells in [*reported.values(), *ours.values()] for labels in cells})

    def lines(block: dict[tuple[str, str], dict[int, str]]) -> list[list[str]]:
        return [[*names, *(cells.get(labels, MISSING) for labels in budgets)] for names, cells in block.items()]

    return budgets, lines(reported), lines(ours)


def _cell(centre: float | None, spread: float | None, n_seeds: int) -> str:
    if centre is None:
        return MISSING
    return f"{plus_minus(centre, spread)} ({n_seeds})"


def comparison_cells(comparison: Comparison) -> dict[str, str]:
    """Return the numbers of a paired comparison by what they are; the pairs may be too few for some."""
    paired, corrected = comparison.paired, comparison.p_paired_t_holm
    improvement, t, wilcoxon = paired.relative_improvement_percent, paired.p_paired_t, paired.p_wilcoxon
    return {
        "difference": f"{paired.mean_difference:+z.2f} ({paired.n})",
        "95 % interval": MISSING if paired.ci95 is None else _interval(paired.ci95),
        "relative improvement": MISSING if improvement is None else f"{improvement:z.1f} %",
        "paired t test, p": MISSING if t is None else p_value(t),
        "paired t test, p (Holm)": MISSING if corrected is None else p_value(corrected),
        "Wilcoxon test, p": MISSING if wilcoxon is None else p_value(wilcoxon),
    }


def comparison_lines(table: Table) -> list[str]:
    """Return each paired comparison in a sentence."""
    held_out = any(row.n_test for row in table.rows)
    return [
        _comparison_line(each, shown_name(table, each.model, each.recipe), held_out) for each in table.comparisons
    ]


def _comparison_line(comparison: Comparison, model: str, held_out: bool) -> str:
    paired = comparison.paired
    parts = []
    if paired.relative_improvement_percent is not None:
        parts.append(f"relative improvement {paired.relative_improvement_percent:z.1f} %")
    difference = f"paired difference {paired.mean_difference:+z.2f} points"
    parts.append(difference + ("" if paired.ci95 is None else f" [95 % interval {_interval(paired.ci95)[1:]}"))
    p_values = {
        "paired t": paired.p_paired_t,
        "Holm": comparison.p_paired_t_holm,
        "Wilcoxon": paired.p_wilcoxon,
    }
    for name, p in p_values.items():
        if p is not None:
            parts.append(f"{name} p {'' if p < SMALLEST_P else '= '}{p_value(p)}")
    why = "" if held_out and paired.p_paired_t is not None else _why_missing(paired)
    return (
        f"{comparison.labels} labels: {model} against {comparison.baseline}: {', '.join(parts)} "
        f"({_seeds(paired.n)}{': ' + why if why else ''})"
    )


def paper_lines(table: Table) -> list[str]:
    """Return in a sentence how rows differ from those of the paper of the same model."""
    return [
        f"{each.labels} labels: {shown_name(table, each.model, each.recipe)} beside {each.reported} of "
        f"Zhao et al. 2017: difference {each.difference:+z.2f} points [95 % interval {_interval(each.ci95)[1:]} "
        f"({_seeds(each.n_seeds[0])} and {each.n_seeds[1]}, not paired)"
        for each in table.beside_paper
    ]


def _interval(ends: tuple[float, float]) -> str:
    return f"[{signed(ends[0])}, {signed(ends[1])}]"


def _why_missing(paired: PairedComparison) -> str:
    """Return why a test that the line does not show is not there; an empty string where all are."""
    if paired.n < MIN_FOR_INTERVAL:
        return "too few for an interval or a test"
    if paired.p_paired_t is None and paired.p_wilcoxon is None:
        return "the same difference in each, no interval and no test"
    if paired.p_paired_t is None:
        return "the same difference in each, no interval and no t test"
    if paired.p_wilcoxon is None:
        few = "too few" if paired.n < MIN_FOR_WILCOXON else f"fewer than {MIN_FOR_WILCOXON} differ, too few"
        return f"{few} for the Wilcoxon test"
    return ""


def footnotes(table: Table) -> list[str]:
    """Return what the numbers are, a line each; the test set's sampling error where its size is known."""
    reported = f" ({REPORTED})" if table.reported else ""
    where = table.examples if any(row.n_test for row in table.rows) else "set"
    return [
        f"Error rates in % of the test {where}; ± is the standard deviation over seeds{reported}; "
        "the number of seeds is in brackets.",
        *difference_lines(table),
        *([BESIDE_PAPER] if table.beside_paper else []),
        *sampling_lines(table),
    ]


def difference_lines(table: Table) -> list[str]:
    """Return the line on what intervals and p-values of differences are of, if there are any of one test set."""
    has_any = any(each.paired.ci95 or each.paired.p_wilcoxon is not None for each in table.comparisons)
    return [OVER_SEEDS] if has_any and not any(row.n_test for row in table.rows) else []


def sampling_lines(table: Table) -> list[str]:
    """Return what the size of the test set leaves open, as far as it is known."""
    points = [row.sampling_error for row in table.rows if row.sampling_error is not None]
    least, most = f"{min(points, default=0):.2f}", f"{max(points, default=0):.2f}"
    error = f"a standard error of at most {least}{'' if least == most else f' to {most}'} points"
    own = {f"{row.n_test} of {row.labels + row.n_test}": None for row in table.rows if row.n_test}
    lines = []
    if own:
        line = f"Each seed is tested on labelled {table.examples} that it does not learn, {' or '.join(own)}"
        lines = [f"{line}; so few give our means {error}." if points else f"{line}."]
    elif points:
        lines = [
            f"Beside ±, the {table.n_test:,} test {table.examples}, which all seeds share, give our means {error}."
        ]
    largest = [row.largest_error for row in table.rows if row.largest_error is not None]
    if largest:
        lines.append(
            f"Where none is wrong, the error rate may still be as high as {max(largest):.2g} % (95 % confidence)."
        )
    return lines


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"
