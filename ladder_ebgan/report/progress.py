"""Progress of a run on stderr: live bars on a terminal, plain lines elsewhere."""

import time
from collections import deque
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ladder_ebgan.experiment import Event
from ladder_ebgan.group import CurveMeasured, GroupFinished, GroupStarted, Stepped
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


class Training:
    """A group that trains: what the display remembers of it."""

    def __init__(self, event: GroupStarted) -> None:
        self.name, self.n_steps = _name(event.group), event.n_steps
        self.speed, self.error = Speed(), ""
        self.next_look = 0.0  # when to look at its next step
        self.task: TaskID | None = None  # its bar


class Plain:
    """Writes a line now and then, for log files and dumb terminals: about as many for several groups as for one."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.training: dict[Group, Training] = {}

    def show(self, event: Event) -> None:
        """Write a line where the event is worth one."""
        if isinstance(event, GroupStarted):
            training = self.training[event.group] = Training(event)
            training.speed.read(event.first_step)
            training.next_look = self._next_look()
            self._print(_started(event))
        elif isinstance(event, CurveMeasured):
            self.training[event.group].error = _mean_error(event.points)
        elif isinstance(event, Stepped) and time.monotonic() >= self.training[event.group].next_look:
            self._print_step(event)
        elif isinstance(event, GroupFinished):
            del self.training[event.group]
            for line in _finished(event):
                self._print(line)

    def close(self) -> None:
        """Do nothing: lines are complete."""

    def _next_look(self) -> float:
        return time.monotonic() + PLAIN_LINE_SECONDS * len(self.training)

    def _print_step(self, event: Stepped) -> None:
        training, step = self.training[event.group], event.progress.step
        training.next_look = self._next_look()
        speed = training.speed.read(step)
        left = duration((training.n_steps - step) / speed) if speed else "unknown time"
        which = f"{training.name}: " if len(self.training) > 1 else ""
        self._print(
            f"  {which}{step}/{training.n_steps} steps, {speed or 0:.1f} a second, {left} left, "
            f"{_state_of(event)}{training.error}"
        )

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
        self.training: dict[Group, Training] = {}
        self.progress.start()

    def show(self, event: Event) -> None:
        """Update the bar of the group that the event is of."""
        if isinstance(event, GroupStarted):
            training = self.training[event.group] = Training(event)
            training.task = self.progress.add_task(
                training.name, total=event.n_steps, completed=event.first_step, state="starting"
            )
        elif isinstance(event, CurveMeasured):
            self.training[event.group].error = _mean_error(event.points)
        elif isinstance(event, Stepped) and time.monotonic() >= self.training[event.group].next_look:
            training = self.training[event.group]
            training.next_look = time.monotonic() + LIVE_REFRESH_SECONDS
            speed = training.speed.read(event.progress.step)
            pace = f"{speed:.1f} steps/s, " if speed else ""
            state = f"{pace}{_state_of(event)}{training.error}"
            self._update(training, completed=event.progress.step, state=state)
        elif isinstance(event, GroupFinished):
            self._update(self.training.pop(event.group), completed=event.results[0].steps, state="done")
            for line in _finished(event):
                self.progress.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Stop drawing; the last state of the bars stays."""
        self.progress.stop()

    def _update(self, training: Training, completed: int, state: str) -> None:
        assert training.task is not None
        self.progress.update(training.task, completed=completed, state=state)


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
