"""The one exception that reaches the user as a single line instead of a traceback."""


class UsageError(ValueError):
    """Something the user asked for or handed in is wrong (exit code 2).

    The message is one line: what is wrong, then what would be right.
    """
