"""The tables of run folders, made from the files in them."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import first_difference, write_atomically
from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.recipe import GAN_MODELS, section_name
from ladder_ebgan.report.gan_table import GANTable, build_gan_table, gan_table_in
from ladder_ebgan.report.latex import table_latex
from ladder_ebgan.report.table import Table, build_table
from ladder_ebgan.report.table_formats import table_csv, table_json, table_markdown, table_text
from ladder_ebgan.runs import RunFolder, read_record

AnyTable = Table | GANTable


def table_of(paths: Sequence[Path]) -> AnyTable:
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
        finished = {result.model for result in folder.results()}
        bases = {of for name, of in variants_of([folder.record]).items() if name in finished}
        for model in finished | bases:  # a variant is compared with what it is of, wherever that was trained
            settings = _settings(folder, model)
            first_path, first_settings = trained.setdefault(model, (folder.path, settings))
            difference = first_difference(first_settings, settings)
            if difference:
                raise UsageError(
                    f"{model} was trained differently in {first_path} and {folder.path} ({difference}): "
                    "make a table of each"
                )
    return _table(folders)


def of_gans(record: dict[str, Any]) -> bool:
    """Return whether a run is of GANs without labels."""
    return not record["identity"].get("recipe", {}).keys().isdisjoint(GAN_MODELS)


def _table(folders: Sequence[RunFolder]) -> AnyTable:
    """Return the table of folders of the same data."""
    records = [folder.record for folder in folders]
    results = [result for folder in folders for result in folder.results()]
    name = records[0]["identity"]["data"]["name"]
    recipes = list(dict.fromkeys(_recipe(start) for record in records for start in record["starts"]))
    variants = variants_of(records)
    if len({of_gans(record) for record in records}) > 1:
        raise UsageError("one run is of classifiers and another of GANs without labels: make a table of each")
    if of_gans(records[0]):
        return build_gan_table(results, name, recipes, variants)
    n_test = next((record["n_test"] for record in records if "n_test" in record), None)
    return build_table(results, name, n_test, recipes, variants)


def variants_of(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return, by name and in their order, the models that the variants of runs are of."""
    recipes = [record["identity"].get("recipe", {}) for record in records]
    return {name: each["of"] for recipe in recipes for name, each in recipe.get("variants", {}).items()}


def _recipe(start: dict[str, Any]) -> str:
    """Return the name of the recipe that a run was started with, without its path."""
    return Path(start["recipe_name"]).stem + (" with changed settings" if start.get("overrides") else "")


def _settings(folder: RunFolder, model: str) -> dict[str, Any]:
    """Return all that the error rate of a model depends on, but for labels and seed."""
    identity = folder.record["identity"]
    recipe, of = identity["recipe"], base_of(identity["recipe"], model)
    training = {key: value for key, value in recipe["training"].items() if key != "curve_every_steps"}
    return {
        "precision": identity["precision"],
        "network": recipe.get("network"),
        "training": training,
        section_name(of): trained_section(recipe, model),
        **({} if of == model else {"of": of}),
    }


def base_of(recipe: dict[str, Any], model: str) -> str:
    """Return the model that a variant is of, and any other model as it is."""
    return str(recipe.get("variants", {}).get(model, {}).get("of", model))


def trained_section(recipe: dict[str, Any], model: str) -> Any:
    """Return the section of a run's recipe that a model was trained by, with the changes of a variant."""
    section = recipe[section_name(base_of(recipe, model))]
    variant = recipe.get("variants", {}).get(model)
    if variant is None:
        return section
    varied = deepcopy(section)
    apply_changes(varied, variant["set"], f"variants.{model}: ", "n_steps=1000")
    return varied


def write_tables(folder: RunFolder) -> AnyTable:
    """Write the table of a run folder in all its formats, and return it."""
    table = _table([folder])
    for suffix, layout in (("json", "json"), ("md", "markdown"), ("csv", "csv"), ("tex", "latex")):
        write_atomically(folder.path / f"table.{suffix}", table_in(table, layout).encode())
    return table


def table_in(table: AnyTable, layout: str, color: bool = False) -> str:
    """Return a table as text, markdown, latex, csv or json; only text may have colours."""
    if isinstance(table, GANTable):
        return gan_table_in(table, layout, color)
    writers = {"markdown": table_markdown, "latex": table_latex, "csv": table_csv, "json": table_json}
    return table_text(table, color=color) if layout == "text" else writers[layout](table)
