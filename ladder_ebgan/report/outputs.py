"""The tables and figures of run folders, made from the files in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.figures import error_by_seed, generated_images, learning_curves
from ladder_ebgan.report.table import Table, build_table, table_csv, table_json, table_markdown
from ladder_ebgan.results import Result
from ladder_ebgan.runs import RunFolder, read_record, replica_name, write_atomically


def table_of(paths: Sequence[Path]) -> Table:
    """Return the table of one or more run folders.

    Raises:
        UsageError: a folder is not a run's, is damaged, or is of another data set than the first.
    """
    folders = [RunFolder(path, read_record(path)) for path in paths]
    data = [folder.record["identity"]["data"] for folder in folders]
    for path, other in zip(paths, data, strict=True):
        if other["fingerprint"] != data[0]["fingerprint"]:
            raise UsageError(
                f"{path} is a run on {other['name']}, {paths[0]} one on {data[0]['name']} with other images: "
                "only runs on the same data can share a table"
            )
    return build_table([result for folder in folders for result in folder.results()], data[0]["name"])


def write_outputs(folder: RunFolder) -> Table:
    """Write the tables and figures of a run folder, and return the table."""
    results = folder.results()
    table = build_table(results, folder.record["identity"]["data"]["name"])
    for suffix, text in (
        ("json", table_json(table)),
        ("md", table_markdown(table)),
        ("csv", table_csv(table)),
    ):
        write_atomically(folder.path / f"table.{suffix}", text.encode())
    figures = folder.path / "figures"
    figures.mkdir(exist_ok=True)
    error_by_seed(results, figures / "error_by_seed.png")
    learning_curves(folder.history(), figures / "learning_curves.png")
    image_shape = folder.record["image_shape"]
    if len(image_shape) == 2:
        for labels in sorted({result.labels for result in results}):
            _draw_generated(folder, [result for result in results if result.labels == labels], image_shape)
    return table


def _draw_generated(folder: RunFolder, results: Sequence[Result], image_shape: Sequence[int]) -> None:
    """Draw the images of the generators with one budget, if there are any."""
    images, seeds = [], []
    for result in results:
        path = folder.path / "predictions" / f"{replica_name(result.model, result.labels, result.seed)}.npz"
        if result.model == "ebgan-ladder" and path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                images.append(arrays["generated_images"].reshape(-1, *image_shape) / 255)
            seeds.append(result.seed)
    if images:
        path = folder.path / "figures" / f"generated_images_{results[0].labels}.png"
        generated_images(np.stack(images), path, seeds)
