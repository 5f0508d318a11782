"""Where the spread over seeds comes from: labelled images, or initial weights, batches and noise.

python benchmarks/spread.py RUN_FOLDER

The run is a crossed design: a model and variants of it that differ in `labeled_subset_seed` alone, each trained
with the same seeds.
"""

import sys
from collections import defaultdict
from pathlib import Path

from ladder_ebgan.crossed import Spread, spread
from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.outputs import base_of, trained_section
from ladder_ebgan.runs import RunFolder, read_record


def crossed_errors(path: Path) -> dict[tuple[str, int], dict[int, dict[int, float | None]]]:
    """Return the test errors of a run by (model, labels), then subset's seed, then seed.

    A variant counts as the model that it is of.
    """
    record = read_record(path)
    recipe = record["identity"]["recipe"]
    found: dict[tuple[str, int], dict[int, dict[int, float | None]]] = defaultdict(lambda: defaultdict(dict))
    for result in RunFolder(path, record).results():
        subset_seed = trained_section(recipe, result.model).get("labeled_subset_seed")
        if subset_seed is not None:
            found[base_of(recipe, result.model), result.labels][subset_seed][result.seed] = (
                result.test_error_percent
            )
    return found


def in_words(model: str, labels: int, table: dict[int, dict[int, float | None]]) -> str:
    """Return the errors and what they say.

    Raises:
        UsageError: the design has holes.
    """
    seeds = sorted({seed for row in table.values() for seed in row})
    rows = [[row.get(seed) for seed in seeds] for _, row in sorted(table.items())]
    complete = [[error for error in row if error is not None] for row in rows]
    try:
        found = spread(complete if all(len(row) == len(seeds) for row in complete) else [])
    except ValueError as error:
        raise UsageError(f"{model}, {labels} labels: {error}") from error
    head = f"{model}, {labels} labels: test error in %, a row for each labelled subset, a column for each seed"
    lines = [" ".join(f"{error:6.2f}" for error in row) for row in complete]
    return "\n".join([head, *lines, _summary(found)])


def _summary(found: Spread) -> str:
    def effect(std: float, p: float | None) -> str:
        return f"{std:.2f} points" + ("" if p is None else f" (p = {p:.2g})")

    return (
        f"mean {found.mean:.2f} %; standard deviation due to the labelled images "
        f"{effect(found.std_subset, found.p_subset)}, to weights, batches and noise "
        f"{effect(found.std_seed, found.p_seed)}, to both together {found.std_both:.2f} points"
    )


def main() -> None:
    try:
        designs = crossed_errors(Path(sys.argv[1]))
        if not designs:
            raise UsageError("the run has no models with labeled_subset_seed: it is no crossed design")
        for (model, labels), table in sorted(designs.items()):
            print(in_words(model, labels, table))
    except UsageError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
