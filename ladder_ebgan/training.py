"""Training of a group of replicas: one step for each method, one loop, the state that a checkpoint holds.

References:
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendix D
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ladder_ebgan.batches import WINDOW_STEPS, Batch, BatchStream
from ladder_ebgan.capture import captured, layer_functions, normal_function, prepared
from ladder_ebgan.energies import reconstruction_energy
from ladder_ebgan.generator import Generator
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.layers import LayerFunctions, batch_statistics, normalize
from ladder_ebgan.losses import classification_cost, denoising_cost, generator_loss, margin_hinge
from ladder_ebgan.philox import philox_normal
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
    z_hat = ladder.decode(corrupted.z, logits[:, n_labeled:])

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


@dataclass(frozen=True)
class Functions:
    """The pure functions that a step is made of, as they are or compiled."""

    ladder_costs: Callable[..., LadderCosts] = ladder_costs
    generated_energy: Callable[[Ladder, Tensor, Tensor], Tensor] = generated_energy
    generate: Callable[[Generator, Tensor], Tensor] = Generator.forward
    normal: Callable[[Tensor, Tensor, Sequence[int]], Tensor] = philox_normal
    layers: LayerFunctions = field(default_factory=LayerFunctions)

    @classmethod
    def prepare(cls, compiled: bool, device: torch.device) -> "Functions":
        """Compile them for `device` if asked to, each when it is first called."""
        return cls(
            prepared(ladder_costs, compiled, device),
            prepared(generated_energy, compiled, device),
            prepared(Generator.forward, compiled, device),
            normal_function(compiled, device),
            layer_functions(compiled, device),
        )


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
    functions: Functions = Functions(),
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
        functions.layers,
    ).to(device)
    generator = generator_optimizer = None
    if isinstance(settings, EBGANLadderSettings):
        options = settings.generator
        sizes = [options.latent_size, *options.hidden_sizes, n_features]
        generator = Generator(seeds, sizes, options.weight_std, product_dtype, functions.layers).to(device)
        generator_optimizer = _adam(generator, options.learning_rate, recipe)
    diverged = torch.full((len(seeds),), -1, device=device)
    optimizer = _adam(ladder, settings.learning_rate, recipe)
    return State(ladder, optimizer, generator, generator_optimizer, diverged)


def _adam(module: nn.Module, learning_rate: float, recipe: Recipe) -> torch.optim.Adam:
    """Make the optimiser; its learning rate is a tensor on the device, which each step sets."""
    options = recipe.training
    parameters = list(module.parameters())
    device = parameters[0].device
    return torch.optim.Adam(
        parameters,
        torch.tensor(learning_rate, device=device),
        betas=(options.adam_beta1, options.adam_beta2),
        eps=options.adam_epsilon,
        fused=True,
        capturable=device.type == "cuda",
    )


def ladder_step(state: State, batch: Batch, functions: Functions, classification_weight: float) -> StepCosts:
    """Update the ladders once."""
    costs = functions.ladder_costs(state.ladder, batch.images, batch.labels, batch.noise, classification_weight)
    _update(state.ladder_optimizer, costs.total)
    return StepCosts(_detached(costs), None, None)


def adversarial_step(
    state: State, batch: Batch, functions: Functions, classification_weight: float, margin: Tensor | float
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
    return StepCosts(_detached(real), energy.mean(dim=-1), open_hinges)


def _detached(costs: LadderCosts) -> LadderCosts:
    return LadderCosts(*(cost.detach() for cost in costs))


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


class Rates(NamedTuple):
    """What changes from step to step by schedule."""

    learning_rate: float
    generator_learning_rate: float  # 0 without a generator
    margin: float


def rates_at(settings: LadderSettings, step: int) -> Rates:
    """Return the scheduled values of `step`, counted from 0."""
    factor = learning_rate_factor(step, settings.decay_start_step, settings.n_steps)
    if not isinstance(settings, EBGANLadderSettings):
        return Rates(settings.learning_rate * factor, 0.0, 0.0)
    curve = settings.margin
    margin = interpolated(step, curve.steps, curve.values, curve.shape)
    return Rates(settings.learning_rate * factor, settings.generator.learning_rate * factor, margin)


class Stepper:
    """Makes the steps of a group, each from device tensors alone, so that a step can be captured."""

    def __init__(self, state: State, batches: BatchStream, settings: LadderSettings, functions: Functions) -> None:
        self.state, self.batches, self.settings, self.functions = state, batches, settings, functions
        self.rates = torch.zeros(WINDOW_STEPS, len(Rates._fields), device=batches.step.device)

    def seek(self, step: int) -> None:
        """Go to `step`, the first of a window of WINDOW_STEPS steps that can then be made."""
        rates = torch.tensor([rates_at(self.settings, step + i) for i in range(WINDOW_STEPS)])
        self.batches.seek(step)
        self.rates.copy_(rates)

    def step(self, adversarial: bool) -> StepCosts:
        """Make the step that the batches stand at, and go to the next."""
        state, weight = self.state, self.settings.classification_weight
        learning_rate, generator_learning_rate, margin = self._current_rates()
        state.ladder_optimizer.param_groups[0]["lr"].copy_(learning_rate)
        batch = self.batches.current(adversarial)
        if adversarial:
            assert state.generator_optimizer is not None
            state.generator_optimizer.param_groups[0]["lr"].copy_(generator_learning_rate)
            costs = adversarial_step(state, batch, self.functions, weight, margin)
        else:
            costs = ladder_step(state, batch, self.functions, weight)
        self._note_divergence(costs)
        self.batches.advance()
        return costs

    def _current_rates(self) -> tuple[Tensor, ...]:
        return self.rates.index_select(0, self.batches.position).squeeze(0).unbind()

    def _note_divergence(self, costs: StepCosts) -> None:
        """Remember the first step at which a replica's cost was not finite, without waiting for the device."""
        total = costs.ladder.total
        if costs.energy_generated is not None:
            total = total + costs.energy_generated
        first = (self.state.diverged_step < 0) & ~torch.isfinite(total)
        self.state.diverged_step.copy_(torch.where(first, self.batches.step + 1, self.state.diverged_step))


