"""The ladder and EBGAN-LN in plain PyTorch, for one seed and in float32: what the engine is measured against.

Written as one would without a replica axis: modules, autograd, `torch.optim.Adam` as it comes, noise from
`torch.randn`, images gathered by index. It has none of the engine's tricks and nothing that makes it slow.

References:
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendix D
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ladder_ebgan import combinators
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.training import State

EPSILON = 1e-10


class Batch(NamedTuple):
    """The arguments of a step: labelled images first, then as many unlabelled ones."""

    images: Tensor  # [2 batch, features]
    labels: Tensor  # [batch], class indices
    noise: Tensor  # [2 batch, units of all layers], standard normal
    latents: Tensor | None = None  # [batch, latent]; None without a generator
    generated_noise: Tensor | None = None  # [batch, units of all layers]


class Costs(NamedTuple):
    """What a step reports, each a scalar."""

    total: Tensor
    classification: Tensor
    energy: Tensor  # of the unlabelled images; 0 without a decoder to layer 0
    energy_generated: Tensor | None = None


class Encoding(NamedTuple):
    z: list[Tensor]  # layers 0..L, normalised and noisy
    z_pre: list[Tensor]  # layers 1..L before normalisation
    logits: Tensor


class Combinator(nn.Module):
    """The Gaussian denoising function, Eq. (2) of Rasmus et al. 2015; others are the engine's definitions."""

    def __init__(self, n_units: int, kind: combinators.Combinator) -> None:
        super().__init__()
        self.kind = kind
        self.a = nn.Parameter(combinators.initial_combinator(kind, [0], (), n_units).detach()[0, :, 0])

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        if self.kind != "gaussian":
            return combinators.combine(u[None], z[None], self.a[None, :, None], self.kind)[0]
        a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = self.a
        mu = a1 * torch.sigmoid(a2 * u + a3) + a4 * u + a5
        v = a6 * torch.sigmoid(a7 * u + a8) + a9 * u + a10
        z_hat: Tensor = (z - mu) * v + mu
        return z_hat


class Ladder(nn.Module):
    def __init__(
        self,
        sizes: list[int],
        denoising_weights: list[float],
        noise_stds: Sequence[float],
        softmax_gamma: bool,
        combinator: combinators.Combinator,
    ) -> None:
        super().__init__()
        self.sizes, self.denoising_weights = sizes, denoising_weights
        self.noise_stds = noise_stds
        self.top = len(sizes) - 1
        self.lowest = min((layer for layer, weight in enumerate(denoising_weights) if weight), default=self.top + 1)
        self.encoder = nn.ModuleList(_linear(n_in, n_out, n_in**-0.5) for n_in, n_out in pairwise(sizes))
        self.beta = nn.ParameterList(torch.zeros(n) for n in sizes[1:])
        self.gamma = nn.Parameter(torch.ones(sizes[-1])) if softmax_gamma else None
        decoded = range(self.lowest, self.top + 1)
        self.combinator = nn.ModuleDict({str(layer): Combinator(sizes[layer], combinator) for layer in decoded})
        self.decoder_weight = nn.ModuleDict(
            {
                str(layer): _linear(sizes[layer + 1], sizes[layer], sizes[layer + 1] ** -0.5)
                for layer in decoded[:-1]
            }
        )

    def encode(self, x: Tensor, noise: Tensor | None, groups: int = 1) -> Encoding:
        """Run the encoder, clean without noise; the `groups` equal parts of the batch are normalised apart."""
        noises = None if noise is None else noise.split(self.sizes, dim=1)
        h = x if noises is None else x + self.noise_stds[0] * noises[0]
        zs, zs_pre = [h], []
        for layer in range(1, self.top + 1):
            z_pre = self.encoder[layer - 1](h)
            z = torch.cat([_batch_norm(part) for part in z_pre.chunk(groups)])
            if noises is not None:
                z = z + self.noise_stds[layer] * noises[layer]
            h = z + self.beta[layer - 1]
            if layer < self.top:
                h = torch.relu(h)
            zs.append(z)
            zs_pre.append(z_pre)
        return Encoding(zs, zs_pre, h if self.gamma is None else h * self.gamma)

    def decode(self, zs: list[Tensor], logits: Tensor) -> dict[int, Tensor]:
        """Denoise the layers from the top to the lowest one with a weight."""
        z_hat: dict[int, Tensor] = {}
        for layer in range(self.top, self.lowest - 1, -1):
            if layer == self.top:
                u = _batch_norm(torch.softmax(logits, dim=1))
            else:
                u = _batch_norm(self.decoder_weight[str(layer)](z_hat[layer + 1]))
            z_hat[layer] = self.combinator[str(layer)](zs[layer], u)
        return z_hat

    def energy(self, x: Tensor, noise: Tensor) -> Tensor:
        """Squared reconstruction error of each image, `[batch]`."""
        encoding = self.encode(x, noise)
        return (self.decode(encoding.z, encoding.logits)[0] - x).square().sum(dim=1)


