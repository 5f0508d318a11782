"""The command `recipes`: the settings of an experiment."""

import click


@click.group()
def recipes() -> None:
    """List and show the recipes: the settings of an experiment, one small TOML file each."""


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes that come with the package."""
    from ladder_ebgan.recipe import recipe_names, recipe_summary

    names = recipe_names()
    width = max(map(len, names))
    for name in names:
        click.echo(f"{name:{width}}  {recipe_summary(name)}")


@recipes.command("show")
@click.argument("name", metavar="NAME|FILE")
def show_recipe(name: str) -> None:
    """Print a recipe, ready to be saved and changed."""
    from ladder_ebgan.recipe import recipe_text

    click.echo(recipe_text(name), nl=False)
