"""The training of one group of replicas inside a run: its events, its checkpoints, its learning curves."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ladder_ebgan.checkpoints import Pace, checkpoint_bytes, restore
from ladder_ebgan.gan.training import GANProgress, GANState
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result
from ladder_ebgan.runs import Group, RunFolder
from ladder_ebgan.training import Progress, State


@dataclass(frozen=True)
class GroupStarted:
    """A group begins, or goes on from `first_step`."""

    group: Group
    first_step: int
    n_steps: int


@dataclass(frozen=True)
class Stepped:
    """A group has made a step."""

    group: Group
    progress: Progress | GANProgress


@dataclass(frozen=True)
class CurveMeasured:
    """Points of the learning curves, one a replica."""

    group: Group
    points: list[CurvePoint]


@dataclass(frozen=True)
class GroupFinished:
    """All replicas of a group are trained, evaluated and stored."""

    group: Group
    results: list[Result]


GroupEvent = GroupStarted | Stepped | CurveMeasured | GroupFinished


class Task(Protocol):
    """What depends on the kind of model that a group trains: its state, its steps, what is measured and kept."""

    n_steps: int
    curve_every_steps: int

    @property
    def state(self) -> State | GANState:
        """What training changes."""

    def train(self) -> Iterator[Any]:
        """Train from the state's step to the end, yielding progress; the caller may stop at any."""

    def curve_points(self, progress: Any) -> list[CurvePoint]:
        """Return points of the learning curves, one a replica."""

    def energy_histograms(self, progress: Any) -> list[EnergyHistogram]:
        """Return the energies of that step, one row a replica; none without a generator and energies."""

    def finish(self, folder: RunFolder) -> list[Result]:
        """Evaluate, and store what stays of each replica, but for its result."""


class GroupJob:
    """The training of one group, and what is written to the run folder on the way."""

    def __init__(self, folder: RunFolder, group: Group, task: Task) -> None:
        self.folder, self.group, self.task, self.state = folder, group, task, task.state
        path = folder.checkpoint_path(group)
        if path.exists():
            restore(self.state, path, group.identity)
        folder.cut_history(group, self.state.step)

    def run(self, stop_reason: Callable[[], str | None]) -> Iterator[GroupEvent]:
        """Train; evaluate and store if that came to the end."""
        yield GroupStarted(self.group, self.state.step, self.task.n_steps)
        yield from self.train(stop_reason)
        if self.state.step == self.task.n_steps:
            results = self.task.finish(self.folder)
            self.folder.add_results(results)
            self.folder.remove_checkpoint(self.group)
            yield GroupFinished(self.group, results)

    def train(self, stop_reason: Callable[[], str | None]) -> Iterator[Stepped | CurveMeasured]:
        """Train to the end, or until there is a reason to stop; a checkpoint is left then."""
        pace, began = Pace(), time.monotonic() - self.state.seconds
        for progress in self.task.train():
            yield Stepped(self.group, progress)
            if progress.step == self.task.n_steps or progress.step % self.task.curve_every_steps == 0:
                points = self.task.curve_points(progress)
                self.folder.append_history(points, self.task.energy_histograms(progress))
                yield CurveMeasured(self.group, points)
            stopping = stop_reason() is not None
            self.state.seconds = time.monotonic() - began
            if stopping or pace.is_due():
                with pace.writing():
                    self.folder.save_checkpoint(self.group, checkpoint_bytes(self.state, self.group.identity))
            if stopping:
                return
