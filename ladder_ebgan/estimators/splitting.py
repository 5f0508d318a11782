"""Cross-validation where only some rows have a label."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from ladder_ebgan.estimators.labels import labeled_rows


class LabeledStratifiedKFold(StratifiedKFold):
    """Stratified folds of the labelled rows; rows without a label are in every training part and in no test part.

    A test fold then says how good predictions are, while each training uses all unlabelled rows there are. Labels
    of text are allowed; what marks a row without a label is told at `LadderClassifier`.

    Args:
        n_splits: number of folds, 2 or more and at most the number of labelled rows of each class.
        shuffle: whether the labelled rows of each class are shuffled first.
        random_state: of the shuffling.
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: int | np.random.RandomState | None = None
    ) -> None:
        super().__init__(n_splits=n_splits, shuffle=shuffle, random_state=random_state)

    def split(self, X: Any, y: Any, groups: object = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the training and the test rows of each fold, as indices."""
        labeled, known, n_rows = labeled_rows(y)
        rest = np.setdiff1d(np.arange(n_rows), labeled)
        for train, test in super().split(np.zeros(len(labeled)), known):
            yield np.sort(np.concatenate([labeled[train], rest])), labeled[test]
