"""Groups of replicas trained one after the other, in this process."""

from collections.abc import Callable, Iterator, Sequence

from ladder_ebgan.data import Dataset
from ladder_ebgan.group import GroupEvent, GroupJob, load_onto
from ladder_ebgan.machine import Resolved, apply
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.runs import Group, RunFolder
from ladder_ebgan.timing import step_seconds
from ladder_ebgan.training import Functions


class Trainer:
    """What all groups of a process share: the data on the device and the functions of a step."""

    def __init__(self, folder: RunFolder, recipe: Recipe, dataset: Dataset, resolved: Resolved) -> None:
        apply(resolved)
        self.folder, self.recipe, self.dataset, self.resolved = folder, recipe, dataset, resolved
        self.functions = Functions.prepare(resolved.compiled, resolved.device)
        self.data = load_onto(resolved.device, dataset)

    def train(self, groups: Sequence[Group], stop_reason: Callable[[], str | None]) -> Iterator[GroupEvent]:
        """Train, evaluate and store one group after the other; stop with a checkpoint if there is a reason."""
        for group in groups:
            job = GroupJob(self.folder, group, self.recipe, self.dataset, self.data, self.resolved, self.functions)
            yield from job.run(stop_reason)
            if stop_reason() is not None:
                return

    def step_seconds(self, n_replicas: int, adversarial: bool) -> float:
        """Return the mean time of a step of `n_replicas` replicas at once."""
        n_classes = self.dataset.n_classes
        return step_seconds(
            self.recipe, n_replicas, adversarial, self.data, n_classes, self.resolved, self.functions
        )
