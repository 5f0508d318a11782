"""How long a step takes on this machine, measured on networks that are thrown away."""

import time
from collections.abc import Callable
from functools import partial

import torch

from ladder_ebgan import capture
from ladder_ebgan.batches import WINDOW_STEPS
from ladder_ebgan.engine import Engine
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.training import Stepper, adversarial_steps

N_FIRST_STEPS = {"cpu": 2, "cuda": capture.WARM_UP_STEPS + 1}  # compiled and recorded
TIMED_STEPS = 5


def step_seconds(engine: Engine, n_replicas: int, adversarial: bool) -> float:
    """Return the mean time of a few steps of `n_replicas` replicas at once, compilation left out."""
    step = throwaway_step(engine, n_replicas, adversarial)
    return seconds_per_call(step, TIMED_STEPS, engine.resolved.device)


def phase_model(recipe: Recipe, adversarial: bool) -> str:
    """Return the model whose settings a phase is timed with: alone, or against a generator."""
    if not adversarial:
        return recipe.models[0]
    return next(model for model in recipe.models if adversarial_steps(recipe.settings(model)))


def throwaway_step(engine: Engine, n_replicas: int, adversarial: bool) -> Callable[[], None]:
    """Return a function that makes the next whole step of new networks, from drawing the batch to Adam.

    The first steps, which compile and record, are already made. A call may return before the device has finished.
    """
    model, device, seeds = phase_model(engine.recipe, adversarial), engine.resolved.device, range(n_replicas)
    state = engine.initial_state(model, seeds)
    subset = engine.dataset.labeled_rows[: engine.dataset.n_classes]  # which images does not matter for the time
    batches = engine.batches(state, [subset] * n_replicas, seeds)
    stepper = Stepper(state, batches, engine.recipe.settings(model), engine.functions)
    make_step = capture.captured(partial(stepper.step, adversarial), device)

    def step() -> None:
        if state.step % WINDOW_STEPS == 0:
            stepper.seek(state.step)
        make_step()
        state.step += 1

    for _ in range(N_FIRST_STEPS[device.type]):
        step()
    return step


def seconds_per_call(function: Callable[[], object], n_calls: int, device: torch.device) -> float:
    """Return the mean time of `n_calls` calls in a row, until the device has finished the last one."""
    wait_for(device)
    started = time.perf_counter()
    for _ in range(n_calls):
        function()
    wait_for(device)
    return (time.perf_counter() - started) / n_calls


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
