"""The command `models`: the trained models of a run folder."""

import json
from pathlib import Path

import click

from ladder_ebgan.commands.options import AnyPath


@click.command()
@click.argument("path", metavar="FOLDER|FILE", type=AnyPath())
@click.option("--json", "as_json", envvar="LADDER_EBGAN_MODELS_JSON", is_flag=True, help="Print all as JSON.")
def models(path: Path, as_json: bool) -> None:
    """List the trained models of a run FOLDER, or say what a model FILE is."""
    from ladder_ebgan.model_files import find_models

    files = find_models(path)
    if as_json:
        records = [
            {"file": str(file.path), "format": file.metadata.format}
            | file.metadata.model_dump(exclude_unset=True, exclude={"estimator"})
            for file in files
        ]
        click.echo(json.dumps(records, indent=1))
        return
    header = ("model", "labels", "seed", "data", "inputs", "classes", "generator", "version", "file")
    rows = [
        (
            *(file.metadata.model, file.metadata.labels, ",".join(map(str, file.metadata.replica_seeds))),
            file.metadata.data.name,
            *(" x ".join(map(str, file.metadata.image_shape)), len(file.metadata.classes)),
            *("yes" if file.has_generator else "no", file.metadata.version, file.path),
        )
        for file in files
    ]
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
