"""The training of the batches of a search in one process, and what it says on the way."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from ladder_ebgan.data import Dataset
from ladder_ebgan.engine import Engine
from ladder_ebgan.machine import Resolved, apply
from ladder_ebgan.search.batch import Candidate, Reported, SettingsBatch, Trained
from ladder_ebgan.search.space import Space

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
    space: Space
    dataset: Dataset  # with the validation images in the place of the test images
    resolved: Resolved


class BatchTrainer:
    """Trains batches in this process."""

    def __init__(self, task: Task) -> None:
        apply(task.resolved)
        self.task, self.engine = task, Engine.prepare(task.space.base(), task.dataset, task.resolved)

    def train(
        self,
        candidates: list[Candidate],
        stop_reason: Callable[[], str | None],
        answer: Callable[[Reported], set[int]],
    ) -> Iterator[BatchEvent]:
        """Train one batch; `answer` says which of its settings go on after a report."""
        space, first = self.task.space, candidates[0].number
        checkpoint = self.task.folder / CHECKPOINTS / f"{first}.safetensors"
        batch = SettingsBatch(
            *(candidates, space.model, space.labels, space.seeds, self.engine),
            space.report_every_steps,
            checkpoint,
        )
        yield BatchBegun(first, [each.number for each in candidates], batch.state.step, batch.n_steps)
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
