"""A dry run says what a start would do, and does nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch

from ladder_ebgan import dry_run, experiment, runs, trainer
from ladder_ebgan.commands.run import request_of
from ladder_ebgan.disk import replica_bytes
from ladder_ebgan.dry_run import DryRun, plan_run
from ladder_ebgan.experiment import Request, open_experiment
from ladder_ebgan.report.dry_run import dry_run_json, dry_run_text
from ladder_ebgan.runs import open_run_folder
from ladder_ebgan.timing import Phase


@pytest.fixture
def step_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second for a step alone, ten with a generator."""
    monkeypatch.setattr(trainer, "step_seconds", lambda _engine, _n, phase: 10.0 if phase.adversarial else 1.0)


def request(output: Path, *more: str, **changed: str) -> Request:
    return request_of(**tiny.parameters_of_run(*tiny.arguments(output, *more, **changed)[1:]))


def plan(output: Path, *more: str, **changed: str) -> DryRun:
    with open_experiment(request(output, *more, **changed), dry_run=True) as opened:
        return plan_run(opened)


def planned(output: Path, *more: str, **changed: str) -> dict[str, Any]:
    """The JSON object of a plan."""
    content: dict[str, Any] = json.loads(dry_run_json(plan(output, *more, **changed)))
    return content


def lines_of(text: str) -> dict[str, str]:
    """What the text says of each thing, by its first word."""
    return {line.split()[0]: line.partition("  ")[2].strip() for line in text.splitlines() if line}


# Nothing is written.


def test_a_new_run_is_planned_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = tiny.arguments(tmp_path / "deep" / "run", "--dry-run")
    outcome = tiny.done(*command)
    assert outcome.stderr == "Timing a few steps ...\n"
    assert outcome.stdout.startswith("Dry run: nothing is written, nothing is trained.\n\nfolder ")
    assert list(tmp_path.iterdir()) == []
    quiet = tiny.done(*command, "--quiet", "--json")
    assert quiet.stderr == ""
    assert json.loads(quiet.stdout)["folder"] == str(tmp_path / "deep" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_stays_as_it_is(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "ladder-20-0.safetensors").write_text("left by a kill; a start removes it")
    before = tiny.content(folder)
    outcome = tiny.done(*tiny.arguments(folder, "--dry-run"))
    assert outcome.stderr == ""  # no step is timed
    assert "Everything asked for is already trained.\n" in outcome.stdout
    assert lines_of(outcome.stdout)["time"] == "none"
    assert "In this order" not in outcome.stdout
    tiny.done(*tiny.arguments(folder, "--dry-run", "--fresh", "--seeds", "3"))
    assert tiny.content(folder) == before


@pytest.mark.usefixtures("step_times")
def test_a_folder_in_use_can_be_looked_at(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    before = tiny.content(folder)
    with open_run_folder(folder, record, fresh=False):
        assert "is in use by another process" in tiny.refused(*tiny.arguments(folder))
        assert planned(folder, "--seeds", "3")["plan"][0]["n_finished"] == 2
    assert tiny.content(folder) == before


# The checks are those of a start.


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        (("--precision", "bfloat16"), {}),
        ((), {"ladder__n_steps": "21"}),
        (("--labels", "1298"), {}),
        (("--model", "lader"), {}),
        (("--device", "tpu"), {}),
        (("--processes", "2"), {}),
        (("--data", "no/data"), {}),
        (("--time-limit", "nan"), {}),
    ],
)
def test_what_a_start_refuses_is_refused(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, more: tuple[str, ...], changed: dict[str, str]
) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    before = tiny.content(folder)
    command = tiny.arguments(folder, *more, **changed)
    assert tiny.refused(*command, "--dry-run") == tiny.refused(*command)
    assert tiny.content(folder) == before


def test_a_folder_that_a_start_refuses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("precious")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text("{}")
    before = tiny.content(tmp_path)
    for name in ("file", "file/run", "link", "folder", "other", "a" * 300):
        command = tiny.arguments(tmp_path / name)
        assert tiny.refused(*command, "--dry-run") == tiny.refused(*command)
    assert tiny.refused(*tiny.arguments(tmp_path / "folder", "--fresh", "--dry-run")).startswith("the folder ")
    (tmp_path / "other" / ".lock").unlink()
    assert tiny.content(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.os, "access", lambda *_: False)
    folder = tmp_path / "run"
    assert tiny.refused(*tiny.arguments(folder, "--dry-run")) == (
        f"cannot write to the folder {folder}: Permission denied; name another with --output"
    )


# What is planned is what happens.


