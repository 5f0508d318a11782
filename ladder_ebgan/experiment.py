"""A run from the request to the finished folder: what is trained, together with what, and how long it takes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from ladder_ebgan._version import __version__
from ladder_ebgan.checkpoints import checkpoint_step
from ladder_ebgan.data import Dataset, check_budget, load_dataset
from ladder_ebgan.group import CurveMeasured, DeviceData, GroupJob, Stepped, load_onto
from ladder_ebgan.machine import Resolved, apply, resolve
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.results import Result
from ladder_ebgan.runs import Group, Replica, RunFolder, open_run_folder
from ladder_ebgan.timing import step_seconds
from ladder_ebgan.training import Functions, adversarial_steps


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    recipe_name: str
    recipe: Recipe
    data: str
    models: tuple[str, ...]
    labels: tuple[int, ...]
    seeds: tuple[int, ...]
    device: str = "auto"
    precision: str = "auto"
    replicas_at_once: int | None = None  # None: chosen
    compiled: bool | None = None  # None: chosen
    output: Path | None = None  # None: runs/<data>-<recipe>
    fresh: bool = False


@dataclass(frozen=True)
class GroupStarted:
    """A group begins, or goes on from `first_step`."""

    group: Group
    first_step: int
    n_steps: int


@dataclass(frozen=True)
class GroupFinished:
    """All replicas of a group are trained, evaluated and stored."""

    group: Group
    results: list[Result]


@dataclass(frozen=True)
class Stopped:
    """The run was stopped before its end; a checkpoint holds what was done."""

    reason: str


Event = GroupStarted | Stepped | CurveMeasured | GroupFinished | Stopped


@dataclass(frozen=True)
class Experiment:
    """A request that was checked, with its folder open and everything resolved."""

    request: Request
    folder: RunFolder
    dataset: Dataset
    resolved: Resolved
    groups: list[Group]  # still to be trained
    data: DeviceData
    functions: Functions

    def run(self, stop_reason: Callable[[], str | None]) -> Iterator[Event]:
        """Train, evaluate and store one group after the other; stop with a checkpoint if there is a reason."""
        for group in self.groups:
            if group not in self.folder.groups:
                self.folder.add_group(group)
            job = self._job(group)
            yield GroupStarted(group, job.state.step, job.settings.n_steps)
            yield from job.train(self.functions, stop_reason)
            reason = stop_reason()
            if job.state.step < job.settings.n_steps:
                assert reason is not None
                yield Stopped(reason)
                return
            yield GroupFinished(group, job.finish())
            if reason is not None and group != self.groups[-1]:
                yield Stopped(reason)
                return

    def estimated_seconds(self) -> float:
        """Return how long the training still to be done will take, from a few timed steps of each kind."""
        seconds_of: dict[tuple[int, bool], float] = {}
        total = 0.0
        for group in self.groups:
            settings = self.request.recipe.settings(group.model)
            done = checkpoint_step(self.folder.checkpoint_path(group))
            adversarial = max(0, adversarial_steps(settings) - done)
            alone = settings.n_steps - done - adversarial
            for n_steps, kind in ((alone, False), (adversarial, True)):
                key = (len(group.replicas), kind)
                if n_steps and key not in seconds_of:
                    seconds_of[key] = step_seconds(
                        self.request.recipe, *key, self.data, self.dataset.n_classes, self.resolved, self.functions
                    )
                total += n_steps * seconds_of.get(key, 0.0)
        return total

    def _job(self, group: Group) -> GroupJob:
        return GroupJob(self.folder, group, self.request.recipe, self.dataset, self.data, self.resolved)


@contextmanager
def open_experiment(request: Request) -> Iterator[Experiment]:
    """Check a request, load its data, open its folder and decide what is trained together.

    Raises:
        UsageError: something in the request is wrong; nothing was written.
    """
    dataset = load_dataset(request.data)
    longest_steps = max(request.recipe.settings(model).n_steps for model in request.models)
    for budget in request.labels:
        check_budget(budget, dataset)
    resolved = resolve(request.device, request.precision, request.replicas_at_once, request.compiled, longest_steps)
    description = {
        "identity": {
            "data": {"name": dataset.name, "fingerprint": dataset.fingerprint},
            "recipe": request.recipe.identity(),
            "precision": resolved.precision,
        },
        "image_shape": list(dataset.image_shape),
        "resolved": resolved.stored(),
    }
    path = request.output or Path("runs") / f"{dataset.name}-{Path(request.recipe_name).stem}"
    with open_run_folder(path, description, request.fresh) as folder:
        resolved = resolved.kept(folder.record["resolved"])
        apply(resolved)
        _remove_finished_checkpoints(folder)
        replicas = [Replica(labels, seed) for labels in request.labels for seed in request.seeds]
        groups = plan_groups(folder, request.models, replicas, resolved.replicas_at_once)
        if groups:
            _note_start(folder, request, resolved)
        functions = Functions.prepare(resolved.compiled)
        data = load_onto(resolved.device, dataset)
        yield Experiment(request, folder, dataset, resolved, groups, data, functions)


def plan_groups(
    folder: RunFolder, models: Sequence[str], replicas: Sequence[Replica], replicas_at_once: int
) -> list[Group]:
    """Return the unfinished groups that the request takes, in the order of the models.

    Groups begun earlier stay as they are, so that their checkpoints and their rounding stay valid; a request for
    one replica of such a group trains the whole group. The other replicas form new groups.
    """
    finished = _finished(folder)
    planned = []
    for model in models:
        begun = [group for group in folder.groups if group.model == model]
        taken = {replica for group in begun for replica in group.replicas}
        for group in begun:
            unfinished = any((model, replica) not in finished for replica in group.replicas)
            if unfinished and set(group.replicas) & set(replicas):
                planned.append(group)
        new = [replica for replica in replicas if replica not in taken]
        planned += [
            Group(model, tuple(new[start : start + replicas_at_once]))
            for start in range(0, len(new), replicas_at_once)
        ]
    return planned


def _finished(folder: RunFolder) -> set[tuple[str, Replica]]:
    return {(row.model, Replica(row.labels, row.seed)) for row in folder.results()}


def _remove_finished_checkpoints(folder: RunFolder) -> None:
    """Remove the checkpoints that a kill left behind after the results of their groups were stored."""
    finished = _finished(folder)
    for group in folder.groups:
        if all((group.model, replica) in finished for replica in group.replicas):
            folder.remove_checkpoint(group)


def _note_start(folder: RunFolder, request: Request, resolved: Resolved) -> None:
    folder.record["starts"].append(
        {
            "command": sys.argv[1:],
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "recipe_name": request.recipe_name,
            "device": resolved.device_name,
            "versions": {
                "ladder_ebgan": __version__,
                "torch": torch.__version__,
                "python": sys.version.split()[0],
            },
        }
    )
    folder.save_record()
