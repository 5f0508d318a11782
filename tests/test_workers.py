"""A worker and the process that started it, each looked at from the other end of the pipe."""

import errno
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from ladder_ebgan import runs, workers
from ladder_ebgan.checkpoints import checkpoint_step
from ladder_ebgan.data import load_dataset
from ladder_ebgan.errors import MachineError, UsageError
from ladder_ebgan.group import CurveMeasured, GroupFinished, GroupStarted, Stepped
from ladder_ebgan.machine import Resolved
from ladder_ebgan.recipe import load_recipe
from ladder_ebgan.runs import Group, Replica, RunFolder
from ladder_ebgan.timing import Phase
from ladder_ebgan.workers import Pool, Work, Worker, serve, worker_pool

RESOLVED = Resolved(torch.device("cpu"), "a processor", "float32", 4, False, 1, 2)
GROUP, OTHER = (Group("ladder", (Replica(20, seed),)) for seed in (0, 1))


# The worker.


@pytest.fixture
def work(tmp_path: Path) -> Work:
    record = {"identity": {"precision": "float32", "recipe": {}}}
    return Work(tmp_path, record, load_recipe("table2", tiny.settings()[1::2]), load_dataset("digits"), RESOLVED)


@contextmanager
def served(work: Work) -> Iterator[Connection]:
    """A worker on another thread, which has had its work and is ready."""
    ours, theirs = Pipe()
    failures: list[BaseException] = []

    def target() -> None:
        try:
            serve(theirs)
        except BaseException as error:
            failures.append(error)
        theirs.close()

    thread = threading.Thread(target=target)
    thread.start()
    try:
        ours.send((workers.WORK, work))
        assert received(ours) == (workers.IDLE, None)
        yield ours
    finally:
        ours.close()
        thread.join(timeout=60)
    assert not thread.is_alive()
    assert {type(failure) for failure in failures} <= {EOFError, BrokenPipeError, ConnectionResetError}


def folder_there(tmp_path: Path) -> RunFolder:
    """Where the worker's writes go, which is not the folder that it reads."""
    (tmp_path / "there").mkdir()
    return RunFolder(tmp_path / "there", {})


def received(connection: Connection) -> tuple[str, Any]:
    assert connection.poll(60), "nothing was said"
    message = connection.recv()
    assert isinstance(message, tuple)
    return message


def conversation(connection: Connection, folder: RunFolder) -> list[Any]:
    """Write what the worker wants written; return what else it says, to its last word."""
    said = []
    while True:
        kind, content = received(connection)
        said.append(content)
        if kind == workers.WRITE:
            method, arguments = said.pop()
            getattr(folder, method)(*arguments)
            connection.send((workers.WRITTEN, None))
        elif kind in {workers.IDLE, workers.FAILED}:
            return said


def test_a_worker_reports_what_happens_and_writes_nothing_itself(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "STEP_EVENT_SECONDS", 1e-9)
    there = folder_there(tmp_path)
    with served(work) as connection:
        connection.send((workers.TRAIN, GROUP))
        *events, last = conversation(connection, there)
    kinds = [type(event) for event in events]
    steps = [Stepped] * 10 + [CurveMeasured]
    assert kinds == [GroupStarted, *steps, *steps, GroupFinished]
    assert last is None
    costs = [event.progress.costs.ladder.total for event in events if isinstance(event, Stepped)]
    assert all(type(cost).__module__ == "numpy" for cost in costs)  # tensors would be sent as shared memory
    assert set(tiny.content(tmp_path)) == {
        f"there/{name}"
        for name in ("history.csv", "results.csv", "models/ladder-20-0.safetensors", "predictions/ladder-20-0.npz")
    }


def test_steps_are_reported_a_few_times_a_second(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "STEP_EVENT_SECONDS", 1e9)
    with served(work) as connection:
        connection.send((workers.TRAIN, GROUP))
        events = conversation(connection, folder_there(tmp_path))
    assert [event.progress.step for event in events if isinstance(event, Stepped)] == [1]
    assert sum(isinstance(event, CurveMeasured) for event in events) == 2


