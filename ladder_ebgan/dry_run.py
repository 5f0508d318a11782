"""What a run would do: what it would train, on what, for how long, and how much disk it would take."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ladder_ebgan.disk import ReplicaBytes, replica_bytes
from ladder_ebgan.experiment import Experiment
from ladder_ebgan.folders import files_bytes
from ladder_ebgan.group import GroupStarted
from ladder_ebgan.planning import finished_replicas
from ladder_ebgan.runs import RUN_FILES, TRAINED_FILES, Replica
from ladder_ebgan.system import free_bytes

FolderState = Literal["new", "goes on", "started anew"]


@dataclass(frozen=True)
class ModelPlan:
    """What is asked for of one model, and what of it is left to do."""

    model: str
    n_steps: int  # of each replica
    n_asked: int  # replicas
    n_finished: int  # of those asked for; they are kept
    n_left: int  # to be trained; also what shares a group, begun earlier, with what is asked for
    n_groups: int  # that these form
    replica_steps: int  # of all of them together, still to be made


@dataclass(frozen=True)
class DryRun:
    """A run that was planned; nothing of it is written or trained."""

    experiment: Experiment
    folder_state: FolderState
    models: list[ModelPlan]
    groups: list[GroupStarted]  # in the order in which they begin, each with the step that it goes on from
    seconds: float  # that training takes, going by a few timed steps
    finished_bytes: int  # of the folder when all is done
    checkpoint_bytes: int  # more than that, at most, while it trains
    replaced_bytes: int  # of both, what is there already, or with --fresh was there before
    free_bytes: int | None

    @property
    def replica_steps(self) -> int:
        """Steps of all replicas together, still to be made."""
        return sum(plan.replica_steps for plan in self.models)


def plan_run(experiment: Experiment) -> DryRun:
    """Return the plan of an experiment that was opened as a dry run; times a few steps of each kind."""
    folder, recipe = experiment.folder, experiment.request.recipe
    recorded = {(group.model, replica) for group in folder.groups for replica in group.replicas}
    kept = recorded & finished_replicas(folder)
    groups = [
        GroupStarted(group, experiment.steps_done(group), recipe.settings(group.model).n_steps)
        for group in experiment.groups
    ]
    new_bytes, checkpoint_bytes = _disk(experiment)
    fresh = experiment.request.fresh
    checkpoints = [str(folder.checkpoint_path(group).relative_to(folder.path)) for group in experiment.groups]
    kept_bytes = 0 if fresh else files_bytes(folder.path, TRAINED_FILES)
    return DryRun(
        experiment=experiment,
        folder_state=_folder_state(experiment),
        models=[_model_plan(experiment, model, kept, groups) for model in experiment.request.models],
        groups=groups,
        seconds=experiment.estimated_seconds(),
        finished_bytes=kept_bytes + new_bytes,
        checkpoint_bytes=checkpoint_bytes,
        replaced_bytes=files_bytes(folder.path, RUN_FILES if fresh else [*TRAINED_FILES, *checkpoints]),
        free_bytes=free_bytes(folder.path),
    )


def _folder_state(experiment: Experiment) -> FolderState:
    if not (experiment.folder.path / "run.json").exists():
        return "new"
    return "started anew" if experiment.request.fresh else "goes on"


def _model_plan(
    experiment: Experiment, model: str, kept: set[tuple[str, Replica]], groups: list[GroupStarted]
) -> ModelPlan:
    request = experiment.request
    asked = {(model, Replica(labels, seed)) for labels in request.labels for seed in request.seeds}
    mine = [started for started in groups if started.group.model == model]
    return ModelPlan(
        model=model,
        n_steps=request.recipe.settings(model).n_steps,
        n_asked=len(asked),
        n_finished=len(asked & kept),
        n_left=sum(len(started.group.replicas) for started in mine),
        n_groups=len(mine),
        replica_steps=sum(len(s.group.replicas) * (s.n_steps - s.first_step) for s in mine),
    )


def _disk(experiment: Experiment) -> tuple[int, int]:
    """Return the bytes that training leaves, and those of the checkpoints of groups that train at the same time."""

    def total(replicas: set[tuple[str, Replica]], part: Callable[[ReplicaBytes], int]) -> int:
        recipe, dataset = experiment.request.recipe, experiment.dataset
        return sum(part(replica_bytes(recipe, model, replica.labels, dataset)) for model, replica in replicas)

    groups = [{(group.model, replica) for replica in group.replicas} for group in experiment.groups]
    checkpoints = sorted(total(group, lambda replica: replica.checkpoint) for group in groups)
    largest = checkpoints[-experiment.resolved.n_processes :]
    being_written = max(largest, default=0)  # beside the one that it replaces
    return sum(total(group, lambda replica: replica.finished) for group in groups), sum(largest) + being_written
