"""A data set from a table with a column of labels, in which most rows may have none."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.dataset import Columns, Dataset, indices_of_test_labels
from ladder_ebgan.data.loading import short_name
from ladder_ebgan.data.tables import Table, features_of, is_table, labels_of, read_table, require_column
from ladder_ebgan.errors import UsageError
from ladder_ebgan.scaling import Scaling


def dataset_of_table(
    data: str, label: str | None, dropped: Sequence[str], test_path: Path | None = None
) -> Dataset | None:
    """Return the data set of a table, as `load_table` does, or None where `data` is no table.

    Raises:
        UsageError: as `load_table`; or options were given that are for a table.
    """
    if is_table(data):
        return load_table(Path(data), label, dropped, test_path)
    options = {
        "--label-column": label is not None,
        "--drop-column": bool(dropped),
        "--test-data": test_path is not None,
    }
    given = [option for option, is_given in options.items() if is_given]
    if given:
        raise UsageError(f"{given[0]} is for tables, .csv, .tsv or .parquet files, and {data!r} is none")
    return None


def load_table(
    path: Path, label: str | None, dropped: Sequence[str] = (), test_path: Path | None = None
) -> Dataset:
    """Load the data set of a table: all rows are trained on, those with a label can be learned from.

    Args:
        path: of a CSV or Parquet file.
        label: name of the column of labels; an empty cell is a row without one. None is refused with what there is.
        dropped: names of columns that are no features. All others are.
        test_path: a table whose labelled rows are the test set. Without it the labelled rows are, each for those
            replicas that have not learned its label (`Dataset.tested`).

    Raises:
        UsageError: whatever is wrong with the files or what they hold.
    """
    table = read_table(path)
    if label is None:
        raise UsageError(
            f"which column of {table.source} has the labels? Say it with --label-column; it has "
            f"{table.listed_columns}"
        )
    for name in (label, *dropped):
        require_column(table, name)
    names = [name for name in table.columns if name != label and name not in dropped]
    _check_names(table, names, label, dropped)
    features = features_of(table, names, chosen=True)
    rows, known = _some_labels(table, label)
    classes, indices = np.unique(known, return_inverse=True)
    if len(classes) < 2:
        raise UsageError(f"{table.source}: every label is {classes[0].item()!r}; there must be two classes or more")
    labels = np.full(table.n_rows, -1, dtype=np.int64)
    labels[rows] = indices
    if test_path is None:
        test, test_labels, test_rows = features[rows], labels[rows], rows.astype(np.int64)
    else:
        test, test_labels = _read_test(test_path, path, names, label, classes)
        test_rows = None
    scaling = Scaling.of(features)
    class_values = tuple(classes.tolist())
    header = {"columns": [*names, label], "classes": class_values, "shapes": [features.shape, test.shape]}
    return Dataset(
        name=short_name(path),
        description=f"the table {str(path)!r}" + (f", tested on {str(test_path)!r}" if test_path else ""),
        train_images=scaling.apply(features),
        train_labels=labels,
        test_images=scaling.apply(test),
        test_labels=test_labels,
        classes=class_values,
        image_shape=(len(names),),
        fingerprint=_fingerprint(header, features, labels, *(() if test_path is None else (test, test_labels))),
        columns=Columns(tuple(names), label, scaling),
        test_rows=test_rows,
    )


def _check_names(table: Table, names: Sequence[str], label: str, dropped: Sequence[str]) -> None:
    """Refuse columns that cannot be features by their name, and too few."""
    if label in dropped:
        raise UsageError(f"the column {label!r} cannot both have the labels and be left out")
    if "" in names:
        place = list(table.columns).index("") + 1
        raise UsageError(
            f"column {place} of {table.source} has no name, as when pandas writes its index: name it, or leave it "
            "out with --drop-column ''"
        )
    if not names:
        only = ", ".join(map(repr, table.columns))
        raise UsageError(f"{table.source} has no column of features: it has {only} (is the separator a comma?)")


def _some_labels(table: Table, label: str) -> tuple[NDArray[np.intp], NDArray[Any]]:
    rows, known = labels_of(table, label)
    if not len(rows):
        raise UsageError(f"no row of {table.source} has a label: write the class of some into the column {label!r}")
    return rows, known


def _read_test(
    path: Path, trained: Path, names: Sequence[str], label: str, classes: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return features and labels of the test rows: those of a table that have a label."""
    table = read_table(path)
    if trained.samefile(path):
        raise UsageError("--test-data is the table that is trained on: give other rows, or leave the option out")
    features = features_of(table, names, chosen=False)
    rows, known = _some_labels(table, label)
    if classes.dtype.kind == "U" and known.dtype.kind == "i":  # all are numbers here, and some are words there
        known = known.astype(np.str_)
    return features[rows], indices_of_test_labels(known, classes, table.source)


def _fingerprint(header: dict[str, Any], *arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of names, classes and sizes as JSON, then the arrays, little-endian on any machine."""
    digest = hashlib.sha256(json.dumps(header).encode())
    for array in arrays:
        digest.update(array.astype("<f8" if array.dtype.kind == "f" else "<i8").tobytes())
    return digest.hexdigest()


def describe_table(dataset: Dataset) -> dict[str, Any]:
    """Return what `ladder-ebgan data describe` says of a table, ready for JSON."""
    assert dataset.columns is not None
    labels = dataset.train_labels[dataset.labeled_rows]
    n_of_class = np.bincount(labels, minlength=dataset.n_classes).tolist()
    return {
        "name": dataset.name,
        "description": dataset.description,
        "n_rows": len(dataset.train_labels),
        "n_labeled": len(labels),
        "label": dataset.columns.label,
        "features": list(dataset.columns.features),
        "classes": [{"label": label, "n": n} for label, n in zip(dataset.classes, n_of_class, strict=True)],
        "fingerprint": dataset.fingerprint,
    }
