"""The command `table`: the table of finished runs."""

from collections.abc import Sequence
from pathlib import Path

import click

from ladder_ebgan.commands.console import print_table
from ladder_ebgan.commands.options import AnyPath


@click.command()
@click.argument("folders", nargs=-1, required=True, type=AnyPath())
@click.option(
    "--format",
    "layout",
    envvar="LADDER_EBGAN_TABLE_FORMAT",
    type=click.Choice(["text", "markdown", "latex", "csv", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
def table(folders: Sequence[Path], layout: str) -> None:
    """Print the table of one or more run FOLDERS of the same data.

    Recipes that train a model differently have rows of their own.
    """
    from ladder_ebgan.report.outputs import table_of

    print_table(table_of(folders), layout)
