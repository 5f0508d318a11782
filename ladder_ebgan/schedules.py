"""Schedules of the learning rate and the margin: pure functions of the step.

Zhao, Mathieu, LeCun 2017, arXiv 1609.03126, appendix D: the rate is constant for two thirds of the steps and then
falls to 0 in a straight line; the margin falls from 16 to 0 over 60,000 steps, in a way that is not said.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

Shape = Literal["linear", "cosine"]


def learning_rate_factor(step: int, decay_start_step: int, n_steps: int) -> float:
    """Return what the initial learning rate is multiplied by at `step`, which counts from 0.

    1 up to `decay_start_step`, then linear to 0 at `n_steps`.
    """
    if step < decay_start_step:
        return 1.0
    return max(0.0, (n_steps - step) / (n_steps - decay_start_step))


def interpolated(step: int, steps: Sequence[int], values: Sequence[float], shape: Shape = "linear") -> float:
    """Return the value at `step` of a curve through the points (steps[i], values[i]).

    Constant before the first and after the last point; between two points a straight line or half a cosine.

    Args:
        step: counts from 0.
        steps: increasing.
        values: as many as `steps`.
        shape: of the way between two points.
    """
    if step <= steps[0]:
        return values[0]
    for (left, right), (start, end) in zip(pairwise(steps), pairwise(values), strict=True):
        if step < right:
            way = (step - left) / (right - left)
            if shape == "cosine":
                way = (1 - math.cos(math.pi * way)) / 2
            return start + (end - start) * way
    return values[-1]
