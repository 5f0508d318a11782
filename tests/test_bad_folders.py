"""Folders and files of a run, damaged, somebody else's, full or read-only: one line, and nothing is lost."""

import csv
import errno
import fcntl
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from refusals import examples, refused
from safetensors import SafetensorError, safe_open

from ladder_ebgan import checkpoints
from ladder_ebgan.checkpoints import check_checkpoint
from ladder_ebgan.data import load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import write_atomically
from ladder_ebgan.report.figures import write_figures
from ladder_ebgan.report.figures.stored import stored_predictions
from ladder_ebgan.runs import Group, Replica, RunFolder, read_record

Change = Callable[[Path], object]
CHECKPOINT = "checkpoints/ladder-20-0.safetensors"
IDENTITY = Group("ladder", (Replica(20, 0), Replica(20, 1))).identity


@pytest.fixture
def run(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    return tiny.copied_run(tmp_path_factory, tmp_path / "run")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after its first step."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    assert tiny.invoke(*tiny.arguments(folder, "--quiet", "--time-limit", "1e-9")).code == 75
    assert (folder / CHECKPOINT).exists()
    return folder


# The folder that --output names


def test_a_folder_that_cannot_be_the_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("precious")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    os.mkfifo(tmp_path / "pipe")
    for name, expected in {
        "file": "is a file: name a folder",
        "file/run": "Not a directory; name another with --output",
        "pipe": "is a file: name a folder",
        "loop/run": "Too many levels of symbolic links; name another with --output",
        "dangling": "is a link to nothing: name a folder",
        "folder": "is not empty and not a run's (it has thesis.tex): name another with --output",
        "new/" + "x" * 300: "File name too long; name another with --output",
        "/proc/run": "name another with --output",
    }.items():
        for more in ((), ("--fresh",), ("--dry-run",)):
            if (
                name not in {"/proc/run", "new/" + "x" * 300} or "--dry-run" not in more
            ):  # shows in the attempt only
                assert expected in refused(tmp_path, *tiny.arguments(tmp_path / name, *more)), (name, more)


@pytest.mark.parametrize("more", [[], ["--fresh"], ["--seeds", "3"]])
def test_a_folder_in_use_is_refused(tmp_path: Path, run: Path, more: list[str]) -> None:
    with (run / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refused(tmp_path, *tiny.arguments(run, *more)) == (
            f"the folder {run} is in use by another process: wait for it, or name another with --output"
        )


def test_a_file_system_without_locks_is_refused(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    message = refused(tmp_path, *tiny.arguments(run))
    assert message == (
        f"the folder {run} is on a disk without locks (No locks available): name another with --output"
    )


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--set", "ladder.learning_rate=0.02"], "recipe.ladder.learning_rate is 0.01 there, 0.02 here"),
        (["--recipe", "demo"], "recipe.network.softmax_gamma is false there, true here"),
        (["--data", "mine.npz"], "its data is digits, not this mine"),
        (["--precision", "bfloat16"], 'precision is "float32" there, "bfloat16" here'),
    ],
)
def test_a_folder_of_another_run_is_refused(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).random((30, 8, 8))
    np.savez("mine.npz", x_train=images, y_train=np.arange(30) % 3, x_test=images, y_test=np.arange(30) % 3)
    for dry in ([], ["--dry-run"]):
        message = refused(tmp_path, *tiny.arguments(run, *more, *dry))
        assert message == (
            f"the folder {run} holds another run ({named}): "
            "name another folder with --output, or give --fresh to replace it"
        )


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENAMETOOLONG, errno.EIO])
def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def denied(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", denied)
    message = refused(tmp_path, *tiny.arguments(tmp_path / "deep" / "run"))
    assert message.endswith(f": {os.strerror(number)}; name another with --output")


# What is in the folder of a run


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path: Path) -> None:
    path.write_bytes(b"\x93garbage\n" * 50)


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def rewritten(old: str, new: str) -> Change:
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


