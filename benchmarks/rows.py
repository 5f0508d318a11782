"""Results that grow by a row at a time, as CSV: a kill between two rows loses neither."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ladder_ebgan.folders import write_atomically


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file by column; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def add_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row to a file, or begin it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, row.keys())
    writer.writeheader()
    writer.writerows([*read_rows(path), row])
    write_atomically(path, text.getvalue().encode())
