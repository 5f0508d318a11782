"""Several processes, each training a group of replicas of its own with a share of the processor's cores.

The process that starts the workers hands each of them the next group, and is the only one that writes to the run
folder: a worker sends what is to be written through its pipe and waits until it is on disk. The pipe is the only
bond, so that no end is left hanging: a worker that dies closes it, which ends the run; a worker whose pipe is
closed exits. Workers never see Ctrl-C or SIGTERM: they are told whether to stop.

Messages are pairs of a kind and its content.

    to a worker     WORK Work, first of all; TRAIN group; MEASURE (threads, replicas, adversarial);
                    STOP None, after which a checkpoint follows; WRITTEN None, the answer to WRITE
    from a worker   IDLE None, when it is ready for an order; SECONDS float; EVENT of a group;
                    WRITE (method of RunFolder, its arguments); FAILED exception, the last one
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.any_recipe import AnyRecipe
from ladder_ebgan.data import Dataset
from ladder_ebgan.errors import MachineError
from ladder_ebgan.group import GroupEvent, Stepped
from ladder_ebgan.machine import Resolved, apply
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result
from ladder_ebgan.runs import Group, RunFolder
from ladder_ebgan.timing import Phase
from ladder_ebgan.trainer import Trainer

WORK, TRAIN, MEASURE, STOP, WRITTEN = "work", "train", "measure", "stop", "written"
IDLE, SECONDS, EVENT, WRITE, FAILED = "idle", "seconds", "event", "write", "failed"
COMMAND: tuple[str, ...] = (sys.executable, "-P", "-c", "from ladder_ebgan.workers import main; main()")
Event = TypeVar("Event")
LOOK_SECONDS = 0.1  # between looks at whether to stop
STEP_EVENT_SECONDS = 0.25  # between the steps of a group that a worker reports
HELD_BACK = {signal.SIGINT, signal.SIGTERM}  # from workers: they inherit what is blocked when they are started


@dataclass(frozen=True)
class Work:
    """What a worker needs to know of the run."""

    path: Path
    record: dict[str, Any]
    recipe: AnyRecipe
    dataset: Dataset
    resolved: Resolved


class Worker:
    """A worker as it is seen from the process that started it.

    Args:
        command: that starts it, without the number of the pipe; COMMAND by default.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self.connection, theirs = Pipe()
        here = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # it imports what this process imports
        command = [*(command or COMMAND), str(theirs.fileno())]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=os.environ | here
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def send(self, kind: str, content: Any = None) -> None:
        """Send a message; that nobody is there to read it shows when the next one is received."""
        with suppress(ConnectionError):
            self.connection.send((kind, content))

    def receive(self) -> tuple[str, Any]:
        """Return the next message.

        Raises:
            MachineError: the worker has died.
            Exception: what ended the work over there.
        """
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            raise MachineError(_death(self.process)) from None
        if kind == FAILED:
            raise content
        return kind, content

    def close(self) -> None:
        """End the process at once: it has nothing open that could be left half-written."""
        self.process.kill()
        self.process.wait()
        self.connection.close()


def _death(process: subprocess.Popen[bytes]) -> str:
    """Say how a worker has ended, and what to do."""
    code = process.wait()
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    why = ", as happens when memory runs out" if code == -signal.SIGKILL else ""
    return (
        f"worker process {process.pid} {how}{why}; the same command goes on from the last checkpoint, "
        "and a folder of its own with --processes 1 --output DIR takes less memory"
    )


