"""Tables with named columns, from CSV and Parquet files: features as numbers, labels where a row has one."""

import csv
import difflib
import io
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.dataset import label_values
from ladder_ebgan.data.npz import one_line
from ladder_ebgan.errors import MachineError, UsageError

SUFFIXES = (".csv", ".tsv", ".parquet")
SEPARATORS = ",;\t"
ZIP = b"PK\x03\x04"  # begins what spreadsheet programs write
LARGEST = float(np.finfo(np.float32).max)
MISSING = {"", "nan"}  # in lower case: what a cell without a value has
DOUBTFUL = {"na", "n/a", "null", "none", "?", "-"}  # no number, but it may be a class
INDEX = "__index_level_"  # begins the name under which pandas keeps an index in a Parquet file
LISTED = 5  # columns in a message, with what is missing in each
MOST_NAMES = 20  # of columns in a message
LONGEST = 200  # characters of a text that are kept: an array takes the room of its longest text for each row
NO_HEADER = "if the first line is a row already, put one with the names of the columns in front"
A_VALUE = r"[+-]?([0-9]+\.[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?"  # what a row has, and few columns are called


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of a file by their name, in its order: arrays of numbers, or of text, empty where missing."""

    source: str  # what messages call it
    columns: dict[str, NDArray[Any]]
    n_rows: int

    @property
    def listed_columns(self) -> str:
        """The names of the columns for a message: the first twenty in quotes."""
        names = list(map(repr, self.columns))
        return ", ".join(names if len(names) <= MOST_NAMES else [*names[:MOST_NAMES], "..."])


def is_table(name: str) -> bool:
    """Return whether a name is that of a file which is read as a table."""
    return Path(name).suffix.lower() in SUFFIXES


def read_table(path: Path) -> Table:
    """Read a CSV file, in UTF-8 and with a line of column names, or a Parquet file.

    Cells of a CSV file are separated by commas, semicolons or tabs: what the first line has most of.

    Raises:
        UsageError: there is no such file, or it is no table.
        MachineError: it is too large.
    """
    source = f"the table {str(path)!r}"
    try:
        if not path.is_file():
            raise UsageError(f"{source} {'is not a file' if path.exists() else 'does not exist'}")
        parquet = path.suffix.lower() == ".parquet"
        names, arrays = _read_parquet(path, source) if parquet else _read_csv(path.read_bytes(), source)
    except MemoryError as error:
        raise MachineError(
            f"{source} does not fit into the memory: leave out columns or rows, or save it as Parquet"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror or one_line(error)}") from error
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        advice = NO_HEADER if any(map(_is_number, names)) else "give each a name of its own"
        raise UsageError(f"{source} has more than one column called {twice[0]!r}: {advice}")
    n_rows = len(arrays[0]) if arrays else 0
    if not n_rows:
        raise UsageError(f"{source} has no rows" + (" below the names of its columns" if names else ""))
    return Table(source, dict(zip(names, arrays, strict=True)), n_rows)


def _read_csv(content: bytes, source: str) -> tuple[list[str], list[NDArray[Any]]]:
    if content.startswith(ZIP):
        raise UsageError(f"{source} is a workbook or another zip archive, whatever its name says: save it as CSV")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{source} is not UTF-8 text (line {line}): save it as UTF-8") from error
    if not text.strip():
        raise UsageError(f"{source} is empty: it must have a line with the names of the columns, then a line a row")
    first_line = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=first_line.count), strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if rows and row and len(row) != len(rows[0]):
                raise UsageError(
                    f"{source} has {len(row)} cells in line {reader.line_num}, and {len(rows[0])} names of columns "
                    "in the first: give each row a cell for each column, and quote those that hold a separator"
                )
            if row:  # a blank line has none
                rows.append(row)
    except csv.Error as error:
        raise UsageError(f"{source} is no CSV file: {error} (line {reader.line_num})") from error
    return [name.strip() for name in rows[0]], [_texts(cells) for cells in zip(*rows[1:], strict=True)]


def _read_parquet(path: Path, source: str) -> tuple[list[str], list[NDArray[Any]]]:
    try:
        from pyarrow import parquet, types
    except ImportError as error:
        raise UsageError(f"{source} needs the package pyarrow: pip install pyarrow, or save it as CSV") from error
    try:
        table = parquet.read_table(path)
        names = [name for name in table.column_names if not name.startswith(INDEX)]
        columns = [table.column(name) for name in names]
        # As categories, a missing value would become the last of them.
        values = [each.cast(each.type.value_type) if types.is_dictionary(each.type) else each for each in columns]
        # As numbers: with missing values they would become objects, without a type of their own.
        values = [each.cast("uint8") if types.is_boolean(each.type) else each for each in values]
        return names, [_array(each.to_numpy()) for each in values]
    except MemoryError:
        raise
    except Exception as error:  # a damaged file fails with many kinds of errors, as of an archive
        raise UsageError(f"{source} cannot be read: {one_line(error)}; save it anew") from error


def _array(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as they are, anything else as text."""
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind in "mM":  # which as objects would be whole numbers of nanoseconds
        return np.where(np.isnat(values), "", values.astype(np.str_))
    return _texts("" if value is None else str(value) for value in values.tolist())


