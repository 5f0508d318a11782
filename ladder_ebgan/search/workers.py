"""Several processes, each training a batch of settings; the process that starts them holds the study.

Messages are those of `ladder_ebgan.workers`, and one more: a worker that sends an EVENT with a report waits for
KEEP, the numbers of the trials that go on.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from ladder_ebgan.search.batch import Candidate, Reported, Stepped
from ladder_ebgan.search.trainer import BatchEvent, BatchTrained, BatchTrainer, Task
from ladder_ebgan.workers import (
    EVENT,
    FAILED,
    IDLE,
    STEP_EVENT_SECONDS,
    STOP,
    TRAIN,
    Worker,
    portable,
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
    with _started(task) as workers:
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


@contextmanager
def _started(task: Task) -> Iterator[list[Worker]]:
    """Start the workers, and end them on the way out."""
    workers: list[Worker] = []
    try:
        for _ in range(task.resolved.n_processes):
            workers.append(Worker(COMMAND))  # each is closed if the next one cannot be started
        for worker in workers:
            worker.send(TRAIN, task)
        yield workers
    finally:
        for worker in workers:
            worker.close()


# What follows runs in the workers.


class Starter:
    """The process that started this worker, as it is seen from here."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.stopping = connection, False

    def stop_reason(self) -> str | None:
        """Return why to stop training, if there is a reason."""
        while self.connection.poll():
            self._receive()
        return STOP if self.stopping else None

    def answer(self, _: Reported) -> set[int]:
        """Return which settings go on after the report that was sent."""
        while (message := self._receive())[0] != KEEP:
            pass
        return set(message[1])

    def _receive(self) -> tuple[str, Any]:
        kind, content = self.connection.recv()
        self.stopping |= kind == STOP
        return kind, content


def main() -> None:
    """Work for the process at the other end of the pipe whose number is the last argument."""
    with suppress(EOFError, ConnectionError):
        serve(Connection(int(sys.argv[-1])))


def serve(connection: Connection) -> None:
    """Train batches until something fails.

    Raises:
        EOFError, ConnectionError: the other end is closed.
    """
    starter = Starter(connection)
    try:
        trainer = BatchTrainer(connection.recv()[1])
        while True:
            connection.send((IDLE, None))
            kind, candidates = connection.recv()
            if kind == TRAIN:
                _train(trainer, candidates, starter)
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        connection.send((FAILED, portable(error)))


def _train(trainer: BatchTrainer, candidates: list[Candidate], starter: Starter) -> None:
    next_step_event = 0.0
    for event in trainer.train(candidates, starter.stop_reason, starter.answer):
        if isinstance(event, BatchTrained) and isinstance(event.said, Stepped):
            if time.monotonic() < next_step_event:
                continue
            next_step_event = time.monotonic() + STEP_EVENT_SECONDS
        starter.connection.send((EVENT, event))
