"""What `predictions/` of a run folder holds: read with care, since figures index and stack it."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data import Dataset
from ladder_ebgan.data.npz import read_archive
from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.table import model_order
from ladder_ebgan.results import Result
from ladder_ebgan.runs import RunFolder, replica_name

Arrays = Mapping[str, NDArray[Any]]
Stored = Mapping[tuple[str, int], Arrays]  # by model and seed, sorted
WHAT_TO_DO = "restore it, or remove it and go without it in the figures"


def stored_predictions(folder: RunFolder, results: Sequence[Result], dataset: Dataset | None) -> Stored:
    """Return what is stored of the replicas with one budget, in the order of models and seeds.

    Raises:
        UsageError: a file is damaged, or not of this run.
    """
    stored: dict[tuple[str, int], Arrays] = {}
    models = model_order(result.model for result in results)
    for result in sorted(results, key=lambda result: (models.index(result.model), result.seed)):
        path = folder.path / "predictions" / f"{replica_name(result.model, result.labels, result.seed)}.npz"
        if os.path.lexists(path):
            stored[result.model, result.seed] = _read(path, result.labels, folder.record["image_shape"], dataset)
    if len({arrays["generated_images"].shape for arrays in stored.values() if "generated_images" in arrays}) > 1:
        raise UsageError(f"the files in {folder.path / 'predictions'} have different numbers of generated_images")
    return stored


def _read(path: Path, n_labels: int, image_shape: Sequence[int], dataset: Dataset | None) -> Arrays:
    try:
        arrays, _ = read_archive(path, ["labeled_indices", "probabilities", "generated_images"], WHAT_TO_DO)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; {WHAT_TO_DO}") from error
    needed = ("labeled_indices", "probabilities") if n_labels else ("generated_images",)
    for name in needed:
        if name not in arrays and dataset is not None:  # without it they are not shown
            raise UsageError(f"{path} is damaged: it has no {name}; {WHAT_TO_DO}")
    wrong = [name for name, array in arrays.items() if not _fits(name, array, n_labels, image_shape, dataset)]
    if wrong:
        raise UsageError(f"{path} is damaged: its {wrong[0]} are not those of this run; {WHAT_TO_DO}")
    return arrays


def _fits(
    name: str, array: NDArray[Any], n_labels: int, image_shape: Sequence[int], dataset: Dataset | None
) -> bool:
    held_out = dataset is not None and dataset.test_rows is not None
    n_test = 0 if dataset is None else len(dataset.test_labels) - n_labels * held_out
    if name == "labeled_indices":
        n_train = math.inf if dataset is None else len(dataset.train_labels)
        right = array.dtype.kind == "i" and array.shape == (n_labels,)
        right = right and bool(array.min() >= 0 and array.max() < n_train)
        return right and (dataset is None or not held_out or len(dataset.tested(array)) == n_test)
    if name == "probabilities":
        shape = array.shape if dataset is None else (n_test, dataset.n_classes)
        return array.dtype.kind == "f" and array.shape == shape and bool(np.isfinite(array).all())
    return array.dtype == np.uint8 and array.ndim == 2 and array.shape[1] == math.prod(image_shape)
