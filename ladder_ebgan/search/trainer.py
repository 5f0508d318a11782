"""The training of the batches of a search in one process, and what it says on the way."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from ladder_ebgan.data import Dataset
from ladder_ebgan.engine import Engine
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.scores import Scores
from ladder_ebgan.machine import Resolved, apply
from ladder_ebgan.search.batch import SettingsBatch, Stack
from ladder_ebgan.search.events import Candidate, Reported, Trained
from ladder_ebgan.search.gans import GANStack
from ladder_ebgan.search.ladders import LadderStack
from ladder_ebgan.search.space import GANSpace, Space

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class BatchBegun:
    """Settings begin to train, or go on."""

    batch: int  # its first trial
    trials: list[int]
    first_step: int
    n_steps: int


@dataclass(frozen=True)
class BatchTrained:
    """What a batch says of itself."""

    batch: int
    said: Trained


@dataclass(frozen=True)
class BatchEnded:
    """A batch has ended: finished, stopped, or without a setting that goes on."""

    batch: int


BatchEvent = BatchBegun | BatchTrained | BatchEnded


@dataclass(frozen=True)
class Task:
    """What a process needs to train batches."""

    folder: Path
    space: Space | GANSpace
    dataset: Dataset  # of classifiers with the validation images in the place of the test images
    resolved: Resolved


def stacking(task: Task) -> Callable[[list[Candidate]], Stack]:
    """Return what makes the stack of a batch, with the data on the device that all batches share."""
    space, resolved = task.space, task.resolved
    if isinstance(space, Space):
        return partial(LadderStack, space=space, engine=Engine.prepare(space.base(), task.dataset, resolved))
    scores = cache(partial(Scores, task.dataset, resolved.device))
    return partial(
        GANStack, space=space, engine=GANEngine.prepare(space.base(), task.dataset, resolved), scores=scores
    )


class BatchTrainer:
    """Trains batches in this process."""

    def __init__(self, task: Task) -> None:
        apply(task.resolved)
        self.task, self.stack = task, stacking(task)

    def train(
        self,
        candidates: list[Candidate],
        stop_reason: Callable[[], str | None],
        answer: Callable[[Reported], set[int]],
    ) -> Iterator[BatchEvent]:
        """Train one batch; `answer` says which of its settings go on after a report."""
        first = candidates[0].number
        batch = SettingsBatch(self.stack, candidates, self.task.folder / CHECKPOINTS / f"{first}.safetensors")
        stack, trials = batch.stack, [each.number for each in candidates if each.goes_on]
        yield BatchBegun(first, trials, stack.state.step, stack.n_steps)
        training: Generator[Trained, set[int] | None, None] = batch.train(stop_reason)
        kept: set[int] | None = None
        while True:
            try:
                said = training.send(kept)
            except StopIteration:
                yield BatchEnded(first)
                return
            yield BatchTrained(first, said)
            kept = answer(said) if isinstance(said, Reported) else None
