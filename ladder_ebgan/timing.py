"""How long a step takes on this machine, measured on networks that are thrown away."""

import time

import numpy as np
import torch

from ladder_ebgan.batches import BatchStream
from ladder_ebgan.group import DeviceData
from ladder_ebgan.machine import Resolved
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.training import Functions, adversarial_step, initial_state, ladder_step

WARM_UP_STEPS, TIMED_STEPS = 2, 5


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
    model = "ebgan-ladder" if adversarial else recipe.models[0]
    settings = recipe.settings(model)
    seeds = range(n_replicas)
    n_features = data.train_images.shape[1]
    state = initial_state(recipe, model, seeds, n_features, n_classes, resolved.device, resolved.product_dtype)
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
    )
    started = 0.0
    for step in range(WARM_UP_STEPS + TIMED_STEPS):
        if step == WARM_UP_STEPS:
            _wait_for(resolved.device)
            started = time.perf_counter()
        batch = batches.at(step, adversarial)
        if adversarial:
            adversarial_step(state, batch, functions, settings.classification_weight, margin=1.0)
        else:
            ladder_step(state, batch, functions, settings.classification_weight)
    _wait_for(resolved.device)
    return (time.perf_counter() - started) / TIMED_STEPS


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
