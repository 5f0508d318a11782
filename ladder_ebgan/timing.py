"""How long a step takes on this machine, measured on networks that are thrown away."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from ladder_ebgan import capture
from ladder_ebgan.batches import WINDOW_STEPS, BatchStream
from ladder_ebgan.group import DeviceData
from ladder_ebgan.machine import Resolved
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.training import Functions, Stepper, initial_state

N_FIRST_STEPS = {"cpu": 2, "cuda": capture.WARM_UP_STEPS + 1}  # compiled and recorded
TIMED_STEPS = 5


def step_seconds(
    recipe: Recipe,
    n_replicas: int,
    adversarial: bool,
    data: DeviceData,
    n_classes: int,
    resolved: Resolved,
    functions: Functions,
) -> float:
    """Return the mean time of a few steps of `n_replicas` replicas at once, compilation left out."""
    step = throwaway_step(recipe, n_replicas, adversarial, data, n_classes, resolved, functions)
    return seconds_per_call(step, TIMED_STEPS, resolved.device)


def phase_model(recipe: Recipe, adversarial: bool) -> str:
    """Return the model whose settings a phase is timed with: alone, or against a generator."""
    return "ebgan-ladder" if adversarial else recipe.models[0]


def throwaway_step(
    recipe: Recipe,
    n_replicas: int,
    adversarial: bool,
    data: DeviceData,
    n_classes: int,
    resolved: Resolved,
    functions: Functions,
) -> Callable[[], None]:
    """Return a function that makes the next whole step of new networks, from drawing the batch to Adam.

    The first steps, which compile and record, are already made. A call may return before the device has finished.
    """
    model = phase_model(recipe, adversarial)
    settings = recipe.settings(model)
    seeds = range(n_replicas)
    n_features = data.train_images.shape[1]
    state = initial_state(
        recipe, model, seeds, n_features, n_classes, resolved.device, resolved.product_dtype, functions
    )
    latent_size = settings.generator.latent_size if isinstance(settings, EBGANLadderSettings) else None
    subset = np.arange(n_classes)  # which images does not matter for the time
    batches = BatchStream(
        data.train_images,
        data.train_labels,
        [subset] * n_replicas,
        seeds,
        recipe.training.batch_size,
        state.ladder.n_units,
        latent_size,
        functions.normal,
    )

    stepper = Stepper(state, batches, settings, functions)
    make_step = capture.captured(partial(stepper.step, adversarial), resolved.device)

    def step() -> None:
        if state.step % WINDOW_STEPS == 0:
            stepper.seek(state.step)
        make_step()
        state.step += 1

    for _ in range(N_FIRST_STEPS[resolved.device.type]):
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