class Pool:
    """Workers that are ready; make it with `worker_pool`."""

    def __init__(self, folder: RunFolder, resolved: Resolved, workers: list[Worker]) -> None:
        self.folder, self.resolved, self.workers = folder, resolved, workers

    def train(self, groups: Sequence[Group], stop_reason: Callable[[], str | None]) -> Iterator[GroupEvent]:
        """Train, evaluate and store the groups, each worker the next one of the queue as soon as it is free.

        If there is a reason to stop, or a worker fails, every worker leaves a checkpoint first.

        Raises:
            MachineError: a worker has died.
            Exception: what ended the work of a worker.
        """
        queue, busy, stopping = deque(groups), self.workers[: len(groups)], False
        failures: list[Exception] = []
        for worker in busy:
            worker.send(TRAIN, queue.popleft())
        while busy:
            if not stopping and (failures or stop_reason() is not None):
                stopping = True
                queue.clear()
                for worker in busy:
                    worker.send(STOP)
            for worker in with_messages(busy):
                try:
                    kind, content = worker.receive()
                except Exception as failure:
                    failures.append(failure)
                    busy = [other for other in busy if other is not worker]
                    continue
                if kind == EVENT:
                    yield _with_tensors(content)
                elif kind == WRITE:
                    self._write(*content)
                    worker.send(WRITTEN)
                elif queue:
                    worker.send(TRAIN, queue.popleft())
                else:
                    busy = [other for other in busy if other is not worker]
        if failures:
            raise failures[0]

    def _write(self, method: str, arguments: tuple[Any, ...]) -> None:
        getattr(self.folder, method)(*arguments)

    def step_seconds(self, n_replicas: int, phase: Phase) -> float:
        """Return the mean time of a step of `n_replicas` replicas in each process, all stepping at once."""
        seconds = self.measure(len(self.workers), self.resolved.n_threads, n_replicas, phase)
        return sum(seconds) / len(seconds)

    def measure(self, n_workers: int, n_threads: int, n_replicas: int, phase: Phase) -> list[float]:
        """Return the time of a step in each of `n_workers` processes that step at the same time."""
        asked = self.workers[:n_workers]
        for worker in asked:
            worker.send(MEASURE, (n_threads, n_replicas, phase))
        seconds = [worker.receive()[1] for worker in asked]
        for worker in asked:
            worker.receive()  # IDLE
        return seconds


@contextmanager
def worker_pool(
    folder: RunFolder, recipe: AnyRecipe, dataset: Dataset, resolved: Resolved, n_processes: int
) -> Iterator[Pool]:
    """Start workers, wait until they are ready, and end them on the way out.

    Raises:
        MachineError: a worker has died.
    """
    work = Work(folder.path, {"identity": folder.record["identity"]}, recipe, dataset, resolved)
    with started_workers(n_processes, work) as workers:
        for worker in workers:
            worker.receive()  # IDLE
        yield Pool(folder, resolved, workers)


@contextmanager
def started_workers(n_processes: int, work: Any, command: Sequence[str] | None = None) -> Iterator[list[Worker]]:
    """Start workers and tell them what they need to know, and end them on the way out.

    Args:
        n_processes: how many.
        work: the content of the first message.
        command: as `Worker` takes it.
    """
    workers: list[Worker] = []
    try:
        for _ in range(n_processes):
            workers.append(Worker(command))  # each is closed if the next one cannot be started
        for worker in workers:
            worker.send(WORK, work)
        yield workers
    finally:
        for worker in workers:
            worker.close()


def with_messages(workers: list[Worker]) -> list[Worker]:
    """Return the workers that have said something, or have died; after a while, none."""
    ready = wait([worker.connection for worker in workers], LOOK_SECONDS)
    return [worker for worker in workers if worker.connection in ready]


# What follows runs in the workers.


