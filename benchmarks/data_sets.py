"""LadderClassifier with its defaults on six data sets, beside scikit-learn's ways with few labels.

python benchmarks/data_sets.py FOLDER [--seeds 15] [--jobs 2]

For each data set, number of labels and seed the rows are split, 30 % of them for the test, and so many labels of
each class are drawn; all methods see the same ones. FOLDER gets results.csv, a row for each fit, and table.md,
which is made anew from it at the end. What is in results.csv is not fitted again.

The estimators' defaults were chosen on digits, breast cancer and wine (docs/estimators.md), with other seeds, that
of rare values also by other images of MNIST, and on no other data set here.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import torch
from ladder_ebgan_benchmarks.rows import add_row, read_rows
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from ladder_ebgan import LadderClassifier
from ladder_ebgan.data import load_dataset
from ladder_ebgan.report.lines import plus_minus
from ladder_ebgan.statistics import ALPHA, compare_paired, holm, mean, standard_deviation

BUDGETS = (2, 5, 10)  # labelled rows of each class
TEST_SHARE = 0.3
MNIST_ROWS = 10_000  # of its training images; its test images are not read

Split = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]  # as of train_test_split


class Fit(NamedTuple):
    """One row of results.csv but for what was measured."""

    data: str
    labels_per_class: int
    seed: int
    method: str


def load(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows and classes of a data set."""
    if name == "mnist":
        mnist = load_dataset("mnist")
        rows = np.random.default_rng(0).permutation(len(mnist.train_labels))[:MNIST_ROWS]
        return mnist.train_images[rows], mnist.train_labels[rows]
    if name == "diabetes":  # the progression of the disease is a number: is it above the median?
        rows, progression = datasets.load_diabetes(return_X_y=True)
        return rows, (progression > np.median(progression)).astype(int)
    rows, classes = getattr(datasets, f"load_{name}")(return_X_y=True)
    return rows, classes


DATA = ("iris", "wine", "breast_cancer", "diabetes", "digits", "mnist")


def split(rows: NDArray[Any], classes: NDArray[Any], labels_per_class: int, seed: int) -> Split:
    """Return training and test rows, and their classes, of which the training rows have few: the rest is -1."""
    train, test, train_classes, test_classes = train_test_split(
        rows, classes, test_size=TEST_SHARE, stratify=classes, random_state=seed
    )
    rng, few = np.random.default_rng(seed), np.full(len(train), -1)
    for each in np.unique(classes):
        few[rng.choice(np.flatnonzero(train_classes == each), labels_per_class, replace=False)] = each
    return train, test, few, test_classes


def _standardized(estimator: BaseEstimator) -> BaseEstimator:
    return make_pipeline(StandardScaler(), estimator)


METHODS: dict[str, Callable[[int], BaseEstimator]] = {
    "ladder": lambda seed: LadderClassifier(random_state=seed),
    "supervised network": lambda seed: LadderClassifier(denoising_weights=0, random_state=seed),
    "LabelSpreading": lambda _: _standardized(LabelSpreading(kernel="knn")),
    "self-training": lambda _: SelfTrainingClassifier(_standardized(LogisticRegression(max_iter=1000))),
    "gradient boosting": lambda seed: GradientBoostingClassifier(random_state=seed),
}
LABELED_ONLY = {"gradient boosting"}


def fit(wanted: Fit) -> tuple[Fit, float, float]:
    """Return the test error in percent, and the seconds of fitting."""
    torch.set_num_threads(1)
    train, test, few, test_classes = split(*load(wanted.data), wanted.labels_per_class, wanted.seed)
    if wanted.method in LABELED_ONLY:
        train, few = train[few >= 0], few[few >= 0]
    started = time.perf_counter()
    fitted = METHODS[wanted.method](wanted.seed).fit(train, few)
    seconds = time.perf_counter() - started
    return wanted, 100 * float(np.mean(fitted.predict(test) != test_classes)), seconds


def read(path: Path) -> dict[Fit, float]:
    """Return the errors in results.csv; none where there is no file."""
    return {
        Fit(row["data"], int(row["labels_per_class"]), int(row["seed"]), row["method"]): float(row["error_percent"])
        for row in read_rows(path)
    }


def run(path: Path, wanted: Iterable[Fit], n_jobs: int) -> None:
    """Fit what results.csv does not have yet, and add a row as each is done."""
    done = read(path)
    missing = [each for each in wanted if each not in done]
    fits = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(joblib.delayed(fit)(f) for f in missing)
    for number, (found, error, seconds) in enumerate(fits, start=1):
        add_row(path, {**found._asdict(), "error_percent": f"{error:.4f}", "seconds": f"{seconds:.2f}"})
        print(f"{number}/{len(missing)} {' '.join(map(str, found))}: {error:.2f} %", flush=True)


def table(errors: dict[Fit, float]) -> str:
    """Return the table in Markdown: error in percent, mean ± standard deviation over the seeds.

    A method is marked where the ladder is better (+) or worse (-) by a paired t test over the seeds, corrected for
    the rows that splits share (Nadeau and Bengio 2003) and by Holm's method for all tests of the table.
    """
    cells: dict[tuple[str, int], dict[str, dict[int, float]]] = {}
    for each, error in errors.items():
        cells.setdefault((each.data, each.labels_per_class), {}).setdefault(each.method, {})[each.seed] = error
    order = sorted(cells, key=lambda key: (DATA.index(key[0]), key[1]))
    others = [method for method in METHODS if method != "ladder"]
    compared = {(key, method): _compared(cells[key], method) for key in order for method in others}
    corrected = dict(zip(compared, holm([p for _, p in compared.values()]), strict=True))
    lines = [
        f"| data | labels of each class | seeds | {' | '.join(METHODS)} |",
        f"|:--|--:|--:|{'--:|' * len(METHODS)}",
    ]
    for key in order:
        shown = [_cell(cells[key].get("ladder", {}))]
        for method in others:
            p, difference = corrected[key, method], compared[key, method][0]
            mark = "" if p is None or p >= ALPHA else (" +" if difference < 0 else " -")
            shown.append(_cell(cells[key].get(method, {})) + mark)
        n_seeds = max(map(len, cells[key].values()))
        lines.append(f"| {key[0].replace('_', ' ')} | {key[1]} | {n_seeds} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _compared(methods: dict[str, dict[int, float]], other: str) -> tuple[float, float | None]:
    """Return the mean difference of ladder and another method over the seeds of both, and its p-value."""
    ladder, errors = methods.get("ladder", {}), methods.get(other, {})
    seeds = sorted(ladder.keys() & errors.keys())
    if not seeds:
        return 0.0, None
    overlap = TEST_SHARE / (1 - TEST_SHARE)
    paired = compare_paired([errors[seed] for seed in seeds], [ladder[seed] for seed in seeds], overlap)
    return paired.mean_difference, paired.p_paired_t


def _cell(errors: dict[int, float]) -> str:
    if not errors:
        return "–"
    values = list(errors.values())
    return plus_minus(mean(values), standard_deviation(values), ".1f")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data", choices=DATA, nargs="+", default=DATA)
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    path = given.folder / "results.csv"
    wanted = [
        Fit(name, budget, seed, method)
        for seed in range(given.seeds)
        for name in given.data
        for budget in BUDGETS
        for method in METHODS
    ]
    run(path, wanted, given.jobs)
    (given.folder / "table.md").write_text(table(read(path)))


if __name__ == "__main__":
    main()
