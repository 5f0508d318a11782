"""Training of GANs without labels: the step of EBGAN, that of the ordinary GAN, their loop and state.

References:
    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126
    Goodfellow et al. 2014, "Generative Adversarial Nets", arXiv 1406.2661
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ladder_ebgan.capture import layer_functions, normal_function, prepared
from ladder_ebgan.energies import reconstruction_norm
from ladder_ebgan.gan.batches import GANBatch, GANBatchStream
from ladder_ebgan.gan.discriminator import Discriminator, Judgement
from ladder_ebgan.gan.recipe import DiscriminatorSettings, EBGANSettings, GANGeneratorSettings, GANSettings
from ladder_ebgan.generator import Generator
from ladder_ebgan.layers import LayerFunctions
from ladder_ebgan.losses import (
    generator_loss,
    logistic_discriminator_loss,
    margin_hinge,
    non_saturating_loss,
    pulling_away_term,
)
from ladder_ebgan.philox import philox_normal
from ladder_ebgan.recipe import Training
from ladder_ebgan.replica_optimizers import OptimizerSettings, ReplicaOptimizer
from ladder_ebgan.stepping import frozen, note_divergence, per_replica, stepped, update

Optimizer = torch.optim.Optimizer | ReplicaOptimizer
Settings = GANSettings | Sequence[GANSettings]  # of all replicas, or of each


class GANCosts(NamedTuple):
    """What a step reports, each `[replicas]`; None where it does not apply."""

    total: Tensor  # losses of both sides together: what shows that a replica has diverged
    classification: Tensor | None  # cross-entropy of a logistic discriminator
    energy_real: Tensor | None
    energy_generated: Tensor | None  # before the updates, as is energy_real
    open_hinges: Tensor | None  # share of generated images with energy below the margin
    energies_real: Tensor | None = None  # of each image [replicas, batch], as is the next
    energies_generated: Tensor | None = None

    @property
    def energies(self) -> tuple[Tensor | None, Tensor | None]:
        """Energies of each real and each generated image."""
        return self.energies_real, self.energies_generated

    @property
    def shown(self) -> tuple[Tensor | None, ...]:
        """As of a ladder's `StepCosts`; there is no denoising."""
        return self.classification, None, self.energy_real, self.energy_generated, self.open_hinges


@dataclass
class GANState:
    """Everything that training changes."""

    discriminator: Discriminator
    discriminator_optimizer: Optimizer
    generator: Generator
    generator_optimizer: Optimizer | None  # None where it is frozen
    diverged_step: Tensor  # [replicas], the first step, counted from 1, with a cost not finite; -1 without
    step: int = 0  # steps done
    seconds: float = 0.0  # of training so far

    @property
    def parts(self) -> Iterator[tuple[str, nn.Module, Optimizer]]:
        """The networks that change, by name, with their optimisers."""
        yield "discriminator", self.discriminator, self.discriminator_optimizer
        if self.generator_optimizer is not None:
            yield "generator", self.generator, self.generator_optimizer


@dataclass(frozen=True)
class GANFunctions:
    """The pure functions that a step is made of, as they are or compiled."""

    judge: Callable[..., Judgement] = Discriminator.forward
    generate: Callable[[Generator, Tensor], Tensor] = Generator.forward
    normal: Callable[[Tensor, Tensor, Sequence[int]], Tensor] = philox_normal
    layers: LayerFunctions = field(default_factory=LayerFunctions)

    @classmethod
    def prepare(cls, compiled: bool, device: torch.device) -> "GANFunctions":
        """Compile them for `device` if asked to, each when it is first called."""
        return cls(
            prepared(Discriminator.forward, compiled, device),
            prepared(Generator.forward, compiled, device),
            normal_function(compiled, device),
            layer_functions(compiled, device),
        )


def each_settings(settings: Settings) -> list[GANSettings]:
    """Return the settings as a list: one of all replicas, or one of each."""
    return [settings] if isinstance(settings, GANSettings) else list(settings)


