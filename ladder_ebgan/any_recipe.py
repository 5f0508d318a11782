"""Recipes of either kind, told apart by their sections: classifiers with a few labels, or GANs without any."""

from collections.abc import Iterable
from typing import Any

from ladder_ebgan.checking import validated
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.recipe import GAN_MODELS, Recipe, parse_recipe, recipe_tables

AnyRecipe = Recipe | GANRecipe


def load_any_recipe(name_or_path: str, overrides: Iterable[str] = ()) -> AnyRecipe:
    """Read a recipe of either kind, as `recipe.load_recipe` does one of classifiers."""
    return parse_any_recipe(*recipe_tables(name_or_path, overrides))


def parse_any_recipe(tables: dict[str, Any], source: str) -> AnyRecipe:
    """Check the tables of a recipe and return it; `source` is named in messages."""
    if tables.keys().isdisjoint(GAN_MODELS):
        return parse_recipe(tables, source)
    others = tables.keys() & {"labels", "network", "ladder", "ebgan-ladder"}
    if others:
        raise UsageError(
            f"{source} has [gan] or [ebgan] beside '{min(others)}': GANs without labels have a recipe of their own"
        )
    return validated(GANRecipe, tables, source)
