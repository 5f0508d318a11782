"""Building the kernels: once, anew when something changed, and what is said when they cannot be built."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ladder_ebgan.errors import UsageError
from ladder_ebgan.kernels import library

SOURCE = 'extern "C" int answer() { return 42; }\n'  # in place of the kernels, which take seconds
REAL = library.compiler()
NEEDS_COMPILER = pytest.mark.skipif(REAL is None, reason="no C++ compiler")


class Compiler:
    """A program that CXX names: it notes what it is asked for and then calls the real compiler, or fails."""

    def __init__(self, folder: Path) -> None:
        self.path, self.log = folder / "compiler", folder / "asked"
        self.log.touch()
        self.write("1.0")

    def write(self, version: str, build: str = f'exec {REAL} "$@"') -> None:
        versions, builds = (f'echo {what} >> "{self.log}"' for what in ("version", "build"))
        case = f'case "$1" in --version) {versions}; echo {version};; *) {builds}; {build};; esac'
        self.path.write_text(f"#!/bin/sh\n{case}\n")
        self.path.chmod(0o755)

    @property
    def n_builds(self) -> int:
        return self.asked.count("build")

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def cxx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    """A compiler of the test's own, a cache of its own, a small source, and nothing loaded before or after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "source"
    source.mkdir()
    (source / "layers.cpp").write_text(SOURCE)
    (source / "normals.cpp").write_text("int nothing;\n")
    monkeypatch.setattr(library, "files", lambda package: source)
    own = Compiler(tmp_path)
    monkeypatch.setenv("CXX", str(own.path))
    forget()
    yield own
    forget()


def forget() -> None:
    """Know no more than a new process does."""
    library.load_library.cache_clear()
    library._compiler_version.cache_clear()


def load() -> int:
    """Load as a new process does, and return what the library answers."""
    forget()
    return int(library.load_library().answer())


def built() -> list[Path]:
    return sorted(library.cache_folder().iterdir())


@NEEDS_COMPILER
def test_it_is_built_once_and_reused(cxx: Compiler) -> None:
    assert load() == load() == load() == 42
    assert cxx.n_builds == 1
    assert [path.suffix for path in built()] == [".so"]  # nothing is left of the build


@NEEDS_COMPILER
def test_whether_it_is_built_is_known_without_building(cxx: Compiler, tmp_path: Path) -> None:
    assert not library.is_built()
    assert cxx.n_builds == 0
    load()
    assert library.is_built()
    (tmp_path / "source" / "layers.cpp").write_text(SOURCE.replace("42", "43"))
    assert not library.is_built()


@NEEDS_COMPILER
def test_a_process_loads_it_once(cxx: Compiler) -> None:
    assert library.load_library() is library.load_library()
    assert cxx.n_builds == 1


@NEEDS_COMPILER
def test_a_process_asks_the_compiler_for_its_version_once(cxx: Compiler) -> None:
    assert not library.is_built()
    library.load_library()
    assert library.is_built()
    assert cxx.asked == ["version", "build"]


