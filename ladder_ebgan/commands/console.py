"""What commands write: tables on stdout, messages on stderr."""

import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from ladder_ebgan.report.table import Table


def print_table(table: "Table", layout: str) -> None:
    """Print a table on stdout; in colour only as text on a terminal."""
    from ladder_ebgan.report import table as writers

    if layout == "text":
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        text = writers.table_text(table, color=color)
    else:
        write = {"markdown": writers.table_markdown, "csv": writers.table_csv, "json": writers.table_json}
        text = write[layout](table)
    click.echo(text, nl=False, color=True)


def stderr_console() -> "Console":
    """Return the console of stderr."""
    from rich.console import Console

    return Console(stderr=True)


def say(console: "Console", text: str) -> None:
    """Print a line as it is: no markup, no wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
