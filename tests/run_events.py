"""Events of a run that nobody trains, a plan of it and a clock, for the tests of what is shown."""

import io
import math

import torch
from rich.console import Console

from ladder_ebgan.costs import LadderCosts
from ladder_ebgan.group import CurveMeasured, GroupFinished, GroupStarted, Stepped
from ladder_ebgan.report.tracker import Plan, Planned
from ladder_ebgan.results import CurvePoint, Result
from ladder_ebgan.runs import Group, Replica
from ladder_ebgan.timing import Phase
from ladder_ebgan.training import Progress, StepCosts

LADDER = Group("ladder", (Replica(100, 7),))
ALONE, AGAINST = Phase("ladder", False), Phase("ebgan-ladder", True)
EBGAN = Group("ebgan-ladder", tuple(Replica(labels, seed) for labels in (100, 200) for seed in range(3)))


class Clock:
    """A clock that stands still until it is told the time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(width: int = 150, height: int = 30, **environment: str) -> Console:
    environment = {"TERM": "xterm-256color"} | environment
    return Console(file=Terminal(), force_terminal=True, width=width, height=height, _environ=environment)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def planned(*groups: Group, n_steps: int = 1000, adversarial_steps: int = 400) -> Plan:
    """EBGANs have so many adversarial steps, ladders none."""
    return Plan(
        tuple(
            Planned(g, 0, n_steps, adversarial_steps if g.model == "ebgan-ladder" else 0, ALONE, AGAINST)
            for g in groups
        )
    )


def started(group: Group, first_step: int = 0, n_steps: int = 1000) -> GroupStarted:
    return GroupStarted(group, first_step, n_steps)


def stepped(group: Group, step: int, margin: float | None = None, diverged: tuple[int, ...] = ()) -> Stepped:
    """Replica r has classification 0.5 + r, denoising ten times that, energies 2 + r real and 4 + r generated."""
    r = torch.arange(float(len(group.replicas)))
    total = r.clone()
    total[list(diverged)] = math.nan
    ladder = LadderCosts(total, 0.5 + r, 10 * (0.5 + r), 2 + r, 2 + r[:, None])
    costs = StepCosts(ladder, None, None) if margin is None else StepCosts(ladder, 4 + r, 0.25 + 0 * r)
    return Stepped(group, Progress(step, 0.1, margin, costs))


def measured(group: Group, *errors: float | None, step: int = 250, margin: float | None = None) -> CurveMeasured:
    """A point for each replica, with costs of 0.5 and 10 and energies of 2 and 4 beside the margin."""
    energies = (None, None, None) if margin is None else (2.0, 4.0, 25.0)
    return CurveMeasured(
        group,
        [
            CurvePoint(group.model, *replica, step, 0.1, 0.5, 10.0, error, margin, *energies)
            for replica, error in zip(group.replicas, errors, strict=True)
        ],
    )


def finished(group: Group, *errors: float | None) -> GroupFinished:
    """A result for each replica; None is one that diverged at step 77."""
    return GroupFinished(
        group, [result(group.model, *replica, error) for replica, error in zip(group.replicas, errors, strict=True)]
    )


def result(model: str, labels: int, seed: int, error: float | None) -> Result:
    status, step = ("diverged", 77) if error is None else ("ok", None)
    return Result(model, labels, seed, status, error, step, 1000, 1.0, "cpu", "float32", "0", "0")
