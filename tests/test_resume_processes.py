"""Runs of several worker processes: the bits of undisturbed ones, and no process that outlives its run."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from test_resume import assert_same, lasting

from ladder_ebgan.checkpoints import checkpoint_step
from ladder_ebgan.interruption import NOTICE

ENDLESS = "1000000"
STARTED = ("--quiet", "--processes", "2", "--seeds", "3")


@pytest.fixture(scope="module")
def undisturbed(server: tiny.Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    outcome = server.run(*tiny.arguments(folder, *STARTED), n_cores=2)
    assert (outcome.code, outcome.stderr) == (0, "")
    return lasting(folder)


def steps_in_history(folder: Path, seed: int) -> int:
    lines = (folder / "history.csv").read_text().splitlines() if (folder / "history.csv").exists() else []
    return sum(line.startswith(f"ladder,20,{seed},") for line in lines)


@pytest.fixture
def endless(server: tiny.Server, tmp_path: Path) -> Iterator[tuple[int, set[int], Path]]:
    """A run of two groups, one replica each, that trains and has no end; its workers, its folder."""
    folder = tmp_path / "run"
    command = tiny.arguments(folder, "--quiet", "--processes", "2", "--model", "ladder", ladder__n_steps=ENDLESS)
    with server.started(*command, n_cores=2) as pid:
        tiny.wait_until(lambda: steps_in_history(folder, 0) and steps_in_history(folder, 1))
        yield pid, tiny.children(pid), folder


def test_processes_do_not_change_the_bits(
    server: tiny.Server, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """One process with the same groups and as many threads, one group after the other."""
    folder = tmp_path / "run"
    command = tiny.arguments(folder, "--quiet", "--processes", "1", "--seeds", "3", "--replicas-at-once", "2")
    assert server.run(*command, n_cores=1).code == 0
    files = lasting(folder)
    assert list(files) == list(undisturbed)
    assert {name for name in files if files[name] != undisturbed[name]} == {"results.csv", "run.json"}
    record, record_of_two = (json.loads(each["run.json"]) for each in (files, undisturbed))
    assert record.pop("resolved") | {"replicas_at_once": 4, "n_processes": 2} == record_of_two.pop("resolved")
    assert record == record_of_two
    rows, rows_of_two = (json.loads(each["results.csv"]) for each in (files, undisturbed))
    assert [{**row, "device": ""} for row in rows] == [{**row, "device": ""} for row in rows_of_two]


def test_the_groups_keep_all_processes_at_work(undisturbed: dict[str, bytes]) -> None:
    record = json.loads(undisturbed["run.json"])
    assert record["resolved"] == {"replicas_at_once": 4, "compiled": False, "n_threads": 1, "n_processes": 2}
    assert record["groups"] == [
        {"model": model, "replicas": replicas}
        for model in ("ladder", "ebgan-ladder")
        for replicas in ([[20, 0], [20, 1]], [[20, 2]])
    ]


def test_disturbed_in_every_way(server: tiny.Server, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """The time limit, a kill before a write, a worker killed within a step, a kill while results are stored."""
    folder, often = tmp_path / "run", {"checkpoint_each_step": True}
    command = tiny.arguments(folder, *STARTED)

    limited = server.run(*command, "--time-limit", "1e-9", n_cores=2)
    assert (limited.code, limited.stdout) == (75, "")
    assert limited.stderr == "Stopped (time limit). The same command goes on from here.\n"
    checkpoints = {path.stem: checkpoint_step(path) for path in (folder / "checkpoints").iterdir()}
    assert checkpoints.keys() == {"ladder-20-0", "ladder-20-2"}
    assert min(checkpoints.values()) >= 1  # however short the limit, the run comes to an end some day

    assert server.run(*command, n_cores=2, in_workers=often, kill_at_fsync=7).code == -signal.SIGKILL

    killed = server.run(*command, n_cores=2, in_workers=often | {"signal_at_step": [11, [signal.SIGKILL]]})
    assert (killed.code, killed.stdout) == (1, "")
    assert re.fullmatch(
        r"ladder-ebgan: worker process \d+ was killed by SIGKILL, as happens when memory runs out; "
        r"the same command goes on from the last checkpoint, "
        r"and a folder of its own with --processes 1 --output DIR takes less memory\n",
        killed.stderr,
    )
    assert 10 in {checkpoint_step(path) for path in (folder / "checkpoints").iterdir()}

    assert server.run(*command, n_cores=2, kill_at_fsync=9).code == -signal.SIGKILL
    assert list(folder.glob("models/*"))
    last = server.run(*command, n_cores=2)
    assert (last.code, last.stderr) == (0, "")
    assert_same(folder, undisturbed)


def test_only_the_process_that_was_started_listens_to_signals(
    server: tiny.Server, endless: tuple[int, set[int], Path]
) -> None:
    pid, started, folder = endless
    assert len(started) == 2
    for child in started:  # as Ctrl-C does, and whoever stops a whole process group
        os.kill(child, signal.SIGINT)
        os.kill(child, signal.SIGTERM)
    before = [steps_in_history(folder, seed) for seed in (0, 1)]
    tiny.wait_until(lambda: all(steps_in_history(folder, seed) > before[seed] for seed in (0, 1)))
    os.kill(pid, signal.SIGINT)
    outcome = server.wait()
    assert outcome.code == 130
    assert outcome.stderr == NOTICE.decode() + "Stopped (SIGINT). The same command goes on from here.\n"
    assert tiny.alive(started) == set()
    for seed in (0, 1):
        assert checkpoint_step(folder / "checkpoints" / f"ladder-20-{seed}.safetensors") >= 10


def test_workers_do_not_outlive_the_run(server: tiny.Server, endless: tuple[int, set[int], Path]) -> None:
    pid, started, _ = endless
    os.kill(pid, signal.SIGKILL)
    assert server.wait().code == -signal.SIGKILL
    tiny.wait_until(lambda: not tiny.alive(started))


def test_a_worker_that_is_killed_ends_the_run_and_the_other_leaves_a_checkpoint(
    server: tiny.Server, endless: tuple[int, set[int], Path]
) -> None:
    _, started, folder = endless
    killed = min(started)
    os.kill(killed, signal.SIGKILL)
    outcome = server.wait()
    assert outcome.code == 1
    assert outcome.stderr.startswith(f"ladder-ebgan: worker process {killed} was killed by SIGKILL, as happens ")
    assert outcome.stderr.count("\n") == 1
    assert tiny.alive(started) == set()
    assert len(list((folder / "checkpoints").iterdir())) == 1
