"""The rows of a table: read, checked, scaled; which labelled ones are held out."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ladder_ebgan.data.subsets import proportional_order
from ladder_ebgan.scaling import Scaling


def read_features(estimator: BaseEstimator, X: Any, y: Any = "no_validation", *, reset: bool) -> NDArray[Any]:
    """Return the features as floats `[n_rows, features]`, checked as scikit-learn checks them.

    Args:
        estimator: learns number and names of the features if `reset`, and has them otherwise.
        X: an array or a frame.
        y: the labels, of which it is only checked that there are some.
        reset: whether this is a fit.

    Raises:
        ValueError, TypeError: missing or infinite values, text, dates, another number of features, a sparse matrix.
    """
    if y is None:
        validate_data(estimator, X, y)  # says that there must be labels
    try:
        return np.asarray(validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32]))
    except np.exceptions.DTypePromotionError as error:
        column = next(name for name in X.columns if X[name].dtype.kind in "mM")
        raise ValueError(
            f"X has dates or times in the column {column!r}: make numbers of them, for example days since the first"
        ) from error
    except ValueError as error:
        what, _, text = str(error).partition(": ")
        if what != "could not convert string to float":
            raise
        column, example = _first_of_text(X), re.sub(r"^np\.str_\((.*)\)$", r"\1", text)
        raise ValueError(
            f"X has text in the column {column!r} ({example}): encode it as numbers, for example with "
            "OneHotEncoder(sparse_output=False)"
        ) from error


def _first_of_text(X: Any) -> Any:
    """Return the name, or the number, of the first column that is not of numbers."""
    columns = {name: X[name] for name in X.columns} if hasattr(X, "columns") else dict(enumerate(np.asarray(X).T))
    return next(name for name, column in columns.items() if not _are_numbers(column))


def _are_numbers(column: Any) -> bool:
    try:
        np.asarray(column).astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def as_float32(estimator: BaseEstimator, table: NDArray[Any], scaling: Scaling | None) -> NDArray[np.float32]:
    """Return the features that `read_features` has read as the networks take them.

    Raises:
        ValueError: numbers beyond what float32 holds.
    """
    with np.errstate(over="ignore"):
        features = table.astype(np.float32) if scaling is None else scaling.apply(table)
    if not np.isfinite(features).all():
        number = int((~np.isfinite(features)).any(axis=0).argmax())
        furthest = table[np.abs(table[:, number]).argmax(), number]
        column = getattr(estimator, "feature_names_in_", range(table.shape[1]))[number]
        raise ValueError(
            f"X has {furthest:g} in the column {column!r}: too large for 32-bit numbers, or beside those of the fit"
        )
    return features


def held_out_rows(index: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.int64]:
    """Return labelled rows to be held out of the training, at least one of each class, and leave one of each.

    Beyond these, classes are held out in their proportions. The seed fixes which rows.

    Args:
        index: class of each row `[n_rows]`; -1 without a label.
        fraction: of the labelled rows, at least.
        seed: of the choice.

    Raises:
        ValueError: a class with a single labelled row, or a fraction that leaves none.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"validation_fraction is {fraction}: must lie between 0 and 1")
    labeled = np.flatnonzero(index >= 0)
    n_of_class = np.bincount(index[labeled])
    n_held_out = max(int(np.ceil(fraction * len(labeled))), len(n_of_class))
    if n_of_class.min() < 2 or len(labeled) - n_held_out < len(n_of_class):
        raise ValueError(
            f"early_stopping cannot hold out {n_held_out} of {len(labeled)} labelled rows and keep one of each "
            "class to train on: label more, make validation_fraction smaller, or do without early_stopping"
        )
    n_classes = len(n_of_class)
    order = proportional_order(index[labeled], seed, n_classes)
    left = labeled[order[n_classes:]]  # without the first, one of each class, which is trained on
    return np.sort(left[proportional_order(index[left], seed, n_classes)[:n_held_out]])
