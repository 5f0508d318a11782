"""What a search shows on the way: a bar for each batch on a terminal, lines elsewhere."""

import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ladder_ebgan.report.lines import draws_in_place
from ladder_ebgan.report.phrases import duration
from ladder_ebgan.search.events import Finished, Reported, Scored, Stepped
from ladder_ebgan.search.gan_summary import best_first, gan_outcome
from ladder_ebgan.search.outcomes import outcome_of, ranked
from ladder_ebgan.search.search import Search, SearchEvent
from ladder_ebgan.search.space import Space
from ladder_ebgan.search.study import OBJECTIVE
from ladder_ebgan.search.trainer import BatchBegun, BatchEnded, BatchTrained

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

LINE_SECONDS = 30.0  # between lines that say how far a batch is, where there are no bars


class SearchDisplay:
    """Shows the events of a search on stderr.

    Args:
        console: of stderr.
        search: what is shown.
        quiet: show nothing.
    """

    def __init__(self, console: "Console", search: Search, quiet: bool) -> None:
        self.console, self.search, self.quiet = console, search, quiet
        self.begun: dict[int, tuple[BatchBegun, float]] = {}
        self.started = self.last_line = time.monotonic()
        self.n_known_at_start = self._n_known()
        self.bars: Progress | None = None
        self.tasks: dict[int, TaskID] = {}
        if not quiet:
            self._say(self._opening())
            if draws_in_place(console):
                self.bars = _bars(console)
                self.bars.start()

    def close(self) -> None:
        """End the display."""
        if self.bars is not None:
            self.bars.stop()

    def show(self, event: SearchEvent) -> None:
        """Show an event."""
        if self.quiet:
            return
        if isinstance(event, BatchBegun):
            self._begin(event)
        elif isinstance(event, BatchEnded) and self.bars is not None:
            self.bars.remove_task(self.tasks.pop(event.batch))
        elif isinstance(event, BatchTrained):
            if isinstance(event.said, Stepped):
                self._step(event.batch, event.said.step)
            elif isinstance(event.said, Finished):
                self._finish(event.said)
            elif isinstance(event.said, Scored):
                self._score(event.said)
            elif isinstance(event.said, Reported):
                self._report(event.batch, event.said)

    def _opening(self) -> str:
        search = self.search
        space, resolved = search.request.space, search.task.resolved
        n_processes, n_known = resolved.n_processes, len(search.study.wanted)
        processes = f"{n_processes} processes with " if n_processes > 1 else ""
        there = f", {n_known} of them begun earlier" if n_known else ""
        each = (
            f", each on {space.n_subsets} labelled subsets of {space.labels} images"
            if isinstance(space, Space)
            else ""
        )
        return (
            f"{search.study.n_wanted} settings{there}{each}; {search.trials_at_once} at once, "
            f"{processes}{resolved.device_name}"
        )

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _begin(self, event: BatchBegun) -> None:
        self.begun[event.batch] = event, time.monotonic()
        if self.bars is not None:
            name = f"settings {_numbers(event.trials)}"
            self.tasks[event.batch] = self.bars.add_task(name, total=event.n_steps, completed=event.first_step)
            return
        going_on = f", going on from step {event.first_step}" if event.first_step else ""
        self._say(f"settings {_numbers(event.trials)}: {event.n_steps} steps{going_on}")

    def _step(self, batch: int, step: int) -> None:
        if self.bars is not None:
            self.bars.update(self.tasks[batch], completed=step)
        elif time.monotonic() - self.last_line > LINE_SECONDS:
            self.last_line = time.monotonic()
            event, started = self.begun[batch]
            speed = (step - event.first_step) / (self.last_line - started)
            left = duration((event.n_steps - step) / speed) if speed else "?"
            self._say(f"  settings {_numbers(event.trials)}: {step}/{event.n_steps} steps, {left} left")

    def _report(self, batch: int, report: Reported) -> None:
        if self.bars is None:
            errors = ", ".join(f"{number}: {_mean(errors)}" for number, errors in report.errors.items())
            self._say(f"  step {report.step}, validation error of {errors}")

    def _finish(self, finished: Finished) -> None:
        for number, errors in finished.errors.items():
            self._say(f"setting {number}: validation error {_mean(errors)}")
        trials = self.search.study.trials
        best = ranked([outcome_of(trial, finished.n_steps) for trial in trials])
        if best:
            self._say(
                f"best so far: setting {best[0].trial} with {best[0].mean:.2f} %: {' '.join(best[0].settings)}"
            )

    def _score(self, scored: Scored) -> None:
        for number, scores in scored.scores.items():
            step = scored.diverged.get(number)
            said = f"diverged at step {step}" if step is not None else f"I' {scores[OBJECTIVE]:.3f}"
            self._say(f"setting {number}: {said}")
        n_known, n_wanted = self._n_known(), self.search.study.n_wanted
        so_far = f"{n_known} settings known of {n_wanted}"
        if self.n_known_at_start < n_known < n_wanted:
            each = (time.monotonic() - self.started) / (n_known - self.n_known_at_start)
            so_far += f", about {duration(each * (n_wanted - n_known))} left"
        best = best_first(gan_outcome(trial) for trial in self.search.study.wanted)
        if best:
            so_far += (
                f"; best so far: setting {best[0].trial} with {best[0].score:.3f}: {' '.join(best[0].settings)}"
            )
        self._say(so_far)

    def _n_known(self) -> int:
        return sum(trial.state.is_finished() for trial in self.search.study.wanted)


def _bars(console: "Console") -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _numbers(trials: Iterable[int]) -> str:
    return ", ".join(map(str, trials))


def _mean(errors: list[float]) -> str:
    mean = sum(errors) / len(errors)
    return "diverged" if math.isnan(mean) else f"{mean:.2f} %"
