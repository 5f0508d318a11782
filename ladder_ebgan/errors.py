"""The exceptions that reach the user as a single line instead of a traceback."""

FAILED = 1  # exit code: a replica diverged, or the machine could not do it


class UsageError(ValueError):
    """Something the user asked for or handed in is wrong (exit code 2).

    The message is one line: what is wrong, then what would be right.
    """


class MachineError(Exception):
    """The machine could not do it (exit code 1); the message is one line that ends with what to do."""
