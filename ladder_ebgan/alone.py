"""Discriminators trained alone, on real images: where their energy goes without a generator.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendix E.

A ladder trains without its classification cost, so that no labels have a part in it: what is left is an
auto-encoder. Energies are measured on images that none of the replicas trains on, as a step of the training would
have them: in batches of its size, which their own statistics normalise, with noise or dropout, the same each time.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ladder_ebgan.any_recipe import AnyRecipe
from ladder_ebgan.batches import WINDOW_STEPS, NormalStream
from ladder_ebgan.data import Dataset
from ladder_ebgan.energies import reconstruction_norm
from ladder_ebgan.engine import Engine
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.frame import framed
from ladder_ebgan.gan.recipe import EBGANSettings, GANRecipe
from ladder_ebgan.machine import Resolved
from ladder_ebgan.recipe import EBGANLadderSettings, LadderSettings, Recipe
from ladder_ebgan.stepping import stepped, update
from ladder_ebgan.streams import Stream
from ladder_ebgan.training import train


class Measured(NamedTuple):
    """The energies after some steps."""

    step: int
    energies: tuple[float, ...]  # of held-out images, the mean of each replica


class Discriminators(Protocol):
    """Discriminators of several replicas that train alone."""

    squared: bool  # whether the energy is a squared error; else it is a norm
    margin: float  # that the recipe begins with
    batch_size: int
    held_out: Tensor  # images that they do not train on `[n, features]`

    def train(self, n_steps: int, every_steps: int) -> Iterator[int]:
        """Train, yielding the number of steps done at the multiples of `every_steps` at least."""

    def energies(self, images: Tensor, number: Tensor) -> Tensor:
        """Return the energies of a batch `[batch, features]`, with its noise, `[replicas, batch]`."""


def measured(discriminators: Discriminators, n_steps: int, every_steps: int) -> Iterator[Measured]:
    """Train for at most so many steps, and yield the energies before the first and after every so many of them."""
    yield Measured(0, held_out_energies(discriminators))
    for step in discriminators.train(n_steps, every_steps):
        if step % every_steps == 0:
            yield Measured(step, held_out_energies(discriminators))


@torch.no_grad()
def held_out_energies(discriminators: Discriminators) -> tuple[float, ...]:
    """Return the mean energy of the held-out images of each replica; what does not fill a batch is left out."""
    images, size = discriminators.held_out, discriminators.batch_size
    whole = images[: len(images) // size * size] if len(images) >= size else images
    energies = [
        discriminators.energies(batch, torch.tensor(number, device=images.device))
        for number, batch in enumerate(whole.split(size))
    ]
    return tuple(torch.cat(energies, dim=1).mean(dim=1).tolist())


def discriminators_of(
    recipe: AnyRecipe, model: str, dataset: Dataset, resolved: Resolved, seeds: Sequence[int]
) -> Discriminators:
    """Return the discriminators of a model, one for each seed, before their first step.

    Args:
        recipe, model: of the training against a generator, which is what they are made for.
        dataset: its test images are what is held out.
        resolved: how to train.
        seeds: one a replica.

    Raises:
        UsageError: the model's discriminator has no energy.
    """
    if isinstance(recipe, GANRecipe):
        return AutoEncoders(recipe, model, dataset, resolved, seeds)
    return Ladders(recipe, model, dataset, resolved, seeds)


class Ladders:
    """The discriminators of EBGAN-LN; their energy is a squared error."""

    def __init__(
        self, recipe: Recipe, model: str, dataset: Dataset, resolved: Resolved, seeds: Sequence[int]
    ) -> None:
        adversarial = recipe.settings(model)
        if not isinstance(adversarial, EBGANLadderSettings):
            raise UsageError(f"{model} has no margin: name a model that has, such as ebgan-ladder")
        if not adversarial.denoising_weights[0]:
            raise UsageError(f"{model} has no energy: its denoising_weights[0] must be above 0")
        without_labels = {"classification_weight": 0.0, "pseudo_label_weight": None, "vat_weight": 0.0}
        fields = set(LadderSettings.model_fields)
        self.settings = LadderSettings(**adversarial.model_dump(include=fields) | without_labels)
        self.squared, self.margin = True, adversarial.margin.values[0]
        self.engine = engine = Engine.prepare(recipe, dataset, resolved)
        self.state = engine.initial_state(model, seeds)
        self.seeds, self.batch_size = seeds, recipe.training.batch_size
        self.held_out = engine.data.test_images
        shape = (self.batch_size, self.state.ladder.n_units)
        self.noise = NormalStream(seeds, Stream.EVALUATION, shape, resolved.device, engine.functions.normal)

    def train(self, n_steps: int, every_steps: int) -> Iterator[int]:
        """Train, yielding the number of steps done at the multiples of `every_steps` at least."""
        engine = self.engine
        unread = engine.dataset.labeled_rows[: engine.dataset.n_classes]  # the labels cost nothing
        batches = engine.batches(self.state, [unread] * len(self.seeds), self.seeds)
        constant = {"n_steps": n_steps, "decay_start_step": n_steps + WINDOW_STEPS}  # the learning rate never falls
        settings = self.settings.model_copy(update=constant)
        for progress in train(self.state, batches, settings, engine.functions, every_steps):
            yield progress.step

    def energies(self, images: Tensor, number: Tensor) -> Tensor:
        """Return the energies of a batch `[batch, features]`, with its noise, `[replicas, batch]`."""
        noise = self.noise.at(number)[:, : len(images)]
        return self.engine.functions.generated_energy(
            self.state.ladder, images.expand(len(self.seeds), -1, -1), noise
        )


class AutoEncoders:
    """The discriminators of EBGAN; their energy is the norm of Eq. (13)."""

    def __init__(
        self, recipe: GANRecipe, model: str, dataset: Dataset, resolved: Resolved, seeds: Sequence[int]
    ) -> None:
        settings = recipe.settings(model)
        if not isinstance(settings, EBGANSettings):
            raise UsageError(f"{model} has no margin: its discriminator gives a logit; name an EBGAN")
        self.squared, self.margin = False, settings.margin
        self.engine = engine = GANEngine.prepare(recipe, dataset, resolved)
        self.state = state = engine.initial_state(model, seeds)
        self.batches = engine.batches(model, state, seeds)
        self.batch_size = recipe.training.batch_size
        self.shape, self.padding = dataset.image_shape, settings.padding
        self.held_out = torch.from_numpy(dataset.test_images).to(resolved.device)
        n_noise, normal = state.discriminator.n_noise, engine.functions.normal
        shape = (self.batch_size, n_noise)
        self.noise = NormalStream(seeds, Stream.EVALUATION, shape, resolved.device, normal) if n_noise else None

    def train(self, n_steps: int, every_steps: int) -> Iterator[int]:
        """Train, yielding the number of steps done at the multiples of `every_steps` at least."""
        device = self.batches.step.device
        for _ in stepped(self.state, self._step, self.batches.seek, n_steps, device, every_steps):
            yield self.state.step

    def _step(self) -> None:
        """Go down the first term of Eq. (1) alone."""
        batch = self.batches.current()
        noise = None if batch.noise is None else batch.noise.chunk(2, dim=1)[0]
        update(self.state.discriminator_optimizer, self._energies(batch.images, noise).mean(dim=-1))
        self.batches.advance()

    def energies(self, images: Tensor, number: Tensor) -> Tensor:
        """Return the energies of a batch `[batch, features]`, with its noise, `[replicas, batch]`."""
        n_replicas = len(self.state.diverged_step)
        seen = framed(images, self.shape, self.padding).expand(n_replicas, -1, -1)
        return self._energies(seen, None if self.noise is None else self.noise.at(number)[:, : len(images)])

    def _energies(self, images: Tensor, noise: Tensor | None) -> Tensor:
        judgement = self.engine.functions.judge(self.state.discriminator, images, noise, 1)
        return reconstruction_norm(judgement.output, images)