def initial_gan_state(
    settings: Settings,
    training: Training,
    seeds: Sequence[int],
    n_features: int,
    device: torch.device,
    product_dtype: torch.dtype = torch.float32,
    functions: GANFunctions = GANFunctions(),
) -> GANState:
    """Build the networks and optimisers of a group of replicas, one for each seed.

    Args:
        settings: of all replicas, or one of each. They then agree in all but optimisers, learning rates, margin
            and weight of the pulling-away term; generators are frozen for all of them or for none.
        training: batch size and Adam's constants.
        seeds: one a replica.
        n_features: of an image as the networks see it, padded.
        device: where the replicas train.
        product_dtype: precision of matrix products.
        functions: what the networks are computed by.
    """
    every = each_settings(settings)
    d, g = every[0].discriminator, every[0].generator
    sizes, how = every[0].discriminator_sizes(n_features), (product_dtype, functions.layers)
    discriminator = Discriminator(seeds, sizes, d.weight_std, d.dropout, *how).to(device)
    generator = Generator(seeds, g.sizes(n_features), g.weight_std, *how, "tanh").to(device)
    return GANState(
        discriminator,
        _optimizer(discriminator, [each.discriminator for each in every], training),
        generator,
        _optimizer(generator, [each.generator for each in every], training) if g.learning_rate else None,
        torch.full((len(seeds),), -1, device=device),
    )


def _optimizer(
    module: nn.Module, settings: Sequence[DiscriminatorSettings | GANGeneratorSettings], training: Training
) -> Optimizer:
    """Make the optimiser of one side: one for all replicas where they agree, else one with settings of each."""
    parameters = list(module.parameters())
    each = [OptimizerSettings(side.optimizer, side.learning_rate) for side in settings]
    betas, on_gpu = (training.adam_beta1, training.adam_beta2), parameters[0].device.type == "cuda"
    if len(set(each)) > 1:
        return ReplicaOptimizer(parameters, each, betas, training.adam_epsilon)
    kind, rate = each[0]
    if kind == "sgd":
        return torch.optim.SGD(parameters, rate, fused=True)
    return torch.optim.Adam(parameters, rate, betas, training.adam_epsilon, fused=True, capturable=on_gpu)


def ebgan_step(
    state: GANState,
    batch: GANBatch,
    functions: GANFunctions,
    margin: Tensor | float,
    pulling_away_weight: Tensor | float = 0.0,
) -> GANCosts:
    """Update the discriminators by Eq. (1), then the generators by Eq. (2), each once.

    Both see the same generated images, under the same dropout. Real and generated images pass the discriminator as
    batches of their own, with their own statistics. The generators' loss alone has the pulling-away term, of the
    encoder's outputs for the generated images, as the updated discriminator has them. The margin is one number or
    `[replicas, 1]`, the weight of the term one number or `[replicas]`; a weight of 0.0 leaves the term out.
    """
    generated = functions.generate(state.generator, batch.latents)
    energies = _energies(state, torch.cat([batch.images, generated.detach()], dim=1), batch.noise, functions, 2)[0]
    real, fake = energies.chunk(2, dim=1)
    discriminator_loss = real.mean(dim=-1) + margin_hinge(fake, margin)
    update(state.discriminator_optimizer, discriminator_loss)

    loss = generator_loss(fake.detach())
    if state.generator_optimizer is not None:
        with frozen(state.discriminator):
            fooled, code = _energies(state, generated, _of_generated(batch), functions, 1)
            loss = generator_loss(fooled)
            if isinstance(pulling_away_weight, Tensor) or pulling_away_weight:
                loss = loss + pulling_away_weight * pulling_away_term(code)
            update(state.generator_optimizer, loss)
    real, fake = real.detach(), fake.detach()
    return GANCosts(
        total=(discriminator_loss + loss).detach(),
        classification=None,
        energy_real=real.mean(dim=-1),
        energy_generated=fake.mean(dim=-1),
        open_hinges=(fake < margin).float().mean(dim=-1),
        energies_real=real,
        energies_generated=fake,
    )


