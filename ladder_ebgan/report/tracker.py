"""What is known of a run while it goes on: how far each group is, how fast, at what cost, and what has come out.

The costs of a step are on the device, and to read them is to wait for it. `Tracker.look` does that, for a display
that is about to show them; nothing else here does.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from ladder_ebgan.alarms import Alarm, Watch
from ladder_ebgan.experiment import Experiment, Stopped
from ladder_ebgan.gan.training import GANCosts
from ladder_ebgan.group import CurveMeasured, GroupFinished, GroupStarted, Stepped
from ladder_ebgan.planning import total_seconds
from ladder_ebgan.results import CurvePoint, Result
from ladder_ebgan.runs import Group, Replica
from ladder_ebgan.timing import Phase, phase_of
from ladder_ebgan.training import StepCosts, adversarial_steps

SPEED_SECONDS = 60.0  # that a speed is over, so that curve points and checkpoints have their share in it

WAITING, STARTING, TRAINING, TESTING = "waiting", "starting", "training", "testing"
DONE, STOPPED = "done", "stopped"
ACTIVE = {STARTING, TRAINING, TESTING}


@dataclass(frozen=True)
class Planned:
    """A group before it starts."""

    group: Group
    first_step: int  # what its checkpoint has
    n_steps: int
    adversarial_steps: int
    alone: Phase  # what its steps are timed as without a generator
    against: Phase  # and with one


@dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    groups: tuple[Planned, ...]
    results: tuple[Result, ...] = ()  # of earlier starts
    n_processes: int = 1
    step_seconds: Mapping[tuple[int, Phase], float] = field(default_factory=dict)  # as `Experiment.step_seconds`
    points: tuple[CurvePoint, ...] = ()  # of the learning curves, as far as they are not measured again


def plan_of(experiment: Experiment) -> Plan:
    """Return what an experiment is about to do."""
    groups, points, history = [], list[CurvePoint](), experiment.folder.history()
    for group in experiment.groups:
        recipe = experiment.request.recipe
        settings, first_step = recipe.settings(group.model), experiment.steps_done(group)
        phases = (phase_of(recipe, group.model, adversarial) for adversarial in (False, True))
        groups.append(Planned(group, first_step, settings.n_steps, adversarial_steps(settings), *phases))
        points += [point for point in history if group.has(point) and point.step <= first_step]
    results, n_processes = experiment.folder.results(), experiment.resolved.n_processes
    return Plan(tuple(groups), tuple(results), n_processes, experiment.step_seconds, tuple(points))


class Costs(NamedTuple):
    """Costs of a replica, or their means over several; None where there is none."""

    classification: float | None
    denoising: float | None
    energy_real: float | None
    energy_generated: float | None  # this and the next without a generator too
    open_hinges_percent: float | None


def point_costs(point: CurvePoint) -> Costs:
    """Return the costs of a curve point."""
    energies = point.energy_real, point.energy_generated, point.open_hinges_percent
    return Costs(point.classification_cost, point.denoising_cost, *energies)


def mean_costs(costs: Iterable[Costs]) -> Costs:
    """Return the means of the costs that there are."""
    rows = list(costs)
    return Costs(*(_mean(row[i] for row in rows) for i in range(len(Costs._fields))))


class Speed:
    """Steps per second of this process over the last minute, or since the last look if that is longer ago."""

    def __init__(self) -> None:
        self.readings: deque[tuple[float, int]] = deque()
        self.adversarial: bool | None = None

    def read(self, now: float, step: int, adversarial: bool) -> float | None:
        """Note a step, with a generator or without; None until there are two readings of its kind."""
        if adversarial is not self.adversarial:
            self.readings.clear()
            self.adversarial = adversarial
        self.readings.append((now, step))
        while len(self.readings) > 2 and now - self.readings[1][0] >= SPEED_SECONDS:
            self.readings.popleft()
        first_time, first_step = self.readings[0]
        return (step - first_step) / (now - first_time) if now > first_time else None


class GroupProgress:
    """How far a group is, and what its last look and its last curve point have shown."""

    def __init__(self, planned: Planned) -> None:
        self.group, self.n_steps = planned.group, planned.n_steps
        self.adversarial_steps = planned.adversarial_steps
        self.phases = {False: planned.alone, True: planned.against}
        self.step, self.status = planned.first_step, WAITING
        self.speed = Speed()
        self.steps_per_second: float | None = None
        self.margin: float | None = None
        self.costs: dict[Replica, Costs] = {}  # of the replicas that have not diverged
        self.diverged: set[Replica] = set()
        self.errors: dict[Replica, float] = {}  # on unlabelled images, in percent
        self.next_look = -math.inf  # when a display will look at it again

    def budgets(self) -> list[int]:
        """Return the label budgets of its replicas."""
        return sorted({replica.labels for replica in self.group.replicas})

    def mean_costs(self, labels: int | None = None) -> Costs:
        """Return the means over all its replicas, or over those of one budget."""
        return mean_costs(cost for replica, cost in self.costs.items() if labels in {None, replica.labels})

    def unlabeled_error(self, labels: int | None = None) -> float | None:
        """Return the mean error of the last curve points, in percent, of all replicas or those of one budget."""
        return _mean(error for replica, error in self.errors.items() if labels in {None, replica.labels})

    def n_diverged(self, labels: int | None = None) -> int:
        """Return how many replicas, all in all or of one budget, have diverged."""
        return sum(labels in {None, replica.labels} for replica in self.diverged)


class Tracker:
    """Follows the events of a run."""

    def __init__(self, plan: Plan, clock: Callable[[], float]) -> None:
        self.clock, self.began = clock, clock()
        self.groups = {planned.group: GroupProgress(planned) for planned in plan.groups}
        self.results: dict[tuple[str, int], list[Result]] = {}  # by model and labels, as they come
        self.n_processes = plan.n_processes
        self.step_seconds = dict(plan.step_seconds)  # by number of replicas and phase
        self.watch = Watch()
        self.watch.take(plan.points)
        self._add(plan.results)

    def take(self, event: GroupStarted | CurveMeasured | GroupFinished | Stopped) -> list[Alarm]:
        """Take note of an event, and return the alarms that it raises."""
        if isinstance(event, GroupStarted):
            progress = self.groups[event.group]
            progress.step, progress.status = event.first_step, STARTING
        elif isinstance(event, CurveMeasured):
            self.groups[event.group].errors |= {
                Replica(point.labels, point.seed): point.unlabeled_error_percent
                for point in event.points
                if point.unlabeled_error_percent is not None
            }
            return self.watch.take(event.points)
        elif isinstance(event, GroupFinished):
            self.groups[event.group].status = DONE
            self._add(event.results)
        else:
            for progress in self.active():
                progress.status = STOPPED
        return []

    def look(self, event: Stepped) -> None:
        """Read what a step has come to; waits for the device, so that the clock shows when that was."""
        progress, it = self.groups[event.group], event.progress
        replicas = event.group.replicas
        costs = dict(zip(replicas, _read(it.costs), strict=True))
        progress.costs = {replica: cost for replica, cost in costs.items() if cost is not None}
        progress.diverged = set(replicas) - progress.costs.keys()
        progress.step, progress.margin = it.step, it.margin
        progress.status = TESTING if it.step == progress.n_steps else TRAINING
        adversarial = it.margin is not None
        kind = (len(replicas), progress.phases[adversarial])
        speed = progress.speed.read(self.clock(), it.step, adversarial)
        if speed:
            self.step_seconds[kind] = 1 / speed
        progress.steps_per_second = 1 / self.step_seconds[kind] if kind in self.step_seconds else None

    def active(self) -> list[GroupProgress]:
        """Return the groups that train now."""
        return [progress for progress in self.groups.values() if progress.status in ACTIVE]

    def count(self, status: str) -> int:
        """Return how many groups have a status."""
        return sum(progress.status == status for progress in self.groups.values())

    def seconds_left(self, progress: GroupProgress) -> float | None:
        """Return how long a group will still train; None where no such step has been timed yet."""
        n_left = progress.n_steps - progress.step
        n_adversarial = min(n_left, max(0, progress.adversarial_steps - progress.step))
        seconds = 0.0
        for n_steps, adversarial in ((n_adversarial, True), (n_left - n_adversarial, False)):
            if n_steps:
                kind = (len(progress.group.replicas), progress.phases[adversarial])
                seconds += n_steps * self.step_seconds.get(kind, math.nan)
        return None if math.isnan(seconds) else seconds

    def run_seconds_left(self) -> float | None:
        """Return when the last group will have been trained; None where that of one of them is not known."""
        waiting = [progress for progress in self.groups.values() if progress.status == WAITING]
        lefts = [self.seconds_left(progress) for progress in [*self.active(), *waiting]]
        known = [left for left in lefts if left is not None]
        return total_seconds(known, self.n_processes) if len(known) == len(lefts) else None

    def _add(self, results: list[Result] | tuple[Result, ...]) -> None:
        for result in results:
            self.results.setdefault((result.model, result.labels), []).append(result)


def _read(costs: StepCosts | GANCosts) -> list[Costs | None]:
    """Return the costs of each replica, None where one is not finite: one transfer from the device."""
    known = {name: cost for name, cost in zip(Costs._fields, costs.shown, strict=True) if cost is not None}
    rows = torch.stack([costs.total, *known.values()], dim=1).tolist()
    return [
        _costs_of(dict(zip(known, row[1:], strict=True))) if all(map(math.isfinite, row)) else None for row in rows
    ]


def _costs_of(values: dict[str, float]) -> Costs:
    """Return costs by their names; of the open hinges there is a share, and the others are None."""
    costs = Costs(**dict.fromkeys(Costs._fields) | values)
    share = costs.open_hinges_percent
    return costs._replace(open_hinges_percent=None if share is None else 100 * share)


def _mean(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if known else None