DAMAGES: list[tuple[str, Change, str]] = [
    ("run.json", cut, "run.json is damaged ("),
    ("run.json", garbage, "run.json: it is not UTF-8 text"),
    ("run.json", replaced_by_folder, "run.json: Is a directory"),
    ("run.json", replaced_by_link, "run.json: Too many levels of symbolic links"),
    ("run.json", lambda path: path.write_text("{}"), "run.json is damaged (it has no format)"),
    ("run.json", lambda path: path.write_text("[" * 100_000), "maximum recursion depth exceeded"),
    ("run.json", rewritten('"format": 1', '"format": 2'), "run.json has format 2, and this version"),
    ("run.json", rewritten('"groups"', '"group"'), "run.json is damaged (groups: field required)"),
    ("run.json", rewritten('"n_threads": 1', '"n_threads": "x"'), "(resolved.n_threads: input should be a valid"),
    ("results.csv", garbage, "results.csv is damaged: "),
    ("results.csv", replaced_by_folder, "results.csv: Is a directory"),
    ("results.csv", replaced_by_link, "results.csv: Too many levels of symbolic links"),
    ("results.csv", rewritten("ladder,20,0,ok,", "ladder,20,0,ok,x"), "results.csv is damaged: could not convert"),
    (
        "results.csv",
        rewritten("ladder,20,0,ok,", "ladder,20,0,ok,9"),
        "results.csv is damaged: test_error_percent",
    ),
    ("results.csv", rewritten("ladder,20,0,", "ladder,20,1,"), "two results of ladder with 20 labels and seed 1"),
]


@pytest.mark.parametrize(
    ("name", "change", "expected"), DAMAGES, ids=[f"{name}: {expected[:30]}" for name, _, expected in DAMAGES]
)
def test_a_damaged_file_is_named(tmp_path: Path, run: Path, name: str, change: Change, expected: str) -> None:
    change(run / name)
    for command in (
        ["table", str(run)],
        ["report", str(run)],
        tiny.arguments(run),
        tiny.arguments(run, "--dry-run"),
    ):
        assert expected in refused(tmp_path, *command)


@pytest.mark.parametrize("change", [garbage, replaced_by_folder, replaced_by_link, rewritten(",10,", ",x,")])
def test_damaged_learning_curves_are_named(tmp_path: Path, run: Path, change: Change) -> None:
    change(run / "history.csv")
    message = refused(tmp_path, *tiny.arguments(run))
    assert str(run / "history.csv") in message


@pytest.mark.parametrize("name", ["predictions", "models", "figures", "checkpoints"])
def test_a_file_in_place_of_a_folder_is_refused_before_anything_is_trained(
    tmp_path: Path, run: Path, name: str
) -> None:
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).write_text("precious")
    message = refused(tmp_path, *tiny.arguments(run, "--seeds", "3"))
    assert message == f"{run / name} must be a folder: move away what is there"


@pytest.mark.parametrize("name", ["predictions", "models", "figures", "table.json", "history.csv", ".lock"])
def test_a_finished_run_can_do_without_much_of_it(run: Path, name: str) -> None:
    before = (run / "table.json").read_bytes()
    shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    tiny.done(*tiny.arguments(run, "--quiet"))
    assert (run / "table.json").read_bytes() == before


def test_a_replica_that_is_trained_again_replaces_its_result(run: Path) -> None:
    """A line taken out of the results: its group trains again, and has no second result of the others."""
    lines = (run / "results.csv").read_text().splitlines(keepends=True)
    (run / "results.csv").write_text("".join(line for line in lines if not line.startswith("ladder,20,1,")))
    tiny.done(*tiny.arguments(run, "--quiet"))
    again = (run / "results.csv").read_text().splitlines(keepends=True)
    assert [line.split(",")[:5] for line in again] == [line.split(",")[:5] for line in lines]


# Checkpoints


