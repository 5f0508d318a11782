"""Discriminators, generators and one training step of a single GAN in plain PyTorch, written from the paper.

Zhao, Mathieu, LeCun 2017, arXiv 1609.03126, Eq. (1), (2), (13), (14). Networks are lists of (weight, bias); batches
have no replica axis. Float64.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

Layers = list[tuple[Tensor, Tensor]]
EPSILON = 1e-10


def layers_of(module: nn.Module, r: int) -> Layers:
    """Copies of the parameters of one replica, to be trained."""
    pairs = zip(module.weight, module.bias, strict=True)  # type: ignore[arg-type]
    return [tuple(p.detach()[r].clone().squeeze(0).requires_grad_() for p in pair) for pair in pairs]  # type: ignore[misc]


def normalized(z: Tensor) -> Tensor:
    return functional.batch_norm(z, None, None, training=True, eps=EPSILON)


def judge(layers: Layers, x: Tensor, keep: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """Output and code; `keep` has 0 or 1 / (1 - rate) for each hidden unit, layer by layer."""
    h = x
    for number, (weight, bias) in enumerate(layers[:-1]):
        z = h @ weight
        h = torch.relu((z if number == 0 else normalized(z)) + bias)
        if keep is not None:
            h = h * keep[number]
    weight, bias = layers[-1]
    return h @ weight + bias, h


def generate(layers: Layers, latents: Tensor) -> Tensor:
    h = latents
    for weight, bias in layers[:-1]:
        h = torch.relu(normalized(h @ weight) + bias)
    weight, bias = layers[-1]
    return torch.tanh(h @ weight + bias)


def energies(layers: Layers, x: Tensor, keep: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
    output, code = judge(layers, x, keep)
    return torch.stack([((a - b) ** 2).sum().sqrt() for a, b in zip(output, x, strict=True)]), code


def pulling_away(code: Tensor) -> Tensor:
    n, total = len(code), torch.zeros((), dtype=code.dtype)
    for i in range(n):
        for j in range(n):
            if i != j and code[i].any() and code[j].any():
                total = total + (code[i] @ code[j] / (code[i].norm() * code[j].norm())) ** 2
    return total / (n * (n - 1))


@dataclass
class PlainGAN:
    """A GAN that trains alone. Without a margin it is an ordinary one."""

    discriminator: Layers
    generator: Layers
    optimizers: tuple[str, str]
    rates: tuple[float, float]
    margin: float | None = None
    pulling_away_weight: float = 0.0
    seen: list[dict[str, Tensor]] = field(default_factory=list)  # what each step has come to

    def __post_init__(self) -> None:
        self.of_discriminator, self.of_generator = (
            _optimizer(kind, layers, rate)
            for kind, layers, rate in zip(
                self.optimizers, (self.discriminator, self.generator), self.rates, strict=True
            )
        )

    def step(
        self, real: Tensor, latents: Tensor, keep: tuple[list[Tensor], list[Tensor]] | tuple[None, None]
    ) -> None:
        fixed = generate(self.generator, latents).detach()
        if self.margin is None:
            on_real, on_fake = (
                judge(self.discriminator, x, k)[0] for x, k in zip((real, fixed), keep, strict=True)
            )
            loss = -torch.sigmoid(on_real).log().mean() - (1 - torch.sigmoid(on_fake)).log().mean()
            self.seen.append({"classification": loss.detach()})
        else:
            both = zip((real, fixed), keep, strict=True)
            on_real, on_fake = (energies(self.discriminator, *pair)[0] for pair in both)
            hinges = torch.stack([torch.clamp(self.margin - energy, min=0) for energy in on_fake])
            loss = on_real.mean() + hinges.mean()
            self.seen.append(
                {
                    "energy_real": on_real.mean().detach(),
                    "energy_generated": on_fake.mean().detach(),
                    "open_hinges": (on_fake < self.margin).double().mean(),
                }
            )
        _step(self.of_discriminator, loss)

        images = generate(self.generator, latents)
        if self.margin is None:
            loss = -torch.sigmoid(judge(self.discriminator, images, keep[1])[0]).log().mean()
        else:
            energy, code = energies(self.discriminator, images, keep[1])
            loss = energy.mean() + self.pulling_away_weight * pulling_away(code)
        _step(self.of_generator, loss)


def _optimizer(kind: str, layers: Layers, rate: float) -> torch.optim.Optimizer:
    parameters = [tensor for pair in layers for tensor in pair]
    if kind == "sgd":
        return torch.optim.SGD(parameters, rate)
    return torch.optim.Adam(parameters, rate, (0.5, 0.999), 1e-8)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