def test_a_worker_that_is_told_to_stop_leaves_a_checkpoint(work: Work, tmp_path: Path) -> None:
    there = folder_there(tmp_path)
    with served(work) as connection:
        connection.send((workers.TRAIN, GROUP))
        connection.send((workers.STOP, None))
        events = conversation(connection, there)
    assert not any(isinstance(event, GroupFinished) for event in events)
    assert checkpoint_step(there.checkpoint_path(GROUP)) == 1


def test_a_worker_is_asked_for_the_time_of_a_step(work: Work) -> None:
    with served(work) as connection:
        connection.send((workers.MEASURE, (1, 2, Phase("ebgan-ladder", True))))
        kind, seconds = received(connection)
        assert kind == workers.SECONDS
        assert 0 < seconds < 60
        assert received(connection) == (workers.IDLE, None)


def test_what_a_worker_refuses_is_told(work: Work) -> None:
    path = RunFolder(work.path, {}).checkpoint_path(GROUP)
    runs.write_atomically(path, b"")
    with served(work) as connection:
        connection.send((workers.TRAIN, GROUP))
        kind, error = received(connection)
    assert (kind, type(error)) == (workers.FAILED, UsageError)
    assert str(error).startswith(f"the checkpoint {path} is damaged (")


class StubbornError(Exception):
    """An exception that cannot be rebuilt from its arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


@pytest.mark.parametrize(
    ("failure", "arrives", "text"),
    [
        (UsageError("wrong"), UsageError, "wrong"),
        (OSError(errno.ENOSPC, "full", "there"), OSError, f"[Errno {errno.ENOSPC}] full: 'there'"),
        (MemoryError(), MemoryError, ""),
        (StubbornError("a", "b"), RuntimeError, "StubbornError: ab"),
    ],
)
def test_what_fails_in_a_worker_arrives_with_its_origin(
    work: Work, monkeypatch: pytest.MonkeyPatch, failure: Exception, arrives: type, text: str
) -> None:
    def fail(*_: object) -> None:
        raise failure

    with served(work) as connection:
        monkeypatch.setattr(workers, "_train", fail)
        connection.send((workers.TRAIN, GROUP))
        kind, error = received(connection)
    assert kind == workers.FAILED
    assert type(error) is arrives
    assert str(error) == text
    assert "in fail" in error.__notes__[0]


def test_a_worker_does_not_touch_the_record(tmp_path: Path) -> None:
    ours, theirs = Pipe()
    with ours, theirs, pytest.raises(NotImplementedError):
        workers.ForwardingFolder(workers.Starter(theirs), tmp_path, {"groups": []}).add_groups([GROUP])


def test_every_method_that_writes_is_forwarded() -> None:
    """A new one that group.py calls has to be thought of here."""
    reads = {"results", "history", "energies", "checkpoint_path", "groups"}
    starters = {"add_groups", "sort_rows", "repair_history"}  # which group.py has no use for
    methods = {name for name in vars(RunFolder) if not name.startswith("_")}
    assert methods - reads - starters == {name for name in vars(workers.ForwardingFolder) if name[0] != "_"}


# The pool, with workers made of a script, and with real ones.


class Scripted(Worker):
    """A worker that has said everything beforehand."""

    def __init__(self, *messages: tuple[str, Any]) -> None:
        self.connection, self.theirs = Pipe()
        self.heard: list[tuple[str, Any]] = []
        for message in messages:
            self.theirs.send(message)

    def send(self, kind: str, content: Any = None) -> None:
        self.heard.append((kind, content))


@contextmanager
def scripted(*scripts: list[tuple[str, Any]]) -> Iterator[list[Scripted]]:
    started = [Scripted(*script) for script in scripts]
    yield started
    for worker in started:
        worker.connection.close()
        worker.theirs.close()


def test_the_next_group_goes_to_whoever_is_free(tmp_path: Path) -> None:
    groups = [replace(GROUP, model=name) for name in "abc"]
    started = [GroupStarted(group, 0, 9) for group in groups]
    idle = (workers.IDLE, None)
    scripts = (
        [(workers.EVENT, started[0]), idle, (workers.EVENT, started[2]), idle],
        [(workers.EVENT, started[1]), idle],
    )
    with scripted(*scripts) as (first, second):
        pool = Pool(RunFolder(tmp_path, {}), RESOLVED, [first, second])
        events = list(pool.train(groups, lambda: None))
        assert sorted(map(str, events)) == sorted(map(str, started))
        assert first.heard == [(workers.TRAIN, groups[0]), (workers.TRAIN, groups[2])]
        assert second.heard == [(workers.TRAIN, groups[1])]


def test_with_a_reason_to_stop_no_further_group_begins(tmp_path: Path) -> None:
    idle = (workers.IDLE, None)
    with scripted([idle], [idle]) as (first, second):
        pool = Pool(RunFolder(tmp_path, {}), RESOLVED, [first, second])
        assert list(pool.train([GROUP, OTHER, GROUP], lambda: "SIGTERM")) == []
        assert first.heard == [(workers.TRAIN, GROUP), (workers.STOP, None)]
        assert second.heard == [(workers.TRAIN, OTHER), (workers.STOP, None)]


def test_when_one_fails_the_others_are_stopped_and_the_failure_is_raised(tmp_path: Path) -> None:
    with scripted([(workers.FAILED, UsageError("wrong"))], []) as (first, second):
        pool = Pool(RunFolder(tmp_path, {}), RESOLVED, [first, second])
        training = pool.train([GROUP, OTHER, GROUP], lambda: None)
        threading.Timer(0.5, second.theirs.send, [(workers.IDLE, None)]).start()
        with pytest.raises(UsageError, match="wrong"):
            list(training)
        assert second.heard == [(workers.TRAIN, OTHER), (workers.STOP, None)]


def test_a_full_disk_ends_the_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runs, "write_atomically", full)
    with scripted([(workers.WRITE, ("save_checkpoint", (GROUP, b"content")))]) as (worker,):
        pool = Pool(RunFolder(tmp_path, {}), RESOLVED, [worker])
        with pytest.raises(OSError, match="No space left on device"):
            list(pool.train([GROUP], lambda: None))
        assert worker.heard == [(workers.TRAIN, GROUP)]  # and not that it was written


def test_steps_are_timed_in_all_workers_at_once(tmp_path: Path) -> None:
    script = [[(workers.SECONDS, seconds), (workers.IDLE, None)] for seconds in (2.0, 4.0)]
    with scripted(*script) as started:
        pool = Pool(RunFolder(tmp_path, {}), RESOLVED, list(started))
        assert pool.step_seconds(3, Phase("ebgan-ladder", True)) == 3.0
        assert [worker.heard for worker in started] == [
            [(workers.MEASURE, (1, 3, Phase("ebgan-ladder", True)))]
        ] * 2


def test_a_worker_that_cannot_start_is_told(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "COMMAND", ("sh", "-c", "exit 3"))
    folder = RunFolder(tmp_path, work.record)
    before = tiny.children(os.getpid())
    expected = r"^worker process \d+ ended with exit code 3; the same command goes on"
    with (
        pytest.raises(MachineError, match=expected),
        worker_pool(folder, work.recipe, work.dataset, RESOLVED, 2),
    ):
        pytest.fail("started")
    assert not tiny.alive(tiny.children(os.getpid()) - before)


def test_a_pool_times_steps_and_leaves_nobody_behind(work: Work, tmp_path: Path) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with worker_pool(RunFolder(tmp_path, work.record), work.recipe, work.dataset, RESOLVED, 1) as pool:
        started = {worker.process.pid for worker in pool.workers}
        assert tiny.alive(started) == started
        assert 0 < pool.step_seconds(1, Phase("ladder", False)) < 60
    assert tiny.alive(started) == set()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked
