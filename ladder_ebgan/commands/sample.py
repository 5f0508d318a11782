"""The command `sample`: images from a trained generator."""

from pathlib import Path

import click

from ladder_ebgan.commands.choosing import generator_options
from ladder_ebgan.commands.console import say, stderr_console, write_output
from ladder_ebgan.commands.options import AnyPath
from ladder_ebgan.errors import UsageError


@click.command()
@generator_options
@click.option(
    "--n", type=click.IntRange(1, 10**6), metavar="N", default=64, show_default=True, help="How many images."
)
@click.option(
    "--output",
    type=AnyPath(dir_okay=False),
    required=True,
    metavar="FILE",
    help="A .png file, an .npz file with images and energies, or of a table a .csv file.",
)
def sample(
    *,
    path: Path,
    model: str | None,
    labels: int | None,
    seed: int | None,
    device: str,
    n: int,
    latent_seed: int,
    output: Path,
) -> None:
    """Draw images from a trained generator, that of an ebgan-ladder, an ebgan, a gan; or rows of a table.

    MODEL is a run folder or a model file of its models/. A PNG file shows the images in a grid. An .npz file has
    them as `images` in [0, 1], and as `energies` their energies, as `predict` has them. A CSV file has rows of a
    table in the units of its columns. The first images are the same however many are drawn.
    """
    from ladder_ebgan.model_files import choose_generator, find_models

    if output.suffix not in {".png", ".npz", ".csv"}:
        raise UsageError(f"--output {output}: must end in .png or .npz, or of a table in .csv")
    chosen = choose_generator(find_models(path), path, model, labels, seed)

    from ladder_ebgan.any_model import sample_any
    from ladder_ebgan.machine import resolve_device
    from ladder_ebgan.report.figures.sheet import is_picture
    from ladder_ebgan.report.mosaic import mosaic_png

    columns = chosen[0].metadata.feature_names
    if output.suffix == ".csv" and not columns:
        raise UsageError(
            f"--output {output}: the model is of images or of columns without names; write an .npz file"
        )
    if output.suffix == ".png" and not is_picture(chosen[0].metadata.image_shape):
        raise UsageError(f"--output {output}: the model's images cannot be shown; write an .npz file")
    samples, trained = sample_any(chosen, resolve_device(device), n, latent_seed)
    if output.suffix == ".png":
        content = mosaic_png(samples.images)
    else:
        content = samples.npz() if output.suffix == ".npz" else samples.csv(columns)
    write_output(output, content)
    console = stderr_console()
    if output.suffix == ".npz" and trained.why_no_energy:
        say(console, trained.why_no_energy)
    say(console, f"Wrote {n} {trained.examples} of {trained.description} to {output}")
