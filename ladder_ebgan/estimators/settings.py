"""The recipe of a fit: a given one, or one for the size of the table; with what was asked for in its place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ladder_ebgan.errors import UsageError
from ladder_ebgan.recipe import Recipe, load_recipe, parse_recipe
from ladder_ebgan.sizing import settings_for


class Sizes(NamedTuple):
    """How large a table is."""

    n_rows: int
    n_features: int
    n_labeled: int


def make_recipe(
    model: str,
    given: str | Path | Recipe | None,
    wishes: Mapping[str, Any],
    sizes: Sizes,
    n_replicas: int,
    standardized: bool,
) -> Recipe:
    """Return the recipe of `model` for a table.

    Args:
        model: `ladder` or `ebgan-ladder`.
        given: a recipe, the name of one or its file; None makes one for the size of the table.
        wishes: parameters of the estimator by name; those that are None leave the recipe as it is.
        sizes: of the table.
        n_replicas: trained at once.
        standardized: whether features are brought to mean 0 and deviation 1, which no sigmoid can imitate.

    Raises:
        UsageError: a value that no recipe may have, or a recipe without the model.
    """
    if given is None:
        tables = settings_for(sizes.n_rows, sizes.n_features)
    elif isinstance(given, Recipe):
        tables = given.identity()
    else:
        tables = load_recipe(str(given)).identity()
    granted = {name: plain(value) for name, value in wishes.items() if value is not None}
    if isinstance(tables.get(model), dict):  # if not, `settings` below says so
        tables = {name: tables[name] for name in ("network", "training", model)}
        _grant(tables, tables[model], granted)
        if standardized and "generator" in tables[model]:
            tables[model]["generator"]["output"] = "linear"
    tables |= {"labels": [sizes.n_labeled], "n_seeds": plain(n_replicas)}
    try:
        recipe = parse_recipe(tables, source="the settings of the estimator")
    except UsageError as error:
        raise UsageError(str(error).replace("n_seeds", "n_replicas")) from error
    recipe.settings(model)
    return recipe


def _grant(tables: dict[str, Any], settings: dict[str, Any], wishes: Mapping[str, Any]) -> None:
    """Put what was asked for in the place of what the recipe has."""
    network, generator = tables["network"], settings.get("generator", {})
    places = {
        "hidden_layer_sizes": (network, "hidden_sizes"),
        "input_noise": (network, "input_noise"),
        "hidden_noise": (network, "hidden_noise"),
        "batch_size": (tables["training"], "batch_size"),
        "learning_rate": (settings, "learning_rate"),
        "generator_layer_sizes": (generator, "hidden_sizes"),
        "latent_size": (generator, "latent_size"),
        "generator_learning_rate": (generator, "learning_rate"),
    }
    for name in places.keys() & wishes.keys():
        section, key = places[name]
        section[key] = wishes[name]
    if "n_steps" in wishes:
        _rescale(tables["training"], settings, wishes["n_steps"])
    if "margin" in wishes:
        _set_margin(settings, wishes["margin"])
    _fit_weights(network, settings, wishes)


def _rescale(training: dict[str, Any], settings: dict[str, Any], n_steps: Any) -> None:
    """Train for another number of steps: what the schedules do, they do at the same share of it.

    Curves of a shorter training have as many points as before, those of a longer one have them as often.
    """
    if isinstance(n_steps, int) and n_steps > 0:
        before: int = settings["n_steps"]

        def moved(step: int) -> int:
            return step * n_steps // before

        every = training["curve_every_steps"]
        training["curve_every_steps"] = min(every, -(-every * n_steps // before))
        for key in ("decay_start_step", "adversarial_steps"):
            if key in settings:
                settings[key] = moved(settings[key])
        for curve in filter(None, (settings.get("margin"), settings.get("pseudo_label_weight"))):
            points = dict(zip(map(moved, curve["steps"]), curve["values"], strict=True))  # the last of each step
            curve["steps"], curve["values"] = list(points), list(points.values())
    settings["n_steps"] = n_steps


def _set_margin(settings: dict[str, Any], margin: Any) -> None:
    """Let the margin begin elsewhere; its curve keeps its shape."""
    values = settings["margin"]["values"]
    largest = max(values)
    if isinstance(margin, int | float) and largest > 0:
        margin = [margin * value / largest for value in values]
    settings["margin"]["values"] = margin


def _fit_weights(network: dict[str, Any], settings: dict[str, Any], wishes: Mapping[str, Any]) -> None:
    """Have one denoising weight a layer; a number is that of the input, alone."""
    weights = wishes.get("denoising_weights", settings["denoising_weights"])
    sizes = network["hidden_sizes"]
    if isinstance(weights, int | float):
        weights = [weights]
    if isinstance(weights, list) and isinstance(sizes, list) and not any(weights[1:]):
        weights = [*weights[:1], *[0.0] * (len(sizes) + 1)]
    settings["denoising_weights"] = weights


def plain(value: Any) -> Any:
    """Return a value as JSON has it: grids of parameters are often NumPy's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value
