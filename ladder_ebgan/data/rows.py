"""Rows of a table to be predicted: features as they are, from an .npy or .npz file, or by name from a table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ladder_ebgan.data.dataset import label_values
from ladder_ebgan.data.images import NPZ_PAIRS, Images
from ladder_ebgan.data.npz import listed, read_archive, read_npy
from ladder_ebgan.data.tables import LONGEST, Table, features_of, is_table, labels_of, read_table, require_column
from ladder_ebgan.errors import UsageError

NAMES = [*NPZ_PAIRS, *NPZ_PAIRS.values()]


def read_rows(
    sources: Sequence[str],
    n_features: int,
    columns: Sequence[str] = (),
    label: str | None = None,
    names: str | None = None,
) -> Images:
    """Read the rows of a model that takes features, not pixels: nothing is divided by 255.

    Args:
        sources: one .npy or .npz file, or a table.
        n_features: that the model takes.
        columns: their names, by which they are found in a table; empty where they have none.
        label: the column of labels of a table, if it has one; an empty cell is a row without label.
        names: the column of a table that rows are named by; None for their numbers.

    Raises:
        UsageError: it is no such file, or holds no finite numbers of the right shape.
    """
    if len(sources) == 1 and is_table(sources[0]):
        table = read_table(Path(sources[0]))
        images = _from_table(table, n_features, columns, label)
        return images if names is None else replace(images, names=_names(table, names))
    if names is not None:
        raise UsageError(f"--id-column is for tables, .csv, .tsv or .parquet files, and {sources[0]!r} is none")
    named = f"a CSV or Parquet file with the columns {listed(columns)}, " if columns else ""
    right = (
        f"the model takes rows of {n_features} features: give {named}one .npy file with an array "
        f"[n, {n_features}], or an .npz file with it under {', '.join(NPZ_PAIRS)} (and labels under "
        f"{', '.join(NPZ_PAIRS.values())})"
    )
    path = Path(sources[0])
    try:
        if len(sources) > 1 or not path.is_file():
            raise UsageError(f"cannot read {' '.join(sources)}: {right}")
        with path.open("rb") as file:
            is_array = file.read(6) == b"\x93NUMPY"
        arrays, present = ({"x": read_npy(path)}, {"x"}) if is_array else read_archive(path, NAMES, right)
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    found = [name for name in NPZ_PAIRS if name in arrays]
    if len(found) != 1:
        raise UsageError(f"the archive {str(path)!r} holds {listed(present)}; {right}")
    features, what = arrays[found[0]], f"the rows of {str(path)!r}"
    if features.ndim != 2 or features.shape[1] != n_features or features.dtype.kind not in "buif":
        raise UsageError(f"{what} are of type {features.dtype} and shape {list(features.shape)}; {right}")
    if not len(features) or not np.isfinite(features).all():
        raise UsageError(f"{what} are none, or have values that are missing or infinite: fill them in first")
    labels = arrays.get(NPZ_PAIRS[found[0]])
    if labels is not None:
        labels = label_values(labels, len(features), f"the labels of {str(path)!r}")
    return Images(features.astype(np.float64), tuple(map(str, range(len(features)))), labels)


def _names(table: Table, column: str) -> tuple[str, ...]:
    """Return a column as the names of rows."""
    require_column(table, column)
    cells = table.columns[column]
    if cells.dtype.kind == "U" and (np.strings.str_len(cells) == LONGEST).any():
        raise UsageError(f"{table.source} has names of {LONGEST} characters or more in the column {column!r}")
    if cells.dtype.kind == "f":  # as whole numbers are where one is missing
        if not np.isfinite(cells).all():
            raise UsageError(f"{table.source} has rows without a name in the column {column!r}: fill them in")
        cells = cells.astype(np.int64) if (cells == np.rint(cells)).all() else cells
    return tuple(map(str, cells.tolist()))


def _from_table(table: Table, n_features: int, columns: Sequence[str], label: str | None) -> Images:
    if len(columns) != n_features:
        raise UsageError(
            f"the model knows its {n_features} features by their order and not by name, so that {table.source} "
            "cannot be matched: give an .npy file, or train on a table with named columns"
        )
    features, names = features_of(table, columns, chosen=False), tuple(map(str, range(table.n_rows)))
    if label is None or label not in table.columns:
        return Images(features, names)
    rows, known = labels_of(table, label)
    if not len(rows):
        return Images(features, names)
    texts = np.full(table.n_rows, "", dtype=object)
    texts[rows] = known.astype(np.str_)
    return Images(features, names, texts.astype(np.str_), labeled=rows)
