"""Kill a run anywhere, run the same command again: the files are those of a run that nobody disturbed."""

import csv
import io
import json
import os
import signal
from pathlib import Path

import pytest
import tiny

from ladder_ebgan.checkpoints import checkpoint_step
from ladder_ebgan.interruption import NOTICE

N_STEPS = {"ladder": 20, "ebgan-ladder": 24}


@pytest.fixture(scope="module")
def undisturbed(server: tiny.Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    outcome = server.run(*tiny.arguments(folder, "--quiet"))
    assert outcome.code == 0, outcome.stderr
    return lasting(folder)


def lasting(folder: Path) -> dict[str, bytes]:
    """The files of a finished run without what may differ: times, the starts, figures."""
    files = tiny.content(folder)
    rows = list(csv.DictReader(io.StringIO(files["results.csv"].decode())))
    record = json.loads(files["run.json"])
    del record["starts"]
    files["results.csv"] = json.dumps([{**row, "seconds": ""} for row in rows]).encode()
    files["run.json"] = json.dumps(record).encode()
    return {name: content for name, content in files.items() if not name.startswith("figures/")}


def assert_same(folder: Path, undisturbed: dict[str, bytes]) -> None:
    files = lasting(folder)
    assert list(files) == list(undisturbed)
    assert [name for name in files if files[name] != undisturbed[name]] == []


def checkpoint_of(folder: Path, model: str) -> Path:
    return folder / "checkpoints" / f"{model}-20-0.safetensors"


def test_killed_before_a_write_again_and_again(
    server: tiny.Server, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """The n-th process dies before its n-th synchronised write; each one gets further than the one before."""
    folder, codes = tmp_path / "run", list[int]()
    while not codes or codes[-1] != 0:
        # Past the first checkpoints several of them at a time, to be done in fewer processes.
        at = 1 + len(codes) if len(codes) < 8 else 13 + 2 * len(codes)
        outcome = server.run(*tiny.arguments(folder, "--quiet"), checkpoint_each_step=True, kill_at_fsync=at)
        assert outcome.stderr == ""
        codes.append(outcome.code)
        assert len(codes) < 40
    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert len(codes) > 9
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_killed_while_training(
    server: tiny.Server, tmp_path: Path, undisturbed: dict[str, bytes], model: str
) -> None:
    """Within a step: the first, before and after a curve point, the first without the generator, the last."""
    folder = tmp_path / "run"
    for step in (1, 9, 10, 11, 14, 20):
        outcome = server.run(
            *tiny.arguments(folder, "--quiet", "--model", model),
            checkpoint_each_step=True,
            signal_at_step=[step, [signal.SIGKILL]],
        )
        assert outcome.code == -signal.SIGKILL
        assert checkpoint_step(checkpoint_of(folder, model)) == step - 1
    outcome = server.run(*tiny.arguments(folder, "--model", model))
    assert outcome.code == 0
    assert f"{N_STEPS[model]} steps, going on from step 19\n" in outcome.stderr
    files = lasting(folder)
    for name in files:
        if name.startswith(("models/", "predictions/")):
            assert files[name] == undisturbed[name], name
    curves = [line for line in undisturbed["history.csv"].splitlines() if line.startswith(f"{model},".encode())]
    assert files["history.csv"].splitlines()[1:] == curves


def test_killed_while_finishing(server: tiny.Server, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """Trained and evaluated: before each of the files, and when only the checkpoint is left to be removed."""
    folder = tmp_path / "run"
    killed = server.run(*tiny.arguments(folder, "--quiet"), checkpoint_each_step=True, kill_at_fsync=1 + 20 + 1)
    assert killed.code == -signal.SIGKILL
    assert checkpoint_step(checkpoint_of(folder, "ladder")) == 20
    for at in range(1, 8):  # run.json, the cut history, two predictions, two models, the results
        assert server.run(*tiny.arguments(folder, "--quiet"), kill_at_fsync=at).code == -signal.SIGKILL
        assert not (folder / "results.csv").exists()
    killed = server.run(*tiny.arguments(folder, "--quiet"), kill_at_checkpoint_removal=True)
    assert killed.code == -signal.SIGKILL
    assert (folder / "results.csv").exists()
    assert server.run(*tiny.arguments(folder, "--quiet")).code == 0
    assert_same(folder, undisturbed)


def test_a_signal_stops_with_a_checkpoint(
    server: tiny.Server, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    folder = tmp_path / "run"
    term, interrupt = (signal.SIGTERM, 143), (signal.SIGINT, 130)
    chain = [("ladder", 7, *term), ("ebgan-ladder", 6, *interrupt), ("ebgan-ladder", 17, *term)]
    for model, step, number, code in chain:
        if model == "ebgan-ladder" and step == 6:  # at the last step of a group it leaves the next for later
            outcome = server.run(*tiny.arguments(folder, "--quiet"), signal_at_step=[20, [signal.SIGTERM]])
            assert outcome.code == 143
            assert " ladder " in outcome.stdout
            assert "ebgan-ladder" not in outcome.stdout
        outcome = server.run(*tiny.arguments(folder, "--quiet"), signal_at_step=[step, [number]])
        assert outcome.code == code
        said = f"Stopped ({number.name}). The same command goes on from here.\n"
        assert outcome.stderr == NOTICE.decode() + said
        assert checkpoint_step(checkpoint_of(folder, model)) == step
        assert outcome.stdout.startswith("Test error in %, digits\n") == (model == "ebgan-ladder")
    outcome = server.run(*tiny.arguments(folder, "--quiet"), signal_at_step=[24, [signal.SIGTERM]])
    assert outcome.code == 0  # at the last step of all there is nothing left to stop
    assert_same(folder, undisturbed)


def test_a_second_signal_does_not_wait(server: tiny.Server, tmp_path: Path) -> None:
    outcome = server.run(
        *tiny.arguments(tmp_path / "run", "--quiet"), signal_at_step=[3, [signal.SIGINT, signal.SIGINT]]
    )
    assert outcome.code == 130
    said = "ladder-ebgan: interrupted; the same command goes on from the last checkpoint\n"
    assert outcome.stderr == NOTICE.decode() + "\n" + said  # click ends the line of ^C
    assert not checkpoint_of(tmp_path / "run", "ladder").exists()


def test_a_signal_from_outside(server: tiny.Server, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    one = ("--processes", "1")  # so long a run may choose two, each with a seed and its own speed
    endless = tiny.arguments(folder, "--quiet", "--model", "ladder", *one, ladder__n_steps="1000000")

    def has_a_point(history: Path = folder / "history.csv") -> bool:
        os.kill(pid, 0)  # fails as soon as the process has ended
        return history.exists() and history.read_text().count("\n") > 1

    with server.started(*endless) as pid:
        tiny.wait_until(has_a_point)
        os.kill(pid, signal.SIGTERM)
        assert server.wait().code == 143
    assert checkpoint_step(checkpoint_of(folder, "ladder")) >= 10


def test_the_time_limit_stops_with_a_checkpoint(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path / "run"
    command = tiny.arguments(folder, "--quiet")
    outcome = tiny.invoke(*command, "--time-limit", "1e-9", figures=True)
    assert outcome.code == 75
    assert outcome.stderr == "Stopped (time limit). The same command goes on from here.\n"
    assert outcome.stdout == ""  # no replica is done, so there is no table
    anew = tiny.invoke(*command, "--time-limit", "1e-9", "--fresh", figures=True)
    assert anew.stderr == "Stopped (time limit). The same command without --fresh goes on from here.\n"
    assert (folder / "table.json").exists()
    assert not (folder / "figures").exists()  # they take time, and the next start draws them
    assert checkpoint_step(checkpoint_of(folder, "ladder")) == 1
    assert "going on from step 1" in tiny.done(*tiny.arguments(folder)).stderr
    assert_same(folder, lasting(tiny.finished_run(tmp_path_factory)))


def test_a_torn_last_line_of_the_history_is_repaired(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    whole = (folder / "history.csv").read_bytes()
    (folder / "history.csv").write_bytes(whole + b"ebgan-ladder,20,0,2")
    tiny.done(*tiny.arguments(folder))
    assert (folder / "history.csv").read_bytes() == whole


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "other"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "run"
    command = tiny.arguments(folder, "--quiet", "--model", "ladder")
    assert tiny.invoke(*command, "--time-limit", "1e-9").code == 75
    path, other = checkpoint_of(folder, "ladder"), tmp_path / "other"
    content = path.read_bytes()
    others = tiny.arguments(other, "--quiet", "--model", "ladder", "--seed-list", "0,2")
    assert tiny.invoke(*others, "--time-limit", "1e-9").code == 75
    damaged = {
        "cut": content[:-100],
        "garbage": b"\xff" * 1000,
        "empty": b"",
        "other": checkpoint_of(other, "ladder").read_bytes(),
    }
    path.write_bytes(damaged[damage])
    message = tiny.refused(*command)
    assert message.startswith(f"the checkpoint {path} ")
    assert ("belongs to other replicas" if damage == "other" else "is damaged (") in message
    assert "remove it to train" in message
    assert path.read_bytes() == damaged[damage]
