"""The command line: options in, calls out. Whatever is slow to import is imported when a command needs it."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ladder_ebgan._version import __version__
from ladder_ebgan.commands.bench import bench
from ladder_ebgan.commands.console import without_fresh
from ladder_ebgan.commands.data import data
from ladder_ebgan.commands.doctor import doctor
from ladder_ebgan.commands.grid import grid
from ladder_ebgan.commands.margin import margin
from ladder_ebgan.commands.models import models
from ladder_ebgan.commands.predict import predict
from ladder_ebgan.commands.recipes import recipes
from ladder_ebgan.commands.report import report
from ladder_ebgan.commands.run import run
from ladder_ebgan.commands.sample import sample
from ladder_ebgan.commands.score import score
from ladder_ebgan.commands.search import search
from ladder_ebgan.commands.standard_streams import prepare_streams
from ladder_ebgan.commands.table import table
from ladder_ebgan.errors import FAILED, MachineError, UsageError, printable_line

NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
GO_ON = {"run", "search"}  # commands that go on when they are given again
LESS_MEMORY = {  # what makes a command take less
    "run": "train fewer replicas at once, in a folder of their own: add --replicas-at-once 1 --output DIR",
    "search": "train fewer replicas at once: give a smaller --replicas-at-once, and on a CPU --processes 1",
    "bench": "measure fewer replicas at once: add --replicas 1",
    "predict": "give fewer images at a time, or average fewer seeds",
    "margin": "train fewer seeds: give a smaller --seeds",
    "score": "score fewer images: give a smaller --n",
    "sample": "draw fewer images at a time: give a smaller --n",
}


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


for command in (
    run,
    table,
    report,
    models,
    predict,
    sample,
    score,
    search,
    grid,
    margin,
    bench,
    recipes,
    data,
    doctor,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; a mistake is told in one line, without a traceback."""
    # Threads that wait for each other spin for a short while, then sleep: to sleep at once makes a step longer by a
    # third, to spin on makes it ten times as long as soon as another process wants a core
    # (benchmarks/waiting_threads.py). The setting is read when torch is imported, which only a command does.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    prepare_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else ""

    def fail(message: str, exit_code: int) -> None:
        _fail(message.replace("the same command", f"the same command{without_fresh(words)}"), exit_code)

    try:
        Path.cwd()  # libraries that torch loads later end the process where there is none
    except FileNotFoundError:
        fail("the current folder is not there any more: change to another one", 2)
    try:
        cli.main(args=words, obj=words, prog_name="ladder-ebgan", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        fail(error.format_message(), error.exit_code)
    except UsageError as error:
        fail(str(error), 2)
    except MachineError as error:
        fail(str(error), FAILED)
    except (click.Abort, KeyboardInterrupt) as error:
        interrupt = error.__cause__ or error  # click makes the one of the other
        what_is_kept = str(interrupt)
        message = "interrupted" + (f"; {what_is_kept}" if what_is_kept else "")
        fail(message, getattr(interrupt, "exit_code", 130))  # a second SIGTERM has its own
    except MemoryError:
        fail(_out_of_memory(command), FAILED)
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        then = "the same command goes on" if command in GO_ON else "give the same command again"
        what_to_do = f"; make room, and {then}" if full else ""
        fail(f"{error.filename or 'the system'}: {error.strerror or error}{what_to_do}", FAILED)
    except RuntimeError as error:  # torch has a type for a full GPU, none for a full main memory
        if not any(phrase in str(error) for phrase in NO_MEMORY):
            raise
        fail(_out_of_memory(command), FAILED)


def _out_of_memory(command: str) -> str:
    return f"out of memory; {LESS_MEMORY.get(command, 'close other programs, and give the same command again')}"


def _fail(message: str, exit_code: int) -> None:
    click.echo(f"ladder-ebgan: {printable_line(message)}", err=True)
    sys.exit(exit_code)
