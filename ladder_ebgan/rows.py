"""The rows of `results.csv`, `history.csv` and `energies.csv` as CSV: written, and read back with care."""

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from ladder_ebgan.errors import UsageError
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result

Row = TypeVar("Row", Result, CurvePoint, EnergyHistogram)
LARGEST = {int: 2**53, float: 3.5e38}  # of what is written: float32 ends there


def rows_text(rows: Iterable[Row], row_type: type[Row], header: bool) -> str:
    """Return rows as CSV, one a line; None is empty.

    Of results a column with a default is left out if no row has a value. Files that grow have all columns.
    """
    rows, buffer = list(rows), io.StringIO()
    names = [
        field.name
        for field in fields(row_type)
        if row_type.GROWS or field.default is MISSING or any(getattr(row, field.name) is not None for row in rows)
    ]
    writer = csv.DictWriter(buffer, names, extrasaction="ignore", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return buffer.getvalue()


def is_current(path: Path, row_type: type[Row]) -> bool:
    """Return whether a file that is there ends with a whole line, and has the columns of this version."""
    content = path.read_bytes()
    return content.endswith(b"\n") and content.startswith(rows_text([], row_type, header=True).encode())


def read_rows(path: Path, row_type: type[Row]) -> list[Row]:
    """Read a CSV file of results, curve points or energies, if it is there.

    Where it grows by lines a kill may have cut the last one short: that is left out.

    Raises:
        UsageError: the file is not what this program writes.
    """
    if not os.path.lexists(path):
        return []
    types, rows = get_type_hints(row_type), list[Row]()
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if row_type.GROWS and lines and not lines[-1].endswith("\n"):
            lines.pop()
        for row in csv.DictReader(lines):
            rows.append(row_type(**{name: _parsed(name, text, types[name]) for name, text in row.items()}))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        where = f"row {len(rows) + 1}: " if rows else ""
        raise UsageError(f"{path} is damaged: {where}{error}; restore it, or start anew with --fresh") from error
    return rows


def _parsed(name: str, text: str, kind: Any) -> Any:
    """Return the value that a text stands for: text, None, or a number that this program may have written."""
    options = get_args(kind) or (kind,)
    if text == "" and type(None) in options:
        return None
    value = options[0](text)
    if options[0] in LARGEST:
        percent = name.endswith("_percent")
        largest = 100 if percent else LARGEST[options[0]]
        lowest = 0 if percent or options[0] is int else -largest
        if not lowest <= value <= largest:
            raise ValueError(f"{name} is {text}")
    return value
