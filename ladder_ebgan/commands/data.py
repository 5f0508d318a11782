"""The command `data`: what can be read, and what a data set holds."""

import json
from collections.abc import Sequence

import click

from ladder_ebgan.commands.options import table_options


@click.group()
def data() -> None:
    """List and describe data sets."""


@data.command("list")
def list_data() -> None:
    """List the data sets that come with the package, and what else can be read."""
    from ladder_ebgan.data import DATASET_NAMES

    width = max(map(len, DATASET_NAMES))
    for name, description in DATASET_NAMES.items():
        click.echo(f"{name:{width}}  {description}")
    click.echo(
        "\nYour own: a folder of PNG files with a subfolder for each class, images without a label beside these;"
    )
    click.echo(
        "a folder of IDX files under MNIST's names; or an .npz file with x_train, y_train, and x_test and y_test"
    )
    click.echo(
        "if the test is apart: give its path instead of a name. Or a table with a column of labels, which may"
    )
    click.echo("be empty in most rows: a .csv, .tsv or .parquet file, with --label-column NAME.")


@data.command("describe")
@click.argument("name", metavar="NAME|PATH")
@table_options
@click.option("--json", "as_json", envvar="LADDER_EBGAN_DATA_DESCRIBE_JSON", is_flag=True, help="Print it as JSON.")
def describe_data(name: str, label_column: str | None, drop_column: Sequence[str], as_json: bool) -> None:
    """Say what a data set holds: images, shape, classes and their counts, range, fingerprint."""
    from ladder_ebgan.data import describe, load_dataset
    from ladder_ebgan.data.table_dataset import dataset_of_table, describe_table

    table = dataset_of_table(name, label_column, drop_column)
    description = describe(load_dataset(name)) if table is None else describe_table(table)
    if as_json:
        click.echo(json.dumps(description, indent=1))
        return
    classes = description.pop("classes")
    for key, value in description.items():
        click.echo(f"{key:12}  {value}")
    assert isinstance(classes, list)
    if table is not None:
        click.echo("label         rows")
        for entry in classes:
            click.echo(f"{entry['label']!s:12}  {entry['n']:4}")
        return
    click.echo("label         training images  test images")
    for entry in classes:
        click.echo(f"{entry['label']!s:12}  {entry['n_train']:15}  {entry['n_test']:11}")
