"""Progress of a run on stderr: live bars on a terminal, plain lines elsewhere."""

import time
from collections import deque
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ladder_ebgan.experiment import Event, GroupFinished, GroupStarted
from ladder_ebgan.group import CurveMeasured, Stepped
from ladder_ebgan.results import CurvePoint
from ladder_ebgan.runs import Group

LIVE_REFRESH_SECONDS = 0.5
PLAIN_LINE_SECONDS = 30.0
SPEED_WINDOW = 20  # readings that the speed is averaged over


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


class Speed:
    """Steps per second over the last readings."""

    def __init__(self) -> None:
        self.readings: deque[tuple[float, int]] = deque(maxlen=SPEED_WINDOW)

    def read(self, step: int) -> float | None:
        """Note a step and return the speed; None until there are two readings."""
        self.readings.append((time.monotonic(), step))
        (first_time, first_step), (last_time, last_step) = self.readings[0], self.readings[-1]
        return (last_step - first_step) / (last_time - first_time) if last_time > first_time else None


class Plain:
    """Writes a line now and then, for log files and dumb terminals."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.speed, self.n_steps, self.error = Speed(), 0, ""
        self.next_line = 0.0

    def show(self, event: Event) -> None:
        """Write a line where the event is worth one."""
        if isinstance(event, GroupStarted):
            self.speed, self.n_steps, self.error = Speed(), event.n_steps, ""
            self.speed.read(event.first_step)
            self.next_line = time.monotonic() + PLAIN_LINE_SECONDS
            self._print(_started(event))
        elif isinstance(event, CurveMeasured):
            self.error = _mean_error(event.points)
        elif isinstance(event, Stepped) and time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + PLAIN_LINE_SECONDS
            step = event.progress.step
            speed = self.speed.read(step)
            left = duration((self.n_steps - step) / speed) if speed else "unknown time"
            self._print(
                f"  {step}/{self.n_steps} steps, {speed or 0:.1f} a second, {left} left, "
                f"{_state_of(event)}{self.error}"
            )
        elif isinstance(event, GroupFinished):
            for line in _finished(event):
                self._print(line)

    def close(self) -> None:
        """Do nothing: lines are complete."""

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Live:
    """Draws a bar for each group of replicas."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            refresh_per_second=2,
        )
        self.task: TaskID | None = None
        self.speed, self.error, self.next_refresh = Speed(), "", 0.0
        self.progress.start()

    def show(self, event: Event) -> None:
        """Update the bar of the group that trains."""
        if isinstance(event, GroupStarted):
            self.speed, self.error, self.next_refresh = Speed(), "", 0.0
            self.task = self.progress.add_task(
                _name(event.group), total=event.n_steps, completed=event.first_step, state="starting"
            )
        elif isinstance(event, CurveMeasured):
            self.error = _mean_error(event.points)
        elif isinstance(event, Stepped) and time.monotonic() >= self.next_refresh:
            assert self.task is not None
            self.next_refresh = time.monotonic() + LIVE_REFRESH_SECONDS
            speed = self.speed.read(event.progress.step)
            pace = f"{speed:.1f} steps/s, " if speed else ""
            self.progress.update(
                self.task, completed=event.progress.step, state=f"{pace}{_state_of(event)}{self.error}"
            )
        elif isinstance(event, GroupFinished):
            assert self.task is not None
            self.progress.update(self.task, completed=event.results[0].steps, state="done")
            for line in _finished(event):
                self.progress.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Stop drawing; the last state of the bars stays."""
        self.progress.stop()


def make_display(console: Console, quiet: bool) -> Display:
    """Return bars where they can be drawn, else plain lines, or nothing if `quiet`."""
    if quiet:
        return Quiet()
    live = console.is_terminal and not console.is_dumb_terminal and not console.no_color
    return Live(console) if live else Plain(console)


def duration(seconds: float) -> str:
    """Return a duration as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.0f} days"


def _name(group: Group) -> str:
    budgets = ", ".join(str(labels) for labels in sorted({replica.labels for replica in group.replicas}))
    seeds = sorted({replica.seed for replica in group.replicas})
    consecutive = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    listed = f"{seeds[0]}-{seeds[-1]}" if consecutive else ", ".join(map(str, seeds))
    return f"{group.model}, {budgets} labels, seed{'s' if len(seeds) > 1 else ''} {listed}"


def _started(event: GroupStarted) -> str:
    goes_on = f", going on from step {event.first_step}" if event.first_step else ""
    return f"{_name(event.group)}: {event.n_steps} steps{goes_on}"


def _finished(event: GroupFinished) -> list[str]:
    return [
        f"  {result.model}, {result.labels} labels, seed {result.seed}: "
        + (
            f"test error {result.test_error_percent:.2f} %"
            if result.test_error_percent is not None
            else f"diverged at step {result.diverged_step}"
        )
        for result in event.results
    ]


def _state_of(event: Stepped) -> str:
    """Return the mean costs over the replicas that have not diverged, and the margin; waits for the device."""
    costs, margin = event.progress.costs.ladder, event.progress.margin
    finite = costs.total.isfinite()
    n_diverged = int((~finite).sum())
    parts = [
        f"classification {costs.classification[finite].mean().item():.3g}",
        f"energy {costs.energy[finite].mean().item():.3g}",
        *([] if margin is None else [f"margin {margin:.3g}"]),
        *([f"{n_diverged} diverged"] if n_diverged else []),
    ]
    return ", ".join(parts)


def _mean_error(points: list[CurvePoint]) -> str:
    errors = [p.unlabeled_error_percent for p in points if p.unlabeled_error_percent is not None]
    return f", unlabelled error {sum(errors) / len(errors):.2f} %" if errors else ""
