"""The tables of run folders, made from the files in them."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import first_difference, write_atomically
from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.recipe import section_name
from ladder_ebgan.report.latex import table_latex
from ladder_ebgan.report.seeds import seeds_phrase
from ladder_ebgan.report.table import Table, build_table, join_tables
from ladder_ebgan.report.table_formats import table_csv, table_json, table_markdown
from ladder_ebgan.runs import RunFolder, read_record


def table_of(paths: Sequence[Path]) -> Table:
    """Return the table of one or more run folders.

    Raises:
        UsageError: a folder is not a run's, is damaged, is of other data than the first, or has a model that was
            trained with other settings there by a recipe of the same name.
    """
    folders = [RunFolder(path, read_record(path)) for path in paths]
    data = [folder.record["identity"]["data"] for folder in folders]
    for path, other in zip(paths, data, strict=True):
        if other["fingerprint"] != data[0]["fingerprint"]:
            raise UsageError(
                f"{path} is a run on {other['name']}, {paths[0]} one on {data[0]['name']} with other images: "
                "only runs on the same data can share a table"
            )
    groups = _groups(folders)
    n_test = _n_test(folders)
    tables = [_table(group, n_test) for group in groups]
    if len(tables) == 1:
        return tables[0]
    return join_tables(
        [replace(t, notes=(*_training_notes(group), *t.notes)) for t, group in zip(tables, groups, strict=True)]
    )


def _training_notes(folders: Sequence[RunFolder]) -> list[str]:
    """Return a line for each model: which seeds were trained on what."""
    trained: dict[str, dict[str, list[int]]] = {}
    for folder in folders:
        for result in folder.results():
            where = trained.setdefault(f"{result.model}, {result.labels} labels", {})
            where.setdefault(f"{result.device}, {result.precision}", []).append(result.seed)
    return [
        f"{what}: " + "; ".join(f"{seeds_phrase(seeds)} on {device}" for device, seeds in where.items())
        for what, where in trained.items()
    ]


def _groups(folders: Sequence[RunFolder]) -> list[list[RunFolder]]:
    """Return folders whose models can be compared, in the order of the first of each.

    A folder joins the first group that trained none of its models with other settings; a recipe of the same name
    with other settings is refused, as the rows of the two could not be told apart.
    """
    groups: list[tuple[list[RunFolder], dict[str, dict[str, Any]]]] = []  # and how each of their models was trained
    for folder in folders:
        settings = _settings_of_models(folder)
        for group, trained in groups:
            shared = [model for model in settings if model in trained]
            problem = next((m for m in shared if first_difference(trained[m], settings[m])), None)
            if problem is None:
                group.append(folder)
                trained.update(settings)
                break
            if _recipes(group) == _recipes([folder]):
                raise UsageError(
                    f"{problem} was trained differently in {group[0].path} and {folder.path} "
                    f"({first_difference(trained[problem], settings[problem])}): make a table of each"
                )
        else:
            groups.append(([folder], settings))
    return [group for group, _ in groups]


def _settings_of_models(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """Return the settings of each model that has results, or that a variant with results is of.

    A variant is compared with what it is of, wherever that was trained.
    """
    finished = {result.model for result in folder.results()}
    bases = {of for name, of in variants_of([folder.record]).items() if name in finished}
    return {model: _settings(folder, model) for model in sorted(finished | bases)}


def _n_test(folders: Sequence[RunFolder]) -> int | None:
    """Return the number of test images of the data that runs share; those of an early version do not say."""
    return next((folder.record["n_test"] for folder in folders if "n_test" in folder.record), None)


def _table(folders: Sequence[RunFolder], n_test: int | None) -> Table:
    """Return the table of folders of the same data whose models can be compared."""
    records = [folder.record for folder in folders]
    return build_table(
        [result for folder in folders for result in folder.results()],
        dataset_name=records[0]["identity"]["data"]["name"],
        n_test=n_test,
        recipes=_recipes(folders),
        variants=variants_of(records),
        examples="rows" if records[0].get("columns") else "images",
    )


def _recipes(folders: Sequence[RunFolder]) -> list[str]:
    """Return the names of the recipes that runs were started with, each once."""
    return list(dict.fromkeys(_recipe(start) for folder in folders for start in folder.record["starts"]))


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
        "network": recipe["network"],
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


def write_tables(folder: RunFolder) -> Table:
    """Write the table of a run folder in all its formats, and return it."""
    table = _table([folder], _n_test([folder]))
    for suffix, text in (
        ("json", table_json(table)),
        ("md", table_markdown(table)),
        ("csv", table_csv(table)),
        ("tex", table_latex(table)),
    ):
        write_atomically(folder.path / f"table.{suffix}", text.encode())
    return table
