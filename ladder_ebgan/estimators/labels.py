"""What `y` says: which rows have a label, and which class it is."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ladder_ebgan.data.dataset import MARKS_AS_TEXT

UNLABELED = -1  # scikit-learn's mark


class Labels(NamedTuple):
    """The classes, and the class of each row."""

    classes: NDArray[Any]  # sorted
    of_row: NDArray[np.int64]  # [n_rows], index into the classes; -1 without a label


def read_labels(y: Any) -> Labels:
    """Return the classes of `y` and the class of each row.

    Raises:
        ValueError: no row has a label, all labels are the same, or they are no classes.
    """
    rows, known, n_rows = labeled_rows(y)
    check_classification_targets(known)
    classes, inverse = np.unique(known, return_inverse=True)
    if len(classes) < 2:
        marked = f"; {UNLABELED} is no class: it marks unlabelled rows" if len(rows) < n_rows else ""
        raise ValueError(
            f"all labels in y are of one class, {classes[0]}{marked}; label rows of two classes or more"
        )
    of_row = np.full(n_rows, UNLABELED, dtype=np.int64)
    of_row[rows] = inverse
    return Labels(classes, of_row)


def labeled_rows(y: Any) -> tuple[NDArray[np.intp], NDArray[Any], int]:
    """Return which rows have a label, their labels, and how many rows there are in all.

    These mark a row without a label: the number -1, a missing value (None, NaN, pandas.NA), and among text the
    empty one.

    Raises:
        ValueError: no row has a label, or it cannot be told which: the text "-1" may be either a class or a mark,
            and in an array of text "nan" may be what NumPy has made of a missing value.
    """
    values = np.asarray(column_or_1d(_objects_if_needed(y), warn=True))
    if values.dtype.kind not in "biufOUT":
        raise ValueError(f"y is of type {values.dtype}; labels are whole numbers or text")
    rows = np.flatnonzero(~_unlabeled(values))
    if len(rows) == 0:
        raise ValueError(
            f"y has no labels: all {len(values)} rows are marked as unlabelled; label a few rows of each class"
        )
    known = values[rows]
    return rows, _same_kind(known) if known.dtype == object else known, len(values)


def _objects_if_needed(y: Any) -> Any:
    """Return as objects what NumPy would make something else of: lists with text, pandas' nullable numbers."""
    if isinstance(y, list | tuple) and any(isinstance(item, str) for item in y):
        return np.array(y, dtype=object)
    dtype = getattr(y, "dtype", None)
    nullable = not isinstance(dtype, np.dtype) and getattr(dtype, "kind", None) in {"i", "u", "b"}
    return y.to_numpy(dtype=object) if nullable else y


def _unlabeled(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind in "iu":
        return np.asarray(values == UNLABELED)
    if values.dtype.kind == "f":
        if np.isinf(values).any():
            raise ValueError("y contains infinity, which is no class")
        return np.asarray((values == UNLABELED) | np.isnan(values))
    if values.dtype.kind not in "OUT":
        return np.zeros(len(values), dtype=bool)
    items = values.tolist()
    doubtful = {str(UNLABELED)} if values.dtype == object else MARKS_AS_TEXT
    found = doubtful.intersection(item for item in items if isinstance(item, str))
    if found:
        raise ValueError(
            f"y has the text '{min(found)}', which may be a class or a mark: among labels of text, mark unlabelled "
            f"rows with an empty text, None, or the number {UNLABELED} in a list or an array of dtype object"
        )
    return np.array([_is_mark(item) for item in items], dtype=bool)


def _is_mark(item: Any) -> bool:
    if item is None or type(item).__name__ == "NAType":  # pandas.NA is neither equal nor unequal to itself
        return True
    if isinstance(item, str):
        return item == ""
    return bool(item == UNLABELED) or (isinstance(item, float) and math.isnan(item))


def _same_kind(known: NDArray[Any]) -> NDArray[Any]:
    """Return labels of dtype object as what they are: text stays, numbers become an array of numbers."""
    of_text = {isinstance(item, str) for item in known.tolist()}
    if len(of_text) > 1:
        raise ValueError("y has both text and numbers as labels; make them all text or all numbers")
    return known if True in of_text else np.array(known.tolist())
