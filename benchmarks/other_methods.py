"""Other ways to learn from the labelled images of a run folder, beside the run's own errors.

python benchmarks/other_methods.py RUN_FOLDER [--method label-spreading] [--method self-training --network RECIPE]
python benchmarks/other_methods.py RUN_FOLDER --run OTHER_RUN_FOLDER

Each sees what the networks see: all training images of MNIST, the labels of the run's subset only.

label-spreading  scikit-learn's LabelSpreading with nearest neighbours.
self-training    scikit-learn's SelfTrainingClassifier around the network of RECIPE without denoising costs: it
                 trains anew with the labels that it is sure of, up to five times.

RUN_FOLDER, whose run.json and results.csv are read, gets other_methods.csv, a row as each is done; what it has is
not trained again. At the end each of the run's models is compared with the method, seed by seed. With --run they
are compared with the models of a run of another recipe, which has the same labelled images for the same seed.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ladder_ebgan_benchmarks.rows import add_row, read_rows
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from ladder_ebgan import LadderClassifier
from ladder_ebgan.data import Dataset, load_dataset
from ladder_ebgan.data.subsets import subset_order
from ladder_ebgan.report.figures.drawing import counted
from ladder_ebgan.report.lines import plus_minus
from ladder_ebgan.report.outputs import of_gans, trained_section
from ladder_ebgan.runs import RunFolder, read_record
from ladder_ebgan.statistics import compare_paired, mean, standard_deviation

Pairs = dict[tuple[int, str], list[tuple[float, float | None]]]  # by labels and model: their error, ours

SURE = 0.99  # probability from which a prediction becomes a label
ROUNDS = 5


class Subset(NamedTuple):
    """The labelled images of one seed of a run, and the errors of its models that were trained on them."""

    labels: int
    seed: int
    indices: NDArray[np.intp]
    errors: dict[str, float | None]


def subsets(path: Path, data: Dataset) -> Iterator[Subset]:
    """Yield those of a run folder, smallest first; the models of a seed have the same, but for crossed designs."""
    record = read_record(path)
    recipe = record["identity"]["recipe"]
    results = [
        result
        for result in RunFolder(path, record).results()
        if trained_section(recipe, result.model).get("labeled_subset_seed") is None
    ]
    for labels, seed in sorted({(result.labels, result.seed) for result in results}):
        errors = {r.model: r.test_error_percent for r in results if (r.labels, r.seed) == (labels, seed)}
        yield Subset(labels, seed, subset_order(data, seed)[:labels], errors)


def make(method: str, network: str | None, seed: int) -> ClassifierMixin:
    """Return what is fitted."""
    if method == "label-spreading":
        return LabelSpreading(kernel="knn", n_jobs=-1)
    supervised = LadderClassifier(recipe=network, denoising_weights=0, random_state=seed)
    return SelfTrainingClassifier(supervised, threshold=SURE, max_iter=ROUNDS)


def done(path: Path) -> dict[tuple[str, int, int], float]:
    """Return the errors in other_methods.csv by method, labels and seed."""
    return {
        (row["method"], int(row["labels"]), int(row["seed"])): float(row["test_error_percent"])
        for row in read_rows(path)
    }


def measure(folder: Path, method: str, network: str | None, data: Dataset) -> None:
    """Train a method on each subset that it has not been trained on; print its errors, and compare the run's."""
    path = folder / "other_methods.csv"
    row_name = method if network is None else f"{method} with {network}"
    pairs: Pairs = defaultdict(list)
    for subset in subsets(folder, data):
        known = done(path).get((row_name, subset.labels, subset.seed))
        if known is None:
            targets = np.full(len(data.train_labels), -1)
            targets[subset.indices] = data.train_labels[subset.indices]
            started = time.perf_counter()
            fitted = make(method, network, subset.seed).fit(data.train_images, targets)
            seconds = time.perf_counter() - started
            with np.errstate(invalid="ignore"):  # where no label reaches: the first class
                predicted = fitted.predict(data.test_images)
            known = 100 * float(np.mean(predicted != data.test_labels))
            fitted_on = {"method": row_name, "labels": subset.labels, "seed": subset.seed}
            add_row(path, {**fitted_on, "test_error_percent": f"{known:.4f}", "seconds": f"{seconds:.1f}"})
        print(f"{subset.labels} labels, seed {subset.seed}: {row_name} {known:.2f} %", flush=True)
        for model, error in subset.errors.items():
            pairs[subset.labels, model].append((known, error))
    print_compared(row_name, pairs)


def compare_runs(folder: Path, other: Path, data: Dataset) -> None:
    """Compare each model of a run with each of another run on the same labelled images."""
    theirs = {(each.labels, each.seed): each.errors for each in subsets(other, data)}
    pairs: dict[str, Pairs] = defaultdict(lambda: defaultdict(list))  # by their model, labels and our model
    for subset in subsets(folder, data):
        for their_model, their_error in theirs.get((subset.labels, subset.seed), {}).items():
            if their_error is None:
                print(f"{subset.labels} labels, seed {subset.seed}: {their_model} of {other.name} diverged")
                continue
            for model, error in subset.errors.items():
                pairs[their_model][subset.labels, model].append((their_error, error))
    for their_model, of_model in pairs.items():
        print_compared(f"{their_model} of {other.name}", of_model)


def print_compared(method: str, pairs: Pairs) -> None:
    for (labels, model), errors in pairs.items():
        print(f"{labels} labels: {method} {compared(model, errors)}")


def compared(model: str, errors: Sequence[tuple[float, float | None]]) -> str:
    """Return in words how a model's errors compare with a method's, given in pairs, the method's first."""
    finished = [(their, our) for their, our in errors if our is not None]
    n_diverged = len(errors) - len(finished)
    left_out = f", without {n_diverged} of {model} that diverged" if n_diverged else ""
    if not finished:
        return f"cannot be compared with {model}{left_out}"
    theirs, ours = zip(*finished, strict=True)
    found = compare_paired(theirs, ours)
    interval = "" if found.ci95 is None else f" (95 % interval {found.ci95[0]:+.2f} to {found.ci95[1]:+.2f})"
    means = [f"{plus_minus(mean(each), standard_deviation(each))} %" for each in (theirs, ours)]
    difference = f"paired difference {found.mean_difference:+.2f} points{interval}"
    return f"{means[0]}, {model} {means[1]}, {difference}, {counted(found.n, 'seed')}{left_out}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", action="append", choices=["label-spreading", "self-training"])
    parser.add_argument("--network", help="recipe of the network that trains itself")
    parser.add_argument("--run", action="append", type=Path, default=[], help="a run of another recipe")
    given = parser.parse_args(arguments)
    methods = given.method or ([] if given.run else ["label-spreading"])
    if "self-training" in methods and given.network is None:
        parser.error("self-training needs a --network, such as the recipe supervised")
    data = load_dataset(read_record(given.folder)["identity"]["data"]["name"])
    for folder in [given.folder, *given.run]:
        record = read_record(folder)
        if of_gans(record):
            parser.error(f"{folder} is a run of GANs without labels")
        if record["identity"]["data"]["fingerprint"] != data.fingerprint:
            parser.error(f"{folder} is a run on other images than the packaged {data.name}")
    for other in given.run:
        compare_runs(given.folder, other, data)
    for method in methods:
        measure(given.folder, method, given.network if method == "self-training" else None, data)


if __name__ == "__main__":
    main()