def _texts(cells: Iterable[str]) -> NDArray[np.str_]:
    return np.array([cell[:LONGEST] for cell in cells], np.str_)


def features_of(table: Table, names: Sequence[str], chosen: bool) -> NDArray[np.float64]:
    """Return the columns of these names as `[n_rows, features]`.

    Args:
        table: that has them.
        names: of the columns.
        chosen: whether they are all that were not left out, so that messages can say how to leave out one more.

    Raises:
        UsageError: a column that is not there, or is of text, or has missing or huge values.
    """
    missing = [name for name in names if name not in table.columns]
    if len(missing) > 1:
        raise UsageError(
            f"{table.source} has no columns {', '.join(map(repr, missing[:MOST_NAMES]))}: it has "
            f"{table.listed_columns}{_header_advice(table)}"
        )
    for name in missing:
        require_column(table, name)
    features = np.empty((table.n_rows, len(names)))
    texts: dict[str, _Text] = {}
    n_missing = {}
    for place, name in enumerate(names):
        numbers = _numbers(table.columns[name])
        if isinstance(numbers, _Text):
            texts[name] = numbers
            continue
        features[:, place] = numbers
        if n := int(np.isnan(numbers).sum()):
            n_missing[name] = n
    if texts:
        raise UsageError(f"{table.source} has text in {_texts_in_words(texts)}{_drop_advice(texts, chosen)}")
    if n_missing:
        counts = {name: f"({n})" for name, n in n_missing.items()}
        raise UsageError(
            f"{table.source} has cells without a value in {_listed(counts)}: fill them in, or leave out those rows"
            f"{_drop_advice(n_missing, chosen)}"
        )
    huge = np.argwhere(np.abs(features) > LARGEST)
    if len(huge):
        row, place = huge[0]
        raise UsageError(
            f"{table.source} has {features[row, place]:g} in the column {names[place]!r} (row {row}, counted from "
            "0): features must be finite numbers of 32 bits"
        )
    return features


def require_column(table: Table, name: str) -> None:
    """Raise UsageError unless there is a column of that name."""
    if name in table.columns:
        return
    names = list(table.columns)
    close = difflib.get_close_matches(name, names, n=1) or [n for n in names if n.lower() == name.lower()]
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise UsageError(
        f"{table.source} has no column {name!r}{hint}: it has {table.listed_columns}{_header_advice(table)}"
    )


def names_like_values(names: Iterable[str]) -> list[str]:
    """Return those names of columns that look like values of a row: numbers with a decimal point."""
    return [name for name in names if re.fullmatch(A_VALUE, name)]


def _header_advice(table: Table) -> str:
    return f" ({NO_HEADER})" if names_like_values(table.columns) else ""


class _Text(NamedTuple):
    """The first cell of a column that is no number, and its row from 0."""

    row: int
    example: str


