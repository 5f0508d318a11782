from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.semi_supervised import LabelPropagation

from ladder_ebgan import LabeledStratifiedKFold


def splits(y: Any, **options: Any) -> list[tuple[list[int], list[int]]]:
    folds = LabeledStratifiedKFold(**options)
    return [(train.tolist(), test.tolist()) for train, test in folds.split(np.zeros(len(y)), y)]


def test_by_hand() -> None:
    """Rows 1 and 4 have no label: they are in both training parts."""
    assert splits([0, -1, 1, 0, -1, 1], n_splits=2) == [([1, 3, 4, 5], [0, 2]), ([0, 1, 2, 4], [3, 5])]
    assert splits(["a", "", "b", "a", "", "b"], n_splits=2) == splits([0, -1, 1, 0, -1, 1], n_splits=2)


@given(st.lists(st.integers(-1, 1), max_size=30), st.booleans())
def test_folds(more: list[int], shuffle: bool) -> None:
    y = np.array([*[0, 1] * 3, *more])
    folds = splits(y, n_splits=3, shuffle=shuffle, random_state=0 if shuffle else None)
    labeled = np.flatnonzero(y >= 0)
    assert sorted(row for _, test in folds for row in test) == labeled.tolist()
    for train, test in folds:
        assert sorted(train + test) == list(range(len(y)))
        assert set(y[test]) == {0, 1}


def test_with_all_rows_labelled_it_is_scikit_learns() -> None:
    y = np.arange(20) % 3
    of_sklearn = StratifiedKFold(4, shuffle=True, random_state=1).split(np.zeros(20), y)
    for (train, test), (their_train, their_test) in zip(
        splits(y, n_splits=4, shuffle=True, random_state=1), of_sklearn, strict=True
    ):
        assert_array_equal(train, their_train)
        assert_array_equal(test, their_test)


def test_it_scores_estimators_of_scikit_learn_too() -> None:
    X = np.r_[np.zeros((10, 1)), np.ones((10, 1))] + np.linspace(0, 0.1, 20)[:, None]
    y = np.where(np.arange(20) % 2, -1, np.arange(20) // 10)
    scores = cross_val_score(LabelPropagation(), X, y, cv=LabeledStratifiedKFold(5))
    assert_array_equal(scores, np.ones(5))


def test_nothing_to_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^y has no labels: all 3 rows are marked as unlabelled"):
        splits([-1, -1, -1])
    with pytest.raises(ValueError, match=r"n_splits=5 (cannot be )?greater than the number of"):
        splits([0, 1, -1])


def test_it_can_be_shown() -> None:
    assert repr(LabeledStratifiedKFold(3)) == "LabeledStratifiedKFold(n_splits=3, random_state=None, shuffle=False)"
    assert LabeledStratifiedKFold(3).get_n_splits() == 3
