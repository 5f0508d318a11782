"""What is said of the data of a run before it trains, most of it of tables."""

from collections import Counter
from collections.abc import Iterator

from ladder_ebgan.data import Dataset
from ladder_ebgan.experiment import Experiment, Request
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe


def data_in_words(dataset: Dataset) -> str:
    """Return how much data there is."""
    n_train, n_test = len(dataset.train_labels), len(dataset.test_labels)
    if dataset.columns is None:
        return f"{dataset.name}, {n_train} training and {n_test} test images"
    rows = (
        f"{dataset.name}, {n_train} rows of {dataset.n_features} features, {len(dataset.labeled_rows)} with a label"
    )
    apart = f"; {n_test} test rows" if dataset.test_rows is None else ""
    return f"{rows} of {dataset.n_classes} classes{apart}"


def chosen_settings(request: Request) -> str:
    """Return what was chosen for the size of a table."""
    recipe = request.recipe
    assert isinstance(recipe, Recipe)
    hidden = ", ".join(map(str, recipe.network.hidden_sizes))
    return f"hidden layers of {hidden} units, batches of {recipe.training.batch_size} rows; all of them in run.json"


def data_notes(experiment: Experiment) -> Iterator[str]:
    """Yield what a table lets one expect; of images there is nothing to say."""
    dataset, request = experiment.dataset, experiment.request
    if dataset.columns is None:
        return
    n_rows, labeled = len(dataset.train_labels), dataset.labeled_rows
    if dataset.test_rows is not None:
        for budget in request.labels:
            yield (
                f"Each seed learns {budget} of the labels and is tested on the other {len(labeled) - budget} rows "
                "that have one; without label it sees all rows."
            )
        counts = Counter(dataset.train_labels[labeled].tolist())
        if single := [repr(dataset.classes[index]) for index, n in sorted(counts.items()) if n == 1]:
            are = "is a class" if len(single) == 1 else "are classes"
            yield (
                f"{', '.join(single)} {are} with a single labelled row, which every seed learns: the error says "
                "nothing of it."
            )
    if len(labeled) == n_rows:
        yield "All rows have a label: a seed trains on those that it does not learn as on rows without one."
    batch_size = request.recipe.training.batch_size
    if batch_size > n_rows:
        yield (
            f"A batch has {batch_size} rows and the table {n_rows}, so that rows come several times in a batch; "
            f"--set training.batch_size={n_rows} changes that."
        )
    for model in request.models:
        settings = request.recipe.settings(model)
        if isinstance(settings, EBGANLadderSettings) and settings.generator.output == "sigmoid":
            yield (
                f"The generator of {model} ends in a sigmoid, which makes numbers in [0, 1], and features are "
                "standardised: change it with --set 'ebgan-ladder.generator.output=\"linear\"'."
            )
