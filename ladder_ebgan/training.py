"""Training of a group of replicas: one step for each method, one loop, the state that a checkpoint holds.

References:
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendix D
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ladder_ebgan.averaging import Average
from ladder_ebgan.batches import WINDOW_STEPS, Batch, BatchStream
from ladder_ebgan.consistency import Consistency, consistency_cost
from ladder_ebgan.costs import Functions, LadderCosts, energy_weight
from ladder_ebgan.gan.recipe import GANSettings
from ladder_ebgan.generator import Generator
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.losses import generator_loss, margin_hinge, pulling_away_term
from ladder_ebgan.recipe import Curve, EBGANLadderSettings, LadderSettings, Recipe, Training
from ladder_ebgan.replica_optimizers import ReplicaAdam
from ladder_ebgan.schedules import interpolated, learning_rate_factor
from ladder_ebgan.stepping import frozen, note_divergence, per_replica, stepped, update

Optimizer = torch.optim.Adam | ReplicaAdam


class StepCosts(NamedTuple):
    """What a step reports, each `[replicas]`; all but the first are None without a generator."""

    ladder: LadderCosts
    energy_generated: Tensor | None
    open_hinges: Tensor | None  # share of generated images with energy below the margin
    energies_generated: Tensor | None = None  # of each image [replicas, batch]

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.ladder.total

    @property
    def energies(self) -> tuple[Tensor | None, Tensor | None]:
        """Energies of each real and each generated image; None without a generator."""
        return None if self.energies_generated is None else self.ladder.energies, self.energies_generated

    @property
    def shown(self) -> tuple[Tensor | None, ...]:
        """Classification, denoising, energy of real and generated images, open hinges; None without a generator."""
        energy_real = None if self.energy_generated is None else self.ladder.energy
        ladder = self.ladder.classification, self.ladder.denoising
        return *ladder, energy_real, self.energy_generated, self.open_hinges


@dataclass
class State:
    """Everything that training changes."""

    ladder: Ladder
    ladder_optimizer: Optimizer
    generator: Generator | None
    generator_optimizer: Optimizer | None  # None as well where no generator trains: it is frozen, or noise
    diverged_step: Tensor  # [replicas], the first step, counted from 1, with a cost not finite; -1 without
    step: int = 0  # steps done
    seconds: float = 0.0  # of training so far
    average: Average | None = None  # of the ladders' weights, if the recipe asks for it

    @property
    def parts(self) -> Iterator[tuple[str, nn.Module, Optimizer | None]]:
        """The networks that change, by name, with the optimisers of those that train."""
        yield "ladder", self.ladder, self.ladder_optimizer
        if self.generator is not None and self.generator_optimizer is not None:
            yield "generator", self.generator, self.generator_optimizer
        if self.average is not None:
            yield "average", self.average.ladder, None

    @property
    def evaluated(self) -> Ladder:
        """The ladders that errors, predictions and model files are of: with averaged weights, if there are any."""
        return self.ladder if self.average is None else self.average.ladder


def initial_state(
    recipe: Recipe | Sequence[Recipe],
    model: str,
    seeds: Sequence[int],
    n_features: int,
    n_classes: int,
    device: torch.device,
    product_dtype: torch.dtype = torch.float32,
    functions: Functions = Functions(),  # noqa: B008
) -> State:
    """Build the networks and optimisers of a group of replicas, one for each seed.

    Args:
        recipe: of all replicas, or one of each. They then agree in all but learning rates, weights of costs,
            margin, noise and averaging.
        model: of all replicas.
        seeds: one a replica.
        n_features, n_classes: of the data.
        device: where the replicas train.
        product_dtype: precision of matrix products.
        functions: what the networks are computed by.
    """
    recipes = [recipe] if isinstance(recipe, Recipe) else list(recipe)
    every, network, training = [each.settings(model) for each in recipes], recipes[0].network, recipes[0].training
    settings = every[0]
    ladder = Ladder(
        seeds,
        [n_features, *network.hidden_sizes, n_classes],
        settings.denoising_weights,
        network.input_noise,
        network.hidden_noise,
        network.softmax_gamma,
        product_dtype,
        functions.layers,
        network.combinator,
    ).to(device)
    if len(recipes) > 1:
        _tell_apart(ladder, recipes, every, device)
    generator = generator_optimizer = None
    if isinstance(settings, EBGANLadderSettings):
        options = settings.generator
        sizes = options.sizes(n_features)
        generator = Generator(seeds, sizes, options.weight_std, product_dtype, functions.layers, options.output).to(
            device
        )
        of_generators = [each.generator for each in every if isinstance(each, EBGANLadderSettings)]
        if any(each.is_trained for each in of_generators):
            rates = [each.learning_rate for each in of_generators]
            generator_optimizer = _adam(generator, training, rates)
    diverged = torch.full((len(seeds),), -1, device=device)
    optimizer = _adam(ladder, training, [each.learning_rate for each in every])
    decays = [each.training.averaging_decay for each in recipes]
    average = Average(ladder, decays) if any(decays) else None
    return State(ladder, optimizer, generator, generator_optimizer, diverged, average=average)


def _tell_apart(
    ladder: Ladder, recipes: Sequence[Recipe], settings: Sequence[LadderSettings], device: torch.device
) -> None:
    """Give each replica the denoising weights and the noise of its own recipe."""
    weights = zip(*(each.denoising_weights for each in settings), strict=True)
    ladder.denoising_weights = tuple(per_replica(layer, device) for layer in weights)
    stds = zip(*(recipe.network.noise_stds for recipe in recipes), strict=True)
    ladder.noise_stds = tuple(per_replica(layer, device) for layer in stds)


def _adam(module: nn.Module, options: Training, learning_rates: Sequence[float]) -> Optimizer:
    """Make the optimiser, of one learning rate or one a replica: tensors on the device, which each step sets."""
    parameters = list(module.parameters())
    device = parameters[0].device
    betas, eps = (options.adam_beta1, options.adam_beta2), options.adam_epsilon
    if len(learning_rates) > 1:
        return ReplicaAdam(parameters, learning_rates, betas, eps)
    rate = torch.tensor(learning_rates[0], device=device)
    return torch.optim.Adam(parameters, rate, betas, eps, fused=True, capturable=device.type == "cuda")


def ladder_step(
    state: State,
    batch: Batch,
    functions: Functions,
    classification_weight: Tensor | float,
    consistency: Consistency | None = None,
) -> StepCosts:
    """Update the ladders once."""
    costs = functions.ladder_costs(state.ladder, batch.images, batch.labels, batch.noise, classification_weight)
    costs = _with_consistency(costs, state.ladder, batch, consistency)
    update(state.ladder_optimizer, costs.total)
    return StepCosts(_detached(costs), None, None)


def adversarial_step(
    state: State,
    batch: Batch,
    functions: Functions,
    classification_weight: Tensor | float,
    margin: Tensor | float | None,
    energy_weighted: bool = True,
    consistency: Consistency | None = None,
    pulling_away_weight: float = 0.0,
    hinge_weight: Tensor | float = 1.0,
) -> StepCosts:
    """Update the discriminators by Eq. (1) beside the classification cost, then the generators by Eq. (2).

    Both see the same generated images under the same noise, or without any if the batch has none for them. These
    have normalisation statistics of their own. The energy carries lambda_L2 as a whole, hinge included, so the
    margin is in the unit of the energy; the hinge does not carry it if it is not to be `energy_weighted`, and has a
    `hinge_weight` of its own besides. Without a margin there is no hinge: the discriminators' update is the plain
    ladders', to the bit. The generators' loss alone has the pulling-away term. Generators without an optimiser stay
    as they are.
    """
    assert state.generator is not None
    assert batch.latents is not None
    generated = functions.generate(state.generator, batch.latents)
    weight = hinge_weight * energy_weight(state.ladder) if energy_weighted else hinge_weight
    rest = functions, classification_weight, margin, weight, consistency
    costs = _update_discriminators(state, batch, generated.detach(), *rest)
    if state.generator_optimizer is not None:
        with frozen(state.ladder):
            judged = state.ladder, generated, batch.generated_noise
            update(state.generator_optimizer, _generator_cost(*judged, functions, pulling_away_weight))
    return costs


def _update_discriminators(
    state: State,
    batch: Batch,
    generated: Tensor,
    functions: Functions,
    classification_weight: Tensor | float,
    margin: Tensor | float | None,
    hinge_weight: Tensor | float,
    consistency: Consistency | None,
) -> StepCosts:
    """Step down Eq. (1) beside the classification cost; without a margin down the plain ladder's cost."""
    of_real = state.ladder, batch.images, batch.labels, batch.noise, classification_weight
    if margin is None:
        with torch.no_grad():
            energy = functions.generated_energy(state.ladder, generated, batch.generated_noise)
        real, hinge, open_hinges = functions.ladder_costs(*of_real), None, torch.zeros_like(energy[:, 0])
    else:
        real, energy = functions.discriminator_costs(*of_real, generated, batch.generated_noise)
        hinge, open_hinges = margin_hinge(energy, margin), (energy < margin).float().mean(dim=-1)
    real = _with_consistency(real, state.ladder, batch, consistency)
    update(state.ladder_optimizer, real.total if hinge is None else real.total + hinge_weight * hinge)
    energy = energy.detach()
    return StepCosts(_detached(real), energy.mean(dim=-1), open_hinges, energy)