def flipped(bit: int) -> Change:
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[bit // 8 % len(content)] ^= 1 << bit % 8
        path.write_bytes(content)

    return change


MODEL = "models/ladder-20-0.safetensors"
DAMAGED_CHECKPOINTS: dict[str, tuple[Change, str]] = {
    "cut": (cut, "is damaged (Error while deserializing header"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged (Error while deserializing header"),
    "garbage": (garbage, "is damaged (Error while deserializing header"),
    "a folder": (replaced_by_folder, "is damaged ("),
    "a weight flipped": (flipped(8 * 50_000 + 3), "is damaged (its checksum is wrong)"),
    "the last bit flipped": (flipped(-1), "is damaged (its checksum is wrong)"),
    "more at the end": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "is damaged (Error while"),
    "another group's": (
        lambda path: rewrite(path, group={"model": "ladder"}),
        "belongs to other replicas; remove it",
    ),
    "before the start": (lambda path: rewrite(path, step=-1), "is damaged (it is of step -1 after "),
    "a step in words": (lambda path: rewrite(path, step="one"), "is damaged (it is of step one after "),
    "endless": (lambda path: rewrite(path, seconds=float("inf")), "is damaged (it is of step 1 after inf seconds)"),
    "without a step": (lambda path: rewrite(path, step=None), "is damaged (it is of step None after "),
    "without seconds": (lambda path: rewrite(path, seconds=None), "is damaged (float() argument must be"),
}


def rewrite(path: Path, **metadata: Any) -> None:
    """Change what a checkpoint says of itself, as if it had been written so."""
    from ladder_ebgan.tensor_files import read_tensors, tensor_bytes

    tensors, stored = read_tensors(path, "checkpoint")
    path.write_bytes(tensor_bytes(tensors, "checkpoint", stored | metadata))


@pytest.mark.parametrize(("change", "expected"), DAMAGED_CHECKPOINTS.values(), ids=DAMAGED_CHECKPOINTS)
def test_a_damaged_checkpoint_is_named_before_anything_is_begun(
    tmp_path: Path, begun: Path, change: Change, expected: str
) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    change(folder / CHECKPOINT)
    message = refused(tmp_path, *tiny.arguments(folder))
    assert refused(tmp_path, *tiny.arguments(folder, "--dry-run")) == message
    assert message.startswith(f"the checkpoint {folder / CHECKPOINT} ")
    assert expected in message
    assert "; remove it to train " in message


def test_a_model_is_no_checkpoint(tmp_path: Path, begun: Path, run: Path) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "begun"))
    shutil.copy(run / MODEL, folder / CHECKPOINT)
    assert "is damaged ('checkpoint')" in refused(tmp_path, *tiny.arguments(folder))
    for command in (["predict", str(folder / CHECKPOINT), "digits"], ["models", str(folder / CHECKPOINT)]):
        shutil.copy(begun / CHECKPOINT, folder / CHECKPOINT)
        assert "is the checkpoint of a training" in refused(tmp_path, *command)


@examples
@given(bit=st.integers(min_value=0), length=st.integers(0, 200) | st.none())
def test_any_damage_to_a_checkpoint_is_noticed(tmp_path: Path, begun: Path, bit: int, length: int | None) -> None:
    """But for what changes nothing: the name of the checksum, or a last digit of the seconds."""
    path = tmp_path / "damaged.safetensors"
    content = (begun / CHECKPOINT).read_bytes()
    path.write_bytes(content if length is None else content[:length])
    if length is None:
        flipped(bit)(path)
    if what_is_read(path) != what_is_read(begun / CHECKPOINT):
        with pytest.raises(UsageError, match=r"^the checkpoint .*; remove it to train "):
            check_checkpoint(path, IDENTITY)


