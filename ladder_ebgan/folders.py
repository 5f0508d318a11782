"""Folders that commands write: opened under a lock or refused in a line, files written whole or not at all."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ladder_ebgan.errors import UsageError


@contextmanager
def locked_folder(path: Path, record: str, folders: Sequence[str]) -> Iterator[None]:
    """Make a folder if it is not there, and hold its lock.

    Args:
        path: of the folder.
        record: the file that says what the folder is; what is not empty and has none is refused.
        folders: names inside it that must be folders, if they are there.

    Raises:
        UsageError: the folder is a file, something else's, in use, or cannot be written.
    """
    with refusing(path):
        make_folder(path)
        refuse_strangers(path, record, folders)
        lock = (path / ".lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"the folder {path} is in use by another process: wait for it, or name another with --output"
            ) from None
        except OSError as error:  # as of some network file systems
            raise UsageError(
                f"the folder {path} is on a disk without locks ({error.strerror}): name another with --output"
            ) from error
        yield


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Say in one line why a folder cannot be a run's."""
    try:
        yield
    except FileExistsError:
        what = "a link to nothing" if path.is_symlink() and not path.exists() else "a file"
        raise UsageError(f"--output {path} is {what}: name a folder") from None
    except OSError as error:
        raise UsageError(
            f"cannot write to the folder {path}: {error.strerror}; name another with --output"
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, or none of them."""
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def refuse_strangers(path: Path, record: str, folders: Sequence[str]) -> None:
    """Refuse a folder that holds something but not `record`; nothing is written to it, not even a lock."""
    names = {entry.name for entry in path.iterdir()} - {".lock"}
    strangers = sorted(name for name in names if not name.startswith(f".{record}"))  # left by a kill at the start
    if strangers and record not in names:
        what = record.removesuffix(".json")
        raise UsageError(
            f"the folder {path} is not empty and not a {what}'s (it has {strangers[0]}): name another with --output"
        )
    files = [name for name in folders if name in names and not (path / name).is_dir()]
    if files:
        raise UsageError(f"{path / files[0]} must be a folder: move away what is there")


def remove_files(path: Path, names: Sequence[str]) -> None:
    """Remove files and folders of these names, as far as they are there; whatever else is there stays."""
    for name in names:
        if (path / name).is_dir():
            shutil.rmtree(path / name)
        else:
            (path / name).unlink(missing_ok=True)


def files_bytes(path: Path, names: Iterable[str]) -> int:
    """Return how much disk files and folders of these names take, as far as they are there."""
    files = [file for name in names for file in (path / name, *path.glob(f"{name}/*"))]
    return sum(file.stat().st_size for file in files if file.is_file())


def first_difference(there: Any, here: Any, key: str = "") -> str | None:
    """Return where two nested settings differ first, in words, or None where they do not."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in dict.fromkeys([*there, *here]):
            difference = first_difference(there.get(name), here.get(name), f"{key}.{name}".lstrip("."))
            if difference:
                return difference
        return None
    words = ["not set" if value is None else json.dumps(value) for value in (there, here)]
    return None if there == here else f"{key} is {words[0]} there, {words[1]} here"


def as_utf8(text: str) -> str:
    """Return a text that UTF-8 can hold: bytes of a path that it cannot become question marks."""
    return text.encode("utf-8", "replace").decode()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file: to a temporary name beside it, synchronised, then renamed.

    Links are followed. A device or a pipe, which a rename would replace, is written to.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:100]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # it has none when the disk is full, and the temporary one otherwise
        raise