def _generator_cost(
    ladder: Ladder, generated: Tensor, noise: Tensor | None, functions: Functions, pulling_away_weight: float
) -> Tensor:
    """Return Eq. (2), and if it has a weight Eq. (14) of the encoder's outputs in the same pass."""
    if not pulling_away_weight:
        return generator_loss(functions.generated_energy(ladder, generated, noise))
    energy, code = functions.generated_energy_and_code(ladder, generated, noise)
    return generator_loss(energy) + pulling_away_weight * pulling_away_term(code)


def _with_consistency(
    costs: LadderCosts, ladder: Ladder, batch: Batch, consistency: Consistency | None
) -> LadderCosts:
    """Return the costs of the real images with those of `consistency` in the total."""
    if consistency is None:
        return costs
    n_labeled = batch.labels.shape[1]
    unlabeled = batch.images[:, n_labeled:], batch.noise[:, n_labeled:]
    return costs._replace(total=costs.total + consistency_cost(ladder, *unlabeled, batch.directions, consistency))


def _detached(costs: LadderCosts) -> LadderCosts:
    return LadderCosts(*(cost.detach() for cost in costs))


class Rates(NamedTuple):
    """What changes from step to step by schedule."""

    learning_rate: float
    generator_learning_rate: float  # 0 without a generator
    margin: float
    pseudo_label_weight: float  # 0 without pseudo-labels


