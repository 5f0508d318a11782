"""What the trials of a search have come to."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from ladder_ebgan.search.space import Space, as_trained, overrides
from ladder_ebgan.search.study import DIVERGED, ERRORS, SECONDS

Status = Literal["done", "given up", "diverged", "unfinished"]


@dataclass(frozen=True)
class Outcome:
    """A trial."""

    trial: int
    status: Status
    parameters: dict[str, Any]  # as Optuna has them, by the key of the parameter
    errors: tuple[float, ...]  # validation error of each subset, percent: the last that are known; () if none are
    steps: int  # after which these errors were measured, or the costs were no longer finite
    seconds: float | None  # of training, if it came to the end

    @property
    def mean(self) -> float:
        """Mean validation error over the subsets, percent; infinite if none is known."""
        return sum(self.errors) / len(self.errors) if self.errors else float("inf")

    @property
    def settings(self) -> list[str]:
        """The setting as changes of the recipe."""
        return overrides(self.parameters)


def outcome_of(trial: FrozenTrial, n_steps: int) -> Outcome:
    """Return what a trial has come to; `n_steps` is how long its recipe trains."""
    diverged = trial.user_attrs.get(DIVERGED)
    status: Status = "diverged" if diverged is not None else "unfinished"
    if diverged is None and trial.state.is_finished():
        status = "done" if trial.state == TrialState.COMPLETE else "given up"
    steps = n_steps if status == "done" else diverged or trial.last_step or 0
    return Outcome(
        trial=trial.number,
        status=status,
        parameters=trial.params,
        errors=() if status in {"diverged", "unfinished"} else tuple(trial.user_attrs[ERRORS]),
        steps=steps,
        seconds=trial.user_attrs.get(SECONDS),
    )


def ranked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes of trials that came to the end, best first."""
    return sorted((each for each in outcomes if each.status == "done"), key=lambda each: (each.mean, each.trial))


def outcomes_csv(outcomes: Sequence[Outcome], space: Space) -> str:
    """Return all trials as CSV: what they are, their validation errors, their parameters."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    error_names = [f"validation_error_percent_seed_{seed}" for seed in space.seeds]
    heading = ["trial", "status", "steps", "seconds", "validation_error_percent", *error_names, *space.parameters]
    writer.writerow(heading)
    for each in outcomes:
        errors = [f"{error:.4f}" for error in each.errors] or [""] * space.n_subsets
        mean = f"{each.mean:.4f}" if each.errors else ""
        seconds = "" if each.seconds is None else each.seconds
        values = [as_trained(each.parameters.get(key, "")) for key in space.parameters]
        writer.writerow([each.trial, each.status, each.steps, seconds, mean, *errors, *values])
    return text.getvalue()


def read_correct(path: Path, n_subsets: int, n_images: int) -> np.ndarray:
    """Return which validation images a trial's models classify rightly, `[subsets, images]`."""
    packed = np.frombuffer(path.read_bytes(), np.uint8).reshape(n_subsets, -1)
    return np.unpackbits(packed, axis=1, count=n_images).astype(bool)
