"""Why a run should stop before its end: a signal or the time limit."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

TIME_LIMIT = "time limit"
STOPPING = "Stopping after the steps under way, with a checkpoint"  # on a GPU steps are under way by the dozen
AGAIN = "; once more to stop at once."
GOES_ON = "the same command goes on from the last checkpoint"
NOTICE = f"\n{STOPPING}{AGAIN}\n".encode()
# In place of the last line, on which the cursor is, and cut off at the right edge, so that no line moves.
NOTICE_IN_PLACE = f"\r\x1b[2K\x1b[?7l{STOPPING}{AGAIN}\x1b[?7h".encode()
EXIT_CODES = {TIME_LIMIT: 75, "SIGINT": 130, "SIGTERM": 143}


class StoppedAtOnce(KeyboardInterrupt):
    """A second signal, which does not wait for a checkpoint."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(GOES_ON)
        self.exit_code = EXIT_CODES[signal_name]


class StopRequest:
    """Call it to learn whether to stop: None, or one of the reasons in `EXIT_CODES`."""

    def __init__(self, time_limit_seconds: float | None) -> None:
        self.deadline = None if time_limit_seconds is None else time.monotonic() + time_limit_seconds
        self.signal_name: str | None = None
        self.notice = NOTICE  # what a signal writes to stderr at once

    def __call__(self) -> str | None:
        """Return the reason to stop, if there is one."""
        if self.signal_name is None and self.deadline is not None and time.monotonic() >= self.deadline:
            return TIME_LIMIT
        return self.signal_name

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.signal_name is not None:
            raise StoppedAtOnce(name)
        self.signal_name = name
        with suppress(OSError):  # Ctrl-C may have ended what reads it, such as tee
            os.write(sys.stderr.fileno(), self.notice)  # print is not safe in a signal handler


@contextmanager
def stop_request(time_limit_seconds: float | None) -> Iterator[StopRequest]:
    """Turn Ctrl-C and SIGTERM into a request that is looked at after each step."""
    request = StopRequest(time_limit_seconds)
    earlier = {number: signal.signal(number, request._receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
