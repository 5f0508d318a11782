"""Where a command is run: streams that are closed or of another alphabet, no home, no clock, strange names."""

import datetime
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from refusals import examples, refused

from ladder_ebgan import cli, experiment
from ladder_ebgan.commands.standard_streams import Messages, in_plain_letters, prepare_streams
from ladder_ebgan.errors import LONGEST_MESSAGE, UsageError, printable_line
from ladder_ebgan.interruption import StopRequest
from ladder_ebgan.kernels import library

PROGRAM = Path(sys.executable).with_name("ladder-ebgan")


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which $L is the program; nothing of it may end in a traceback."""
    ran = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="backslashreplace",
        env={**os.environ, "L": str(PROGRAM), **environment},
    )
    assert "Traceback" not in ran.stderr
    return ran


# Streams


FULL = "ladder-ebgan: the system: No space left on device; make room, and give the same command again\n"


@pytest.mark.parametrize(
    ("script", "codes", "told"),
    [
        ("$L recipes list >&-", {0}, ""),
        ("$L recipes list 2>&-", {0}, ""),
        ("$L recipes list <&- >&- 2>&-", {0}, ""),
        ("$L recipes show nope 2>&-", {2}, ""),
        ("$L recipes show nope >&- 2>&-", {2}, ""),
        ("$L recipes list >/dev/full", {1}, FULL),
        ("$L recipes show nope 2>/dev/full", {2}, ""),
        ("$L recipes show nope 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", {2}, ""),
        # A small output may have gone into the pipe before it closed.
        ("$L recipes list | true; exit ${PIPESTATUS[0]}", {0, 1}, ""),
        ("$L recipes show table2 | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}", {0, 1}, ""),
    ],
)
def test_a_stream_that_nobody_reads_is_no_traceback(script: str, codes: set[int], told: str) -> None:
    ran = shell(script)
    assert ran.returncode in codes
    assert ran.stderr == told


def test_a_table_with_its_output_closed(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = tiny.finished_run(tmp_path_factory)
    ran = shell(f"$L table {run} | head -0; $L table {run} >&-; echo $?")
    assert (ran.stdout, ran.stderr) == ("0\n", "")


def test_a_training_goes_on_when_nobody_reads_its_messages() -> None:
    """As when Ctrl-C ends `tee` as well: what it writes goes nowhere, and the signal is still a request to stop."""
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.MonkeyPatch.context() as patch:
        stderr = io.TextIOWrapper(io.BufferedWriter(Messages(writer, "w")), write_through=True)
        patch.setattr(sys, "stderr", stderr)
        assert stderr.write("a message\n") == 10
        request = StopRequest(None)
        request._receive(signal.SIGINT, None)
        assert request() == "SIGINT"
    stderr.close()


def test_messages_reach_the_stderr_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with open(writer, "w", encoding="latin-1") as stderr:  # noqa: PTH123  # of a file descriptor
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setattr(sys, "__stderr__", stderr)
        prepare_streams()
        print("± – 数", file=sys.stderr)  # noqa: T201
        assert os.read(reader, 100) == b"\xb1 - \\u6570\n"
        os.close(reader)
        print("nobody reads this", file=sys.stderr)  # noqa: T201


def test_a_closed_stream_leaves_its_number_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    prepare_streams()
    try:
        assert sys.stdin.read() == ""
        assert [stream.write("± – 数") for stream in (sys.stdout, sys.stderr)] == [5, 5]
        assert not sys.stdout.isatty()
    finally:
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()


@contextmanager
def stdout_in(encoding: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.BytesIO]:
    written = io.BytesIO()
    with monkeypatch.context() as patch:
        stream = io.TextIOWrapper(written, encoding=encoding, write_through=True)
        patch.setattr(sys, "stdout", stream)
        yield written
        stream.detach()


def first_of_ours(table: str) -> tuple[str, str]:
    """Return the mean and, with the number of seeds, the deviation: what they are depends on the processor."""
    cell = re.search(r"(\d+\.\d\d) ± (\d+\.\d\d \(2\))", table)
    assert cell is not None
    return cell[1], cell[2]


@pytest.mark.parametrize(
    ("encoding", "plus_minus"),
    [
        ("latin-1", b"\xb1"),
        ("cp1252", b"\xb1"),
        ("cp437", b"\xf1"),
        ("koi8-r", b"+-"),
        ("utf-8", b"\xc2\xb1"),
    ],
)
def test_a_table_in_an_alphabet_that_lacks_its_signs(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, encoding: str, plus_minus: bytes
) -> None:
    run = tiny.finished_run(tmp_path_factory)
    expected = tiny.done("table", str(run)).stdout
    mean, deviation = first_of_ours(expected)
    with stdout_in(encoding, monkeypatch) as written:
        cli.main(["table", str(run)])
    assert b" ".join([mean.encode(), plus_minus, deviation.encode()]) in written.getvalue()
    assert written.getvalue().count(b"\n") == expected.count("\n")


def test_tables_and_messages_in_plain_letters(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In a process of its own, where the streams are what the environment says."""
    run = tiny.finished_run(tmp_path_factory)
    mean, deviation = first_of_ours(tiny.done("table", str(run)).stdout)
    script = f"$L table {run}; $L recipes show ±数; $L data describe $'\\xff\\n'"
    for environment in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        ran = shell(script, **environment)
        assert any(f"{mean} {sign} {deviation}" in ran.stdout for sign in ("+-", "±"))
        assert [line.partition(":")[0] for line in ran.stderr.splitlines()] == ["ladder-ebgan"] * 2


