"""Data sets, their labelled subsets, and the order in which batches are drawn from them.

load_dataset("mnist")        a data set by name, or by the path of a folder of IDX files or of an .npz archive
labeled_order(...)           the nested, class-balanced labelled subsets of one seed
EpochSequence(...)           which images step s sees: a function of (seed, s) alone
"""

from ladder_ebgan.data.batches import EpochSequence, Order
from ladder_ebgan.data.dataset import Dataset, RawArrays, describe, make_dataset
from ladder_ebgan.data.loading import DATASET_NAMES, load_dataset
from ladder_ebgan.data.subsets import check_budget, labeled_order

__all__ = [
    "DATASET_NAMES",
    "Dataset",
    "EpochSequence",
    "Order",
    "RawArrays",
    "check_budget",
    "describe",
    "labeled_order",
    "load_dataset",
    "make_dataset",
]
