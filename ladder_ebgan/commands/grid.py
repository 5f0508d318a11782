"""The command `grid`: figures 2 and 3 of the paper from two searches."""

import math
from pathlib import Path

import click

from ladder_ebgan.commands.options import AnyPath, need_optuna
from ladder_ebgan.errors import UsageError


def _finite(_context: click.Context, _option: click.Parameter, scores: tuple[float, ...]) -> tuple[float, ...]:
    for score in scores:
        if not math.isfinite(score):
            raise UsageError(f"--threshold {score}: must be a number above 0")
    return scores


@click.command()
@click.argument("ebgan_folder", metavar="EBGAN_FOLDER", type=AnyPath())
@click.argument("gan_folder", metavar="GAN_FOLDER", type=AnyPath())
@click.option(
    "--output", type=AnyPath(), required=True, metavar="DIR", help="Where figures and tables are written."
)
@click.option(
    "--threshold",
    "thresholds",
    envvar="LADDER_EBGAN_GRID_THRESHOLD",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    multiple=True,
    metavar="SCORE",
    help="Count the runs with an I' of at least this. Repeatable.  [default: 1/4, 1/2, 3/4 of real images']",
)
@click.option("--json", "as_json", envvar="LADDER_EBGAN_GRID_JSON", is_flag=True, help="Print the numbers as JSON.")
def grid(
    *, ebgan_folder: Path, gan_folder: Path, output: Path, thresholds: tuple[float, ...], as_json: bool
) -> None:
    """Draw the paper's figures 2 and 3 from the folders of two searches: EBGANs, then GANs.

    Histograms of the modified inception score of all runs that have come to an end, and beside them the share of
    runs above a threshold, medians, and a rank test. The searches may still go on.

    \b
    ladder-ebgan search --space grid-ebgan --trials 64
    ladder-ebgan search --space grid-gan --trials 132
    ladder-ebgan grid runs/mnist-search-grid-ebgan \\
        runs/mnist-search-grid-gan --output runs/grid
    """
    need_optuna()
    import torch

    from ladder_ebgan.data import load_dataset
    from ladder_ebgan.folders import make_folder, refusing, write_atomically
    from ladder_ebgan.quality import load_classifier, modified_score
    from ladder_ebgan.report.figures.grid import draw_grid
    from ladder_ebgan.report.grid import grid_json, grid_markdown, grid_text
    from ladder_ebgan.search.grid import read_grid
    from ladder_ebgan.search.grid_comparison import compare_grids

    grids = read_grid(ebgan_folder), read_grid(gan_folder)
    real_score = modified_score(torch.from_numpy(load_dataset("mnist").test_images), load_classifier())
    found = compare_grids(*grids, real_score, thresholds)
    with refusing(output):
        make_folder(output)
        write_atomically(output / "grid.json", grid_json(found).encode())
        write_atomically(output / "grid.md", grid_markdown(found).encode())
        draw_grid(found, output)
    click.echo(grid_json(found) if as_json else grid_text(found), nl=False)
