"""Changes of settings, written as `key=value`: what --set gives, and what the variants of a model are."""

import tomllib
from collections.abc import Iterable
from typing import Any

from ladder_ebgan.errors import UsageError


def apply_changes(tables: dict[str, Any], changes: Iterable[str], source: str, example: str) -> None:
    """Change nested tables in place by lines such as `margin.values.0=8`, one after the other.

    Args:
        tables: as of a TOML file.
        changes: a key with the sections, or places in a list, that lead to it, then a value in TOML; a bare word
            is a string.
        source: what messages begin with, in front of the change.
        example: a change, for messages.

    Raises:
        UsageError: what is written is no change, or its key leads through what is no section.
    """
    for change in changes:
        _apply(tables, change, f"{source}{change}", example)


def _apply(tables: dict[str, Any], change: str, shown: str, example: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"{shown}: must be key=value, for example {example}")
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {}
    value = parsed["value"] if parsed.keys() == {"value"} else text.strip()
    *parents, last = key.strip().split(".")
    table: Any = tables
    for parent in parents:
        table = table[_index(parent, table, shown)] if isinstance(table, list) else table.setdefault(parent, {})
        if not isinstance(table, dict | list):
            raise UsageError(f"{shown}: '{parent}' is not a section of the recipe")
    table[_index(last, table, shown) if isinstance(table, list) else last] = value


def _index(part: str, numbers: list[Any], shown: str) -> int:
    """Return the place in a list that a part of a key names, counted from 0, as in `margin.values.0`."""
    if not part.isdecimal() or int(part) >= len(numbers):
        raise UsageError(f"{shown}: '{part}' is no place in a list of {len(numbers)}, counted from 0")
    return int(part)
