"""Groups of replicas trained one after the other, in this process."""

from collections.abc import Callable, Iterator, Sequence

from ladder_ebgan.any_recipe import AnyRecipe
from ladder_ebgan.data import Dataset
from ladder_ebgan.engine import Engine
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.gan.task import GANTask
from ladder_ebgan.group import GroupEvent, GroupJob, Task
from ladder_ebgan.ladder_task import LadderTask
from ladder_ebgan.machine import Resolved, apply
from ladder_ebgan.runs import Group, RunFolder
from ladder_ebgan.timing import Phase, step_seconds


class Trainer:
    """Trains the groups of a run folder that fall to this process, which it sets up as resolved."""

    def __init__(self, folder: RunFolder, recipe: AnyRecipe, dataset: Dataset, resolved: Resolved) -> None:
        apply(resolved)
        self.folder = folder
        self.engine: Engine | GANEngine
        if isinstance(recipe, GANRecipe):
            self.engine = GANEngine.prepare(recipe, dataset, resolved)
        else:
            self.engine = Engine.prepare(recipe, dataset, resolved)

    def train(self, groups: Sequence[Group], stop_reason: Callable[[], str | None]) -> Iterator[GroupEvent]:
        """Train, evaluate and store one group after the other; stop with a checkpoint if there is a reason."""
        for group in groups:
            yield from GroupJob(self.folder, group, self._task(group)).run(stop_reason)
            if stop_reason() is not None:
                return

    def _task(self, group: Group) -> Task:
        engine = self.engine
        return GANTask(group, engine) if isinstance(engine, GANEngine) else LadderTask(group, engine)

    def step_seconds(self, n_replicas: int, phase: Phase) -> float:
        """Return the mean time of a step of `n_replicas` replicas at once."""
        return step_seconds(self.engine, n_replicas, phase)
