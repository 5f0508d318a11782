"""The command `doctor`: what this machine offers, and what is missing."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import click

from ladder_ebgan.commands.console import in_color, terminal_width
from ladder_ebgan.errors import FAILED


@click.command()
@click.option("--json", "as_json", envvar="LADDER_EBGAN_DOCTOR_JSON", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what this machine offers, what a run would use of it, what is missing and how to get it.

    \b
    Exit codes: 0 a run with default options would work; 1 it would not.
    """
    from ladder_ebgan.doctor import examine, works
    from ladder_ebgan.report.doctor import doctor_json, doctor_text

    root = context.find_root()
    options = dict(option_variables(root.command, [str(root.auto_envvar_prefix)]))
    findings = examine(options, partial(click.echo, err=True))
    text = doctor_json(findings)
    if not as_json:
        with suppress(ImportError):  # rich is one of the packages that may be missing
            text = doctor_text(findings, terminal_width(), color=in_color())
    click.echo(text, nl=False, color=True)
    if not works(findings):
        sys.exit(FAILED)


def option_variables(command: click.Command, path: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the environment variable of each option of a command and of those below it, and what it stands for."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            automatic = "_".join([*path, str(parameter.name)]).upper().replace("-", "_")
            option = max(parameter.opts, key=len)
            yield str(parameter.envvar or automatic), f"stands for {' '.join([*path[1:], option])}"
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from option_variables(below, [*path, name])
