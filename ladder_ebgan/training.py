"""Training of a group of replicas: one step for each method, one loop, the state that a checkpoint holds.

References:
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendix D
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ladder_ebgan.batches import Batch, BatchStream
from ladder_ebgan.capture import prepared
from ladder_ebgan.energies import reconstruction_energy
from ladder_ebgan.generator import Generator
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.layers import batch_statistics, normalize
from ladder_ebgan.losses import classification_cost, denoising_cost, generator_loss, margin_hinge
from ladder_ebgan.recipe import EBGANLadderSettings, LadderSettings, Recipe
from ladder_ebgan.schedules import interpolated, learning_rate_factor


class LadderCosts(NamedTuple):
    """Costs of a ladder on one batch, each `[replicas]`."""

    total: Tensor  # what is minimised
    classification: Tensor
    denoising: Tensor  # weighted sum over layers
    energy: Tensor  # mean reconstruction energy of the unlabelled images; 0 without a decoder to layer 0


class StepCosts(NamedTuple):
    """What a step reports, each `[replicas]`; the last two are None without a generator."""

    ladder: LadderCosts
    energy_generated: Tensor | None
    open_hinges: Tensor | None  # share of generated images with energy below the margin


def ladder_costs(
    ladder: Ladder, images: Tensor, labels: Tensor, noise: Tensor, classification_weight: float
) -> LadderCosts:
    """Return the cost of a ladder: cross-entropy of the corrupted pass plus the weighted denoising costs.

    Above layer 0 the target is the clean `z` and `z_hat` is normalised by the clean statistics; gradient flows
    through the clean pass as well. At layer 0 the cost is the reconstruction energy itself.

    Args:
        ladder: the networks.
        images: labelled, then unlabelled `[replicas, 2 batch, features]`.
        labels: `[replicas, batch]`.
        noise: standard normal `[replicas, 2 batch, units of all layers]`.
        classification_weight: of the cross-entropy.
    """
    n_labeled = labels.shape[1]
    corrupted = ladder.encode(images, noise, groups=2)
    logits, unlabeled = corrupted.logits, images[:, n_labeled:]
    classification = classification_cost(logits[:, :n_labeled], labels)
    z_hat = ladder.decode([z[:, n_labeled:] for z in corrupted.z], logits[:, n_labeled:])

    denoising = energy = torch.zeros_like(classification)
    if 0 in z_hat:
        energy = reconstruction_energy(z_hat[0], unlabeled).mean(dim=-1)
        denoising = energy_weight(ladder) * energy
    if ladder.needs_clean_pass:
        clean = ladder.encode(unlabeled)
        for layer in z_hat.keys() - {0}:
            normalized = normalize(z_hat[layer], *batch_statistics(clean.z_pre[layer - 1]))
            denoising = denoising + ladder.denoising_weights[layer] * denoising_cost(normalized, clean.z[layer])
    total = classification_weight * classification + denoising
    return LadderCosts(total, classification, denoising, energy)


def generated_energy(ladder: Ladder, generated: Tensor, noise: Tensor) -> Tensor:
    """Return the energy `D(G(z))` `[replicas, batch]`; gradient flows through both of its places."""
    return reconstruction_energy(ladder.reconstruct(generated, noise), generated)


def energy_weight(ladder: Ladder) -> float:
    """Return lambda_L2, the weight of the energy as a sum over features."""
    return ladder.denoising_weights[0] / ladder.sizes[0]


@dataclass
class Functions:
    """The pure functions of a step, as they are or compiled."""

    ladder_costs: Callable[..., LadderCosts]
    generated_energy: Callable[[Ladder, Tensor, Tensor], Tensor]
    generate: Callable[[Generator, Tensor], Tensor]

    @classmethod
    def prepare(cls, compiled: bool) -> "Functions":
        """Compile them if asked to; the first call of each then takes a minute."""
        return cls(
            prepared(ladder_costs, compiled),
            prepared(generated_energy, compiled),
            prepared(_generate, compiled),
        )


def _generate(generator: Generator, latents: Tensor) -> Tensor:
    return generator.forward(latents)


@dataclass
class State:
    """Everything that training changes."""

    ladder: Ladder
    ladder_optimizer: torch.optim.Adam
    generator: Generator | None
    generator_optimizer: torch.optim.Adam | None
    diverged_step: Tensor  # [replicas], the first step, counted from 1, with a cost not finite; -1 without
    step: int = 0  # steps done
    seconds: float = 0.0  # of training so far


def initial_state(
    recipe: Recipe,
    model: str,
    seeds: Sequence[int],
    n_features: int,
    n_classes: int,
    device: torch.device,
    product_dtype: torch.dtype = torch.float32,
) -> State:
    """Build the networks and optimisers of a group of replicas, one for each seed."""
    settings, network = recipe.settings(model), recipe.network
    ladder = Ladder(
        seeds,
        [n_features, *network.hidden_sizes, n_classes],
        settings.denoising_weights,
        network.input_noise,
        network.hidden_noise,
        network.softmax_gamma,
        product_dtype,
    ).to(device)
    generator = generator_optimizer = None
    if isinstance(settings, EBGANLadderSettings):
        options = settings.generator
        sizes = [options.latent_size, *options.hidden_sizes, n_features]
        generator = Generator(seeds, sizes, options.weight_std, product_dtype).to(device)
        generator_optimizer = _adam(generator, options.learning_rate, recipe)
    diverged = torch.full((len(seeds),), -1, device=device)
    optimizer = _adam(ladder, settings.learning_rate, recipe)
    return State(ladder, optimizer, generator, generator_optimizer, diverged)


def _adam(module: nn.Module, learning_rate: float, recipe: Recipe) -> torch.optim.Adam:
    options = recipe.training
    betas = (options.adam_beta1, options.adam_beta2)
    return torch.optim.Adam(module.parameters(), learning_rate, betas=betas, eps=options.adam_epsilon, fused=True)


def ladder_step(state: State, batch: Batch, functions: Functions, classification_weight: float) -> StepCosts:
    """Update the ladders once."""
    costs = functions.ladder_costs(state.ladder, batch.images, batch.labels, batch.noise, classification_weight)
    _update(state.ladder_optimizer, costs.total)
    return StepCosts(costs, None, None)


def adversarial_step(
    state: State, batch: Batch, functions: Functions, classification_weight: float, margin: float
) -> StepCosts:
    """Update the discriminators by Eq. (1) beside the classification cost, then the generators by Eq. (2).

    Both see the same generated images under the same noise. The generated images pass the ladder as a batch of
    their own, with its own statistics; at margin 0 the discriminator's update is the plain ladder's, to the bit.
    The energy carries lambda_L2 as a whole, hinge included, so the margin is in the unit of the energy.
    """
    assert state.generator is not None
    assert state.generator_optimizer is not None
    assert batch.latents is not None
    assert batch.generated_noise is not None
    real = functions.ladder_costs(state.ladder, batch.images, batch.labels, batch.noise, classification_weight)
    generated = functions.generate(state.generator, batch.latents)
    energy = functions.generated_energy(state.ladder, generated.detach(), batch.generated_noise)
    hinge = margin_hinge(energy, margin)
    _update(state.ladder_optimizer, real.total + energy_weight(state.ladder) * hinge)

    with _frozen(state.ladder):
        fooled = functions.generated_energy(state.ladder, generated, batch.generated_noise)
        _update(state.generator_optimizer, generator_loss(fooled))
    energy = energy.detach()
    open_hinges = (energy < margin).float().mean(dim=-1)
    return StepCosts(real, energy.mean(dim=-1), open_hinges)


def _update(optimizer: torch.optim.Adam, loss: Tensor) -> None:
    """Step down the gradient of `loss` `[replicas]`; the sum keeps each replica's gradient its own."""
    optimizer.zero_grad()
    loss.sum().backward()
    optimizer.step()


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradient pass through `module` without computing that of its parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


