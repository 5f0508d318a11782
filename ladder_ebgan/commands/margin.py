"""The command `margin`: train a discriminator alone, and propose a margin from where its energy settles."""

import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ladder_ebgan.commands.console import say, stderr_console, terminal_width
from ladder_ebgan.commands.options import (
    compile_option,
    data_option,
    device_options,
    recipe_options,
)
from ladder_ebgan.errors import FAILED, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ladder_ebgan.alone import Discriminators, Measured
    from ladder_ebgan.any_recipe import AnyRecipe
    from ladder_ebgan.data import Dataset
    from ladder_ebgan.machine import Resolved
    from ladder_ebgan.report.margin import Asked

MOST_SEEDS = 64  # that train at once
EVERY_STEPS = 100  # the energy is measured
HELD_OUT_SHARE, MOST_HELD_OUT = 10, 2000  # a tenth of the training images, at most so many


@click.command()
@recipe_options("MARGIN")
@click.option(
    "--model",
    envvar="LADDER_EBGAN_MARGIN_MODEL",
    metavar="NAME",
    help="A model with a margin: ebgan-ladder, ebgan, or a variant of it.  [default: the recipe's first]",
)
@data_option()
@click.option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=3, show_default=True, help="How many seeds.")
@click.option(
    "--max-steps",
    type=click.IntRange(4, 10**6),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Stop after so many steps, settled or not.",
)
@device_options
@compile_option("MARGIN")
@click.option("--json", "as_json", envvar="LADDER_EBGAN_MARGIN_JSON", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def margin(
    *,
    recipe_name: str,
    overrides: Sequence[str],
    model: str | None,
    data: str,
    seeds: int,
    max_steps: int,
    as_json: bool,
    quiet: bool,
    **how: Any,
) -> None:
    """Propose a margin for EBGAN or EBGAN-LN, as appendix E of the paper advises.

    The discriminator is trained alone, on real images, until its energy settles: the margin should be of that size.
    The energy is measured on training images that are held out; the test images have no part in it. Nothing is
    written.
    """
    from ladder_ebgan.any_recipe import load_any_recipe

    recipe = load_any_recipe(recipe_name, overrides)
    model = model or _first_with_margin(recipe, recipe_name)
    recipe.settings(model)
    split = _with_held_out(data, recipe.training.batch_size)

    from ladder_ebgan.alone import discriminators_of, measured
    from ladder_ebgan.margin import followed
    from ladder_ebgan.report.margin import margin_json, margin_text, point_line

    discriminators = discriminators_of(recipe, model, split, _applied(max_steps, **how), range(seeds))
    every, console = max(1, min(EVERY_STEPS, max_steps // 4)), stderr_console()
    least = max(4 * every, len(split.train_labels) // recipe.training.batch_size)
    for proposal in followed(_finite(measured(discriminators, max_steps, every), console), least):
        if not quiet:
            say(console, point_line(proposal.points))
    asked = _asked(recipe_name, recipe, model, split, discriminators, range(seeds))
    text = margin_json(asked, proposal) if as_json else margin_text(asked, proposal, terminal_width())
    click.echo(text, nl=False)


def _with_held_out(data: str, batch_size: int) -> "Dataset":
    """Return a data set with training images in the place of its test images: whole batches, if there is one."""
    from ladder_ebgan.data import load_dataset
    from ladder_ebgan.search.validation import validation_split

    dataset = load_dataset(data)
    n = min(MOST_HELD_OUT, len(dataset.labeled_rows) // HELD_OUT_SHARE)
    return validation_split(dataset, max(dataset.n_classes, n // batch_size * batch_size or n))


def _applied(max_steps: int, device: str, precision: str, compiled: bool | None) -> "Resolved":
    """Set this process up as the options say, and return how."""
    from ladder_ebgan.machine import apply, resolve

    resolved = resolve(device, precision, None, compiled, max_steps)
    apply(resolved)
    return resolved


def _finite(measurements: Iterator["Measured"], console: "Console") -> Iterator["Measured"]:
    """Yield measurements as long as they are numbers; then say so and exit."""
    for point in measurements:
        if not all(map(math.isfinite, point.energies)):
            say(console, f"The training has diverged by step {point.step}; try a lower learning_rate with --set.")
            sys.exit(FAILED)
        yield point


def _asked(
    name: str, recipe: "AnyRecipe", model: str, split: "Dataset", made: "Discriminators", seeds: Sequence[int]
) -> "Asked":
    from ladder_ebgan.recipe import section_name
    from ladder_ebgan.report.margin import Asked

    variant = recipe.variants.get(model)
    section = section_name(model if variant is None else variant.of)
    changes = None if variant is None else variant.set
    return Asked(
        name, model, section, changes, split.name, made.squared, made.margin, len(split.test_labels), seeds
    )


def _first_with_margin(recipe: "AnyRecipe", name: str) -> str:
    """Return the first model of a recipe that has a margin.

    Raises:
        UsageError: none has.
    """
    for model in recipe.models:
        if hasattr(recipe.settings(model), "margin"):
            return model
    raise UsageError(f"the recipe {name} has no model with a margin: name another with --recipe, such as table2")
