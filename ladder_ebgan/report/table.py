"""The table of error rates over seeds, with paired comparisons: what it says, not how it is printed.

`build_table` does the arithmetic once; the writers (`table_formats.py`, `latex.py`) only print it. Diverged
replicas have no error: they are left out, counted, and named in a note.

Zhao, Mathieu, LeCun, "Energy-based Generative Adversarial Network", ICLR 2017, arXiv 1609.03126, section 4.2.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ladder_ebgan.errors import UsageError
from ladder_ebgan.results import Result
from ladder_ebgan.statistics import (
    MIN_FOR_INTERVAL,
    PairedComparison,
    compare_paired,
    held_out_size,
    holm,
    largest_error_without_one,
    mean,
    sampling_error,
    standard_deviation,
    welch_interval,
)

MODELS = (
    "ladder",
    "ladder-matched",
    "ebgan-ladder",
    "gan",
    "ebgan",
)  # the order of rows; variants and any other model come after
MISSING = "–"


@dataclass(frozen=True)
class Divergence:
    """A seed whose training diverged; `step` is None where it is not known."""

    seed: int
    step: int | None


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
    sampling_error: float | None  # standard error in points that the test set gives the mean; no part of `std`
    diverged: tuple[Divergence, ...]
    seeds: tuple[int, ...]
    errors: tuple[float, ...]
    recipe: str  # or recipes, that the results were trained with; empty where it is not known
    n_test: int | None = None  # rows that each seed was tested on, where they are its own: those it does not learn
    largest_error: float | None = None  # in percent, at 95 %; of a mean of 0 alone, which has no sampling error


@dataclass(frozen=True)
class Comparison:
    """A model against a baseline with the same number of labels, over the seeds that both finished."""

    labels: int
    baseline: str
    model: str
    paired: PairedComparison
    p_paired_t_holm: float | None = None  # corrected for all variants that were tried with this number of labels
    n_variants: int | None = None  # how many these are; None where the model is not a variant of the baseline
    recipe: str = ""  # of both, as in `Row`
    n_left_out: int = 0  # seeds that one or both diverged with: those that remain are chosen by their outcome


@dataclass(frozen=True)
class Reported:
    """An error rate in percent from a paper."""

    model: str
    source: str
    labels: int
    n_seeds: int
    mean: float
    plus_minus: float
    plus_minus_is: str | None = None  # None where it is not known


@dataclass(frozen=True)
class BesidePaper:
    """A model of ours beside the row of Zhao et al. 2017 of the same model, as independent samples."""

    labels: int
    model: str
    reported: str  # their name of it
    n_seeds: tuple[int, int]  # ours, theirs
    difference: float  # ours minus theirs, percentage points
    ci95: tuple[float, float]  # Welch's, with their ± taken as a standard deviation over seeds
    recipe: str = ""  # ours, as in `Row`


@dataclass(frozen=True)
class Table:
    """All that is known of one data set; `notes` says what the numbers leave out."""

    dataset_name: str
    n_test: int | None  # test images; None where the run folder does not say
    recipes: tuple[str, ...]  # names of the recipes that the rows were trained with
    rows: tuple[Row, ...]  # by recipe, then by model in the order of `model_order`, then by labels
    comparisons: tuple[Comparison, ...]  # by labels; of models by baseline, then by model; then those of variants
    reported: tuple[Reported, ...]
    notes: tuple[str, ...]
    examples: str = "images"  # what is classified
    beside_paper: tuple[BesidePaper, ...] = ()  # rows of three seeds or more, in their order


BOTTOM = "LN bottom-layer-cost"
REPORTED_ON_MNIST = (  # Table 2 of the paper
    Reported(BOTTOM, "Pezeshki et al. 2015", 100, 10, 1.69, 0.18, "standard error"),
    Reported(BOTTOM, "Pezeshki et al. 2015", 1000, 10, 1.05, 0.02, "standard error"),
    Reported(BOTTOM, "Rasmus et al. 2015", 100, 10, 1.09, 0.32),
    Reported(BOTTOM, "Rasmus et al. 2015", 1000, 10, 0.90, 0.05),
    Reported(BOTTOM, "Zhao et al. 2017", 100, 15, 1.36, 0.21),
    Reported(BOTTOM, "Zhao et al. 2017", 200, 15, 1.24, 0.09),
    Reported(BOTTOM, "Zhao et al. 2017", 1000, 15, 1.04, 0.06),
    Reported("EBGAN-LN", "Zhao et al. 2017", 100, 15, 1.04, 0.12),
    Reported("EBGAN-LN", "Zhao et al. 2017", 200, 15, 0.99, 0.12),
    Reported("EBGAN-LN", "Zhao et al. 2017", 1000, 15, 0.89, 0.04),
)
PAPER = {"ladder": BOTTOM, "ebgan-ladder": "EBGAN-LN"}  # what Zhao et al. 2017 call ours with a bottom cost alone


def model_order(models: Iterable[str], variants: Iterable[str] = ()) -> list[str]:
    """Return each model once: baselines, the energy-based one, known variants as they come, any other by name."""
    known = list(dict.fromkeys([*MODELS, *variants]))
    return sorted(set(models), key=lambda model: (known.index(model) if model in known else len(known), model))


def build_table(
    results: Iterable[Result],
    dataset_name: str,
    n_test: int | None = None,
    recipes: Sequence[str] = (),
    variants: Mapping[str, str] = {},
    examples: str = "images",
    in_paper: Mapping[str, str] = PAPER,
) -> Table:
    """Return the table of the results of one data set, which may come from several run folders.

    Without the number of test images, `n_test`, no row has a sampling error. The paper's own numbers stand
    beside ours for `mnist` only. `variants` has, by name and in their order, the model that each is of and is
    compared with; `in_paper` what the paper calls those of our models that are its own. UsageError where two
    results of one model, number of labels and seed differ: they are of different recipes or machines, and have no
    common mean.
    """
    cells = by_cell(results)
    models = model_order((model for model, _ in cells), variants)
    budgets = sorted({labels for _, labels in cells})
    rows = [
        _row(cells[model, labels], n_test, ", ".join(recipes))
        for model in models
        for labels in budgets
        if (model, labels) in cells
    ]
    others = [model for model in models if model != "ladder" and model not in variants]
    pairs = [("ladder", model) for model in others] + [("ladder-matched", "ebgan-ladder")]
    pairs += [(variants[model], model) for model in models if model in variants]
    by_key = {(row.model, row.labels): row for row in rows}
    notes = [_diverged_note(row) for row in rows if row.diverged]
    comparisons: list[Comparison] = []
    for labels in budgets:
        found, n_untested = [], 0
        for baseline, model in pairs:
            if (model, labels) not in by_key:
                continue
            if (baseline, labels) not in by_key:
                n_untested += model in variants
                continue
            comparison = _compare(by_key[baseline, labels], by_key[model, labels])
            if comparison:
                found.append(comparison)
            else:
                n_untested += model in variants
                notes.append(f"{labels} labels: {model} and {baseline} have no finished seed in common")
        of_variants = _corrected([each for each in found if each.model in variants], n_untested)
        comparisons += [each for each in found if each.model not in variants] + of_variants
        if any(each.p_paired_t_holm is not None for each in of_variants):
            notes.append(_correction_note(labels, len(of_variants) + n_untested))
    if any(row.n_test for row in rows) and comparisons:
        notes.append(
            f"intervals and t tests are corrected for {examples} that seeds share (Nadeau and Bengio 2003); the "
            "signed-rank test cannot be, and is left out"
        )
    if not cells:
        notes.append("no results yet")
    reported = REPORTED_ON_MNIST if dataset_name == "mnist" else ()
    return Table(
        *(dataset_name, n_test, tuple(recipes), tuple(rows), tuple(comparisons), reported, tuple(notes), examples),
        beside_paper=tuple(_beside_paper(rows, reported, in_paper)),
    )


def join_tables(tables: Sequence[Table]) -> Table:
    """Return one table of the tables of one data set, each of recipes of its own that are not compared."""
    return replace(
        tables[0],
        recipes=tuple(recipe for table in tables for recipe in table.recipes),
        rows=tuple(row for table in tables for row in table.rows),
        comparisons=tuple(comparison for table in tables for comparison in table.comparisons),
        beside_paper=tuple(each for table in tables for each in table.beside_paper),
        notes=tuple(f"{', '.join(table.recipes)}: {note}" for table in tables for note in table.notes),
    )


def by_cell(results: Iterable[Result]) -> dict[tuple[str, int], list[Result]]:
    """Return the results of each (model, labels), by seed; the same row read twice counts once.

    Raises:
        UsageError: two results of one model, number of labels and seed differ.
    """
    unique = dict.fromkeys(results)
    cells: dict[tuple[str, int], list[Result]] = {}
    for result in sorted(unique, key=lambda result: (result.model, result.labels, result.seed)):
        cell = cells.setdefault((result.model, result.labels), [])
        if cell and cell[-1].seed == result.seed:
            raise UsageError(
                f"{result.model}{f' with {result.labels} labels' if result.labels else ''} has two results of seed "
                f"{result.seed}; "
                "make one table per recipe, from folders that do not overlap"
            )
        cell.append(result)
    return cells


def _row(cell: Sequence[Result], n_test: float | None, recipe: str) -> Row:
    by_seed = {result.seed: result.test_error_percent for result in cell}
    finished = {seed: error for seed, error in by_seed.items() if error is not None}
    errors = tuple(finished.values())
    centre, n_own = mean(errors) if errors else None, cell[0].n_test
    if n_own is not None and errors:
        n_test = held_out_size(n_own, cell[0].labels + n_own, len(errors))
    return Row(
        model=cell[0].model,
        labels=cell[0].labels,
        n_seeds=len(errors),
        n_diverged=len(cell) - len(errors),
        mean=centre,
        std=standard_deviation(errors) if errors else None,
        median=float(np.median(errors)) if errors else None,
        min=min(errors, default=None),
        max=max(errors, default=None),
        sampling_error=None if centre is None or n_test is None else sampling_error(centre, n_test),
        largest_error=None if centre != 0 or n_test is None else largest_error_without_one(n_test),
        diverged=tuple(Divergence(r.seed, r.diverged_step) for r in cell if r.test_error_percent is None),
        seeds=tuple(finished),
        errors=errors,
        recipe=recipe,
        n_test=n_own,
    )


def _diverged_note(row: Row) -> str:
    n = row.n_seeds + row.n_diverged
    return (
        f"{row.labels} labels: {row.n_diverged} of {n} seed{'s' if n > 1 else ''} of {row.model} diverged and "
        f"{'is' if row.n_diverged == 1 else 'are'} left out ({named_seeds(row.diverged)})"
    )


def named_seeds(diverged: Sequence[Divergence], separator: str = ", ") -> str:
    """Return which seeds diverged, and where that is known at which step."""
    return separator.join(
        f"seed {each.seed}" + ("" if each.step is None else f" at step {each.step}") for each in diverged
    )


def _compare(baseline: Row, model: Row) -> Comparison | None:
    """Return the comparison over the seeds that both finished; None where there is no such seed."""
    before = dict(zip(baseline.seeds, baseline.errors, strict=True))
    after = dict(zip(model.seeds, model.errors, strict=True))
    shared = [seed for seed in before if seed in after]
    if not shared:
        return None
    overlap = (model.n_test or 0) / model.labels
    paired = compare_paired([before[seed] for seed in shared], [after[seed] for seed in shared], overlap)
    n_left_out = len({each.seed for each in (*baseline.diverged, *model.diverged)})
    return Comparison(model.labels, baseline.model, model.model, paired, recipe=model.recipe, n_left_out=n_left_out)


def _beside_paper(
    rows: Sequence[Row], reported: Sequence[Reported], in_paper: Mapping[str, str]
) -> Iterator[BesidePaper]:
    """Yield how rows of ours differ from those of Zhao et al. 2017."""
    theirs = {(each.model, each.labels): each for each in reported if each.source == "Zhao et al. 2017"}
    for row in rows:
        their = theirs.get((in_paper.get(row.model, ""), row.labels))
        if their is None or row.mean is None or row.std is None or row.n_seeds < MIN_FOR_INTERVAL:
            continue
        interval = welch_interval((row.mean, row.std, row.n_seeds), (their.mean, their.plus_minus, their.n_seeds))
        n_seeds, difference = (row.n_seeds, their.n_seeds), row.mean - their.mean
        yield BesidePaper(row.labels, row.model, their.model, n_seeds, difference, interval, row.recipe)


def _corrected(of_variants: Sequence[Comparison], n_untested: int) -> list[Comparison]:
    """Return the comparisons of the variants at one number of labels with p-values for their number.

    That counts variants without a seed in common with their model, such as those that always diverged.
    """
    p_values = holm([*(each.paired.p_paired_t for each in of_variants), *[None] * n_untested])
    return [
        replace(each, p_paired_t_holm=p, n_variants=len(p_values))
        for each, p in zip(of_variants, p_values, strict=False)
    ]


def _correction_note(labels: int, n_variants: int) -> str:
    how_many = "the one variant that was" if n_variants == 1 else f"all {n_variants} variants that were"
    return (
        f"{labels} labels: p called Holm is that of the paired t test, corrected by Holm's method for {how_many} "
        "tried"
    )