def what_is_read(path: Path) -> Any:
    """All but the checksum of a checkpoint; None if nothing can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            stored = json.loads(file.metadata()["checkpoint"])
            tensors = {name: file.get_tensor(name).numpy().tobytes() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None
    return {key: stored.get(key) for key in ("step", "seconds", "group")}, tensors


def test_a_removed_checkpoint_is_trained_anew(tmp_path: Path, begun: Path, tmp_path_factory: Any) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    shutil.rmtree(folder / "checkpoints")
    tiny.done(*tiny.arguments(folder, "--quiet"))
    assert lasting(folder) == lasting(tiny.finished_run(tmp_path_factory))


# Models and predictions


@pytest.mark.parametrize(
    "change",
    [cut, garbage, flipped(8 * 9000 + 2), replaced_by_folder],
    ids=["cut", "garbage", "flipped", "replaced by a folder"],
)
def test_a_damaged_model_is_named(tmp_path: Path, run: Path, change: Change) -> None:
    change(run / MODEL)
    for command in (["predict", str(run / MODEL), "digits"], ["sample", str(run / MODEL), "--output", "x.png"]):
        assert str(run / MODEL) in refused(tmp_path, *command)


def with_arrays(**changed: Any) -> Change:
    def change(path: Path) -> None:
        with np.load(path) as file:
            arrays = {name: array for name, array in (dict(file) | changed).items() if array is not None}
        np.savez(path, **arrays)

    return change


PREDICTIONS = "predictions/ebgan-ladder-20-0.npz"
DAMAGED_PREDICTIONS: dict[str, tuple[Change, str]] = {
    "cut": (cut, "is not an .npz archive, or not a whole one; restore it, or remove it and go without it"),
    "empty": (lambda path: path.write_bytes(b""), "is not an .npz archive, or not a whole one"),
    "garbage": (garbage, "is not an .npz archive, or not a whole one"),
    "a folder": (replaced_by_folder, "Is a directory; restore it, or remove it"),
    "a link": (replaced_by_link, "Too many levels of symbolic links; restore it, or remove it"),
    "without indices": (with_arrays(labeled_indices=None), "is damaged: it has no labeled_indices"),
    "without probabilities": (with_arrays(probabilities=None), "is damaged: it has no probabilities"),
    "indices beyond": (with_arrays(labeled_indices=np.full(20, 1297)), "its labeled_indices are not those"),
    "negative indices": (with_arrays(labeled_indices=np.full(20, -1)), "its labeled_indices are not those"),
    "other indices": (with_arrays(labeled_indices=np.arange(30)), "its labeled_indices are not those of this run"),
    "other classes": (with_arrays(probabilities=np.full((500, 3), 1 / 3)), "its probabilities are not those"),
    "NaN": (with_arrays(probabilities=np.full((500, 10), np.nan)), "its probabilities are not those of this run"),
    "other images": (with_arrays(generated_images=np.zeros((20, 63), np.uint8)), "its generated_images are not"),
    "floats": (with_arrays(generated_images=np.zeros((20, 64))), "its generated_images are not those of this run"),
    "fewer images": (with_arrays(generated_images=np.zeros((3, 64), np.uint8)), "different numbers of generated"),
    "Python objects": (with_arrays(probabilities=np.array([None])), "it holds Python objects, which are never"),
}


@pytest.mark.parametrize(("change", "expected"), DAMAGED_PREDICTIONS.values(), ids=DAMAGED_PREDICTIONS)
def test_damaged_predictions_are_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, change: Change, expected: str
) -> None:
    for name in ("error_by_seed", "learning_curves", "energies"):
        monkeypatch.setattr(f"ladder_ebgan.report.figures.of_run.{name}", lambda *_: None)
    change(run / PREDICTIONS)
    with pytest.raises(UsageError) as caught:
        write_figures(RunFolder(run, read_record(run)), load_dataset("digits"))
    assert str(run / "predictions") in str(caught.value)
    assert expected in str(caught.value)


# A full disk


def lasting(folder: Path) -> dict[str, bytes]:
    """The files of a run without what may differ: times, the starts, figures."""
    files = {name: content for name, content in tiny.content(folder).items() if not name.startswith("figures")}
    rows = list(csv.DictReader(io.StringIO(files["results.csv"].decode())))
    record = json.loads(files["run.json"])
    del record["starts"]
    files["results.csv"] = json.dumps([{**row, "seconds": ""} for row in rows]).encode()
    files["run.json"] = json.dumps(record).encode()
    return files


@pytest.mark.parametrize(
    ("pause", "written"),
    [(-1.0, {"run.json", "checkpoints", "history.csv"}), (3600.0, {"predictions", "models", "results.csv"})],
    ids=["a-checkpoint-at-each-step", "none"],
)
def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    pause: float,
    written: set[str],
) -> None:
    """One write of each start fails, the n-th of the n-th start, until a start gets through with fewer."""
    folder, fsync, named = tmp_path / "run", os.fsync, list[str]()
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", pause)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_WRITINGS", -1.0)  # however long the last one took
    while True:
        countdown = iter(range(len(named), -(10**6), -1))

        def full(file: int, countdown: Iterator[int] = countdown) -> None:
            if next(countdown) == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(file)

        monkeypatch.setattr(os, "fsync", full)
        outcome = tiny.invoke(*tiny.arguments(folder, "--quiet"))
        if outcome.code == 0:
            break
        assert outcome.code == 1
        told = ": No space left on device; make room, and the same command goes on\n"
        name = outcome.stderr.removeprefix(f"ladder-ebgan: {folder}/").removesuffix(told)
        assert outcome.stderr == f"ladder-ebgan: {folder}/{name}{told}"
        named.append(name.partition("/")[0])
        assert [path for path in tiny.content(folder) if path.endswith(".tmp")] == []
    monkeypatch.setattr(os, "fsync", fsync)
    assert set(named) >= written
    assert lasting(folder) == lasting(tiny.finished_run(tmp_path_factory))


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mount.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="only root mounts file systems")
@pytest.mark.parametrize("kilobytes", [8, 128, 256])
def test_a_disk_that_is_really_full(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, kilobytes: int
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", -1.0)
    place = tmp_path / "disk"
    with mounted(place, f"size={kilobytes}k"):
        folder = place / "run"
        for _ in range(2):  # the second time there is even less room
            message = tiny.refused(*tiny.arguments(folder, "--quiet"), code=1)
            assert message.endswith(": No space left on device; make room, and the same command goes on")
        assert not list(place.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=8m", str(place)], check=True)
        tiny.done(*tiny.arguments(folder, "--quiet"))
        assert lasting(folder) == lasting(tiny.finished_run(tmp_path_factory))


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="only root mounts file systems")
def test_a_disk_that_is_really_read_only(tmp_path: Path, run: Path) -> None:
    place = tmp_path / "disk"
    with mounted(place, "size=8m"):
        shutil.copytree(run, place / "run")
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        for name in ("run", "new"):
            for more in ((), ("--fresh",), ("--seeds", "3")):
                message = refused(tmp_path, *tiny.arguments(place / name, *more))
                assert message.endswith(": Read-only file system; name another with --output")
        assert tiny.done("table", str(place / "run")).stdout == tiny.done("table", str(run)).stdout
        assert "Read-only file system; name a file with" in refused(tmp_path, "report", str(place / "run"))


# Files that are written


def test_predictions_that_were_removed_are_not_in_the_figures(run: Path) -> None:
    (run / PREDICTIONS).unlink()
    folder = RunFolder(run, read_record(run))
    stored = stored_predictions(folder, folder.results(), load_dataset("digits"))
    assert list(stored) == [("ladder", 0), ("ladder", 1), ("ebgan-ladder", 1)]


def test_links_are_followed_and_pipes_are_kept(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"content"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "target"]


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("x" * 255), b"content")
    assert tiny.content(tmp_path) == {"x" * 255: b"content"}