class Generator(nn.Module):
    def __init__(self, sizes: list[int], weight_std: float) -> None:
        super().__init__()
        self.weight = nn.ModuleList(_linear(n_in, n_out, weight_std) for n_in, n_out in pairwise(sizes))
        self.bias = nn.ParameterList(torch.zeros(n) for n in sizes[1:])

    def forward(self, latents: Tensor) -> Tensor:
        h = latents
        for linear, bias in zip(self.weight[:-1], self.bias[:-1], strict=True):
            h = torch.relu(_batch_norm(linear(h)) + bias)
        return torch.sigmoid(self.weight[-1](h) + self.bias[-1])


class Plain:
    """A model of a recipe with its optimisers.

    Args:
        recipe: sizes, weights, learning rates.
        model: as in `Recipe.models`; `ebgan-ladder` has a generator.
        images, labels: all training images `[n_images, features]` and their class indices, on the device.
        n_classes: of the labels.
    """

    def __init__(self, recipe: Recipe, model: str, images: Tensor, labels: Tensor, n_classes: int) -> None:
        settings, network = recipe.settings(model), recipe.network
        self.images, self.labels, self.batch_size = images, labels, recipe.training.batch_size
        self.classification_weight = settings.classification_weight
        n_features = images.shape[1]
        self.ladder = Ladder(
            [n_features, *network.hidden_sizes, n_classes],
            settings.denoising_weights,
            network.noise_stds,
            network.softmax_gamma,
            network.combinator,
        ).to(images.device)
        self.optimizer = _adam(self.ladder, settings.learning_rate, recipe)
        self.generator: Generator | None = None
        if isinstance(settings, EBGANLadderSettings):
            options = settings.generator
            self.latent_size = options.latent_size
            sizes = [options.latent_size, *options.hidden_sizes, n_features]
            self.generator = Generator(sizes, options.weight_std).to(images.device)
            self.generator_optimizer = _adam(self.generator, options.learning_rate, recipe)

    def draw(self, adversarial: bool) -> Batch:
        """Draw a batch; which images are the labelled ones does not matter for the time."""
        n, device = self.batch_size, self.images.device
        index = torch.randint(len(self.images), (2 * n,), device=device)
        n_units = sum(self.ladder.sizes)
        return Batch(
            self.images[index],
            self.labels[index[:n]],
            torch.randn(2 * n, n_units, device=device),
            torch.randn(n, self.latent_size, device=device) if adversarial else None,
            torch.randn(n, n_units, device=device) if adversarial else None,
        )

    def costs(self, batch: Batch) -> Costs:
        """Cross-entropy of the corrupted pass and the weighted denoising costs of the unlabelled images."""
        ladder, n = self.ladder, len(batch.labels)
        unlabeled = batch.images[n:]
        corrupted = ladder.encode(batch.images, batch.noise, groups=2)
        classification = nn.functional.cross_entropy(corrupted.logits[:n], batch.labels)
        total, energy = self.classification_weight * classification, torch.zeros_like(classification)
        z_hat = ladder.decode([z[n:] for z in corrupted.z], corrupted.logits[n:])
        if 0 in z_hat:
            energy = (z_hat[0] - unlabeled).square().sum(dim=1).mean()
            total = total + self.energy_weight * energy
        if any(ladder.denoising_weights[1:]):
            clean = ladder.encode(unlabeled, None)
            for layer in z_hat.keys() - {0}:
                z_pre = clean.z_pre[layer - 1]
                mean, variance = z_pre.mean(dim=0), z_pre.var(dim=0, correction=0)
                normalized = (z_hat[layer] - mean) / torch.sqrt(variance + EPSILON)
                total = total + ladder.denoising_weights[layer] * nn.functional.mse_loss(normalized, clean.z[layer])
        return Costs(total, classification, energy)

    @property
    def energy_weight(self) -> float:
        """lambda_L2, on the energy as a sum over pixels."""
        return self.ladder.denoising_weights[0] / self.ladder.sizes[0]


