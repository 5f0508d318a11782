"""Data sets, their labelled subsets, and the order in which batches are drawn from them.

load_dataset("mnist")        a data set by name, or by the path of a folder of PNG or IDX files, or an .npz archive
load_table(...)              a data set from a table with a column of labels, CSV or Parquet
labeled_order(...)           the nested, class-balanced labelled subsets of one seed
EpochSequence(...)           which images step s sees: a function of (seed, s) alone
"""

from ladder_ebgan.data.batches import EpochSequence, Order
from ladder_ebgan.data.dataset import Columns, Dataset, RawArrays, describe, make_dataset
from ladder_ebgan.data.loading import DATASET_NAMES, load_dataset
from ladder_ebgan.data.subsets import check_budget, default_budget, labeled_order, subset_order
from ladder_ebgan.data.table_dataset import load_table
from ladder_ebgan.data.tables import is_table

__all__ = [
    "DATASET_NAMES",
    "Columns",
    "Dataset",
    "EpochSequence",
    "Order",
    "RawArrays",
    "check_budget",
    "default_budget",
    "describe",
    "is_table",
    "labeled_order",
    "load_dataset",
    "load_table",
    "make_dataset",
    "subset_order",
]
