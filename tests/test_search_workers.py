"""A worker of a search: what it says, what it is told, how it ends. It runs in a thread here."""

import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import gan_search
import pytest
import search_run

import ladder_ebgan.workers
from ladder_ebgan import machine
from ladder_ebgan.errors import UsageError
from ladder_ebgan.search import workers
from ladder_ebgan.search.events import Candidate, Finished, Reported, Scored, Stepped
from ladder_ebgan.search.search import open_search
from ladder_ebgan.search.space import seed_of
from ladder_ebgan.search.study import SCORES
from ladder_ebgan.search.trainer import BatchBegun, BatchEnded, BatchTrained, Task
from ladder_ebgan.workers import EVENT, FAILED, IDLE, STOP, TRAIN


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    monkeypatch.setattr(ladder_ebgan.workers, "STEP_EVENT_SECONDS", 0.0)
    space = search_run.write_space(tmp_path, more="report_every_steps = 4")
    with open_search(search_run.request(tmp_path, space)) as search:
        yield search.task


@pytest.fixture
def here() -> Iterator[Connection]:
    """This end of the pipe, with a worker at the other."""
    here, there = Pipe()

    def work() -> None:
        try:
            workers.serve(there)
        except EOFError:
            there.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield here
    here.close()
    thread.join(timeout=60)
    assert not thread.is_alive()


def candidates(task: Task) -> list[Candidate]:
    rates = {0: 0.01, 7: 0.02}
    return [
        Candidate(number, task.space.recipe_of({"ladder.learning_rate": rate, "network.input_noise": 0.3}))
        for number, rate in rates.items()
    ]


def test_it_trains_and_asks_which_settings_go_on(task: Task, here: Connection) -> None:
    here.send((TRAIN, task))
    assert here.recv() == (IDLE, None)
    here.send((TRAIN, candidates(task)))
    assert here.recv() == (EVENT, BatchBegun(0, [0, 7], 0, 12))
    steps, asked = list[int](), list[set[int]]()
    while isinstance((message := here.recv())[1], BatchTrained):
        said = message[1].said
        if isinstance(said, Stepped):
            steps.append(said.step)
        elif isinstance(said, Reported):
            asked.append(set(said.errors))
            here.send((workers.KEEP, {7}))
        else:
            assert isinstance(said, Finished)
            assert set(said.errors) == {7}
            assert said.correct[7].shape == (2, search_run.N_VALIDATION)
    assert (message, here.recv()) == ((EVENT, BatchEnded(0)), (IDLE, None))
    assert steps == list(range(1, 13))
    assert asked == [{0, 7}, {7}]


def test_it_ends_a_batch_that_nobody_wants(task: Task, here: Connection) -> None:
    here.send((TRAIN, task))
    here.recv()
    here.send((TRAIN, candidates(task)))
    while not (isinstance(event := here.recv()[1], BatchTrained) and isinstance(event.said, Reported)):
        pass
    here.send((workers.KEEP, set()))
    assert [here.recv(), here.recv()] == [(EVENT, BatchEnded(0)), (IDLE, None)]
    assert not list(task.folder.glob("checkpoints/*"))


def test_it_stops_with_a_checkpoint(task: Task, here: Connection) -> None:
    """Told so while it waits for an answer, it takes the answer first."""
    here.send((TRAIN, task))
    here.recv()
    here.send((TRAIN, candidates(task)))
    while not (isinstance(event := here.recv()[1], BatchTrained) and isinstance(event.said, Reported)):
        pass
    here.send((STOP, None))
    here.send((workers.KEEP, {0, 7}))
    while (message := here.recv())[0] == EVENT:
        pass
    assert message == (IDLE, None)
    assert [path.name for path in (task.folder / "checkpoints").iterdir()] == ["0.safetensors"]


def test_a_worker_trains_gans_as_the_searching_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Connection
) -> None:
    """Settings go to it and scores come back through the pipe; nobody is asked which of them go on."""
    monkeypatch.setattr(ladder_ebgan.workers, "STEP_EVENT_SECONDS", 0.0)
    with gan_search.patched(monkeypatch):
        wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=4)
        with open_search(wanted) as search:
            task = search.task
        _, trials = gan_search.run(wanted)
        settings = [
            Candidate(trial.number, wanted.space.recipe_of(trial.params), seed_of(trial.params)) for trial in trials
        ]
        here.send((TRAIN, task))
        assert here.recv() == (IDLE, None)
        here.send((TRAIN, settings))
        said = list(iter(here.recv, (IDLE, None)))
    assert {kind for kind, _ in said} == {EVENT}
    events = [event for _, event in said]
    assert (events[0], events[-1]) == (BatchBegun(0, [0, 1, 2, 3], 0, 6), BatchEnded(0))
    steps, scored = [event.said for event in events[1:-2]], events[-2].said
    assert steps == [Stepped(step) for step in range(1, 7)]
    assert isinstance(scored, Scored)
    assert scored.scores == {trial.number: trial.user_attrs[SCORES] for trial in trials}


def test_what_goes_wrong_is_told(task: Task, here: Connection) -> None:
    (task.folder / "checkpoints").mkdir()
    (task.folder / "checkpoints/0.safetensors").write_bytes(b"broken")
    here.send((TRAIN, task))
    here.recv()
    here.send((TRAIN, candidates(task)))
    kind, error = here.recv()
    assert kind == FAILED
    assert isinstance(error, UsageError)
    assert "0.safetensors is damaged" in str(error)


def test_a_worker_whose_starter_is_gone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Pipe()
    here.close()
    monkeypatch.setattr(workers.sys, "argv", ["-c", "0"])
    monkeypatch.setattr(workers, "Connection", lambda _: there)
    workers.main()  # returns