def rates_at(settings: LadderSettings, step: int) -> Rates:
    """Return the scheduled values of `step`, counted from 0."""
    factor = learning_rate_factor(step, settings.decay_start_step, settings.n_steps)
    learning_rate = settings.learning_rate * factor
    pseudo_label_weight = _value_at(settings.pseudo_label_weight, step)
    if not isinstance(settings, EBGANLadderSettings):
        return Rates(learning_rate, 0.0, 0.0, pseudo_label_weight)
    generator_learning_rate = settings.generator.learning_rate * factor
    return Rates(learning_rate, generator_learning_rate, _value_at(settings.margin, step), pseudo_label_weight)


def _value_at(curve: Curve | None, step: int) -> float:
    return 0.0 if curve is None else interpolated(step, curve.steps, curve.values, curve.shape)


Settings = LadderSettings | Sequence[LadderSettings]  # of all replicas, or of each


class Stepper:
    """Makes the steps of a group, each from device tensors alone, so that a step can be captured."""

    def __init__(self, state: State, batches: BatchStream, settings: Settings, functions: Functions) -> None:
        self.state, self.batches, self.functions = state, batches, functions
        self.settings = [settings] if isinstance(settings, LadderSettings) else list(settings)
        first, device = self.settings[0], batches.step.device
        of_ebgan = first if isinstance(first, EBGANLadderSettings) else None
        self.energy_weighted = of_ebgan is not None and of_ebgan.energy_weighted
        hinge_weights = [each.hinge_weight for each in self.settings if isinstance(each, EBGANLadderSettings)]
        self.hinge_weight = per_replica(hinge_weights, device) if hinge_weights else 1.0
        self.pulling_away_weight = 0.0 if of_ebgan is None else of_ebgan.pulling_away_weight
        self.corrupt_generated = of_ebgan is not None and of_ebgan.corrupt_generated
        self.has_margin = any(map(has_margin, self.settings))
        self.classification_weight = per_replica([each.classification_weight for each in self.settings], device)
        self.vat_weight = per_replica([each.vat_weight for each in self.settings], device)
        self.vat_radius = per_replica([each.vat_radius for each in self.settings], device)
        self.rates = torch.zeros(WINDOW_STEPS, len(Rates._fields), len(self.settings), device=device)

    def seek(self, step: int) -> None:
        """Go to `step`, the first of a window of WINDOW_STEPS steps that can then be made."""
        steps = range(step, step + WINDOW_STEPS)
        rates = torch.tensor([[rates_at(each, step) for each in self.settings] for step in steps])
        self.batches.seek(step)
        self.rates.copy_(rates.mT)

    def step(self, adversarial: bool) -> StepCosts:
        """Make the step that the batches stand at, and go to the next."""
        state, weight = self.state, self.classification_weight
        learning_rate, generator_learning_rate, margin, pseudo_label_weight = self._current_rates()
        consistency = self._consistency(pseudo_label_weight)
        _set_learning_rates(state.ladder_optimizer, learning_rate)
        with_directions = self.settings[0].vat_weight > 0
        batch = self.batches.current(adversarial, with_directions, corrupt_generated=self.corrupt_generated)
        if adversarial:
            if state.generator_optimizer is not None:
                _set_learning_rates(state.generator_optimizer, generator_learning_rate)
            margins = margin.unsqueeze(-1) if self.has_margin else None
            how = self.energy_weighted, consistency, self.pulling_away_weight, self.hinge_weight
            costs = adversarial_step(state, batch, self.functions, weight, margins, *how)
        else:
            costs = ladder_step(state, batch, self.functions, weight, consistency)
        if state.average is not None:
            state.average.update(state.ladder, self.batches.step + 1)
        total = costs.total if costs.energy_generated is None else costs.total + costs.energy_generated
        note_divergence(state.diverged_step, total, self.batches.step)
        self.batches.advance()
        return costs

    def _consistency(self, pseudo_label_weight: Tensor) -> Consistency | None:
        """Return what else the unlabelled images cost; settings of several replicas agree in which costs."""
        first = self.settings[0]
        if first.pseudo_label_weight is None and not first.vat_weight:
            return None
        return Consistency(
            None if first.pseudo_label_weight is None else pseudo_label_weight,
            self.vat_weight if first.vat_weight else None,
            self.vat_radius,
        )

    def _current_rates(self) -> tuple[Tensor, ...]:
        """Return the scheduled values, each `[1]`, or `[replicas]` where each has settings of its own."""
        return self.rates.index_select(0, self.batches.position).squeeze(0).unbind()


