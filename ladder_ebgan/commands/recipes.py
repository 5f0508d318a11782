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
@click.option("--resolved", is_flag=True, help="All settings of a recipe, those of its base among them.")
def show_recipe(name: str, resolved: bool) -> None:
    """Print a recipe or a search space, ready to be saved and changed."""
    from ladder_ebgan.recipe_files import recipe_text, space_names, space_text

    if not resolved:
        click.echo(space_text(name) if name in space_names() else recipe_text(name), nl=False)
        return
    from ladder_ebgan.any_recipe import load_any_recipe
    from ladder_ebgan.recipe import recipe_toml

    click.echo(recipe_toml(load_any_recipe(name).model_dump(by_alias=True)), nl=False)
