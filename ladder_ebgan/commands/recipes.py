"""The command `recipes`: the settings of an experiment."""

import click


@click.group()
def recipes() -> None:
    """List and show the recipes: the settings of an experiment, one small TOML file each."""


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes and the search spaces that come with the package."""
    from ladder_ebgan.recipe_files import recipe_names, recipe_summary, space_names, space_summary

    spaces = space_names()
    width = max(map(len, [*recipe_names(), *spaces]))
    for name in recipe_names():
        click.echo(f"{name:{width}}  {recipe_summary(name)}")
    click.echo("\nspaces of a search:\n")
    for name in spaces:
        click.echo(f"{name:{width}}  {space_summary(name)}")


@recipes.command("show")
@click.argument("name", metavar="NAME|FILE")
def show_recipe(name: str) -> None:
    """Print a recipe or a search space, ready to be saved and changed."""
    from ladder_ebgan.recipe_files import recipe_text, space_names, space_text

    click.echo(space_text(name) if name in space_names() else recipe_text(name), nl=False)
