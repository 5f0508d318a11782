"""Builds the C++ kernels for this processor, once, and loads them."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from ladder_ebgan import processor
from ladder_ebgan.errors import UsageError

SOURCES = ("layers.cpp", "normals.cpp")
FLAGS: tuple[str, ...] = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)
if platform.machine() == "x86_64":
    FLAGS += ("-mprefer-vector-width=512",)  # where the processor has such vectors
PROCESSOR_KEYS = (  # of what is built for it, on x86 and on ARM
    *("vendor_id", "cpu family", "model", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features"),
)
LINK_FLAGS = ("-fopenmp", "-fPIC", "-shared")


class Shape(ctypes.Structure):
    """The kernels' `Shape`; `batch` counts the rows of one group."""

    _fields_ = [(name, ctypes.c_long) for name in ("replicas", "groups", "batch", "features", "threads")]


class Strided(ctypes.Structure):
    """The kernels' `Strided`: a pointer, and how many numbers apart replicas and rows are."""

    _fields_ = [("data", ctypes.c_void_p), ("replica", ctypes.c_long), ("row", ctypes.c_long)]


def compiler() -> str | None:
    """Return the path of the C++ compiler: the one that CXX names, or g++."""
    return shutil.which(os.environ.get("CXX", "g++"))


def is_built() -> bool:
    """Return whether the kernels are there already, so that loading them takes no time."""
    path = compiler()
    try:
        return path is not None and _library_path(_sources(), path).exists()
    except (UsageError, OSError):
        return False


@cache
def load_library() -> ctypes.CDLL:
    """Return the kernels, built for this processor when they are first asked for and kept in the user's cache.

    Raises:
        UsageError: they cannot be built here.
    """
    path = compiler()
    if path is None:
        raise UsageError("no C++ compiler was found (g++, or the one that CXX names)")
    sources = _sources()
    library = _library_path(sources, path)
    with suppress(OSError):  # not there, not to be read, or damaged, as by a power cut
        return ctypes.CDLL(str(library))
    _build(sources, path, library)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise UsageError(f"the kernels could not be loaded ({error})") from error


def cache_folder() -> Path:
    """Return where built kernels are kept: below XDG_CACHE_HOME, or ~/.cache.

    Raises:
        UsageError: there is no home folder.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ladder_ebgan"
    except RuntimeError as error:
        raise UsageError(
            "there is no home folder to keep the kernels in; XDG_CACHE_HOME can name a folder that can be written"
        ) from error


def _sources() -> dict[str, str]:
    return {name: (files(__package__) / name).read_text(encoding="utf-8") for name in SOURCES}


def _library_path(sources: dict[str, str], path: str) -> Path:
    return cache_folder() / f"kernels-{_fingerprint(sources, path)}.so"


def _fingerprint(sources: dict[str, str], path: str) -> str:
    """Return a name for what is built: it changes with the source, the flags, the compiler and the processor."""
    known = processor.description()
    model = [known.get(key, "") for key in PROCESSOR_KEYS]
    parts = (*sources.values(), *FLAGS, *LINK_FLAGS, _compiler_version(path), platform.machine(), *model)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def _compiler_version(path: str) -> str:
    """Return what the compiler says of itself; a process asks it once."""
    return _run([path, "--version"]).stdout


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UsageError(f"the C++ compiler {command[0]} could not be run ({error.strerror})") from error


def _build(sources: dict[str, str], path: str, library: Path) -> None:
    """Compile into a temporary folder, then move the library to its place in one step."""
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            built = Path(folder) / library.name
            for name, source in sources.items():
                (Path(folder) / name).write_text(source, encoding="utf-8")
            command = [path, *FLAGS, *LINK_FLAGS, *(f"{folder}/{name}" for name in sources), "-o", str(built)]
            outcome = _run(command)
            if outcome.returncode != 0:
                first = (outcome.stderr.strip() or "no message").splitlines()[0]
                raise UsageError(f"the kernels could not be compiled by {path} ({first})")
            built.replace(library)
    except OSError as error:
        raise UsageError(
            f"the kernels could not be built in {library.parent} ({error.strerror}); "
            "XDG_CACHE_HOME can name a folder that can be written"
        ) from error
