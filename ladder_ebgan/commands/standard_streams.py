"""The standard streams, made fit for whatever is written to them."""

import codecs
import io
import os
import sys

PLAIN = {"±": "+-", "–": "-", "─": "-", "×": "x", "≥": ">=", "≤": "<=", "…": "..."}


def prepare_streams() -> None:
    """Put the null device in place of a closed stream, and have what an encoding lacks written in plain letters.

    A stream that is closed has no number, and the next file that is opened would take it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # for good
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