def _set_learning_rates(optimizer: Optimizer, rates: Tensor) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"].copy_(rate)


class Progress(NamedTuple):
    """What the loop yields; tensors stay on the device, and are valid, until the next step."""

    step: int  # steps done
    learning_rate: float  # of the first replica, as is the margin
    margin: float | None  # None when the generator is off
    costs: StepCosts


def adversarial_steps(settings: LadderSettings | GANSettings) -> int:
    """Return for how many steps, from the first on, a generator trains beside the ladder; of a GAN, to a margin."""
    if isinstance(settings, GANSettings):
        return settings.margin_steps
    return settings.adversarial_steps if isinstance(settings, EBGANLadderSettings) else 0


def has_margin(settings: LadderSettings) -> bool:
    """Return whether the margin is above 0 at any step."""
    return isinstance(settings, EBGANLadderSettings) and any(value > 0 for value in settings.margin.values)


def train(
    state: State,
    batches: BatchStream,
    settings: Settings,
    functions: Functions,
    yield_every_steps: int | None = None,
) -> Iterator[Progress]:
    """Train from `state.step` to the end, yielding as `stepping.stepped` does.

    Settings of several replicas agree in numbers of steps.
    """
    device = batches.step.device
    stepper = Stepper(state, batches, settings, functions)
    first_settings = stepper.settings[0]
    n_adversarial = adversarial_steps(first_settings)
    for first, end in ((0, n_adversarial), (n_adversarial, first_settings.n_steps)):
        adversarial = first < n_adversarial
        step = partial(stepper.step, adversarial)
        for costs in stepped(state, step, stepper.seek, end, device, yield_every_steps):
            rates = rates_at(first_settings, state.step - 1)
            yield Progress(state.step, rates.learning_rate, rates.margin if adversarial else None, costs)
