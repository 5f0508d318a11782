"""The standard streams, made fit for whatever is written to them."""

import codecs
import io
import os
import sys
from typing import Any

PLAIN = {"±": "+-", "–": "-", "─": "-", "×": "x", "≥": ">=", "≤": "<=", "…": "..."}


class Messages(io.FileIO):
    """The bytes of stderr: that nobody can read them any more is no reason to stop a training."""

    def write(self, content: Any) -> int:
        """Write as much as goes; where nothing goes, act as if it had gone."""
        try:
            return super().write(content)
        except OSError:
            return len(content)


def prepare_streams() -> None:
    """Make the standard streams fit for whatever is written to them.

    A closed one becomes the null device, since the next file that is opened would take its number. What an
    encoding lacks is written in plain letters. A broken stderr is silent.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # for good
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        bytes_out = io.BufferedWriter(Messages(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(bytes_out, encoding=sys.stderr.encoding, line_buffering=True)
    codecs.register_error("plain", in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def in_plain_letters(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for the first character that an encoding lacks, and where to go on: an error handler.

    Names of files that are no text keep their bytes.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character, following = error.object[error.start], error.start + 1
    if "\udc80" <= character <= "\udcff":
        return os.fsencode(character), following
    return PLAIN.get(character, character.encode("ascii", "backslashreplace").decode()), following
