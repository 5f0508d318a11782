"""The command `predict`: labels and probabilities for new images from trained models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from ladder_ebgan.commands.choosing import Seeds, model_options
from ladder_ebgan.commands.console import say, stderr_console, write_output
from ladder_ebgan.commands.options import AnyPath
from ladder_ebgan.errors import UsageError


@click.command()
@model_options(
    click.option(
        "--seed",
        type=Seeds(),
        metavar=Seeds.name,
        help="Which seed. Several, or all, are an ensemble: their probabilities are averaged.  "
        "[default of a table: all]",
    )
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--labels-from",
    type=AnyPath(),
    metavar="FILE",
    help="True labels of the images: an IDX file or an .npy file.",
)
@click.option(
    "--id-column",
    metavar="NAME",
    help="Of a table: a column, such as a key, that stands in the place of the row's number.",
)
@click.option(
    "--output",
    type=AnyPath(dir_okay=False),
    metavar="FILE",
    help="Write the CSV there.  [default: stdout]",
)
@click.option(
    "--probabilities/--no-probabilities", default=True, help="One column for each class.  [default: probabilities]"
)
@click.option(
    "--json",
    "as_json",
    envvar="LADDER_EBGAN_PREDICT_JSON",
    is_flag=True,
    help="Print the scores as JSON on stdout, and the CSV with --output only.",
)
def predict(
    *,
    path: Path,
    model: str | None,
    labels: int | None,
    seed: list[int] | Literal["all"] | None,
    device: str,
    inputs: Sequence[str],
    labels_from: Path | None,
    id_column: str | None,
    output: Path | None,
    probabilities: bool,
    as_json: bool,
) -> None:
    """Predict the labels of images, or of rows of a table, with a trained model, as CSV.

    MODEL is a run folder or a model file of its models/. INPUT is an .npz file (images under x, images or x_test,
    labels under y, labels or y_test, or x_train and y_train alone), an .npy or IDX file, PNG files or a folder of
    them (those in a subfolder have its name as their label), or the name of a data set: its test images. A model of
    a table takes another one, CSV or Parquet, with columns of the same names, or, like the file of a scikit-learn
    estimator, an .npz or .npy file with the features as they are.

    The columns are the index or file of the image, or the index of the row, the label, its probability, the energy
    (the squared error of its reconstruction, summed over pixels, without noise), of several seeds the agreement
    (the share of them that gives this label), the true label if it is known, and the probability of each class.
    Where true labels are known, scores are printed on stderr.
    """
    from ladder_ebgan.data.images import class_indices, read_images, with_labels_of, with_missing_labels
    from ladder_ebgan.data.rows import read_rows
    from ladder_ebgan.model_files import choose, find_models

    files = find_models(path)
    if seed is None and all(file.metadata.columns for file in files):
        seed = "all"  # those of a table have each learned a part of the labels
    chosen = choose(files, path, model, labels, seed)
    metadata = chosen[0].metadata
    if metadata.inputs == "features":
        images = read_rows(
            inputs, metadata.image_shape[0], metadata.feature_names, metadata.label_column, id_column
        )
    else:
        if id_column is not None:
            raise UsageError("--id-column is for the rows of tables, and this is a model of images")
        images = read_images(inputs, metadata.image_shape)
    if labels_from is not None:
        images = with_labels_of(images, labels_from)
    images = with_missing_labels(images, metadata.classes)
    labeled = slice(None) if images.labeled is None else images.labeled
    truth = None if images.labels is None else class_indices(images.labels[labeled], metadata.classes)

    from ladder_ebgan import prediction
    from ladder_ebgan.machine import resolve_device
    from ladder_ebgan.models import load
    from ladder_ebgan.report.predictions import far_rows, predictions_csv, scores_json, scores_text
    from ladder_ebgan.scores import score

    trained = load(chosen, resolve_device(device))
    predictions = prediction.predict(trained, images.pixels)
    console = stderr_console()
    far = far_rows(prediction.far_features(trained, images.pixels), metadata.feature_names)
    for note in [*images.notes, *filter(None, [trained.why_no_energy, far])]:
        say(console, note)
    table = predictions_csv(images, predictions, trained, probabilities)
    if output is not None:
        write_output(output, table.encode("utf-8", "surrogateescape"))  # names of files are the bytes that they are
    elif not as_json:
        click.echo(table, nl=False)
    scores = None if truth is None else score(predictions.probabilities[labeled], truth)
    of_seeds = [] if truth is None else [score(alone[labeled], truth) for alone in predictions.of_models]
    if as_json:
        click.echo(scores_json(trained, predictions, scores, of_seeds), nl=False)
    elif scores is not None:
        say(console, scores_text(trained, scores, of_seeds).rstrip())
