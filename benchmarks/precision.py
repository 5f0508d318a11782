"""Whether another precision has the error rates of float32: two finished runs that differ in precision only.

python benchmarks/precision.py RUN_FLOAT32 RUN_OTHER [--model NAME] [--margin 0.1] [--json]

Each model with each number of labels is tested for equivalence, paired over seeds, by two one-sided t tests at
level 0.05 (`ladder_ebgan.statistics.compare_equivalence`). A precision is equivalent where every row says yes;
as all have to pass, this needs no correction for their number (Berger, "Multiparameter hypothesis testing and
acceptance sampling", Technometrics 24, 1982). Margin, recipe and seeds have to be chosen before the errors are
seen. Prints Markdown, or JSON; exit code 2 where the runs differ in more than their precision.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.lines import p_value, signed
from ladder_ebgan.report.table import MISSING, model_order
from ladder_ebgan.results import Result
from ladder_ebgan.runs import RunFolder, first_difference, read_record
from ladder_ebgan.statistics import Equivalence, compare_equivalence, pairs_for_equivalence

Results = dict[tuple[str, int, int], Result]  # by model, labels, seed
POWER = 0.9  # of the run that an undecided row is told to plan


@dataclass(frozen=True)
class Row:
    """One model with one number of labels: means over the seeds that have an error in both runs."""

    model: str
    labels: int
    means: tuple[float, float] | None  # test error in percent: float32, other
    seconds: tuple[float, float] | None  # per replica: float32, other
    paired: Equivalence


@dataclass(frozen=True)
class Comparison:
    dataset: str
    margin: float
    precisions: tuple[str, str]
    machines: tuple[str, str]  # devices and versions
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def equivalent(self) -> bool:
        return all(row.paired.equivalent for row in self.rows)


def compare(first: Path, second: Path, margin: float, models: Sequence[str] = ()) -> Comparison:
    """Return the comparison of two run folders, of some models or all.

    Raises:
        UsageError: more than their precision differs, or one has models that the other has not.
    """
    folders = RunFolder(first, read_record(first)), RunFolder(second, read_record(second))
    _refuse_other_differences(*folders)
    before, after = (_results(folder, models) for folder in folders)
    _refuse_missing_cells(folders, before, after)
    machines = _machine(before), _machine(after)
    precisions = _precision(folders[0]), _precision(folders[1])
    notes = _circumstances(folders, machines)
    order = model_order(model for model, _, _ in before)
    cells = sorted({key[:2] for key in before}, key=lambda cell: (order.index(cell[0]), cell[1]))
    rows = [_row(before, after, model, labels, margin) for model, labels in cells]
    notes += [remark for row in rows for remark in _remarks(before, after, precisions, row)]
    name = folders[0].record["identity"]["data"]["name"]
    return Comparison(name, margin, precisions, machines, tuple(rows), tuple(notes))


def _refuse_other_differences(first: RunFolder, second: RunFolder) -> None:
    there, here = first.record["identity"], second.record["identity"]
    paths = f"{first.path} and {second.path}"
    if there["data"]["fingerprint"] != here["data"]["fingerprint"]:
        names = f"{there['data']['name']}, {here['data']['name']}"
        raise UsageError(f"{paths} are runs on different images ({names}): only their precision may differ")
    difference = first_difference(
        there | {"data": None, "precision": None}, here | {"data": None, "precision": None}
    )
    if difference:
        raise UsageError(f"{paths} were trained differently ({difference}): only their precision may differ")
    if _precision(first) != "float32":
        raise UsageError(f"{first.path} is a run in {_precision(first)}: name the run in float32 first")
    if _precision(second) == "float32":
        raise UsageError(f"{second.path} is a run in float32 too: name one of another precision second")


def _refuse_missing_cells(folders: tuple[RunFolder, RunFolder], before: Results, after: Results) -> None:
    first, second = (folder.path for folder in folders)
    for path, results, other_path, others in ((first, before, second, after), (second, after, first, before)):
        missing = {key[:2] for key in others} - {key[:2] for key in results}
        if missing:
            model, labels = min(missing)
            raise UsageError(
                f"{path} has no result of {model} with {labels} labels, {other_path} has: both need the same "
                "models and numbers of labels; --model names those to compare"
            )


def _precision(folder: RunFolder) -> str:
    return str(folder.record["identity"]["precision"])


def _results(folder: RunFolder, models: Sequence[str]) -> Results:
    results = [result for result in folder.results() if not models or result.model in models]
    missing = sorted(set(models) - {result.model for result in results})
    if missing or not results:
        of = f" of {missing[0]}" if missing else ""
        raise UsageError(f"{folder.path} has no finished replica{of}: let the run finish first")
    return {(result.model, result.labels, result.seed): result for result in results}


def _machine(results: Results) -> str:
    parts = [(r.device, f"ladder-ebgan {r.version}", f"torch {r.torch_version}") for r in results.values()]
    return " and ".join(", ".join(part) for part in dict.fromkeys(parts))


def _circumstances(folders: tuple[RunFolder, RunFolder], machines: tuple[str, str]) -> list[str]:
    """Return what else was not the same, on which the seconds depend, and by rounding the errors too."""
    notes = []
    if machines[0] != machines[1]:
        notes.append("the devices or versions differ: the seconds do not compare, and the errors less well")
    first, second = (folder.record["resolved"] for folder in folders)
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            values = ", ".join(f"{json.dumps(f.record['resolved'].get(name))} in {_precision(f)}" for f in folders)
            notes.append(f"{name} is {values}: the seconds are not of the precision alone")
    return notes


def _row(before: Results, after: Results, model: str, labels: int, margin: float) -> Row:
    pairs = _pairs(before, after, model, labels)
    keys = sorted(key for key in before.keys() | after.keys() if key[:2] == (model, labels))
    first = [before[key].test_error_percent if key in before else None for key in keys]
    second = [after[key].test_error_percent if key in after else None for key in keys]
    complete = [pair for pair in pairs if all(result.test_error_percent is not None for result in pair)]
    return Row(
        model,
        labels,
        means=_means(complete, "test_error_percent"),
        seconds=_means(complete, "seconds"),
        paired=compare_equivalence(first, second, margin),
    )


def _pairs(before: Results, after: Results, model: str, labels: int) -> list[tuple[Result, Result]]:
    """Return the two results of each seed that both runs have, by seed."""
    shared = sorted(key for key in before.keys() & after.keys() if key[:2] == (model, labels))
    return [(before[key], after[key]) for key in shared]


def _means(pairs: Sequence[tuple[Result, Result]], column: str) -> tuple[float, float] | None:
    if not pairs:
        return None
    first, second = np.mean([[getattr(result, column) for result in pair] for pair in pairs], axis=0).tolist()
    return first, second


def _remarks(before: Results, after: Results, precisions: tuple[str, str], row: Row) -> list[str]:
    """Return what a row leaves out, and what would decide it, in words."""
    remarks = []
    for precision, there, here in ((precisions[0], before, after), (precisions[1], after, before)):
        alone = [key[2] for key in there.keys() - here.keys() if key[:2] == (row.model, row.labels)]
        if alone:
            remarks.append(f"{_seeds(alone)} only in {precision}, without a pair: equivalence is not claimed")
    pairs = _pairs(before, after, row.model, row.labels)
    for run, precision in enumerate(precisions):
        diverged = [pair[run].seed for pair in pairs if pair[run].test_error_percent is None]
        if diverged:
            remarks.append(f"{_seeds(diverged)} diverged in {precision}: left out, so equivalence is not claimed")
    paired = row.paired
    if paired.verdict == "undecided" and not paired.n_left_out and paired.ci90 and paired.standard_deviation:
        n_pairs = pairs_for_equivalence(paired.standard_deviation, paired.margin, POWER)
        remarks.append(
            f"undecided; with this deviation and no true difference {n_pairs} new pairs would show equivalence "
            f"with probability {POWER}"
        )
    return [f"{row.model} with {row.labels} labels: {remark}" for remark in remarks]


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, sorted(seeds)))}"


def markdown(comparison: Comparison) -> str:
    """Return the comparison as it can stand on a page: what was compared, the table, the notes."""
    first, second = comparison.precisions
    header = ["model", "labels", "n", f"{first} %", f"{second} %", "difference", "sd", "90 % interval", "p"]
    header += ["equivalent", f"{first} s", f"{second} s"]
    alignment = [":--", *["--:"] * 8, ":--", "--:", "--:"]
    lines = [_title(comparison), ""]
    lines += [f"| {' | '.join(cells)} |" for cells in [header, alignment, *map(_cells, comparison.rows)]]
    lines += ["", *(f"- {note}" for note in comparison.notes)]
    lines += [""] if comparison.notes else []
    return "\n".join([*lines, _footnote(comparison)]) + "\n"


def _footnote(comparison: Comparison) -> str:
    first, second = comparison.precisions
    return (
        f"Equivalent in every row: {'yes' if comparison.equivalent else 'not shown'}. Means are over the n seeds "
        "with an error in both runs; difference, its standard deviation (sd) and its interval are of "
        f"{second} minus {first}, in percentage points; p is the larger of the two one-sided tests; "
        "s is seconds a replica."
    )


def _title(comparison: Comparison) -> str:
    first, second = comparison.precisions
    machines = comparison.machines
    if machines[0] == machines[1]:
        compared = f"{second} against {first}, both on {machines[0]}"
    else:
        compared = f"{second} on {machines[1]} against {first} on {machines[0]}"
    return f"Test error on {comparison.dataset}: {compared}; equivalent means within ±{comparison.margin:g} points."


def _cells(row: Row) -> list[str]:
    paired = row.paired
    cells = [row.model, str(row.labels), str(paired.n)]
    cells += [MISSING] * 2 if row.means is None else [f"{value:.3f}" for value in row.means]
    cells.append(MISSING if paired.mean_difference is None else f"{paired.mean_difference:+z.3f}")
    cells.append(MISSING if paired.standard_deviation is None else f"{paired.standard_deviation:.3f}")
    cells.append(MISSING if paired.ci90 is None else ", ".join(signed(end, 3) for end in paired.ci90))
    cells.append(MISSING if paired.p is None else p_value(paired.p))
    cells.append(paired.verdict)
    return cells + ([MISSING] * 2 if row.seconds is None else [f"{value:.4g}" for value in row.seconds])


def as_json(comparison: Comparison) -> str:
    """Return the comparison as JSON with full precision; a missing number is null."""
    rows = [
        {
            "model": row.model,
            "labels": row.labels,
            **asdict(row.paired),
            "verdict": row.paired.verdict,
            "mean_error_percent": row.means,
            "mean_seconds": row.seconds,
        }
        for row in comparison.rows
    ]
    runs = zip(comparison.precisions, comparison.machines, strict=True)
    content = {
        "dataset": comparison.dataset,
        "margin": comparison.margin,
        "runs": [{"precision": precision, "machine": machine} for precision, machine in runs],
        "rows": rows,
        "notes": comparison.notes,
        "equivalent_in_every_row": comparison.equivalent,
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="precision.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run_float32", type=Path, help="folder of the run in float32")
    parser.add_argument("run_other", type=Path, help="folder of the run in another precision")
    parser.add_argument(
        "--model", action="append", default=[], help="compare this one alone; repeatable (default: all)"
    )
    parser.add_argument("--margin", type=float, default=0.1, help="percentage points (default: 0.1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args(arguments)
    try:
        if not 0 < options.margin < float("inf"):
            raise UsageError(f"--margin {options.margin:g}: must be a number of percentage points above 0")
        comparison = compare(options.run_float32, options.run_other, options.margin, options.model)
    except UsageError as error:
        parser.exit(2, f"precision.py: {error}\n")
    print(as_json(comparison) if options.json else markdown(comparison), end="")


if __name__ == "__main__":
    main()
