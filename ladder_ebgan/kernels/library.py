"""Builds the C++ kernels for this processor, once, and loads them."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from ladder_ebgan import processor
from ladder_ebgan.errors import UsageError

FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
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
        return path is not None and _library_path(_source(), path).exists()
    except UsageError:
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
    source = _source()
    library = _library_path(source, path)
    if library.exists():
        try:
            return ctypes.CDLL(str(library))
        except OSError:  # damaged, as by a power cut
            pass
    _build(source, path, library)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise UsageError(f"the kernels could not be loaded ({error})") from error


def cache_folder() -> Path:
    """Return where built kernels are kept: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ladder_ebgan"


def _source() -> str:
    return (files(__package__) / "layers.cpp").read_text(encoding="utf-8")


def _library_path(source: str, path: str) -> Path:
    return cache_folder() / f"layers-{_fingerprint(source, path)}.so"


def _fingerprint(source: str, path: str) -> str:
    """Return a name for what is built: it changes with the source, the flags, the compiler and the processor."""
    version = _run([path, "--version"]).stdout
    known = processor.description()
    model = [known.get(key, "") for key in ("vendor_id", "cpu family", "model", "stepping", "flags")]
    parts = (source, *FLAGS, *LINK_FLAGS, version, platform.machine(), *model)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UsageError(f"the C++ compiler {command[0]} could not be run ({error.strerror})") from error


def _build(source: str, path: str, library: Path) -> None:
    """Compile into a temporary folder, then move the library to its place in one step."""
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            code, built = Path(folder) / "layers.cpp", Path(folder) / library.name
            code.write_text(source, encoding="utf-8")
            command = [path, *FLAGS, *LINK_FLAGS, str(code), "-o", str(built)]
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
