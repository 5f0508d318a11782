"""What pulls at the encoder of EBGAN-LN: the gradients of three of its costs, at some steps of its first phase.

python benchmarks/gradients.py [--recipe RECIPE] [--set KEY=VALUE ...] [--at 100,500,1000] [--seeds 2] [--batches 1]

They are the classification, the denoising of real images and the hinges of generated ones, each with its weight;
with a bottom cost alone the last two are the terms of Eq. (1), and together all that unlabelled images ask for.
Of each it prints the length of the gradient with respect to the encoder's weights, and the cosines between them,
as means over seeds: a table in Markdown. Where all hinges are closed there is no angle: –.

With `--batches` 2 or more the gradients are of the mean cost over all batches there are, as so many show it:
lengths and cosines are of products of means over the even ones with means over the odd ones, in which the noise
of single batches averages to 0; by itself it makes lengths too large and cosines too small. Estimated so, a
cosine can be a little beyond -1 or 1.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from ladder_ebgan.batches import WINDOW_STEPS
from ladder_ebgan.costs import energy_weight
from ladder_ebgan.data import load_dataset
from ladder_ebgan.data.subsets import subset_order
from ladder_ebgan.engine import Engine
from ladder_ebgan.losses import margin_hinge
from ladder_ebgan.machine import apply, resolve
from ladder_ebgan.recipe import EBGANLadderSettings, load_recipe
from ladder_ebgan.report.table import MISSING
from ladder_ebgan.training import Stepper, rates_at

MODEL = "ebgan-ladder"
TERMS = ("classification", "real", "generated")
ALL = (*TERMS, "both")  # of the last two


@dataclass(frozen=True)
class Pull:
    """The gradients of some batches; lists have a number for each seed."""

    energies: tuple[list[float], list[float]]  # of real and of generated images
    lengths: dict[str, list[float]]  # by term, and of "both" that are of unlabelled images
    cosines: dict[tuple[str, str], list[float]]  # by pair of terms; not a number where one has no length


def pull(stepper: Stepper, step: int, margin: float, n_batches: int = 1) -> Pull:
    """Return the gradients of the mean costs over the batches of `step` and those after it; nothing is changed.

    Args:
        stepper: stands at `step`.
        step: of the first batch.
        margin: m of Eq. (1).
        n_batches: all seen by the networks as they are.
    """
    energies: list[Tensor] = []
    halves = [dict.fromkeys(ALL, torch.zeros(())) for _ in range(min(2, n_batches))]  # even batches, odd ones
    for number in range(n_batches):
        stepper.batches.seek(step + number)
        found, gradients = _pull_of_batch(stepper, margin)
        energies.append(found)
        half, n_of_half = halves[number % 2], len(range(number % 2, n_batches, 2))
        half.update({name: half[name] + gradients[name] / n_of_half for name in ALL})
    stepper.seek(step)
    real, generated = torch.stack(energies).mean(dim=0).tolist()
    first, last = halves[0], halves[-1]  # the same, of a single batch

    def product(a: str, b: str) -> Tensor:
        return (first[a] * last[b] + last[a] * first[b]).sum(dim=1) / 2

    lengths = {name: product(name, name).sqrt() for name in ALL}
    cosines = {(a, b): product(a, b) / (lengths[a] * lengths[b]) for a, b in combinations(TERMS, 2)}
    return Pull(
        (real, generated),
        {name: length.tolist() for name, length in lengths.items()},
        {pair: cosine.tolist() for pair, cosine in cosines.items()},
    )


def _pull_of_batch(stepper: Stepper, margin: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Return mean energies `[2, replicas]`, real and generated, and gradients by term."""
    state, functions = stepper.state, stepper.functions
    batch = stepper.batches.current(True, corrupt_generated=stepper.corrupt_generated)
    assert state.generator is not None
    assert batch.latents is not None
    real = functions.ladder_costs(state.ladder, batch.images, batch.labels, batch.noise, 1.0)
    generated = functions.generate(state.generator, batch.latents).detach()
    energy = functions.generated_energy(state.ladder, generated, batch.generated_noise)
    weight = stepper.hinge_weight * (energy_weight(state.ladder) if stepper.energy_weighted else 1.0)
    costs = {
        "classification": stepper.classification_weight * real.classification,
        "real": real.denoising,
        "generated": weight * margin_hinge(energy, margin),
    }
    gradients = {name: _gradient(cost, list(state.ladder.encoder)) for name, cost in costs.items()}
    gradients["both"] = gradients["real"] + gradients["generated"]
    return torch.stack([real.energy, energy.mean(dim=1)]).detach(), gradients


def _gradient(cost: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Return the gradient of each replica's cost as one vector, `[replicas, numbers]`."""
    parts = torch.autograd.grad(cost.sum(), weights, retain_graph=True)
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def _cell(numbers: Sequence[float]) -> str:
    """Return the mean of the numbers that are some."""
    found = [number for number in numbers if math.isfinite(number)]
    return f"{sum(found) / len(found):.3g}" if found else MISSING


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--at", default="100,500,1000", help="steps, counted from 0")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--batches", type=int, default=1, help="that the gradients are means over")
    parser.add_argument("--data", default="mnist")
    given = parser.parse_args(arguments)
    recipe, dataset = load_recipe(given.recipe, given.set), load_dataset(given.data)
    settings, wanted = recipe.settings(MODEL), sorted(map(int, given.at.split(",")))
    assert isinstance(settings, EBGANLadderSettings)
    for name in ("seeds", "batches"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    if wanted[-1] >= settings.adversarial_steps:
        parser.error(f"the generator is off from step {settings.adversarial_steps} on: --at must be below it")
    resolved = resolve("auto", "auto", None, None, wanted[-1])
    apply(resolved)
    engine, seeds = Engine.prepare(recipe, dataset, resolved), range(given.seeds)
    subsets = [subset_order(dataset, seed)[: recipe.labels[0]] for seed in seeds]
    state = engine.initial_state(MODEL, seeds)
    stepper = Stepper(state, engine.batches(state, subsets, seeds), settings, engine.functions)
    columns = ["step", "margin", "energy real", "energy generated", *(f"length of {name}" for name in ALL)]
    columns += [f"cosine of {a} and {b}" for a, b in combinations(TERMS, 2)]
    print(f"| {' | '.join(columns)} |\n|{'--:|' * len(columns)}")
    for step in range(wanted[-1] + 1):
        if step % WINDOW_STEPS == 0:
            stepper.seek(step)
        if step in wanted:
            margin = rates_at(settings, step).margin
            found = pull(stepper, step, margin, given.batches)
            numbers = [[margin], *found.energies, *found.lengths.values(), *found.cosines.values()]
            print(f"| {step} | {' | '.join(map(_cell, numbers))} |", flush=True)
        stepper.step(adversarial=True)


if __name__ == "__main__":
    main()