def gan_step(state: GANState, batch: GANBatch, functions: GANFunctions) -> GANCosts:
    """Update the logistic discriminators by their cross-entropy, then the generators by -log D(G(z)), each once.

    What is said of latents, dropout and statistics in `ebgan_step` holds here.
    """
    generated = functions.generate(state.generator, batch.latents)
    images = torch.cat([batch.images, generated.detach()], dim=1)
    logits = functions.judge(state.discriminator, images, batch.noise, 2).output.squeeze(-1)
    discriminator_loss = logistic_discriminator_loss(*logits.chunk(2, dim=1))
    update(state.discriminator_optimizer, discriminator_loss)

    loss = non_saturating_loss(logits.detach().chunk(2, dim=1)[1])
    if state.generator_optimizer is not None:
        with frozen(state.discriminator):
            fooled = functions.judge(state.discriminator, generated, _of_generated(batch), 1).output.squeeze(-1)
            loss = non_saturating_loss(fooled)
            update(state.generator_optimizer, loss)
    total = (discriminator_loss + loss).detach()
    return GANCosts(total, discriminator_loss.detach(), None, None, None)


def _energies(
    state: GANState, images: Tensor, noise: Tensor | None, functions: GANFunctions, groups: int
) -> tuple[Tensor, Tensor]:
    """Return the energies `[replicas, batch]` of Eq. (13), through both places of the images, and the codes."""
    judgement = functions.judge(state.discriminator, images, noise, groups)
    return reconstruction_norm(judgement.output, images), judgement.code


def _of_generated(batch: GANBatch) -> Tensor | None:
    """Return the noise of the generated images, behind that of the real ones."""
    return None if batch.noise is None else batch.noise.chunk(2, dim=1)[1]


class GANStepper:
    """Makes the steps of a group, each from device tensors alone, so that a step can be captured."""

    def __init__(
        self, state: GANState, batches: GANBatchStream, settings: Settings, functions: GANFunctions
    ) -> None:
        self.state, self.batches, self.functions = state, batches, functions
        of_energies = [each for each in each_settings(settings) if isinstance(each, EBGANSettings)]
        self.has_energy, device = bool(of_energies), batches.step.device
        if self.has_energy:
            self.margin = per_replica([each.margin for each in of_energies], device)
            self.margin = self.margin.unsqueeze(-1) if isinstance(self.margin, Tensor) else self.margin
            self.pulling_away_weight = per_replica([each.pulling_away_weight for each in of_energies], device)

    def seek(self, step: int) -> None:
        """Go to `step`, the first of a window of steps that can then be made."""
        self.batches.seek(step)

    def step(self) -> GANCosts:
        """Make the step that the batches stand at, and go to the next."""
        state, batch = self.state, self.batches.current()
        if self.has_energy:
            costs = ebgan_step(state, batch, self.functions, self.margin, self.pulling_away_weight)
        else:
            costs = gan_step(state, batch, self.functions)
        note_divergence(state.diverged_step, costs.total, self.batches.step)
        self.batches.advance()
        return costs


class GANProgress(NamedTuple):
    """What the loop yields; tensors stay on the device, and are valid, until the next step."""

    step: int  # steps done
    learning_rate: float  # of the first replica's discriminator
    margin: float | None  # of the first replica; None for an ordinary GAN
    costs: GANCosts


def train_gan(
    state: GANState,
    batches: GANBatchStream,
    settings: Settings,
    functions: GANFunctions,
    yield_every_steps: int | None = None,
) -> Iterator[GANProgress]:
    """Train from `state.step` to the end, yielding as `stepping.stepped` does.

    Settings of several replicas agree in number of steps.
    """
    stepper, first = GANStepper(state, batches, settings, functions), each_settings(settings)[0]
    margin = first.margin if isinstance(first, EBGANSettings) else None
    device = batches.step.device
    for costs in stepped(state, stepper.step, stepper.seek, first.n_steps, device, yield_every_steps):
        yield GANProgress(state.step, first.discriminator.learning_rate, margin, costs)
