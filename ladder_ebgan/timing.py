"""How long a step takes on this machine, measured on networks that are thrown away."""

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch

from ladder_ebgan import capture
from ladder_ebgan.any_recipe import AnyRecipe
from ladder_ebgan.batches import WINDOW_STEPS
from ladder_ebgan.engine import Engine
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.recipe import EBGANSettings, GANRecipe, GANSettings
from ladder_ebgan.gan.training import GANStepper
from ladder_ebgan.recipe import EBGANLadderSettings, LadderSettings
from ladder_ebgan.training import Stepper, adversarial_steps, has_margin

N_FIRST_STEPS = {"cpu": 2, "cuda": capture.WARM_UP_STEPS + 1}  # compiled and recorded
TIMED_STEPS = 5
WITHOUT_WORK = {  # settings of a ladder that change no step's time, or do only where they are 0
    *{"n_steps", "learning_rate", "decay_start_step", "classification_weight", "evaluation_statistics"},
    *{"labeled_subset_seed", "vat_radius", "adversarial_steps", "margin", "energy_weighted", "hinge_weight"},
    *{"denoising_weights", "pseudo_label_weight", "vat_weight", "pulling_away_weight"},
}
WITHOUT_WORK_OF_GAN: dict[str, Any] = {
    **dict.fromkeys(["n_steps", "margin", "pulling_away_weight"], True),
    **{part: {"learning_rate", "weight_std"} for part in ("discriminator", "generator")},
}


class Phase(NamedTuple):
    """Steps that take the same time: of a model, against a generator or alone; of a GAN, with a margin or not."""

    model: str
    adversarial: bool


def phase_of(recipe: AnyRecipe, model: str, adversarial: bool) -> Phase:
    """Return the phase of a model, under the name of the first model of the recipe whose steps do the same work."""
    work = _work(recipe.settings(model), adversarial)
    alike = (other for other in recipe.models if _work(recipe.settings(other), adversarial) == work)
    return Phase(next(alike), adversarial)


def first_phase(recipe: AnyRecipe, adversarial: bool) -> Phase:
    """Return the phase of the first model that has such steps."""
    return Phase(next(m for m in recipe.models if _work(recipe.settings(m), adversarial) is not None), adversarial)


def _work(settings: LadderSettings | GANSettings, adversarial: bool) -> dict[str, Any] | None:
    """Return what the time of a step depends on; None without such steps."""
    if adversarial and not adversarial_steps(settings):
        return None
    if isinstance(settings, GANSettings):
        if not adversarial and settings.margin_steps:
            return None
        gan = settings.model_dump(exclude=WITHOUT_WORK_OF_GAN)
        pulls_away = isinstance(settings, EBGANSettings) and settings.pulling_away_weight > 0
        return gan | {"trained": settings.generator.learning_rate > 0, "pulls_away": pulls_away}
    fields = type(settings) if adversarial else LadderSettings
    own = settings.model_dump(include=set(fields.model_fields) - WITHOUT_WORK)
    own["denoising_weights"] = [weight > 0 for weight in settings.denoising_weights]
    own["consistency"] = [settings.pseudo_label_weight is not None, settings.vat_weight > 0]
    if isinstance(settings, EBGANLadderSettings) and adversarial:
        own["generator"] |= {"learning_rate": settings.generator.is_trained, "weight_std": None}
        own["margin"] = has_margin(settings)
        own["pulls_away"] = settings.pulling_away_weight > 0
    return own


def step_seconds(engine: Engine | GANEngine, n_replicas: int, phase: Phase) -> float:
    """Return the mean time of a few steps of `n_replicas` replicas at once, compilation left out."""
    step = throwaway_step(engine, n_replicas, phase)
    return seconds_per_call(step, TIMED_STEPS, engine.resolved.device)


def throwaway_step(engine: Engine | GANEngine, n_replicas: int, phase: Phase) -> Callable[[], None]:
    """Return a function that makes the next whole step of new networks, from drawing the batch to Adam.

    The first steps, which compile and record, are already made. A call may return before the device has finished.
    """
    return _begun(*_stepper(engine, phase.model, range(n_replicas), phase.adversarial), engine.resolved.device)


def stack_seconds(engine: GANEngine, model: str, recipes: Sequence[GANRecipe], n_steps: int = TIMED_STEPS) -> float:
    """Return the mean time of a few steps of GANs with recipes of their own that train together."""
    seeds = range(len(recipes))
    state = engine.initial_state(model, seeds, recipes)
    settings, batches = [recipe.settings(model) for recipe in recipes], engine.batches(model, state, seeds)
    stepper, device = GANStepper(state, batches, settings, engine.functions), engine.resolved.device
    return seconds_per_call(_begun(stepper, stepper.step, device), n_steps, device)


def _begun(stepper: "_Seeking", plain_step: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """Return what makes the next step, with the first steps made."""
    make_step, n_done = capture.captured(plain_step, device), itertools.count()

    def step() -> None:
        number = next(n_done)
        if number % WINDOW_STEPS == 0:
            stepper.seek(number)
        make_step()

    for _ in range(N_FIRST_STEPS[device.type]):
        step()
    return step


class _Seeking(Protocol):
    def seek(self, step: int) -> None: ...


def _stepper(
    engine: Engine | GANEngine, model: str, seeds: Sequence[int], adversarial: bool
) -> tuple[_Seeking, Callable[[], object]]:
    """Return what seeks the steps of new networks, and what makes one of them."""
    if isinstance(engine, GANEngine):
        state = engine.initial_state(model, seeds)
        batches = engine.batches(model, state, seeds)
        gan_stepper = GANStepper(state, batches, engine.recipe.settings(model), engine.functions)
        return gan_stepper, gan_stepper.step
    ladders = engine.initial_state(model, seeds)
    subset = engine.dataset.labeled_rows[: engine.dataset.n_classes]  # which images does not matter for the time
    ladder_batches = engine.batches(ladders, [subset] * len(seeds), seeds)
    stepper = Stepper(ladders, ladder_batches, engine.recipe.settings(model), engine.functions)
    return stepper, partial(stepper.step, adversarial)


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