class Progress(NamedTuple):
    """What the loop yields after a step; tensors stay on the device until somebody reads them."""

    step: int  # steps done
    learning_rate: float
    margin: float | None  # None when the generator is off
    costs: StepCosts


def adversarial_steps(settings: LadderSettings) -> int:
    """Return for how many steps, from the first on, a generator trains beside the ladder."""
    return settings.adversarial_steps if isinstance(settings, EBGANLadderSettings) else 0


def train(state: State, batches: BatchStream, settings: LadderSettings, functions: Functions) -> Iterator[Progress]:
    """Train from `state.step` to the end, yielding after every step; the caller may stop at any of them."""
    n_adversarial = adversarial_steps(settings)
    while state.step < settings.n_steps:
        step = state.step
        factor = learning_rate_factor(step, settings.decay_start_step, settings.n_steps)
        _set_learning_rate(state.ladder_optimizer, settings.learning_rate * factor)
        adversarial, margin = step < n_adversarial, None
        batch = batches.at(step, adversarial)
        if adversarial:
            assert isinstance(settings, EBGANLadderSettings)
            assert state.generator_optimizer is not None
            _set_learning_rate(state.generator_optimizer, settings.generator.learning_rate * factor)
            curve = settings.margin
            margin = interpolated(step, curve.steps, curve.values, curve.shape)
            costs = adversarial_step(state, batch, functions, settings.classification_weight, margin)
        else:
            costs = ladder_step(state, batch, functions, settings.classification_weight)
        _note_divergence(state, costs)
        state.step += 1
        yield Progress(state.step, settings.learning_rate * factor, margin, costs)


def _set_learning_rate(optimizer: torch.optim.Adam, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def _note_divergence(state: State, costs: StepCosts) -> None:
    """Remember the first step at which a replica's cost was not finite, without waiting for the device."""
    total = costs.ladder.total.detach()
    if costs.energy_generated is not None:
        total = total + costs.energy_generated
    first = (state.diverged_step < 0) & ~torch.isfinite(total)
    state.diverged_step.masked_fill_(first, state.step + 1)
