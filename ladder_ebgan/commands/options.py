"""Options and types of options that several commands share. Importing this is cheap."""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import click
from click.core import ParameterSource

from ladder_ebgan.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

LARGEST = 2**32 - 1  # of a seed, as for NumPy's and scikit-learn's generators
MOST_SEEDS = 10_000  # of --seeds and --seed-list: each is a replica, recorded by its number


class WholeNumbers(click.ParamType):  # type: ignore[type-arg]  # a generic only in late versions
    """Whole numbers separated by commas."""

    name = "N[,N...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Return the numbers."""
        if isinstance(value, list):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(re.fullmatch(r"-?[0-9]+", part) for part in parts):
            self.fail(f"'{value}' is not a whole number, or several separated by commas", param, ctx)
        if any(part.startswith("-") for part in parts):
            self.fail(f"'{value}' has a negative number", param, ctx)
        if any(len(part) > len(str(LARGEST)) or int(part) > LARGEST for part in parts):
            self.fail(f"'{value}' has a number above {LARGEST}", param, ctx)
        return [int(part) for part in parts]


class SeedNumbers(WholeNumbers):
    """Whole numbers separated by commas, several in a row also as their ends: `0-4,7`, as messages list seeds."""

    name = "N[-N][,...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Return the numbers."""
        if isinstance(value, list):
            return value
        numbers: list[int] = []
        for part in str(value).split(","):
            ends = re.fullmatch(r"\s*([0-9]+)\s*-\s*([0-9]+)\s*", part)
            found = super().convert(",".join(ends.groups()) if ends else part, param, ctx)
            if found[-1] < found[0]:
                self.fail(f"'{part.strip()}' ends before it begins", param, ctx)
            if len(numbers) + found[-1] - found[0] >= MOST_SEEDS:
                self.fail(f"'{value}' has more than {MOST_SEEDS} numbers", param, ctx)
            numbers += range(found[0], found[-1] + 1)
        return numbers


class Duration(click.ParamType):  # type: ignore[type-arg]  # as WholeNumbers
    """A time in seconds, or with a unit: `45s`, `90m`, `8h`, `2d`."""

    name = "TIME"
    units: ClassVar = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        text = str(value).strip()
        unit = self.units.get(text[-1:])
        try:
            seconds = float(text[:-1] if unit else text) * (unit or 1)
        except ValueError:
            seconds = math.nan
        if not seconds > 0:
            self.fail(
                f"'{value}' is no time: it must be a number of seconds above 0, or such as 90m, 8h or 2d",
                param,
                ctx,
            )
        return seconds


class AnyPath(click.Path):
    """A path, there or not, but not an empty one: `--output "$DIR"` without a DIR is not meant for this folder."""

    def __init__(self, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the path."""
        if str(value) == "":
            self.fail("the path is empty", param, ctx)
        if "\0" in str(value):
            self.fail("the path has a zero byte", param, ctx)
        return super().convert(value, param, ctx)


def complete_command(context: click.Context) -> tuple[str, ...]:
    """Return a command as it was typed, and behind its name the options that the environment has given.

    Without them it would be another command in another shell.
    """
    from_environment: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        if context.get_parameter_source(name) is not ParameterSource.ENVIRONMENT:
            continue
        assert isinstance(parameter, click.Option)
        option = max(parameter.opts, key=len)
        if parameter.is_flag:
            from_environment += [option] if context.params[name] else parameter.secondary_opts
        else:
            given = parameter.value_from_envvar(context)
            values = given if parameter.multiple else [given]
            from_environment += [word for value in values for word in (option, value)]
    first, *others = context.obj
    return first, *from_environment, *others


def recipe_options(command: str, default: str | None = "table2") -> Callable[[Command], Command]:
    """Add --recipe and --set to the command of that name."""
    recipe = click.option(
        "--recipe",
        "recipe_name",
        envvar=f"LADDER_EBGAN_{command}_RECIPE",
        default=default,
        show_default=True,
        metavar="NAME|FILE",
        help="Settings of the experiment; see 'ladder-ebgan recipes list'."
        + ("" if default else "  [default: table2; of a table, settings for its size]"),
    )
    overrides = click.option(
        "--set",
        "overrides",
        envvar=f"LADDER_EBGAN_{command}_SET",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a setting of the recipe, such as ladder.learning_rate=0.001. Repeatable.",
    )
    return lambda function: recipe(overrides(function))


def device_options(function: Command) -> Command:
    """Add --device and --precision."""
    device = click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where to train."
    )
    precision = click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "tf32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="Of matrix products.",
    )
    return device(precision(function))


def data_option(files: str = "a folder of PNG or IDX files, or an .npz file") -> Callable[[Command], Command]:
    """Add --data, with these words for the `files` that it takes."""
    return click.option(
        "--data",
        default="mnist",
        show_default=True,
        metavar="NAME|PATH",
        help=f"Data set: mnist, digits, {files}.",
    )


def table_options(function: Command) -> Command:
    """Add --label-column and --drop-column."""
    label = click.option(
        "--label-column", metavar="NAME", help="Of a table: the column of labels, empty where a row has none."
    )
    dropped = click.option(
        "--drop-column",
        multiple=True,
        metavar="NAME",
        help="Of a table: a column that is no feature, such as a number of the row. Repeatable.",
    )
    return label(dropped(function))


def division_options(together: str, processes: str) -> Callable[[Command], Command]:
    """Add --replicas-at-once and --processes, with these words of help; `number_or_auto` reads what is given."""
    at_once = click.option("--replicas-at-once", default="auto", show_default=True, metavar="auto|N", help=together)
    count = click.option("--processes", default="auto", show_default=True, metavar="auto|N", help=processes)
    return lambda function: at_once(count(function))


def time_limit_option(function: Command) -> Command:
    """Add --time-limit."""
    return click.option(
        "--time-limit",
        type=Duration(),
        help="Stop after this time (seconds, or such as 90m, 8h, 2d) with a checkpoint and exit code 75.",
    )(function)


def compile_option(command: str) -> Callable[[Command], Command]:
    """Add --compile and --no-compile to the command of that name."""
    return click.option(
        "--compile/--no-compile",
        "compiled",
        envvar=f"LADDER_EBGAN_{command}_COMPILE",
        default=None,
        help="Compile the training step.  [default: where it pays]",
    )


def number_or_auto(option: str, value: str) -> int | None:
    """Return the number that was given, or None for auto."""
    if value != "auto" and not re.fullmatch(r"0*[1-9][0-9]{0,8}", value):
        raise UsageError(f"{option} {value}: must be auto or a number above 0")
    return None if value == "auto" else int(value)


def need_optuna() -> None:
    """Refuse what needs Optuna where it is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UsageError("a search needs Optuna: pip install optuna") from None
