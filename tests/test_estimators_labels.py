from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ladder_ebgan.estimators.labels import labeled_rows, read_labels

NA, NAN = pd.NA, float("nan")


@pytest.mark.parametrize(
    ("y", "classes", "of_row"),
    [
        ([3, -1, 5, 3], [3, 5], [0, -1, 1, 0]),
        (np.array([0, 1, -1], dtype=np.int8), [0, 1], [0, 1, -1]),
        ([2.0, -1.0, NAN, 7.0], [2, 7], [0, -1, -1, 1]),
        ([True, False, False], [False, True], [1, 0, 0]),
        (["b", "", "a"], ["a", "b"], [1, -1, 0]),
        (["b", -1, "a", None, NAN, -1.0], ["a", "b"], [1, -1, 0, -1, -1, -1]),
        (("b", "nan", "a"), ["a", "b", "nan"], [1, 2, 0]),  # a list says what is text
        (np.array(["b", None, "a", -1, NAN, NA, ""], dtype=object), ["a", "b"], [1, -1, 0, -1, -1, -1, -1]),
        (np.array([4, None, 9, -1, NA], dtype=object), [4, 9], [0, -1, 1, -1, -1]),
        (pd.Series([4, None, 9], dtype="Int64"), [4, 9], [0, -1, 1]),
        (pd.Series(["b", None, "a"]), ["a", "b"], [1, -1, 0]),
        (pd.Series(["b", None, "a"], dtype="category"), ["a", "b"], [1, -1, 0]),
        (pd.DataFrame({"y": [1.0, NAN, 0.0]})["y"], [0, 1], [1, -1, 0]),
    ],
)
def test_what_marks_a_row_without_a_label(y: Any, classes: list[Any], of_row: list[int]) -> None:
    labels = read_labels(y)
    assert labels.classes.tolist() == classes
    assert_array_equal(labels.of_row, of_row)
    rows, known, n_rows = labeled_rows(y)
    assert_array_equal(rows, np.flatnonzero(np.array(of_row) >= 0))
    assert_array_equal(labels.classes[labels.of_row[rows]], known)
    assert n_rows == len(of_row)


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (pd.Series([4, None, 9], dtype="Int64"), "i"),
        (pd.Series([4, -1, 9], dtype="Int8"), "i"),
        (pd.Series([True, None, False], dtype="boolean"), "b"),
        (pd.Series([4.0, None, 9.0], dtype="Float64"), "f"),
        (pd.Series([4, None, 9]), "f"),
    ],
)
def test_classes_keep_the_kind_of_the_labels(y: Any, kind: str) -> None:
    """What pandas reads as floats, for the sake of one missing label, stays so."""
    assert read_labels(y).classes.dtype.kind == kind


@given(
    st.lists(st.integers(-1, 4), min_size=1, max_size=30), st.sampled_from(["int64", "float64", "object", "text"])
)
def test_numbers_and_text_are_read_alike(y: list[int], kind: str) -> None:
    words = ["" if label < 0 else "abcde"[label] for label in y]
    values = np.array(words) if kind == "text" else np.array(y, dtype=kind)
    if len(set(y) - {-1}) < 2:
        with pytest.raises(ValueError, match=r"^y has no labels|^all labels in y are of one class"):
            read_labels(values)
        return
    labels = read_labels(values)
    known = sorted(set(y) - {-1})
    assert labels.of_row.tolist() == [known.index(label) if label >= 0 else -1 for label in y]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "-1", "b"], "y has the text '-1', which may be a class or a mark"),
        (np.array(["a", -1, "b"]), "y has the text '-1'"),  # which NumPy has made of it
        (np.array(["a", -1.0, "b"]), "y has the text '-1.0'"),
        (np.array(["a", NAN, "b"]), "y has the text 'nan', which may be a class or a mark"),
        ([-1, -1], "y has no labels: all 2 rows are marked as unlabelled; label a few rows of each class"),
        (["", None], "y has no labels"),
        ([1, 1], "all labels in y are of one class, 1; label rows of two classes or more"),
        ([1, -1], "all labels in y are of one class, 1; -1 is no class: it marks unlabelled rows; label rows"),
        ([0.5, 1.5, 2.0], "Unknown label type: continuous"),
        ([0.0, float("inf")], "y contains infinity, which is no class"),
        (np.array(["a", 1], dtype=object), "y has both text and numbers as labels"),
        (np.array([b"a", b"b"]), "y is of type |S1; labels are whole numbers or text"),
        (np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]"), "labels are whole numbers or text"),
        ([[0, 1], [1, 0]], "y should be a 1d array"),
    ],
)
def test_what_says_nothing_or_two_things_is_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_labels(y)
    assert message in str(caught.value)
