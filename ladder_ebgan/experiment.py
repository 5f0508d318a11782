"""A run from the request to the finished folder: what is trained, together with what, and how long it takes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ladder_ebgan import kernels
from ladder_ebgan.any_recipe import AnyRecipe
from ladder_ebgan.checkpoints import check_checkpoint, checkpoint_step
from ladder_ebgan.data import Dataset, check_budget, load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import as_utf8
from ladder_ebgan.gan.frame import framed_size
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.group import GroupEvent, GroupFinished
from ladder_ebgan.machine import Resolved, resolve, resolve_device, versions
from ladder_ebgan.planning import finished_replicas, plan_groups, total_seconds
from ladder_ebgan.processes import MEASURING_PAYS_REPLICA_STEPS, fastest_division, process_counts, replica_steps
from ladder_ebgan.runs import Group, Replica, RunFolder, open_run_folder, view_run_folder
from ladder_ebgan.timing import Phase, phase_of
from ladder_ebgan.trainer import Trainer
from ladder_ebgan.training import adversarial_steps
from ladder_ebgan.workers import Pool, worker_pool


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    recipe_name: str
    recipe: AnyRecipe
    data: str  # its name or path
    models: tuple[str, ...]
    labels: tuple[int, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...] = ()  # what was set beside the recipe's file; they are part of `recipe`
    device: str = "auto"
    precision: str = "auto"
    replicas_at_once: int | None = None  # None: chosen
    compiled: bool | None = None  # None: chosen
    n_processes: int | None = None  # None: chosen
    output: Path | None = None  # None: runs/<data>-<recipe>
    fresh: bool = False
    command: tuple[str, ...] = ()  # that asked for it, without the program's name
    dataset: Dataset | None = None  # the data, where that was read before the recipe or the budgets were chosen


@dataclass(frozen=True)
class Stopped:
    """The run was stopped before its end; a checkpoint holds what was done."""

    reason: str


Event = GroupEvent | Stopped


@dataclass(frozen=True)
class Experiment:
    """A request that was checked, with its folder open and everything resolved."""

    request: Request
    dataset: Dataset
    folder: RunFolder
    resolved: Resolved
    groups: list[Group]  # still to be trained
    trainer: Trainer | Pool
    # Of (replicas at once, which steps), as far as they were timed.
    step_seconds: dict[tuple[int, Phase], float] = field(default_factory=dict)

    @property
    def measured_now(self) -> bool:
        """Whether processes and threads were measured at this start, not at an earlier one."""
        return bool(self.resolved.measured) and len(self.folder.record["starts"]) == 1

    def run(self, stop_reason: Callable[[], str | None]) -> Iterator[Event]:
        """Train, evaluate and store all groups; stop with a checkpoint of each begun one if there is a reason.

        Raises:
            MachineError: a worker process has died.
        """
        n_finished = 0
        for event in self.trainer.train(self.groups, stop_reason):
            n_finished += isinstance(event, GroupFinished)
            yield event
        self.folder.sort_rows()
        if n_finished < len(self.groups):
            reason = stop_reason()
            assert reason is not None
            yield Stopped(reason)

    def steps_done(self, group: Group) -> int:
        """Return the step that a group to be trained goes on from: that of its checkpoint, or 0."""
        recorded = group in self.folder.groups
        return checkpoint_step(self.folder.checkpoint_path(group)) if recorded else 0

    def estimated_seconds(self) -> float:
        """Return how long the training still to be done will take, from a few timed steps of each kind."""
        seconds_of = self.step_seconds
        group_seconds = []
        for group in self.groups:
            settings = self.request.recipe.settings(group.model)
            done = self.steps_done(group)
            adversarial = max(0, adversarial_steps(settings) - done)
            alone = settings.n_steps - done - adversarial
            seconds = 0.0
            for n_steps, kind in ((alone, False), (adversarial, True)):
                if n_steps:
                    key = (len(group.replicas), phase_of(self.request.recipe, group.model, kind))
                    if key not in seconds_of:
                        seconds_of[key] = self.trainer.step_seconds(*key)
                    seconds += n_steps * seconds_of[key]
            group_seconds.append(seconds)
        return total_seconds(group_seconds, self.resolved.n_processes)


@contextmanager
def open_experiment(
    request: Request, notice: Callable[[str], None] = lambda _: None, dry_run: bool = False
) -> Iterator[Experiment]:
    """Check a request, load its data, open its folder and decide what is trained together.

    Args:
        request: what the user asked for.
        notice: told what is being done where that takes some seconds.
        dry_run: write nothing and take no lock; the experiment can be looked at and its steps be timed.

    Raises:
        UsageError: something in the request is wrong; nothing was written.
        MachineError: a worker process has died.
    """
    dataset = request.dataset or load_dataset(request.data)
    _check(request, dataset)
    resolved = _resolved(request, notice)
    description = _description(request, dataset, resolved)
    path = request.output or Path("runs") / f"{dataset.name}-{Path(request.recipe_name).stem}"
    with ExitStack() as stack:
        if dry_run:
            folder = view_run_folder(path, description, request.fresh)
        else:
            folder = stack.enter_context(open_run_folder(path, description, request.fresh))
        if not folder.record["starts"]:  # though there may be a record, of a start that was ended before it began
            folder.record["resolved"] = resolved.stored()
        resolved = resolved.kept(folder.record["resolved"])
        if not dry_run:
            _put_right(folder)
        if request.n_processes is None and not folder.record["starts"]:
            resolved = _with_fastest_processes(resolved, folder, request, dataset, notice)
            folder.record["resolved"] = resolved.stored()
        groups = _planned(folder, request, resolved)
        for group in set(groups) & set(folder.groups):
            check_checkpoint(folder.checkpoint_path(group), group.identity)
        if groups and not dry_run:
            _note_start(folder, request, resolved, groups)
        trainer: Trainer | Pool
        n_workers = min(resolved.n_processes, len(groups))
        if n_workers > 1:
            trainer = stack.enter_context(worker_pool(folder, request.recipe, dataset, resolved, n_workers))
        else:
            trainer = Trainer(folder, request.recipe, dataset, resolved)
        yield Experiment(request, dataset, folder, resolved, groups, trainer)


def _check(request: Request, dataset: Dataset) -> None:
    """Refuse label budgets, or models of images, that the data set is not made for."""
    recipe = request.recipe
    if isinstance(recipe, GANRecipe):
        if dataset.columns is not None:
            raise UsageError(
                f"the recipe {request.recipe_name} is of GANs of images, but {request.data!r} is a table"
            )
        for model in request.models:
            framed_size(dataset.image_shape, recipe.settings(model).padding)
    else:
        for budget in request.labels:
            check_budget(budget, dataset)


def _resolved(request: Request, notice: Callable[[str], None]) -> Resolved:
    longest_steps = max(request.recipe.settings(model).n_steps for model in request.models)
    on_cpu = resolve_device(request.device).type == "cpu"
    if request.compiled is not False and on_cpu and kernels.compiler() and not kernels.is_built():
        notice("Compiling for this processor, which takes ten seconds, once ...")
    return resolve(
        *(request.device, request.precision, request.replicas_at_once, request.compiled),
        longest_steps,
        request.n_processes,
    )


def _description(request: Request, dataset: Dataset, resolved: Resolved) -> dict[str, Any]:
    """Return what `run.json` says of the run from its first start on."""
    return {
        "identity": {
            "data": {"name": dataset.name, "fingerprint": dataset.fingerprint},
            "recipe": request.recipe.identity(),
            "precision": resolved.precision,
        },
        "image_shape": list(dataset.image_shape),
        **({"n_test": len(dataset.test_labels)} if dataset.test_rows is None else {}),
        **({"columns": list(dataset.columns.features)} if dataset.columns else {}),
        "resolved": resolved.stored(),
    }


def _planned(folder: RunFolder, request: Request, resolved: Resolved) -> list[Group]:
    replicas = [Replica(labels, seed) for labels in request.labels for seed in request.seeds]
    return plan_groups(folder, request.models, replicas, resolved.replicas_at_once, resolved.n_processes)


def _put_right(folder: RunFolder) -> None:
    """Do what a kill has prevented: remove the checkpoints of finished groups, put the rows in order."""
    finished = finished_replicas(folder)
    for group in folder.groups:
        if all((group.model, replica) in finished for replica in group.replicas):
            folder.remove_checkpoint(group)
    folder.sort_rows()


def _with_fastest_processes(
    resolved: Resolved, folder: RunFolder, request: Request, dataset: Dataset, notice: Callable[[str], None]
) -> Resolved:
    """Return `resolved` with the fastest division of a CPU's cores, where measuring it pays."""
    plans = {
        count: _planned(folder, request, replace(resolved, n_processes=count))
        for count in process_counts(resolved, len(request.models) * len(request.labels) * len(request.seeds))
    }
    if len(plans) < 2:
        return resolved
    if replica_steps(request.recipe, plans[1]) < MEASURING_PAYS_REPLICA_STEPS:
        small = dataset.columns is not None  # networks whose products are too small for a second thread
        return replace(resolved, n_processes=max(plans), n_threads=1) if small else resolved
    notice("Measuring how many processes use the cores of this machine best ...")
    with worker_pool(folder, request.recipe, dataset, resolved, max(plans)) as pool:
        return fastest_division(resolved, plans, request.recipe, pool.measure)


def _note_start(folder: RunFolder, request: Request, resolved: Resolved, groups: list[Group]) -> None:
    folder.record["starts"].append(
        {
            "command": list(map(as_utf8, request.command)),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "recipe_name": as_utf8(request.recipe_name),
            "overrides": list(request.overrides),
            "device": resolved.device_name,
            "versions": versions(),
        }
    )
    folder.add_groups(groups)