class Starter:
    """The process that started this worker, as it is seen from here.

    Every method may raise EOFError or ConnectionError: it is gone, and nobody needs this process any more.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection, self.stopping = connection, False

    def send(self, kind: str, content: Any = None) -> None:
        """Send a message."""
        self.connection.send((kind, content))

    def stop_reason(self) -> str | None:
        """Return why to stop training, if there is a reason."""
        while self.connection.poll():
            self._receive()
        return STOP if self.stopping else None

    def write(self, method: str, *arguments: Any) -> None:
        """Have a method of the run folder called, and wait until it is done."""
        self.send(WRITE, (method, arguments))
        self.content_of_next(WRITTEN)

    def content_of_next(self, wanted: str) -> Any:
        """Wait for a message of some kind, before which only STOP may come, and return its content."""
        while (message := self._receive())[0] != wanted:
            pass
        return message[1]

    def _receive(self) -> tuple[str, Any]:
        kind, content = self.connection.recv()
        self.stopping |= kind == STOP
        return kind, content


class ForwardingFolder(RunFolder):
    """The run folder as a worker sees it: it reads here, and has the process that started it write."""

    def __init__(self, starter: Starter, path: Path, record: dict[str, Any]) -> None:
        super().__init__(path, record)
        self._write = starter.write

    def save_record(self) -> None:
        """Refuse: a group has no business with it."""
        raise NotImplementedError

    def add_results(self, results: Iterable[Result]) -> None:
        """Add finished replicas, all at once."""
        self._write("add_results", list(results))

    def append_history(self, points: Iterable[CurvePoint], histograms: Iterable[EnergyHistogram] = ()) -> None:
        """Append points of learning curves, and the energies of the same step."""
        self._write("append_history", list(points), list(histograms))

    def cut_history(self, group: Group, step: int) -> None:
        """Drop what a group's curves say after `step`."""
        self._write("cut_history", group, step)

    def save_checkpoint(self, group: Group, content: bytes) -> None:
        """Write the group's checkpoint."""
        self._write("save_checkpoint", group, content)

    def remove_checkpoint(self, group: Group) -> None:
        """Remove the checkpoint of a finished group."""
        self._write("remove_checkpoint", group)

    def save_predictions(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write `predictions/<name>.npz`."""
        self._write("save_predictions", name, arrays)

    def save_model(self, name: str, content: bytes) -> None:
        """Write `models/<name>.safetensors`."""
        self._write("save_model", name, content)


def main() -> None:
    """Work for the process at the other end of the pipe whose number is the last argument."""
    with suppress(EOFError, ConnectionError):
        serve(Connection(int(sys.argv[-1])))


def serve(connection: Connection) -> None:
    """Do what is asked for until something fails.

    Raises:
        EOFError, ConnectionError: the other end is closed.
    """
    starter = Starter(connection)
    with failures_told(starter):
        _, work = connection.recv()
        folder = ForwardingFolder(starter, work.path, work.record)
        trainer = Trainer(folder, work.recipe, work.dataset, work.resolved)
        while True:
            starter.send(IDLE)
            kind, content = connection.recv()
            if kind == TRAIN:
                _train(trainer, content, starter)
            elif kind == MEASURE:
                n_threads, *what = content
                apply(replace(work.resolved, n_threads=n_threads))
                starter.send(SECONDS, trainer.step_seconds(*what))


@contextmanager
def failures_told(starter: Starter) -> Iterator[None]:
    """Tell the starter what has failed, unless it is that the starter is gone.

    Raises:
        EOFError, ConnectionError: the other end is closed.
    """
    try:
        yield
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        starter.send(FAILED, _portable(error))


def _train(trainer: Trainer, group: Group, starter: Starter) -> None:
    events = trainer.train([group], starter.stop_reason)
    for event in with_fewer_steps(events, lambda event: isinstance(event, Stepped)):
        starter.send(EVENT, _with_arrays(event))


def with_fewer_steps(events: Iterable[Event], is_step: Callable[[Event], bool]) -> Iterator[Event]:
    """Yield events without the steps that follow too soon upon another."""
    next_step_event = 0.0
    for event in events:
        if is_step(event):
            if time.monotonic() < next_step_event:
                continue
            next_step_event = time.monotonic() + STEP_EVENT_SECONDS
        yield event


def _portable(error: Exception) -> Exception:
    """Return an exception that can be sent, with the lines that it comes from for whoever looks for the fault."""
    lines = "".join(traceback.format_exception(error))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"In a worker process:\n{lines}")
    return error


def _with_arrays(event: GroupEvent) -> GroupEvent:
    """Return the event with arrays in place of tensors, which would be sent as shared memory."""
    return _converted(event, Tensor, lambda tensor: tensor.detach().cpu().numpy())


def _with_tensors(event: GroupEvent) -> GroupEvent:
    return _converted(event, np.ndarray, torch.from_numpy)


def _converted(event: GroupEvent, kind: type, convert: Callable[[Any], Any]) -> GroupEvent:
    """Return an event with every value of a type converted; only steps have any."""

    def converted(value: Any) -> Any:
        if isinstance(value, kind):
            return convert(value)
        return type(value)(*map(converted, value)) if isinstance(value, tuple) else value

    return replace(event, progress=converted(event.progress)) if isinstance(event, Stepped) else event
