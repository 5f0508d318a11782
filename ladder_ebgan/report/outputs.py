"""The tables of run folders, made from the files in them."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import first_difference, write_atomically
from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.recipe import GAN_MODELS, MODELS, section_name
from ladder_ebgan.report.alarm_notes import alarm_notes
from ladder_ebgan.report.gan_table import GANTable, build_gan_table, gan_table_in
from ladder_ebgan.report.latex import table_latex
from ladder_ebgan.report.seeds import seeds_phrase
from ladder_ebgan.report.table import PAPER, Table, build_table, join_tables
from ladder_ebgan.report.table_formats import table_csv, table_json, table_markdown, table_text
from ladder_ebgan.results import Result
from ladder_ebgan.runs import RunFolder, read_record

AnyTable = Table | GANTable


def table_of(paths: Sequence[Path]) -> AnyTable:
    """Return the table of one or more run folders.

    Raises:
        UsageError: a folder is not a run's, is damaged, is of other data than the first, or of a recipe of the same
            name with other settings.
    """
    folders = [RunFolder(path, read_record(path)) for path in paths]
    data = [folder.record["identity"]["data"] for folder in folders]
    for path, other in zip(paths, data, strict=True):
        if other["fingerprint"] != data[0]["fingerprint"]:
            raise UsageError(
                f"{path} is a run on {other['name']}, {paths[0]} one on {data[0]['name']} with other images: "
                "only runs on the same data can share a table"
            )
    if len({of_gans(folder.record) for folder in folders}) > 1:
        raise UsageError("one run is of classifiers and another of GANs without labels: make a table of each")
    groups = _groups(folders)
    if len(groups) == 1:
        return _table(folders, _n_test(folders))
    if of_gans(folders[0].record):
        return _joined_gans(groups)
    tables = []
    for group in groups:
        table = _table(group, _n_test(folders))
        assert isinstance(table, Table)
        tables.append(replace(table, notes=(*_training_notes(group), *table.notes)))
    return join_tables(tables)


def _joined_gans(groups: Sequence[Sequence[RunFolder]]) -> GANTable:
    """Return one table of GANs whose recipes train a model differently: its names have those of the recipes."""
    results: list[Result] = []
    variants: dict[str, str] = {}
    recipes, notes = list[str](), list[str]()
    for group in groups:
        recipe = ", ".join(_recipes(group))
        recipes.append(recipe)
        notes += [f"{recipe}: {note}" for note in alarm_notes(group)]
        for folder in group:
            results += [replace(each, model=f"{each.model} ({recipe})") for each in folder.results()]
            of = variants_of([folder.record])
            variants |= {f"{name} ({recipe})": f"{base} ({recipe})" for name, base in of.items()}
    table = build_gan_table(results, groups[0][0].record["identity"]["data"]["name"], recipes, variants)
    return replace(table, notes=(*table.notes, *notes))


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

    A folder joins the first group that it can share a recipe with; if it cannot, but has one of the same name, it
    is refused, as the rows of the two could not be told apart.
    """
    trained = {folder.path: _settings_of_models(folder) for folder in folders}
    groups: list[list[RunFolder]] = []
    for folder in folders:
        for group in groups:
            difference = _difference([*group, folder], trained)
            if difference is None:
                group.append(folder)
                break
            if _recipes(group) == _recipes([folder]):
                model, where = difference
                raise UsageError(
                    f"{model} has other settings in {folder.path} than in {group[0].path} or one joined to it "
                    f"({where}): make a table of each"
                )
        else:
            groups.append([folder])
    return groups


def _difference(
    folders: Sequence[RunFolder], trained_in: dict[Path, dict[str, dict[str, Any]]]
) -> tuple[str, str] | None:
    """Return a model that keeps the last folder apart and where its settings differ; None where nothing does.

    No model may have been trained in two ways. And as models are compared within a recipe, that of one of the
    folders must be the one by which all of them were trained.
    """
    trained: dict[str, dict[str, Any]] = {}
    for folder in folders:
        for model, settings in trained_in[folder.path].items():
            if where := first_difference(trained.setdefault(model, settings), settings):
                return model, where
    bases = {model: settings for model, settings in trained.items() if model in MODELS}  # GANs are not compared
    differences = [_difference_to_recipe(folder, bases) for folder in folders]
    return None if None in differences else differences[-1]


def _difference_to_recipe(folder: RunFolder, trained: dict[str, dict[str, Any]]) -> tuple[str, str] | None:
    """Return the first model that a folder's recipe trains otherwise, or not at all, and where they differ."""
    differences = ((model, first_difference(each, _settings(folder, model))) for model, each in trained.items())
    return next(((model, where) for model, where in differences if where), None)


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


def of_gans(record: dict[str, Any]) -> bool:
    """Return whether a run is of GANs without labels."""
    return not record["identity"].get("recipe", {}).keys().isdisjoint(GAN_MODELS)


def _table(folders: Sequence[RunFolder], n_test: int | None) -> AnyTable:
    """Return the table of folders of the same data whose models can be compared."""
    records = [folder.record for folder in folders]
    results = [result for folder in folders for result in folder.results()]
    name, recipes, variants = records[0]["identity"]["data"]["name"], _recipes(folders), variants_of(records)
    table: AnyTable
    if of_gans(records[0]):
        table = build_gan_table(results, name, recipes, variants)
    else:
        examples = "rows" if records[0].get("columns") else "images"
        table = build_table(results, name, n_test, recipes, variants, examples, _in_paper(records))
    return replace(table, notes=(*table.notes, *alarm_notes(folders)))


def _recipes(folders: Sequence[RunFolder]) -> list[str]:
    """Return the names of the recipes that runs were started with, each once."""
    return list(dict.fromkeys(_recipe(start) for folder in folders for start in folder.record["starts"]))


def variants_of(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return, by name and in their order, the models that the variants of runs are of."""
    recipes = [record["identity"].get("recipe", {}) for record in records]
    return {name: each["of"] for recipe in recipes for name, each in recipe.get("variants", {}).items()}


def _in_paper(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return what the paper calls the models of runs: those with its costs, of labels and of the bottom layer."""
    recipes = [record["identity"].get("recipe", {}) for record in records]
    sections = {model: [recipe[model] for recipe in recipes if recipe.get(model)] for model in PAPER}
    return {model: PAPER[model] for model, found in sections.items() if all(map(_has_bottom_cost, found))}


def _has_bottom_cost(section: dict[str, Any]) -> bool:
    """Return whether a model's only cost of unlabelled images is the reconstruction of layer 0."""
    bottom, *above = section["denoising_weights"]
    others = section.get("vat_weight"), section.get("pseudo_label_weight")
    return bool(bottom) and not any(above) and not any(others)


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
    table = _table([folder], _n_test([folder]))
    for suffix, layout in (("json", "json"), ("md", "markdown"), ("csv", "csv"), ("tex", "latex")):
        write_atomically(folder.path / f"table.{suffix}", table_in(table, layout).encode())
    return table


def table_in(table: AnyTable, layout: str, color: bool = False) -> str:
    """Return a table as text, markdown, latex, csv or json; only text may have colours."""
    if isinstance(table, GANTable):
        return gan_table_in(table, layout, color)
    writers = {"markdown": table_markdown, "latex": table_latex, "csv": table_csv, "json": table_json}
    return table_text(table, color=color) if layout == "text" else writers[layout](table)
