"""Progress of a fit, as lines on stderr."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence

LINE_SECONDS = 2.0  # between lines


class Progress:
    """Says now and then how far a fit is.

    Args:
        name: of the estimator.
        n_steps: that it will make, unless it stops early.
        verbose: 0 says nothing, 1 a line every few seconds, more a line at every point of the curves.
        clock: the time in seconds.
    """

    def __init__(self, name: str, n_steps: int, verbose: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.n_steps, self.verbose, self.clock = name, n_steps, verbose, clock
        self.began = self.said = clock()

    def show(self, step: int, point: Mapping[str, Sequence[float]]) -> None:
        """Say where the fit is, if it is time to; values are those of the replicas."""
        now = self.clock()
        due = self.verbose > 1 or step == self.n_steps or now - self.said >= LINE_SECONDS
        if self.verbose < 1 or not due:
            return
        self.said = now
        seconds = now - self.began
        left = seconds * (self.n_steps - step) / step
        means = [f"{name.replace('_', ' ')} {sum(each) / len(each):.3g}" for name, each in point.items()]
        parts = [f"step {step} of {self.n_steps}", f"{seconds:.0f} s", f"{left:.0f} s left", *means]
        sys.stderr.write(f"[{self.name}] {', '.join(parts)}\n")
