"""The command `report`: one HTML page of a run."""

from pathlib import Path

import click

from ladder_ebgan.commands.console import write_output
from ladder_ebgan.commands.options import AnyPath


@click.command()
@click.argument("folder", type=AnyPath())
@click.option(
    "--output",
    type=AnyPath(),
    metavar="FILE",
    help="Where to write it.  [default: report.html in the folder]",
)
def report(folder: Path, output: Path | None) -> None:
    """Write one HTML page of the run in FOLDER, and print where it is.

    The page holds the table and the comparisons, all figures, the recipe, every seed, and the commands that make
    it all again. It is complete in itself: nothing is loaded from anywhere, so it can be mailed and archived.
    """
    from ladder_ebgan.report.page import report_page

    page, path = report_page(folder), output or folder / "report.html"
    write_output(path, page.encode())
    click.echo(path)
