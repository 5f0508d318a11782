"""The tables and figures of run folders, made from the files in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.figures import error_by_seed, generated_images, learning_curves
from ladder_ebgan.report.table import Table, build_table, table_csv, table_json, table_markdown
from ladder_ebgan.results import Result
from ladder_ebgan.runs import RunFolder, first_difference, read_record, replica_name, write_atomically


def table_of(paths: Sequence[Path]) -> Table:
    """Return the table of one or more run folders.

    Raises:
        UsageError: a folder is not a run's, is damaged, is of other data than the first, or has a model that was
            trained with other settings there.
    """
    folders = [RunFolder(path, read_record(path)) for path in paths]
    data = [folder.record["identity"]["data"] for folder in folders]
    for path, other in zip(paths, data, strict=True):
        if other["fingerprint"] != data[0]["fingerprint"]:
            raise UsageError(
                f"{path} is a run on {other['name']}, {paths[0]} one on {data[0]['name']} with other images: "
                "only runs on the same data can share a table"
            )
    trained: dict[str, tuple[Path, dict[str, Any]]] = {}  # of each model, where first and how
    for folder in folders:
        for model in {result.model for result in folder.results()}:
            settings = _settings(folder, model)
            first_path, first_settings = trained.setdefault(model, (folder.path, settings))
            difference = first_difference(first_settings, settings)
            if difference:
                raise UsageError(
                    f"{model} was trained differently in {first_path} and {folder.path} ({difference}): "
                    "make a table of each"
                )
    return build_table([result for folder in folders for result in folder.results()], data[0]["name"])


def _settings(folder: RunFolder, model: str) -> dict[str, Any]:
    """Return all that the error rate of a model depends on, but for labels and seed."""
    identity = folder.record["identity"]
    recipe, section = identity["recipe"], "ladder" if model == "ladder" else "ebgan-ladder"
    training = {key: value for key, value in recipe["training"].items() if key != "curve_every_steps"}
    return {
        "precision": identity["precision"],
        "network": recipe["network"],
        "training": training,
        section: recipe[section],
    }


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
