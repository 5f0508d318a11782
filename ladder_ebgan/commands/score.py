"""The command `score`: how good the digits are that a trained generator draws."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ladder_ebgan.commands.choosing import model_options
from ladder_ebgan.commands.console import say, stderr_console
from ladder_ebgan.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

SHAPE = (28, 28)
MOST = 10_000


@click.command()
@model_options(click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Which seed was trained."))
@click.option(
    "--n",
    type=click.IntRange(4, MOST),
    metavar="N",
    default=MOST,
    show_default=True,
    help="How many images are drawn, or at most read.",
)
@click.option(
    "--latent-seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Fixes the images; another one gives others.",
)
@click.option("--json", "as_json", envvar="LADDER_EBGAN_SCORE_JSON", is_flag=True, help="Print the scores as JSON.")
def score(
    *,
    path: Path,
    model: str | None,
    labels: int | None,
    seed: int | None,
    device: str,
    n: int,
    latent_seed: int,
    as_json: bool,
) -> None:
    """Score generated digits against those of MNIST, with a classifier of digits.

    MODEL is a run folder or a model file of its models/, whose generator then draws images of 28 x 28; or images
    in any form that `predict` reads, such as an .npz file that `sample` wrote.

    Beside the scores stand those of real test images and of noise. docs/quality.md has the equations, and what
    each score can see.
    """
    from ladder_ebgan.machine import resolve_device

    place = resolve_device(device)
    if _is_model(path):
        scored, pixels = _drawn(path, model, labels, seed, place, n, latent_seed)
    else:
        _refuse_choice(path, model, labels, seed)
        scored, pixels = _read(path, n)

    import torch

    from ladder_ebgan.data import load_dataset
    from ladder_ebgan.quality import load_classifier
    from ladder_ebgan.quality.comparison import compared
    from ladder_ebgan.report.quality import quality_json, quality_text

    classifier = load_classifier(place)
    comparison = compared(torch.from_numpy(pixels), load_dataset("mnist"), classifier)
    text = quality_json(scored, comparison, classifier.metadata) if as_json else quality_text(scored, comparison)
    click.echo(text, nl=False)


def _is_model(path: Path) -> bool:
    """Return whether a path is a model's or a run's, and not that of images.

    Raises:
        UsageError: it is neither a path nor the name of a data set.
    """
    from ladder_ebgan.data.loading import DATASET_NAMES

    try:
        if path.is_dir():
            return (path / "run.json").exists() or any(path.glob("models/*")) or any(path.glob("*.safetensors"))
        there = path.exists() or str(path) in DATASET_NAMES
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
    if not there:
        raise UsageError(f"there is no run folder, model file, file or folder of images '{path}'")
    return path.suffix == ".safetensors"


def _drawn(
    path: Path,
    model: str | None,
    labels: int | None,
    seed: int | None,
    device: "torch.device",
    n: int,
    latent_seed: int,
) -> tuple[str, "NDArray[np.float32]"]:
    """Return what the model is, and images that its generator draws, `[n, 784]`."""
    from ladder_ebgan.data import load_dataset
    from ladder_ebgan.model_files import choose, find_models

    files = find_models(path)
    candidates = [file for file in files if file.has_generator or model is not None] or files
    chosen = choose(candidates, path, model, labels, None if seed is None else [seed], averages=False)
    metadata = chosen[0].metadata
    if tuple(metadata.image_shape) != SHAPE or metadata.inputs != "pixels":
        shape = " x ".join(map(str, metadata.image_shape))
        raise UsageError(
            f"'{chosen[0].path}' makes images of {shape}: only digits like MNIST's, 28 x 28, are scored"
        )

    from ladder_ebgan.any_model import sample_any

    samples, trained = sample_any(chosen, device, n, latent_seed)
    if metadata.data.fingerprint != load_dataset("mnist").fingerprint:
        say(
            stderr_console(),
            f"The model was trained on {metadata.data.name}; its images are scored against MNIST's.",
        )
    return trained.description, samples.images.reshape(n, -1)


def _refuse_choice(path: Path, *choice: object) -> None:
    if any(value is not None for value in choice):
        raise UsageError(f"'{path}' is no model: leave out --model, --labels and --seed, or name a run folder")


def _read(path: Path, n: int) -> tuple[str, "NDArray[np.floating]"]:
    """Return the path, and the first n of the images there, `[n, 784]`."""
    from ladder_ebgan.data.images import read_images

    images = read_images([str(path)], SHAPE)
    for note in images.notes:
        say(stderr_console(), note)
    return str(path), images.pixels[:n]
