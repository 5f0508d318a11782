"""The exceptions that reach the user as a single line instead of a traceback."""

FAILED = 1  # exit code: a replica diverged, or the machine could not do it
LONGEST_MESSAGE = 1000  # characters; of a longer one the middle is left out


def printable_line(message: str) -> str:
    """Return a message as a single line of printable characters and of bearable length."""
    line = "".join(character if character.isprintable() else _escaped(character) for character in message)
    if len(line) <= LONGEST_MESSAGE:
        return line
    half = LONGEST_MESSAGE // 2 - 3
    return f"{line[:half]} ... {line[-half:]}"


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00  # of a file's name that is no text
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else repr(character)[1:-1]


class UsageError(ValueError):
    """Something the user asked for or handed in is wrong (exit code 2).

    The message is one line: what is wrong, then what would be right. What a user wrote is in it as it is.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable_line(message))


class MachineError(Exception):
    """The machine could not do it (exit code 1); the message is one line that ends with what to do."""