def _texts_in_words(texts: Mapping[str, _Text]) -> str:
    """Return which columns have text, with an example of each, and what to do with it."""
    with_comma = [text.example for text in texts.values() if re.fullmatch(r"-?[0-9]+,[0-9]+", text.example)]
    what = "encode it as numbers"
    if len(with_comma) == len(texts):
        what = f"write it with a point, {with_comma[0].replace(',', '.')}"
    (name, text), *others = texts.items()
    if not others:
        return f"the column {name!r} ({text.example!r} in row {text.row}, counted from 0): {what}"
    cells = {name: f"({text.example!r} in row {text.row})" for name, text in texts.items()}
    return f"the columns {_listed(cells)}, rows counted from 0: {what}"


def _listed(columns: Mapping[str, str]) -> str:
    """Return the names of columns, each with what is said of it, the first ones if they are many."""
    listed = ", ".join(f"{name!r} {said}" for name, said in list(columns.items())[:LISTED])
    return listed + (f" and {len(columns) - LISTED} more columns" if len(columns) > LISTED else "")


def _drop_advice(names: Collection[str], chosen: bool) -> str:
    """Return how to leave columns out, as it can be pasted, where they can be."""
    options = " ".join(f"--drop-column {shlex.quote(name)}" for name in names)
    return f", or leave {'it' if len(names) == 1 else 'them'} out with {options}" if chosen else ""


def _numbers(cells: NDArray[Any]) -> NDArray[np.float64] | _Text:
    """Return a column as numbers, NaN where a cell has no value, or its first text."""
    if cells.dtype.kind != "U":
        return cells.astype(np.float64)
    try:
        return cells.astype(np.float64)
    except ValueError:
        pass
    texts = {text: text.strip() for text in np.unique(cells).tolist()}
    numbers = {
        text: "nan" if stripped.lower() in MISSING | DOUBTFUL else stripped for text, stripped in texts.items()
    }
    wrong = [text for text, number in numbers.items() if not _is_number(number)]
    if not wrong:
        return np.array([float(numbers[text]) for text in cells.tolist()])
    row = int(np.isin(cells, wrong).argmax())
    return _Text(row, cells[row].item().strip())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def labels_of(table: Table, name: str) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return which rows have a label, in their order, and their labels: whole numbers or text.

    Raises:
        UsageError: there is no such column, or its labels are no classes.
    """
    require_column(table, name)
    cells, what = table.columns[name], f"the labels of {table.source} (column {name!r})"
    if cells.dtype.kind == "U":
        if (np.strings.str_len(cells) == LONGEST).any():
            raise UsageError(f"{what} are texts of {LONGEST} characters or more: labels are whole numbers or words")
        cells = np.char.strip(cells)
        rows = np.flatnonzero(~np.isin(np.char.lower(cells), list(MISSING)))
        known = _of_their_kind(cells[rows], what)
    else:
        rows = np.flatnonzero(~np.isnan(cells)) if cells.dtype.kind == "f" else np.arange(len(cells))
        known = cells[rows]
    known = label_values(known, len(rows), what)
    if (known == -1).any() if known.dtype.kind == "i" else (known == "-1").any():
        raise UsageError(
            f"{what} have -1, which may be a class or mean that a row has no label: leave the cells of such rows "
            "empty, or give the class another name"
        )
    return rows, known


def _of_their_kind(known: NDArray[np.str_], what: str) -> NDArray[Any]:
    """Return labels of a CSV file as whole numbers if all are written like it (2, or 2.0), else as text."""
    values = np.unique(known).tolist()
    if all(re.fullmatch(r"-?(0|[1-9][0-9]{0,14})(\.0*)?", value) for value in values):
        return known.astype(np.float64).astype(np.int64)
    if all(map(_is_number, values)) and any("." in value for value in values):
        raise UsageError(
            f"{what} are numbers with a fraction, such as {next(value for value in values if '.' in value)}: "
            "labels are classes, whole numbers or words"
        )
    return known