@given(st.text(), st.sampled_from(["ascii", "latin-1", "koi8-r", "shift-jis", "utf-8"]))
def test_every_text_can_be_written_in_every_alphabet(text: str, encoding: str) -> None:
    prepare_streams()
    written = text.encode(encoding, "plain")
    try:
        plain: bytes | None = text.encode(encoding)
    except UnicodeEncodeError:
        plain = None
    assert plain is None or written == plain


def test_what_stands_for_a_sign() -> None:
    prepare_streams()
    assert "1 ± 2 – 3".encode("ascii", "plain") == b"1 +- 2 - 3"
    assert "数".encode("latin-1", "plain") == rb"\u6570"
    assert os.fsdecode(b"a\xff").encode("utf-8", "plain") == b"a\xff"  # a name that is no text keeps its bytes
    with pytest.raises(UnicodeDecodeError):
        in_plain_letters(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "wrong"))


@given(st.text(st.characters(exclude_categories=[]), max_size=3 * LONGEST_MESSAGE))
def test_every_message_is_one_printable_line_of_bearable_length(text: str) -> None:
    message = str(UsageError(text))
    assert message.isprintable()
    assert len(message) <= LONGEST_MESSAGE
    assert printable_line(message) == message
    assert message == text or not text.isprintable() or len(text) > LONGEST_MESSAGE


def test_what_cannot_be_printed_is_escaped() -> None:
    assert printable_line("a\nb\t\x1b[31m\u202e\udcff ±") == r"a\nb\t\x1b[31m\u202e\xff ±"
    long = printable_line("x" * 600 + "y" * 600)
    assert (long[:3], long[497:502], long[-3:], len(long)) == ("xxx", " ... ", "yyy", 999)


# The folder that the program is in, homes, compilers


def test_a_folder_that_is_not_there_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for command in (["recipes", "list"], ["run"], ["--help"]):
        message = refused(tmp_path, *command)
        assert message == "the current folder is not there any more: change to another one"


def test_no_home_is_no_reason_not_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry; the kernels are built nowhere, and the definitions run."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    _without_kernels(
        tmp_path, monkeypatch, "there is no home folder to keep the kernels in; XDG_CACHE_HOME can name"
    )


@pytest.mark.parametrize("kind", ["file", "hidden", "read-only"])
def test_a_cache_that_cannot_be_used_is_no_reason_not_to_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if kind == "file":
        (tmp_path / "cache").touch()
        expected = "Not a directory"
    else:
        number = {"hidden": 13, "read-only": 30}[kind]
        expected = os.strerror(number)

        def denied(path: Path, *_: Any, **__: Any) -> bool:
            raise OSError(number, os.strerror(number), str(path))

        for name in ("mkdir", "exists") if kind == "hidden" else ("mkdir",):
            monkeypatch.setattr(library.Path, name, denied)
    with pytest.raises(UsageError, match=f"the kernels could not be built in .*{expected}"):
        library.load_library.__wrapped__()
    assert not library.is_built()


def _without_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str) -> None:
    monkeypatch.setattr(library, "load_library", library.load_library.__wrapped__)
    monkeypatch.setattr("ladder_ebgan.kernels.load_library", library.load_library)
    assert not library.is_built()
    command = [word for word in tiny.arguments(tmp_path / "run", "--model", "ladder") if word != "--no-compile"]
    assert "(float32, not compiled)" in tiny.done(*command).stderr
    assert expected in refused(tmp_path, *tiny.arguments(tmp_path / "other", "--quiet"), "--compile")


# The clock


def test_the_clock_has_no_influence(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It jumps from 1970 to 2100 and back while the run is stopped and goes on, and files are of the future."""

    class Clock(datetime.datetime):
        year_now = 1970

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Clock":
            return cls(cls.year_now, 1, 1, tzinfo=tz)

    folder, finished = tmp_path / "run", tiny.finished_run(tmp_path_factory)
    monkeypatch.setattr(experiment, "datetime", Clock)
    for year in (1970, 2100, 1999):
        Clock.year_now = year
        monkeypatch.setattr(time, "time", lambda year=year: (year - 1970) * 3.2e7)
        limit = [] if year == 1999 else ["--time-limit", "1e-9"]
        assert tiny.invoke(*tiny.arguments(folder, "--quiet", *limit)).code == (75 if limit else 0)
        for path in folder.rglob("*"):
            os.utime(path, (4e9, 4e9))
    starts = json.loads((folder / "run.json").read_text())["starts"]
    assert [start["time"][:4] for start in starts] == ["1970", "2100", "1999"]
    for name in (
        "history.csv",
        "models/ladder-20-1.safetensors",
        "predictions/ebgan-ladder-20-0.npz",
        "table.json",
    ):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


# Names


STRANGE = [
    "a b",
    "it's",
    'a"b',
    "[bold]x",
    "a\nb",
    "\udcff\udcfe",
    "–±数",
    "~",
    "-",
    "$HOME",
    "x" * 200,
    "\x1b[31m",
]


@pytest.mark.parametrize("name", STRANGE)
def test_a_folder_with_a_strange_name(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    finished = tiny.finished_run(tmp_path_factory)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, name)
    expected = tiny.done("table", str(finished)).stdout
    assert tiny.done(*tiny.arguments(Path(name))).stdout == expected
    assert tiny.done("table", "--", name).stdout == expected
    assert (tmp_path / tiny.done("report", "--", name).stdout.removesuffix("\n")).name == "report.html"
    assert len(json.loads(tiny.done("models", "--json", "--", name).stdout)) == 4
    Path(name, "run.json").write_text("{}")
    assert "run.json is damaged" in refused(tmp_path, "table", "--", name)


printable_names = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=20)


@examples
@given(name=printable_names)
def test_whatever_the_name_a_missing_folder_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["table"], ["report"], ["models"], ["data", "describe"], ["recipes", "show"]):
        refused(tmp_path, *command, "--", f"{name}.none")
