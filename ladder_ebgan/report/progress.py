"""Progress of a run as plain lines now and then, for log files and dumb terminals."""

import time
from collections.abc import Callable, Iterator

from rich.console import Console

from ladder_ebgan.experiment import Event
from ladder_ebgan.group import GroupStarted, Stepped
from ladder_ebgan.report.phrases import alarm_line, cost_phrases, duration, event_lines, group_name, started_line
from ladder_ebgan.report.tracker import DONE, STARTING, GroupProgress, Plan, Tracker

LINE_SECONDS = 30.0  # between lines at first
LINE_SHARE = 0.02  # of the time so far, between lines later: a day takes some three hundred of them
LONGEST_LINE_SECONDS = 600.0


class Plain:
    """Writes a line now and then: about as many for several groups side by side as for one."""

    def __init__(
        self, console: Console, plan: Plan, verbose: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console, self.verbose, self.clock = console, verbose, clock
        self.tracker = Tracker(plan, clock)

    def show(self, event: Event) -> None:
        """Write a line where the event is worth one."""
        if isinstance(event, Stepped):
            progress = self.tracker.groups[event.group]
            if self.clock() >= progress.next_look:
                first = progress.status == STARTING
                self.tracker.look(event)
                if not first:  # that is for the speed, which has to begin somewhere
                    self._print(self._step_line(progress))
                self._wait(progress)
            return
        alarms = self.tracker.take(event)
        if isinstance(event, GroupStarted):
            self._print(started_line(event))
        for line in (*event_lines(event, self.verbose), *map(alarm_line, alarms)):
            self._print(line)

    def close(self) -> None:
        """Do nothing: lines are complete."""

    def _wait(self, progress: GroupProgress) -> None:
        now = self.clock()
        pause = min(max(LINE_SECONDS, LINE_SHARE * (now - self.tracker.began)), LONGEST_LINE_SECONDS)
        progress.next_look = now + pause * len(self.tracker.active())

    def _step_line(self, progress: GroupProgress) -> str:
        tracker, speed = self.tracker, progress.steps_per_second
        which = f"{group_name(progress.group)}: " if len(tracker.active()) > 1 else ""
        parts = [
            f"{progress.step}/{progress.n_steps} steps",
            *([f"{speed:.1f} a second"] if speed else []),
            *self._left(progress),
            *cost_phrases(progress.mean_costs(), progress.margin, progress.unlabeled_error()),
            *([f"{progress.n_diverged()} diverged"] if progress.n_diverged() else []),
        ]
        return f"  {which}{', '.join(parts)}"

    def _left(self, progress: GroupProgress) -> Iterator[str]:
        left, all_left = self.tracker.seconds_left(progress), self.tracker.run_seconds_left()
        if left is not None:
            several = len(self.tracker.groups) - self.tracker.count(DONE) > 1
            yield f"{duration(left)} left" + (f" ({duration(all_left)} for all)" if several and all_left else "")

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
