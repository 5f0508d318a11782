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
from ladder_ebgan.errors import MachineError, UsageError
from ladder_ebgan.options import WholeNumbers, compile_option, device_options, recipe_options

if TYPE_CHECKING:
    from rich.console import Console

    from ladder_ebgan.experiment import Request
    from ladder_ebgan.report.table import Table

FAILED = 1  # a replica diverged, or the machine could not do it
OUT_OF_MEMORY = (
    "out of memory; train fewer replicas at once, in a folder of their own: add --replicas-at-once 1 --output DIR"
)


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
@recipe_options("RUN")
@click.option(
    "--data",
    default="mnist",
    show_default=True,
    metavar="NAME|PATH",
    help="Data set: mnist, digits, a folder of IDX files, or an .npz file.",
)
@device_options
@click.option(
    "--replicas-at-once",
    default="auto",
    show_default=True,
    metavar="auto|N",
    help="How many seeds and budgets train together.",
)
@click.option(
    "--processes",
    default="auto",
    show_default=True,
    metavar="auto|N",
    help="How many processes share the cores of a CPU; auto measures what is fastest.",
)
@compile_option("RUN")
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
    from ladder_ebgan.report.announcement import announcement
    from ladder_ebgan.report.outputs import write_outputs
    from ladder_ebgan.report.progress import make_display

    if time_limit is not None and math.isnan(time_limit):
        raise UsageError("--time-limit nan: must be a number of seconds above 0")
    request, console, stopped = _request(**options), _stderr(), None

    def notice(line: str) -> None:
        if not quiet:
            _say(console, line)

    with stop_request(time_limit) as stop_reason, open_experiment(request, notice) as experiment:
        for line in () if quiet else announcement(experiment, verbose):
            notice(line)
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
        notice(f"The run's folder is {experiment.folder.path}")
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
    processes: str,
    **rest: Any,
) -> "Request":
    """Return what the options of `run` ask for."""
    from ladder_ebgan.experiment import Request
    from ladder_ebgan.recipe import load_recipe

    recipe = load_recipe(recipe_name, overrides)
    if seeds is not None and seed_list is not None:
        raise UsageError("--seeds and --seed-list exclude each other: give one of them")
    budgets = [budget for group in labels for budget in group] or recipe.labels
    compared = [model for model in recipe.models if model != "ladder-matched"]
    return Request(
        recipe_name=recipe_name,
        recipe=recipe,
        models=tuple(dict.fromkeys(models or compared)),
        labels=tuple(sorted(set(budgets))),
        seeds=tuple(dict.fromkeys(seed_list or range(seeds or recipe.n_seeds))),
        replicas_at_once=_chosen("--replicas-at-once", replicas_at_once),
        n_processes=_chosen("--processes", processes),
        **rest,
    )


def _chosen(option: str, value: str) -> int | None:
    """Return the number that was given, or None for auto."""
    if value != "auto" and not (value.isdecimal() and int(value) > 0):
        raise UsageError(f"{option} {value}: must be auto or a number above 0")
    return None if value == "auto" else int(value)


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


@cli.command()
@recipe_options("BENCH")
@device_options
@click.option(
    "--replicas",
    type=WholeNumbers(),
    help="How many replicas at once, such as 1,2,4.  [default: 1,2,4; on a GPU 1,4,15,45]",
)
@compile_option("BENCH")
@click.option("--rounds", type=click.IntRange(min=1), default=12, show_default=True, help="How often all is timed.")
@click.option(
    "--plain/--no-plain", default=True, help="Time the plain PyTorch implementation too.  [default: plain]"
)
@click.option("--json", "as_json", envvar="LADDER_EBGAN_BENCH_JSON", is_flag=True, help="Print JSON.")
def bench(
    *, recipe_name: str, overrides: Sequence[str], replicas: list[int] | None, as_json: bool, **options: Any
) -> None:
    """Measure the speed of a training step on this machine.

    It is compared with its floor, the least time that its matrix products, its optimiser's memory traffic and its
    random numbers take here, and with a plain PyTorch implementation that trains one replica.
    """
    from ladder_ebgan.recipe import load_recipe

    recipe = load_recipe(recipe_name, overrides)
    if replicas is not None and 0 in replicas:
        raise UsageError("--replicas: must be whole numbers above 0, such as 1,2,4")

    from ladder_ebgan.bench import Bench, BenchRequest, PhaseResult
    from ladder_ebgan.report.bench import bench_json, bench_text

    counts = None if replicas is None else tuple(dict.fromkeys(replicas))
    measuring, console, phases = Bench(BenchRequest(recipe_name, recipe, counts, **options)), _stderr(), []
    for event in measuring.run():
        if isinstance(event, PhaseResult):
            phases.append(event)
        else:
            _say(console, event)
    click.echo((bench_json if as_json else bench_text)(measuring.description(), phases), nl=False)


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
    # Threads that wait for each other spin for about a millisecond, then sleep: to sleep at once makes a step half
    # as fast, to spin on makes it twenty times slower as soon as another process wants a core. The setting is read
    # when torch is imported, which only a command does.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "100000")
    try:
        cli.main(args=arguments, prog_name="ladder-ebgan", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except UsageError as error:
        _fail(str(error), 2)
    except MachineError as error:
        _fail(str(error), FAILED)
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
