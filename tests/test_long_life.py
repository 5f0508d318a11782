"""A run of many hours takes no more memory than one of some seconds."""

import gc
from pathlib import Path

import pytest
import tiny
import torch
from rich.console import Console

from ladder_ebgan import machine
from ladder_ebgan.commands.run import request_of
from ladder_ebgan.experiment import open_experiment
from ladder_ebgan.group import CurveMeasured
from ladder_ebgan.report.display import make_display

EARLY, LATE = 14, 27  # points of the learning curves; each follows a new window of batches
STEPS_A_POINT = 5


def n_tensors() -> int:
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("terminal", [True, False])
def test_steps_and_points_leave_no_tensors_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    n_steps = STEPS_A_POINT * LATE
    command = tiny.arguments(
        tmp_path / "run",
        *("--model", "ebgan-ladder"),
        ebgan_ladder__n_steps=str(n_steps),
        ebgan_ladder__adversarial_steps=str(n_steps),
        ebgan_ladder__margin__steps=f"[0, {n_steps}]",
        training__curve_every_steps=str(STEPS_A_POINT),
    )
    request, n_points = request_of(**tiny.parameters_of_run(*command[1:])), 0
    tensors = list[int]()
    with (tmp_path / "stderr").open("w") as file, open_experiment(request) as experiment:
        display = make_display(Console(file=file, force_terminal=terminal), experiment, lambda: None, False, False)
        for event in experiment.run(lambda: None):
            display.show(event)
            if not isinstance(event, CurveMeasured):
                continue
            n_points += 1
            if n_points in {EARLY, LATE}:
                gc.collect()
                tensors.append(n_tensors())
        display.close()
    assert tensors[0] == tensors[1]
