"""Several processes, each training a batch of settings; the process that starts them holds the study.

Messages are those of `ladder_ebgan.workers`, and one more: a worker that sends an EVENT with a report waits for
KEEP, the numbers of the trials that go on.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection

from ladder_ebgan.search.events import Candidate, Reported, Stepped
from ladder_ebgan.search.trainer import BatchEvent, BatchTrained, BatchTrainer, Task
from ladder_ebgan.workers import (
    EVENT,
    IDLE,
    STOP,
    TRAIN,
    Starter,
    failures_told,
    started_workers,
    with_fewer_steps,
    with_messages,
)

KEEP = "keep"
COMMAND = (sys.executable, "-P", "-c", "from ladder_ebgan.search.workers import main; main()")


def pool_events(
    task: Task,
    batches: Iterator[list[Candidate]],
    stop_reason: Callable[[], str | None],
    answer: Callable[[Reported], set[int]],
    note: Callable[[BatchEvent], None],
) -> Iterator[BatchEvent]:
    """Train batches, each worker the next one as soon as it is free.

    If there is a reason to stop, or a worker fails, every worker leaves a checkpoint first.

    Args:
        task: of all workers.
        batches: the settings of each batch; the next one is asked for when a worker is free.
        stop_reason: says why to stop, if there is a reason.
        answer: says which settings go on after a report.
        note: is given each event before it is yielded.

    Raises:
        MachineError: a worker has died.
        Exception: what ended the work of a worker.
    """
    with started_workers(task.resolved.n_processes, task, COMMAND) as workers:
        busy, stopping = list(workers), False
        failures: list[Exception] = []
        while busy:
            if not stopping and (failures or stop_reason() is not None):
                stopping = True
                for worker in busy:
                    worker.send(STOP)
            for worker in with_messages(busy):
                try:
                    kind, content = worker.receive()
                except Exception as failure:
                    failures.append(failure)
                    busy.remove(worker)
                    continue
                if kind == EVENT:
                    note(content)
                    if isinstance(content, BatchTrained) and isinstance(content.said, Reported):
                        worker.send(KEEP, answer(content.said))
                    yield content
                elif (candidates := None if stopping else next(batches, None)) is not None:
                    worker.send(TRAIN, candidates)
                else:
                    busy.remove(worker)
        if failures:
            raise failures[0]


# What follows runs in the workers.


class SearchStarter(Starter):
    """The process that started this worker, which says what goes on after a report."""

    def answer(self, _: Reported) -> set[int]:
        """Return which settings go on after the report that was sent."""
        return set(self.content_of_next(KEEP))


def main() -> None:
    """Work for the process at the other end of the pipe whose number is the last argument."""
    with suppress(EOFError, ConnectionError):
        serve(Connection(int(sys.argv[-1])))


def serve(connection: Connection) -> None:
    """Train batches until something fails.

    Raises:
        EOFError, ConnectionError: the other end is closed.
    """
    starter = SearchStarter(connection)
    with failures_told(starter):
        trainer = BatchTrainer(connection.recv()[1])
        while True:
            starter.send(IDLE)
            kind, candidates = connection.recv()
            if kind == TRAIN:
                events = trainer.train(candidates, starter.stop_reason, starter.answer)
                for event in with_fewer_steps(events, _is_step):
                    starter.send(EVENT, event)


def _is_step(event: BatchEvent) -> bool:
    return isinstance(event, BatchTrained) and isinstance(event.said, Stepped)