@pytest.mark.usefixtures("step_times")
def test_the_plan_of_a_new_run(tmp_path: Path) -> None:
    """20 steps of the ladder and 13 + 11 of the other, of two groups each: 2 (20 + 130 + 11) seconds."""
    found = planned(tmp_path / "run", "--labels", "20,30", "--replicas-at-once", "2")
    assert (found["folder_state"], found["dataset"], found["recipe"]) == ("new", "digits", "table2")
    assert (found["models"], found["labels"], found["seeds"]) == (["ladder", "ebgan-ladder"], [20, 30], [0, 1])
    assert found["plan"] == [
        {
            **{"model": model, "n_steps": n_steps, "n_asked": 4, "n_finished": 0, "n_left": 4, "n_groups": 2},
            "replica_steps": 4 * n_steps,
        }
        for model, n_steps in (("ladder", 20), ("ebgan-ladder", 24))
    ]
    assert found["groups"][1] == {"model": "ladder", "replicas": [[30, 0], [30, 1]], "first_step": 0, "n_steps": 20}
    assert [group["model"] for group in found["groups"]] == ["ladder"] * 2 + ["ebgan-ladder"] * 2
    assert (found["replica_steps"], found["seconds"]) == (4 * 44, 322.0)
    assert (found["compiled"], found["n_processes"], found["measured"]) == (False, 1, [])
    assert "ladder.n_steps=20" in found["overrides"]
    assert found["notes"] == []


def test_a_run_does_what_was_planned(tmp_path: Path) -> None:
    folder, more = tmp_path / "run", ("--quiet", "--seeds", "3", "--replicas-at-once", "2")
    first = json.loads(tiny.done(*tiny.arguments(folder, *more, "--dry-run", "--json")).stdout)
    tiny.done(*tiny.arguments(folder, *more))
    record = json.loads((folder / "run.json").read_text())
    assert [(group["model"], group["replicas"]) for group in first["groups"]] == [
        (group["model"], group["replicas"]) for group in record["groups"]
    ]
    assert {key: first[key] for key in record["resolved"]} == record["resolved"]
    files = tiny.content(folder)
    written = sum(len(content) for name, content in files.items() if name.startswith(("models/", "predictions/")))
    headers = 6 * 12_000  # of small networks
    assert written - headers < first["finished_bytes"] < 1.3 * written
    second = json.loads(tiny.done(*tiny.arguments(folder, *more, "--dry-run", "--json")).stdout)
    assert (second["folder_state"], second["groups"], second["seconds"]) == ("goes on", [], 0.0)
    assert [model["n_finished"] for model in second["plan"]] == [3, 3]
    rows = sum(len(content) for name, content in files.items() if "/" not in name and name.endswith("s.csv"))
    assert (second["finished_bytes"], second["checkpoint_bytes"]) == (written + rows + len(files["history.csv"]), 0)
    assert second["notes"] == ["Everything asked for is already trained."]


@pytest.mark.usefixtures("step_times")
def test_a_stopped_run_goes_on_where_its_checkpoint_is(tmp_path: Path) -> None:
    """It is stopped after the first step, of two replicas; one of them alone trains both."""
    folder = tmp_path / "run"
    assert tiny.invoke(*tiny.arguments(folder, "--quiet", "--time-limit", "1e-9")).code == 75
    before = tiny.content(folder)
    found = planned(folder, "--seed-list", "1", "--model", "ladder")
    assert found["plan"] == [
        {
            **{"model": "ladder", "n_steps": 20, "n_asked": 1, "n_finished": 0, "n_left": 2, "n_groups": 1},
            "replica_steps": 2 * 19,
        }
    ]
    assert [(group["first_step"], group["n_steps"]) for group in found["groups"]] == [(1, 20)]
    assert found["seconds"] == 19.0
    text = dry_run_text(plan(folder), None)
    assert "\n  ladder, 20 labels, seeds 0, 1: 20 steps, going on from step 1\n" in text
    assert tiny.content(folder) == before