@NEEDS_COMPILER
def test_it_is_built_anew_when_source_flags_or_compiler_have_changed(
    cxx: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load() == 42
    (tmp_path / "source" / "layers.cpp").write_text(SOURCE.replace("42", "43"))
    assert load() == 43
    monkeypatch.setattr(library, "FLAGS", (*library.FLAGS, "-O0"))
    assert load() == 43
    monkeypatch.setattr(library, "LINK_FLAGS", (*library.LINK_FLAGS, "-g"))
    assert load() == 43
    cxx.write("2.0")
    assert load() == 43
    for part in ("0xd0c", "0xd40"):  # another one of ARM
        arm = {"CPU implementer": "0x41", "CPU part": part}
        monkeypatch.setattr(library.processor, "description", lambda arm=arm: arm)
        assert load() == 43
    assert cxx.n_builds == len(built()) == 7
    (tmp_path / "source" / "layers.cpp").write_text(SOURCE)  # what was built before is still there
    load()
    assert cxx.n_builds == 8  # under the new flags
    load()
    assert cxx.n_builds == 8


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert library.cache_folder() == tmp_path / "ladder_ebgan"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert library.cache_folder() == Path.home() / ".cache" / "ladder_ebgan"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert library.cache_folder() == Path.home() / ".cache" / "ladder_ebgan"


def refusal() -> str:
    """Load in vain, and return the message, which is one line."""
    forget()
    with pytest.raises(UsageError) as caught:
        library.load_library()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_missing_compiler_is_named(cxx: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert refusal() == "no C++ compiler was found (g++, or the one that CXX names)"
    assert not library.is_built()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    assert library.compiler() is None


def test_what_a_failing_compiler_says_is_passed_on(cxx: Compiler) -> None:
    """The first line of it; and nothing is left that a later start could take for the kernels."""
    cxx.write("1.0", "echo 'layers.cpp:1: error: no such luck' >&2; echo 'more' >&2; exit 1")
    said = "layers.cpp:1: error: no such luck"
    assert refusal() == f"the kernels could not be compiled by {cxx.path} ({said})"
    assert built() == []
    cxx.write("1.0", "exit 3")
    assert refusal() == f"the kernels could not be compiled by {cxx.path} (no message)"


@NEEDS_COMPILER
def test_after_a_failure_the_next_start_builds(cxx: Compiler) -> None:
    cxx.write("1.0", "exit 1")
    refusal()
    cxx.write("1.0")
    assert load() == 42


@NEEDS_COMPILER
def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(
    cxx: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = tmp_path / "file" / "ladder_ebgan"
    way_out = "XDG_CACHE_HOME can name a folder that can be written"
    assert refusal() == f"the kernels could not be built in {folder} (Not a directory); {way_out}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load() == 42


@NEEDS_COMPILER
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_without_permission_is_named(
    cxx: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "locked"))
    assert "(Permission denied)" in refusal()


@NEEDS_COMPILER
def test_two_processes_that_build_at_the_same_time_both_succeed(cxx: Compiler, tmp_path: Path) -> None:
    """With a compiler that waits until the other one has begun, too."""
    begun = tmp_path / "begun"
    begun.mkdir()
    wait = f"for i in $(seq 300); do [ $(ls {begun} | wc -l) -ge 2 ] && break; sleep 0.1; done"
    cxx.write("1.0", f'touch {begun}/$$; {wait}; exec {REAL} "$@"')
    program = (
        "import pathlib, sys; from ladder_ebgan.kernels import library; "
        "library.files = lambda package: pathlib.Path(sys.argv[1]); print(library.load_library().answer())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "source")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [subprocess.Popen(command, text=True, **pipes) for _ in range(2)]
    assert [process.communicate(timeout=60) for process in started] == [("42\n", "")] * 2
    assert [process.returncode for process in started] == [0, 0]
    assert cxx.n_builds == 2
    assert len(list(begun.iterdir())) == 2
    assert [path.suffix for path in built()] == [".so"]


@NEEDS_COMPILER
def test_a_damaged_library_is_built_anew(cxx: Compiler) -> None:
    path = library._library_path(library._sources(), str(cxx.path))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")  # as a power cut leaves it
    assert load() == 42
    assert cxx.n_builds == 1


def test_a_compiler_that_is_no_program_is_named(cxx: Compiler) -> None:
    cxx.path.write_bytes(bytes(100))
    with pytest.raises(UsageError, match=r"^the C\+\+ compiler .* could not be run \("):
        load()
    assert not library.is_built()


@NEEDS_COMPILER
def test_a_library_that_cannot_be_loaded_is_said_so(cxx: Compiler) -> None:
    cxx.write("1.0", 'while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"')
    with pytest.raises(UsageError, match=r"^the kernels could not be loaded \("):
        load()
