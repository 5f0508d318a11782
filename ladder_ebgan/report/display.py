"""Which display of a run's progress fits where it is shown."""

from typing import Protocol

from rich.console import Console

from ladder_ebgan.experiment import Event, Experiment
from ladder_ebgan.interruption import StopRequest
from ladder_ebgan.report.lines import draws_in_place
from ladder_ebgan.report.live import Live
from ladder_ebgan.report.progress import Plain
from ladder_ebgan.report.tracker import plan_of


class Display(Protocol):
    """Shows the events of a run."""

    def show(self, event: Event) -> None:
        """Take note of an event."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Quiet:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Ignore the event."""

    def close(self) -> None:
        """Do nothing."""


def make_display(
    console: Console, experiment: Experiment, stop: StopRequest, quiet: bool = False, verbose: bool = False
) -> Display:
    """Return one that draws in place where that can be done, else plain lines, or nothing if `quiet`."""
    if quiet or not experiment.groups:
        return Quiet()
    if draws_in_place(console):
        return Live(console, plan_of(experiment), stop, verbose)
    return Plain(console, plan_of(experiment), verbose)