@pytest.mark.usefixtures("step_times")
def test_a_fresh_start_begins_with_nothing(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither the finished replicas count that the folder has, nor a checkpoint of the same name."""
    folder = tmp_path / "run"
    assert tiny.invoke(*tiny.arguments(folder, "--quiet", "--time-limit", "1e-9")).code == 75
    stopped = planned(folder, "--fresh", ladder__n_steps="30")
    finished = planned(tiny.copied_run(tmp_path_factory, tmp_path / "finished"), "--fresh", ladder__n_steps="30")
    for found in (stopped, finished):
        assert found["folder_state"] == "started anew"
        assert [group["first_step"] for group in found["groups"]] == [0, 0]
        assert [(model["n_finished"], model["n_left"]) for model in found["plan"]] == [(0, 2), (0, 2)]
        assert found["notes"] == [f"--fresh will throw away what {found['folder']} holds of a run."]
    assert planned(tmp_path / "none", "--fresh")["folder_state"] == "new"


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two cores on which two processes are faster: 2 / 1.5 replica-steps a second against 1."""

    def measure(n_processes: int, _: int, n_replicas: int, phase: Phase) -> list[float]:
        return [n_replicas * (1.0 if n_processes == 1 else 1.5)] * n_processes

    @contextmanager
    def pool(*_: Any) -> Iterator[Any]:
        yield SimpleNamespace(measure=measure, step_seconds=lambda n_replicas, phase: 30.0)

    monkeypatch.setattr(experiment, "worker_pool", pool)
    monkeypatch.setattr("ladder_ebgan.machine.available_cores", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(experiment, "MEASURING_PAYS_REPLICA_STEPS", 40)


@pytest.mark.usefixtures("two_cores")
def test_processes_are_measured_as_at_a_start(tmp_path: Path) -> None:
    """Two ladders of 20 steps side by side, 30 seconds each: 600; the other two 24 steps: 720."""
    with open_experiment(request(tmp_path / "run"), dry_run=True) as opened:
        found = plan_run(opened)
    assert (found.experiment.resolved.n_processes, found.experiment.resolved.n_threads) == (2, 1)
    assert found.seconds == 1320.0
    text = dry_run_text(found, None)
    assert "\nprocesses  2 processes with 1 thread each, up to 4 replicas at once in each\n" in text
    assert lines_of(text)["time"] == "about 22 min, going by a few timed steps"
    assert "Chosen by measurement, which the start repeats: 2 processes with 1 thread each: 1.33 rep" in text
    assert "Faster may be, in a new folder (--output DIR): " in text
    of_one = replica_bytes(opened.request.recipe, "ebgan-ladder", 20, opened.dataset).checkpoint
    assert found.checkpoint_bytes == 3 * of_one  # two that train, and one that is being written
    assert not (tmp_path / "run").exists()


# How it is said.


@pytest.mark.usefixtures("step_times")
def test_the_text_fits_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = plan(Path("run"), "--labels", "20,30", "--seeds", "4")
    narrow, wide = dry_run_text(found, 80), dry_run_text(found, None)
    assert narrow.split() == wide.split()
    assert max(map(len, narrow.splitlines())) <= 80
    said = lines_of(wide)
    assert said["folder"] == "run, for a new run"
    assert said["data"] == "digits, 1297 training and 500 test images"
    assert said["recipe"] == "table2, with changed settings"
    assert (said["labels"], said["seeds"]) == ("20, 30", "0-3")
    table = wide.splitlines()[wide.splitlines().index("") + 12 :]
    assert [line.split() for line in table[:2]] == [
        ["ladder", "8", "0", "8", "2", "20", "160"],
        ["ebgan-ladder", "8", "0", "8", "2", "24", "192"],
    ]


def test_what_there_is_to_know_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "step_seconds", lambda *_: 0.1)
    found = plan(tmp_path / "run", "--replicas-at-once", "1", "--processes", "1")
    small, unknown = replace(found, free_bytes=1000), replace(found, free_bytes=None)
    warning = "The disk may be too small: make room, or name a folder on another one with --output.\n"
    assert dry_run_text(small, None).endswith(warning)
    assert lines_of(dry_run_text(small, None))["disk"].endswith("; 1.0 kB are free")
    assert "free" not in dry_run_text(unknown, None)
    assert json.loads(dry_run_json(unknown))["free_bytes"] is None
    enough = replace(found, free_bytes=found.finished_bytes + found.checkpoint_bytes)
    assert warning not in dry_run_text(enough, None)
    there = replace(enough, replaced_bytes=found.finished_bytes, free_bytes=found.checkpoint_bytes)
    assert warning not in dry_run_text(there, None)
    assert warning in dry_run_text(replace(there, free_bytes=found.checkpoint_bytes - 1), None)


@pytest.mark.usefixtures("step_times")
def test_what_is_there_needs_no_room(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of a run to be added to: its results and what a checkpoint takes; all of it where it is thrown away."""
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    (folder / "checkpoints").mkdir()
    for name in ("ladder-20-2", "ladder-20-9"):  # of a seed that is asked for, and of another
        (folder / "checkpoints" / f"{name}.safetensors").write_bytes(bytes(1000))
    names = ("results.csv", "history.csv", "energies.csv", "predictions/", "models/", "checkpoints/ladder-20-2")
    files = {name: len(content) for name, content in tiny.content(folder).items()}
    kept = sum(size for name, size in files.items() if name.startswith(names))
    assert plan(folder, "--seeds", "3").replaced_bytes == kept
    assert plan(folder, "--fresh").replaced_bytes == sum(files.values()) - files["run.json"] - files.get(".lock", 0)
    assert dry_run.free_bytes(tmp_path) is not None


@pytest.mark.usefixtures("step_times")
def test_an_option_that_is_not_heeded_is_named(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    assert planned(folder, "--seeds", "3", "--replicas-at-once", "1")["notes"] == [
        "--replicas-at-once is kept as this folder's run began; another value needs another --output."
    ]
