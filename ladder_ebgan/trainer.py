"""Groups of replicas trained one after the other, in this process."""

from collections.abc import Callable, Iterator, Sequence

from ladder_ebgan.data import Dataset
from ladder_ebgan.engine import Engine
from ladder_ebgan.group import GroupEvent, GroupJob
from ladder_ebgan.machine import Resolved, apply
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.runs import Group, RunFolder
from ladder_ebgan.timing import step_seconds


class Trainer:
    """Trains the groups of a run folder that fall to this process, which it sets up as resolved."""

    def __init__(self, folder: RunFolder, recipe: Recipe, dataset: Dataset, resolved: Resolved) -> None:
        apply(resolved)
        self.folder, self.engine = folder, Engine.prepare(recipe, dataset, resolved)

    def train(self, groups: Sequence[Group], stop_reason: Callable[[], str | None]) -> Iterator[GroupEvent]:
        """Train, evaluate and store one group after the other; stop with a checkpoint if there is a reason."""
        for group in groups:
            yield from GroupJob(self.folder, group, self.engine).run(stop_reason)
            if stop_reason() is not None:
                return

    def step_seconds(self, n_replicas: int, adversarial: bool) -> float:
        """Return the mean time of a step of `n_replicas` replicas at once."""
        return step_seconds(self.engine, n_replicas, adversarial)
