"""The command `score`: how good the digits are that a trained generator draws."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ladder_ebgan.commands.choosing import generator_options
from ladder_ebgan.commands.console import say, stderr_console
from ladder_ebgan.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from ladder_ebgan.model_files import ModelFile

SHAPE = (28, 28)
MOST = 10_000  # as `quality.comparison` has it, which is slow to import


@click.command()
@generator_options
@click.option(
    "--n",
    type=click.IntRange(4, MOST),
    metavar="N",
    default=MOST,
    show_default=True,
    help="How many images are drawn, or at most read.",
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
    """Say how good generated digits are, beside real ones.

    A classifier of digits, trained on MNIST, comes with the package.

    MODEL is a run folder or a model file of its models/, whose generator then draws images of 28 x 28; or images
    in any form that `predict` reads, such as an .npz file that `sample` wrote.

    Beside the scores stand those of real test images and of noise.
    """
    from ladder_ebgan.machine import resolve_device

    place = resolve_device(device)
    if _is_model(path):
        file = _chosen(path, model, labels, seed)
        scored, pixels = _drawn(file, place, n, latent_seed)
    elif (model, labels, seed) != (None, None, None):
        raise UsageError(f"'{path}' is no model: leave out --model, --labels and --seed, or name a run folder")
    else:
        file = None
        scored, pixels = _read(path, n)

    import torch

    from ladder_ebgan.data import load_dataset
    from ladder_ebgan.quality import load_classifier
    from ladder_ebgan.quality.comparison import compared
    from ladder_ebgan.report.quality import quality_json, quality_text

    mnist, classifier = load_dataset("mnist"), load_classifier(place)
    if file is not None and file.metadata.data.fingerprint != mnist.fingerprint:
        trained_on = file.metadata.data.name
        say(stderr_console(), f"The model was trained on {trained_on}; its images are scored against MNIST's.")
    comparison = compared(torch.from_numpy(pixels), mnist, classifier)
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


def _chosen(path: Path, model: str | None, labels: int | None, seed: int | None) -> "ModelFile":
    """Return the model file that was asked for.

    Raises:
        UsageError: none, or several; or its images are not 28 x 28.
    """
    from ladder_ebgan.model_files import choose_generator, find_models

    (chosen,) = choose_generator(find_models(path), path, model, labels, seed)
    if tuple(chosen.metadata.image_shape) != SHAPE or chosen.metadata.inputs != "pixels":
        shape = " x ".join(map(str, chosen.metadata.image_shape))
        raise UsageError(f"the model '{chosen.path}' is of images of {shape}: only digits of 28 x 28 can be scored")
    return chosen


def _drawn(
    file: "ModelFile", device: "torch.device", n: int, latent_seed: int
) -> tuple[str, "NDArray[np.floating]"]:
    """Return what a model is, and images that its generator draws, `[n, 784]`."""
    from ladder_ebgan.any_model import sample_any

    samples, trained = sample_any([file], device, n, latent_seed)
    return trained.description, samples.images.reshape(n, -1)


def _read(path: Path, n: int) -> tuple[str, "NDArray[np.floating]"]:
    """Return the path, and the first n of the images there, `[n, 784]`."""
    from ladder_ebgan.data.images import read_images

    images = read_images([str(path)], SHAPE)
    for note in images.notes:
        say(stderr_console(), note)
    return str(path), images.pixels[:n]
