"""The command line: options in, calls out. Whatever is slow to import is imported when a command needs it."""

import errno
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ladder_ebgan._version import __version__
from ladder_ebgan.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ladder_ebgan.experiment import Experiment, Request
    from ladder_ebgan.report.table import Table

FAILED = 1  # a replica diverged, or the machine could not do it
LONG_SECONDS = 600  # a run is called long, and told what would be faster
OUT_OF_MEMORY = (
    "out of memory; train fewer replicas at once, in a folder of their own: add --replicas-at-once 1 --output DIR"
)


class WholeNumbers(click.ParamType):  # type: ignore[type-arg]  # a generic only in late versions
    """Whole numbers separated by commas."""

    name = "N[,N...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Return the numbers."""
        if isinstance(value, list):
            return value
        try:
            numbers = [int(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"'{value}' is not a whole number, or several separated by commas", param, ctx)
        if min(numbers) < 0:
            self.fail(f"'{value}' has a negative number", param, ctx)
        return numbers


@click.group(context_settings={"auto_envvar_prefix": "LADDER_EBGAN", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ladder-ebgan")
def cli() -> None:
    """Semi-supervised learning with ladder networks and energy-based GANs.

    Learns a classifier from a few labelled and many unlabelled images, over many seeds at once, and prints a
    table of error rates with honest statistics.

    \b
    A first table, on MNIST with 100 labels:
        ladder-ebgan run --recipe demo
    The table of the paper:
        ladder-ebgan run --labels 100,200,1000 --seeds 15
    """


@cli.command()
@click.option(
    "--labels",
    type=WholeNumbers(),
    multiple=True,
    help="How many training images have a label. Repeatable, or 100,200,1000.  [default: the recipe's]",
)
@click.option("--seeds", type=click.IntRange(min=1), help="How many seeds: 0 to N-1.  [default: the recipe's]")
@click.option("--seed-list", type=WholeNumbers(), help="The seeds themselves, such as 0,3,7.")
@click.option(
    "--model",
    "models",
    envvar="LADDER_EBGAN_RUN_MODEL",
    multiple=True,
    metavar="NAME",
    help="ladder, ladder-matched or ebgan-ladder. Repeatable.  [default: ladder and ebgan-ladder]",
)
@click.option(
    "--recipe",
    "recipe_name",
    envvar="LADDER_EBGAN_RUN_RECIPE",
    default="table2",
    show_default=True,
    metavar="NAME|FILE",
    help="Settings of the experiment; see 'ladder-ebgan recipes list'.",
)
@click.option(
    "--set",
    "overrides",
    envvar="LADDER_EBGAN_RUN_SET",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe, such as ladder.n_steps=1000. Repeatable.",
)
@click.option(
    "--data",
    default="mnist",
    show_default=True,
    metavar="NAME|PATH",
    help="Data set: mnist, digits, a folder of IDX files, or an .npz file.",
)
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where to train.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "tf32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Of matrix products.",
)
@click.option(
    "--replicas-at-once",
    default="auto",
    show_default=True,
    metavar="auto|N",
    help="How many seeds and budgets train together.",
)
@click.option(
    "--compile/--no-compile",
    "compiled",
    envvar="LADDER_EBGAN_RUN_COMPILE",
    default=None,
    help="Compile the training step.  [default: where it pays]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the run.  [default: runs/<data>-<recipe>]",
)
@click.option("--fresh", is_flag=True, help="Throw away what the folder holds and start anew.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop after this time with a checkpoint and exit code 75.",
)
@click.option("--json", "as_json", envvar="LADDER_EBGAN_RUN_JSON", is_flag=True, help="Print the table as JSON.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--verbose", is_flag=True, help="Say how the run was resolved.")
def run(*, as_json: bool, quiet: bool, verbose: bool, time_limit: float | None, **options: Any) -> None:
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
    from ladder_ebgan.report.outputs import write_outputs
    from ladder_ebgan.report.progress import make_display

    if time_limit is not None and math.isnan(time_limit):
        raise UsageError("--time-limit nan: must be a number of seconds above 0")
    request, console, stopped = _request(**options), _stderr(), None
    with stop_request(time_limit) as stop_reason, open_experiment(request) as experiment:
        if not quiet:
            _announce(experiment, console, verbose)
        display = make_display(console, quiet)
        try:
            for event in experiment.run(stop_reason):
                display.show(event)
                if isinstance(event, Stopped):
                    stopped = event.reason
        finally:
            display.close()
        table = write_outputs(experiment.folder)
        if table.rows or as_json:
            _print_table(table, "json" if as_json else "text")
        if not quiet:
            _say(console, f"The run's folder is {experiment.folder.path}")
    if stopped is not None:
        _say(console, f"Stopped ({stopped}). The same command goes on from here.")
        sys.exit(EXIT_CODES[stopped])
    n_diverged = sum(row.n_diverged for row in table.rows)
    if n_diverged:
        n_replicas = n_diverged + sum(row.n_seeds for row in table.rows)
        _say(
            console,
            f"{n_diverged} of {n_replicas} replicas diverged and are left out of the table; "
            "try a lower learning_rate with --set, in a folder of its own.",
        )
        sys.exit(FAILED)


def _request(
    *,
    labels: Sequence[Sequence[int]],
    seeds: int | None,
    seed_list: list[int] | None,
    models: Sequence[str],
    recipe_name: str,
    overrides: Sequence[str],
    replicas_at_once: str,
    **rest: Any,
) -> "Request":
    """Return what the options of `run` ask for."""
    from ladder_ebgan.experiment import Request
    from ladder_ebgan.recipe import load_recipe

    recipe = load_recipe(recipe_name, overrides)
    if seeds is not None and seed_list is not None:
        raise UsageError("--seeds and --seed-list exclude each other: give one of them")
    if replicas_at_once != "auto" and not (replicas_at_once.isdecimal() and int(replicas_at_once) > 0):
        raise UsageError(f"--replicas-at-once {replicas_at_once}: must be auto or a number above 0")
    budgets = [budget for group in labels for budget in group] or recipe.labels
    compared = [model for model in recipe.models if model != "ladder-matched"]
    return Request(
        recipe_name=recipe_name,
        recipe=recipe,
        models=tuple(dict.fromkeys(models or compared)),
        labels=tuple(sorted(set(budgets))),
        seeds=tuple(dict.fromkeys(seed_list or range(seeds or recipe.n_seeds))),
        replicas_at_once=None if replicas_at_once == "auto" else int(replicas_at_once),
        **rest,
    )


def _announce(experiment: "Experiment", console: "Console", verbose: bool) -> None:
    """Say what will be trained, for how long, and what would be faster."""
    from ladder_ebgan.machine import what_would_be_faster
    from ladder_ebgan.report.progress import duration

    resolved = experiment.resolved
    if verbose:
        _say(
            console,
            f"Resolved: {resolved.device_name}, {json.dumps(resolved.stored())}, {resolved.precision}",
        )
    for name in resolved.overruled(experiment.request.replicas_at_once, experiment.request.compiled):
        _say(console, f"{name} is kept as this folder's run began; another value needs another --output.")
    if not experiment.groups:
        _say(console, "Everything asked for is already trained.")
        return
    n_replicas = sum(len(group.replicas) for group in experiment.groups)
    how = "compiled" if resolved.compiled else "not compiled"
    _say(console, f"Training {n_replicas} replicas on {resolved.device_name} ({resolved.precision}, {how}).")
    if resolved.compiled:
        _say(console, "Compiling the step, which takes a minute or two the first time ...")
    seconds = experiment.estimated_seconds()
    _say(console, f"This will take about {duration(seconds)}, going by a few timed steps.")
    if seconds > LONG_SECONDS:
        shorter = [] if experiment.request.recipe_name == "demo" else ["--recipe demo, a shortened table"]
        advice = [*what_would_be_faster(resolved), *shorter]
        _say(console, f"Faster may be, in a new folder (--output DIR): {'; '.join(advice)}.")


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "layout",
    envvar="LADDER_EBGAN_TABLE_FORMAT",
    type=click.Choice(["text", "markdown", "csv", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
def table(folders: Sequence[Path], layout: str) -> None:
    """Print the table of one or more run FOLDERS of the same data."""
    from ladder_ebgan.report.outputs import table_of

    _print_table(table_of(folders), layout)


@cli.group()
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


@cli.group()
def data() -> None:
    """List and describe data sets."""


@data.command("list")
def list_data() -> None:
    """List the data sets that come with the package, and what else can be read."""
    from ladder_ebgan.data import DATASET_NAMES

    width = max(map(len, DATASET_NAMES))
    for name, description in DATASET_NAMES.items():
        click.echo(f"{name:{width}}  {description}")
    click.echo("\nYour own: a folder of IDX files under MNIST's names, or an .npz file with x_train, y_train,")
    click.echo("x_test and y_test; give its path instead of a name.")


@data.command("describe")
@click.argument("name", metavar="NAME|PATH")
@click.option("--json", "as_json", envvar="LADDER_EBGAN_DATA_DESCRIBE_JSON", is_flag=True, help="Print it as JSON.")
def describe_data(name: str, as_json: bool) -> None:
    """Say what a data set holds: images, shape, classes and their counts, range, fingerprint."""
    from ladder_ebgan.data import describe, load_dataset

    description = describe(load_dataset(name))
    if as_json:
        click.echo(json.dumps(description, indent=1))
        return
    classes = description.pop("classes")
    for key, value in description.items():
        click.echo(f"{key:12}  {value}")
    assert isinstance(classes, list)
    click.echo("label         training images  test images")
    for entry in classes:
        click.echo(f"{entry['label']!s:12}  {entry['n_train']:15}  {entry['n_test']:11}")


def _print_table(table: "Table", layout: str) -> None:
    from ladder_ebgan.report import table as writers

    if layout == "text":
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        text = writers.table_text(table, color=color)
    else:
        write = {"markdown": writers.table_markdown, "csv": writers.table_csv, "json": writers.table_json}
        text = write[layout](table)
    click.echo(text, nl=False, color=True)


def _stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def _say(console: "Console", text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; a mistake is told in one line, without a traceback."""
    # Threads that wait by spinning make a step twenty times slower as soon as another process wants a core.
    # The setting is read when torch is imported, which only a command does.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        cli.main(args=arguments, prog_name="ladder-ebgan", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except UsageError as error:
        _fail(str(error), 2)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; the same command goes on from the last checkpoint", 130)
    except MemoryError:
        _fail(OUT_OF_MEMORY, FAILED)
    except OSError as error:
        what_to_do = "; make room, and the same command goes on" if error.errno == errno.ENOSPC else ""
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}{what_to_do}", FAILED)
    except RuntimeError as error:  # torch has a type for a full GPU, none for a full main memory
        if not any(
            words in str(error) for words in ("out of memory", "not enough memory", "can't allocate memory")
        ):
            raise
        _fail(OUT_OF_MEMORY, FAILED)


def _fail(message: str, exit_code: int) -> None:
    click.echo(f"ladder-ebgan: {message}", err=True)
    sys.exit(exit_code)
