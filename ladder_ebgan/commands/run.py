"""The command `run`: train and compare models, print the table."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ladder_ebgan.commands.console import print_table, say, say_stopped, stderr_console, terminal_width
from ladder_ebgan.commands.options import (
    MOST_SEEDS,
    AnyPath,
    SeedNumbers,
    WholeNumbers,
    compile_option,
    complete_command,
    data_option,
    device_options,
    division_options,
    number_or_auto,
    recipe_options,
    table_options,
    time_limit_option,
)
from ladder_ebgan.errors import FAILED, UsageError

if TYPE_CHECKING:
    from ladder_ebgan.any_recipe import AnyRecipe
    from ladder_ebgan.data import Dataset
    from ladder_ebgan.experiment import Request


@click.command()
@click.option(
    "--labels",
    type=WholeNumbers(),
    multiple=True,
    help="How many training images have a label. Repeatable, or 100,200,1000.  "
    "[default: the recipe's; of a table, or if there are fewer, all; four fifths where the others are the test]",
)
@click.option(
    "--seeds", type=click.IntRange(1, MOST_SEEDS), help="How many seeds: 0 to N-1.  [default: the recipe's]"
)
@click.option(
    "--seed-list", type=SeedNumbers(), multiple=True, help="The seeds themselves, such as 0-4,7. Repeatable."
)
@click.option(
    "--model",
    "models",
    envvar="LADDER_EBGAN_RUN_MODEL",
    multiple=True,
    metavar="NAME",
    help="ladder, ladder-matched, ebgan-ladder; gan, ebgan of a recipe without labels; or a variant in the recipe. "
    "Repeatable, or several with commas.  [default: ladder and ebgan-ladder, of a table ladder, of GANs all; or "
    "all variants, with what they are of]",
)
@recipe_options("RUN", default=None)
@data_option("a folder of PNG or IDX files, an .npz file, or a table: a CSV or Parquet file")
@table_options
@click.option(
    "--test-data",
    type=AnyPath(dir_okay=False),
    metavar="FILE",
    help="Of a table: another one, whose labelled rows are the test set.  "
    "[default: each seed is tested on the labelled rows that it does not learn]",
)
@device_options
@division_options(
    together="How many seeds and budgets train together.",
    processes="How many processes share the cores of a CPU; auto measures what is fastest.",
)
@compile_option("RUN")
@click.option(
    "--output",
    type=AnyPath(),
    metavar="DIR",
    help="Folder of the run.  [default: runs/<data>-<recipe>]",
)
@click.option(
    "--fresh", is_flag=True, help="Throw away what the folder holds and start anew; to go on later, leave it out."
)
@time_limit_option
@click.option("--dry-run", is_flag=True, help="Print what would be done and how long it would take; write nothing.")
@click.option(
    "--json", "as_json", envvar="LADDER_EBGAN_RUN_JSON", is_flag=True, help="Print the table, or the plan, as JSON."
)
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--verbose", is_flag=True, help="Say how the run was resolved, and each curve point.")
@click.pass_context
def run(
    context: click.Context,
    /,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    time_limit: float | None,
    dry_run: bool,
    **options: Any,
) -> None:
    """Train and compare models over many seeds; print the table.

    The same command again goes on where the last one stopped: finished seeds are kept, unfinished ones continue
    from their checkpoint, further seeds and budgets are added to the table.

    \b
    Exit codes: 0 done; 1 a seed diverged or the machine failed; 2 wrong use;
    75 time limit reached; 130 Ctrl-C; 143 SIGTERM. After the last three the
    same command goes on.
    """
    from ladder_ebgan.experiment import Stopped, open_experiment
    from ladder_ebgan.interruption import EXIT_CODES, stop_request
    from ladder_ebgan.report.announcement import announcement
    from ladder_ebgan.report.display import make_display
    from ladder_ebgan.report.figures import write_figures
    from ladder_ebgan.report.outputs import write_tables

    request = request_of(**options, command=complete_command(context))
    console, stopped = stderr_console(), None

    def notice(line: str) -> None:
        if not quiet:
            say(console, line)

    if dry_run:
        print_plan(request, notice, as_json)
        return
    with stop_request(time_limit) as stop_reason, open_experiment(request, notice) as experiment:
        for line in () if quiet else announcement(experiment, verbose):
            notice(line)
        display = make_display(console, experiment, stop_reason, quiet, verbose)
        try:
            for event in experiment.run(stop_reason):
                display.show(event)
                if isinstance(event, Stopped):
                    stopped = event.reason
        finally:
            display.close()
        table = write_tables(experiment.folder)
        if stopped is None:  # else somebody waits, and the next start draws them
            write_figures(experiment.folder, experiment.dataset)
        if table.rows or as_json:
            print_table(table, "json" if as_json else "text")
        notice(f"The run's folder is {experiment.folder.path}")
    if stopped is not None:
        say_stopped(console, stopped, context.obj)
        sys.exit(EXIT_CODES[stopped])
    n_diverged = sum(row.n_diverged for row in table.rows)
    if n_diverged:
        n_replicas = n_diverged + sum(row.n_seeds for row in table.rows)
        say(
            console,
            f"{n_diverged} of {n_replicas} replicas diverged and are left out of the table; "
            "try a lower learning_rate with --set, in a folder of its own.",
        )
        sys.exit(FAILED)


def print_plan(request: "Request", notice: Callable[[str], None], as_json: bool) -> None:
    """Print what a run would do."""
    from ladder_ebgan.dry_run import plan_run
    from ladder_ebgan.experiment import open_experiment
    from ladder_ebgan.report.dry_run import dry_run_json, dry_run_text

    with open_experiment(request, notice, dry_run=True) as experiment:
        if experiment.groups:
            notice("Timing a few steps ...")
        plan = plan_run(experiment)
    click.echo(dry_run_json(plan) if as_json else dry_run_text(plan, terminal_width()), nl=False)


def request_of(
    *,
    data: str,
    label_column: str | None,
    drop_column: Sequence[str],
    test_data: Path | None,
    labels: Sequence[Sequence[int]],
    seeds: int | None,
    seed_list: Sequence[Sequence[int]],
    models: Sequence[str],
    recipe_name: str | None,
    overrides: Sequence[str],
    replicas_at_once: str,
    processes: str,
    **rest: Any,
) -> "Request":
    """Return what the options of `run` ask for."""
    from ladder_ebgan.any_recipe import load_any_recipe
    from ladder_ebgan.data import DATASET_NAMES, default_budget, load_dataset
    from ladder_ebgan.data.table_dataset import dataset_of_table
    from ladder_ebgan.experiment import Request
    from ladder_ebgan.gan.recipe import GANRecipe
    from ladder_ebgan.sizing import AUTO, sized_recipe

    if seeds is not None and seed_list:
        raise UsageError("--seeds and --seed-list exclude each other: give one of them")
    table = dataset_of_table(data, label_column, drop_column, test_data)
    default = "table2" if table is None else AUTO
    name = default if recipe_name is None else recipe_name
    recipe: AnyRecipe
    if table is not None and name == AUTO:
        recipe = sized_recipe(len(table.train_labels), table.n_features, default_budget(table), overrides)
        compared = recipe.compared if recipe.variants else ["ladder"]
    else:
        recipe = load_any_recipe(name, overrides)
        compared = recipe.compared
    if labels and isinstance(recipe, GANRecipe):
        raise UsageError(f"--labels: the recipe {name} is of GANs, which use no labels; leave the option out")
    budgets: Sequence[int] = [budget for group in labels for budget in group]
    own_images = table is None and data not in DATASET_NAMES
    dataset = load_dataset(data, without_labels=isinstance(recipe, GANRecipe)) if own_images else table
    budgets = budgets or _budgets(recipe, overrides, dataset)
    return Request(
        recipe_name=name,
        recipe=recipe,
        data=data,
        dataset=dataset,
        overrides=tuple(overrides),
        models=tuple(dict.fromkeys([name.strip(" ") for each in models for name in each.split(",")] or compared)),
        labels=tuple(sorted(set(budgets))),
        seeds=tuple(dict.fromkeys([seed for each in seed_list for seed in each] or range(seeds or recipe.n_seeds))),
        replicas_at_once=number_or_auto("--replicas-at-once", replicas_at_once),
        n_processes=number_or_auto("--processes", processes),
        **rest,
    )


def _budgets(recipe: "AnyRecipe", overrides: Sequence[str], dataset: "Dataset | None") -> Sequence[int]:
    """Return the label budgets where none was given: the recipe's, or as many as data of one's own allows."""
    from ladder_ebgan.data import default_budget
    from ladder_ebgan.gan.recipe import GANRecipe

    if dataset is None or isinstance(recipe, GANRecipe):
        return recipe.labels
    wished = any(re.match(r"labels\b", each) for each in overrides)
    if wished or (dataset.is_images_with_test and max(recipe.labels) <= len(dataset.labeled_rows)):
        return recipe.labels
    return [default_budget(dataset)]
