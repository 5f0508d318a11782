"""What is said of the data of a run before it trains, most of it of tables."""

import shlex
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data import Dataset
from ladder_ebgan.data.tables import DOUBTFUL, NO_HEADER, names_like_values
from ladder_ebgan.experiment import Experiment, Request
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe

FEWEST_NUMBERED = 10  # rows: fewer may rise by chance
ROUNDING = 0.01  # of a number of a row, brought to 32 bits and back


def data_in_words(dataset: Dataset) -> str:
    """Return how much data there is."""
    n_train, n_test = len(dataset.train_labels), len(dataset.test_labels)
    n_labeled = len(dataset.labeled_rows)
    if dataset.is_images_with_test:
        known = "" if n_labeled == n_train else f" ({n_labeled} of the training images have a label)"
        return f"{dataset.name}, {n_train} training and {n_test} test images{known}"
    size = " x ".join(map(str, dataset.image_shape[:2]))
    of = f"{size} pixels" if dataset.columns is None else f"{dataset.n_features} features"
    rows = f"{dataset.name}, {n_train} {dataset.examples} of {of}"
    if not dataset.n_classes:
        return rows
    apart = f"; {n_test} test rows" if dataset.test_rows is None else ""
    return f"{rows}, {n_labeled} with a label of {dataset.n_classes} classes{apart}"


def chosen_settings(request: Request) -> str:
    """Return what was chosen for the size of a table."""
    recipe = request.recipe
    assert isinstance(recipe, Recipe)
    hidden = ", ".join(map(str, recipe.network.hidden_sizes))
    return f"hidden layers of {hidden} units, batches of {recipe.training.batch_size} rows; all of them with --json"


def _column_notes(dataset: Dataset) -> Iterator[str]:
    """Yield what looks like a mistake in the columns of a table."""
    assert dataset.columns is not None
    if unlikely := names_like_values(dataset.columns.features):
        yield f"There are columns with names such as {unlikely[0]!r}: {NO_HEADER}."
    features = dataset.columns.scaling.undo(dataset.train_images)
    for name, values in zip(dataset.columns.features, features.T, strict=True):
        if _numbers_rows(values):
            yield (
                f"The column {name!r} seems to number the rows, which says nothing of other rows: leave it out "
                f"with --drop-column {shlex.quote(name)}."
            )
    counts = Counter(dataset.train_labels[dataset.labeled_rows].tolist())
    for index, label in enumerate(dataset.classes):
        if str(label).lower() in DOUBTFUL:
            yield (
                f"{label!r} is taken for a class, with {counts[index]} labelled rows: a row without a label has an "
                "empty cell."
            )


def _numbers_rows(values: NDArray[np.float64]) -> bool:
    """Return whether a feature is whole numbers that rise from row to row, or are those of a span in any order."""
    whole = np.rint(values)
    if len(whole) < FEWEST_NUMBERED or np.abs(values - whole).max() > ROUNDING:
        return False
    return bool((np.diff(whole) > 0).all() or (np.diff(np.sort(whole)) == 1).all())


def data_notes(experiment: Experiment) -> Iterator[str]:
    """Yield what a table, or images without a test set, let one expect; of other images there is nothing to say."""
    dataset, request, examples = experiment.dataset, experiment.request, experiment.dataset.examples
    if not isinstance(request.recipe, Recipe) or dataset.is_images_with_test:
        return
    if dataset.columns is not None:
        yield from _column_notes(dataset)
    n_rows, labeled = len(dataset.train_labels), dataset.labeled_rows
    if dataset.test_rows is not None:
        for budget in request.labels:
            yield (
                f"Each seed learns {budget} of the labels and is tested on the other {len(labeled) - budget} "
                f"{examples} that have one; without label it sees all {examples}."
            )
        counts = Counter(dataset.train_labels[labeled].tolist())
        if single := [repr(dataset.classes[index]) for index, n in sorted(counts.items()) if n == 1]:
            are = "is a class" if len(single) == 1 else "are classes"
            yield (
                f"{', '.join(single)} {are} with a single labelled {examples[:-1]}, which every seed learns: the "
                "error says nothing of it."
            )
    if len(labeled) == n_rows:
        yield (
            f"All {examples} have a label: a seed trains on those that it does not learn as on {examples} without "
            "one."
        )
    batch_size = request.recipe.training.batch_size
    if batch_size > n_rows:
        yield (
            f"A batch has {batch_size} {examples} and there are {n_rows}, so that they come several times in one: "
            f"--set training.batch_size={n_rows} changes that."
        )
    for model in request.models if dataset.columns is not None else ():
        settings = request.recipe.settings(model)
        if isinstance(settings, EBGANLadderSettings) and settings.generator.output == "sigmoid":
            yield (
                f"The generator of {model} ends in a sigmoid, which makes numbers in [0, 1], and features are "
                "standardised: change it with --set 'ebgan-ladder.generator.output=\"linear\"'."
            )
