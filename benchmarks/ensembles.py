"""One ladder network of MNIST against the mean of several that were trained on the same labelled images.

python benchmarks/ensembles.py FOLDER [--recipe demo] [--labels 100] [--replicas 5] [--seeds 5] [--jobs 2]

For each seed `LadderClassifier` is fitted once with all replicas; each of them is one network, their mean is the
ensemble. FOLDER gets results.csv, a row for each fit, and table.md, which is made anew from it at the end. What is
in results.csv is not fitted again.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import torch
from ladder_ebgan_benchmarks.rows import add_row, read_rows

from ladder_ebgan import LadderClassifier
from ladder_ebgan.data import labeled_order, load_dataset
from ladder_ebgan.report.lines import plus_minus
from ladder_ebgan.statistics import compare_paired, mean, standard_deviation


class Fit(NamedTuple):
    """What was trained."""

    recipe: str
    labels: int
    replicas: int
    seed: int


class Measured(NamedTuple):
    """What it came to, on the test images."""

    errors: list[float]  # percent, of each network
    ensemble_error: float
    disagreement: float  # percent of the images on which not all networks agree
    error_where_agreed: float  # percent of the others that are wrong
    seconds: float  # of the fit


def measure(fit: Fit) -> Measured:
    """Fit the replicas, and test them one by one and together."""
    torch.set_num_threads(1)
    mnist = load_dataset("mnist")
    labeled = labeled_order(mnist.train_labels, fit.seed, mnist.n_classes)[: fit.labels]
    few = np.full(len(mnist.train_labels), -1)
    few[labeled] = mnist.train_labels[labeled]
    started = time.perf_counter()
    ladder = LadderClassifier(recipe=fit.recipe, n_replicas=fit.replicas, random_state=fit.seed)
    ladder.fit(mnist.train_images, few)
    seconds = time.perf_counter() - started
    by_replica = ladder.predict_proba_replicas(mnist.test_images)
    votes, together = by_replica.argmax(axis=-1), by_replica.mean(axis=0, dtype=np.float64).argmax(axis=-1)
    agreed = (votes == votes[0]).all(axis=0)
    wrong = together != mnist.test_labels
    return Measured(
        [100 * float(np.mean(vote != mnist.test_labels)) for vote in votes],
        100 * float(wrong.mean()),
        100 * float(np.mean(~agreed)),
        100 * float(wrong[agreed].mean()),
        seconds,
    )


def read(path: Path) -> dict[Fit, Measured]:
    """Return what results.csv has."""
    return {
        Fit(row["recipe"], int(row["labels"]), int(row["replicas"]), int(row["seed"])): Measured(
            [float(error) for error in row["errors"].split()],
            float(row["ensemble_error"]),
            float(row["disagreement"]),
            float(row["error_where_agreed"]),
            float(row["seconds"]),
        )
        for row in read_rows(path)
    }


def run(path: Path, wanted: Sequence[Fit], n_jobs: int) -> None:
    """Fit what results.csv does not have yet, and add a row as each is done."""
    done = read(path)
    missing = [fit for fit in wanted if fit not in done]
    measured = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(
        joblib.delayed(measure)(fit) for fit in missing
    )
    for fit, found in zip(missing, measured, strict=True):
        shown = {name: f"{value:.4f}" for name, value in found._asdict().items() if name != "errors"}
        errors = " ".join(f"{error:.2f}" for error in found.errors)
        add_row(path, {**fit._asdict(), "errors": errors, **shown, "seconds": f"{found.seconds:.1f}"})
        print(f"seed {fit.seed}: {errors} %, together {found.ensemble_error:.2f} %", flush=True)


def table(found: dict[Fit, Measured]) -> str:
    """Return the table in Markdown: a row for each seed, then the means over seeds and what the ensemble gains."""
    lines = [
        "| recipe | labels | seed | each network, error % | one network, mean | together | not all agree | "
        "error where all agree |",
        "|:--|--:|--:|:--|--:|--:|--:|--:|",
    ]
    for kind in sorted({(fit.recipe, fit.labels, fit.replicas) for fit in found}):
        of_kind = {fit.seed: each for fit, each in sorted(found.items()) if fit[:3] == kind}
        recipe, labels, replicas = kind
        for seed, each in of_kind.items():
            errors = ", ".join(f"{error:.2f}" for error in each.errors)
            lines.append(f"| {recipe} | {labels} | {seed} | {errors} | {_cells(each)} |")
        single = [mean(each.errors) for each in of_kind.values()]
        together = [each.ensemble_error for each in of_kind.values()]
        means = [plus_minus(mean(column), standard_deviation(column)) for column in (single, together)]
        lines.append(f"| {recipe} | {labels} | all | mean ± deviation over seeds | {' | '.join(means)} |  |  |")
        lines.append(f"\n{_gain(single, together, replicas)}\n")
    return "\n".join(lines) + "\n"


def _cells(each: Measured) -> str:
    shown = (mean(each.errors), each.ensemble_error, each.disagreement, each.error_where_agreed)
    return " | ".join(f"{value:.2f}" for value in shown)


def _gain(single: list[float], together: list[float], replicas: int) -> str:
    paired = compare_paired(single, together)
    interval = paired.ci95
    within = "" if interval is None else f" (95 % interval {interval[0]:+.2f} to {interval[1]:+.2f})"
    return f"{replicas} networks together against one: {paired.mean_difference:+.2f} points{within}."


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--replicas", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    path = given.folder / "results.csv"
    wanted = [Fit(given.recipe, given.labels, given.replicas, seed) for seed in range(given.seeds)]
    run(path, wanted, given.jobs)
    (given.folder / "table.md").write_text(table(read(path)))


if __name__ == "__main__":
    main()