def ladder_step(plain: Plain, batch: Batch | None = None) -> Costs:
    """Update the ladder once, on a batch that is drawn if it is not given."""
    costs = plain.costs(batch or plain.draw(adversarial=False))
    _update(plain.optimizer, costs.total)
    return costs


def adversarial_step(plain: Plain, margin: float, batch: Batch | None = None) -> Costs:
    """Update the discriminator by Eq. (1) beside the classification cost, then the generator by Eq. (2)."""
    batch = batch or plain.draw(adversarial=True)
    assert plain.generator is not None
    assert batch.latents is not None
    assert batch.generated_noise is not None
    costs = plain.costs(batch)
    generated = plain.generator(batch.latents)
    energy = plain.ladder.energy(generated.detach(), batch.generated_noise)
    _update(plain.optimizer, costs.total + plain.energy_weight * torch.relu(margin - energy).mean())

    plain.ladder.requires_grad_(False)
    _update(plain.generator_optimizer, plain.ladder.energy(generated, batch.generated_noise).mean())
    plain.ladder.requires_grad_(True)
    return costs._replace(energy_generated=energy.mean())


def step_function(plain: Plain, adversarial: bool) -> Callable[[], Costs]:
    """Return a function that makes one whole step."""
    return (lambda: adversarial_step(plain, margin=1.0)) if adversarial else (lambda: ladder_step(plain))


def load_replica(plain: Plain, state: State, replica: int) -> None:
    """Copy the parameters of one replica of the engine."""
    pairs = [(plain.ladder, state.ladder), *([(plain.generator, state.generator)] if plain.generator else [])]
    for module, batched in pairs:
        assert batched is not None
        with torch.no_grad():
            for own, theirs in zip(module.parameters(), batched.parameters(), strict=True):
                own.copy_(of_replica(theirs, replica, own))


def of_replica(batched: Tensor, replica: int, own: Tensor) -> Tensor:
    """Return one replica's part of a parameter or gradient in the layout of `own`: weights are `[out, in]` here."""
    value = batched[replica]
    return value.T if value.ndim == own.ndim == 2 else value.squeeze(-2)


def _update(optimizer: torch.optim.Adam, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _adam(module: nn.Module, learning_rate: float, recipe: Recipe) -> torch.optim.Adam:
    options = recipe.training
    betas = (options.adam_beta1, options.adam_beta2)
    return torch.optim.Adam(module.parameters(), learning_rate, betas, options.adam_epsilon)


def _linear(n_in: int, n_out: int, std: float) -> nn.Linear:
    linear = nn.Linear(n_in, n_out, bias=False)
    nn.init.normal_(linear.weight, std=std)
    return linear


def _batch_norm(z: Tensor) -> Tensor:
    return nn.functional.batch_norm(z, None, None, training=True, eps=EPSILON)
