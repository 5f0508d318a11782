"""What commands write: tables on stdout, messages on stderr."""

import errno
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ladder_ebgan.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ladder_ebgan.report.outputs import AnyTable


FALSE = {"0", "false", "f", "no", "n", "off"}  # as click reads a variable


def print_table(table: "AnyTable", layout: str) -> None:
    """Print a table on stdout; in colour only as text on a terminal."""
    from ladder_ebgan.report.outputs import table_in

    click.echo(table_in(table, layout, in_color()), nl=False, color=True)


def write_output(path: Path, content: bytes) -> None:
    """Write the file that --output names, whole or not at all.

    Raises:
        UsageError: it cannot be written there.
        OSError: the disk is full or broken.
    """
    from ladder_ebgan.folders import write_atomically

    try:
        write_atomically(path, content)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE}:
            raise
        raise UsageError(f"cannot write {path}: {error.strerror}; name a file with --output") from error


def in_color() -> bool:
    """Return whether stdout shows colours, and somebody wants them."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def terminal_width() -> int | None:
    """Return the width of the terminal that stdout is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stderr_console() -> "Console":
    """Return the console of stderr."""
    from rich.console import Console

    return Console(stderr=True)


def say_stopped(console: "Console", reason: str, words: Sequence[str]) -> None:
    """Say that the command of these words stopped before its end, and how it goes on."""
    say(console, f"Stopped ({reason}). The same command{without_fresh(words)} goes on from here.")


def without_fresh(words: Sequence[str]) -> str:
    """Return what to leave out of a command that begins anew, so that it goes on; empty for another command."""
    variable = f"LADDER_EBGAN_{words[0].upper()}_FRESH" if words else ""
    given = os.environ.get(variable, "").strip().lower() not in {"", *FALSE}
    asking = [*(["--fresh"] if "--fresh" in words else []), *([variable] if given else [])]
    return f" without {' and '.join(asking)}" if asking else ""


def say(console: "Console", text: str) -> None:
    """Print a line as it is: no markup, no wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