class Progress(NamedTuple):
    """What the loop yields; tensors stay on the device, and are valid, until the next step."""

    step: int  # steps done
    learning_rate: float
    margin: float | None  # None when the generator is off
    costs: StepCosts


def adversarial_steps(settings: LadderSettings) -> int:
    """Return for how many steps, from the first on, a generator trains beside the ladder."""
    return settings.adversarial_steps if isinstance(settings, EBGANLadderSettings) else 0


def train(
    state: State,
    batches: BatchStream,
    settings: LadderSettings,
    functions: Functions,
    yield_every_steps: int | None = None,
) -> Iterator[Progress]:
    """Train from `state.step` to the end; the caller may stop whenever it is given progress.

    On a CPU it yields after every step. On a GPU, where steps are only handed over here, it yields once for a
    window of them, and at multiples of `yield_every_steps`.
    """
    device = batches.step.device
    stepper = Stepper(state, batches, settings, functions)
    n_adversarial = adversarial_steps(settings)
    for first, end in ((0, n_adversarial), (n_adversarial, settings.n_steps)):
        adversarial = first < n_adversarial
        step = captured(partial(stepper.step, adversarial), device)
        while state.step < end:
            start, window_end = state.step, min(state.step + WINDOW_STEPS, end)
            stepper.seek(start)
            for state.step in range(start + 1, window_end + 1):
                costs = step()
                at_multiple = yield_every_steps is not None and state.step % yield_every_steps == 0
                if device.type == "cpu" or at_multiple or state.step == window_end:
                    rates = rates_at(settings, state.step - 1)
                    yield Progress(state.step, rates.learning_rate, rates.margin if adversarial else None, costs)
