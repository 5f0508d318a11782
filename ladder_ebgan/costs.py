"""The costs of a step: pure functions of networks and a batch, as they are or compiled.

References:
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendix D
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ladder_ebgan.capture import layer_functions, normal_function, prepared
from ladder_ebgan.energies import reconstruction_energy
from ladder_ebgan.generator import Generator
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.layers import LayerFunctions, batch_statistics, normalize
from ladder_ebgan.losses import classification_cost, denoising_cost
from ladder_ebgan.philox import philox_normal


class LadderCosts(NamedTuple):
    """Costs of a ladder on one batch, each `[replicas]` but for the last."""

    total: Tensor  # what is minimised
    classification: Tensor
    denoising: Tensor  # weighted sum over layers
    energy: Tensor  # mean reconstruction energy of the unlabelled images; 0 without a decoder to layer 0
    energies: Tensor  # that of each of them [replicas, batch]


def ladder_costs(
    ladder: Ladder, images: Tensor, labels: Tensor, noise: Tensor, classification_weight: Tensor | float
) -> LadderCosts:
    """Return the cost of a ladder: cross-entropy of the corrupted pass plus the weighted denoising costs.

    Rasmus et al., algorithm 1: C = C_c + C_d, with C_d the sum over layers l of lambda_l |z^(l) - z_hat_BN^(l)|^2.
    Above layer 0 the target is the clean `z` and `z_hat` is normalised by the clean statistics; gradient flows
    through the clean pass as well. At layer 0 the cost is the reconstruction energy itself.

    Args:
        ladder: the networks.
        images: labelled, then unlabelled `[replicas, 2 batch, features]`.
        labels: `[replicas, batch]`.
        noise: standard normal `[replicas, 2 batch, units of all layers]`.
        classification_weight: of the cross-entropy, one number or `[replicas]`.
    """
    if not ladder.weighted:  # no decoder: the unlabelled images cost nothing here
        n_labeled = labels.shape[1]
        logits = ladder.encode(images[:, :n_labeled], noise[:, :n_labeled]).logits
        classification = classification_cost(logits, labels)
        zero, energies = torch.zeros_like(classification), torch.zeros_like(images[:, n_labeled:, 0])
        return LadderCosts(classification_weight * classification, classification, zero, zero, energies)
    return _decoded_costs(ladder, images, labels, noise, classification_weight)[0]


def discriminator_costs(
    ladder: Ladder,
    images: Tensor,
    labels: Tensor,
    noise: Tensor,
    classification_weight: Tensor | float,
    generated: Tensor,
    generated_noise: Tensor | None,
) -> tuple[LadderCosts, Tensor]:
    """Return `ladder_costs`, and `generated_energy`, in one pass: generated images are a group of the same batch.

    What Eq. (1) of Zhao et al. is made of, `D(x)` and `D(G(z))`; the hinge is put on it in `training.py`.

    Args:
        ladder: the networks; they reconstruct layer 0.
        images, labels, noise, classification_weight: as of `ladder_costs`.
        generated: `[replicas, batch, features]`, as many as there are labelled ones.
        generated_noise: standard normal `[replicas, batch, units of all layers]`; None for none.
    """
    assert generated.shape[1] == labels.shape[1], "groups are of equal size"
    if generated_noise is None:
        generated_noise = torch.zeros_like(noise[:, : generated.shape[1]])
    all_images, all_noise = torch.cat([images, generated], dim=1), torch.cat([noise, generated_noise], dim=1)
    return _decoded_costs(ladder, all_images, labels, all_noise, classification_weight)


def _decoded_costs(
    ladder: Ladder, images: Tensor, labels: Tensor, noise: Tensor, classification_weight: Tensor | float
) -> tuple[LadderCosts, Tensor]:
    """Return the costs of labelled and unlabelled images, and the energies of generated ones behind them."""
    n_labeled = labels.shape[1]  # also the size of each other group
    groups = images.shape[1] // n_labeled
    corrupted = ladder.encode(images, noise, groups, n_decoded=groups - 1)
    logits, to_decode = corrupted.logits, images[:, n_labeled:]
    classification = classification_cost(logits[:, :n_labeled], labels)
    z_hat = ladder.decode(corrupted.z, logits[:, n_labeled:], groups=groups - 1)

    denoising = energy = torch.zeros_like(classification)
    energies = generated_energies = torch.zeros_like(to_decode[:, :, 0])
    if 0 in z_hat:
        energies, generated_energies = reconstruction_energy(z_hat[0], to_decode).tensor_split([n_labeled], dim=1)
        energy = energies.mean(dim=-1)
        denoising = energy_weight(ladder) * energy
    if ladder.needs_clean_pass:
        clean = ladder.encode(to_decode[:, :n_labeled])
        for layer in range(max(1, ladder.lowest_decoded), len(ladder.sizes)):
            normalized = normalize(z_hat[layer][:, :n_labeled], *batch_statistics(clean.z_pre[layer - 1]))
            denoising = denoising + ladder.denoising_weights[layer] * denoising_cost(normalized, clean.z[layer])
    total = classification_weight * classification + denoising
    return LadderCosts(total, classification, denoising, energy, energies), generated_energies


def generated_energy(ladder: Ladder, generated: Tensor, noise: Tensor | None) -> Tensor:
    """Return the energy `D(G(z))` `[replicas, batch]` of Eq. (2); gradient flows through both of its places.

    It is the squared form of Eq. (13), of EBGAN-LN (appendix D).

    Args:
        ladder: the discriminators.
        generated: `[replicas, batch, features]`.
        noise: standard normal `[replicas, batch, units of all layers]`; None for a clean pass.
    """
    return reconstruction_energy(ladder.reconstruct(generated, noise), generated)


def generated_energy_and_code(ladder: Ladder, generated: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return `generated_energy`, and the encoder's output in the same pass: `Encoding.code`."""
    encoding = ladder.encode(generated, noise)
    reconstruction = ladder.decode(encoding.z, encoding.logits)[0]
    return reconstruction_energy(reconstruction, generated), encoding.code


def energy_weight(ladder: Ladder) -> Tensor | float:
    """Return lambda_L2, the weight of the energy as a sum over features: one number or `[replicas]`."""
    return ladder.denoising_weights[0] / ladder.sizes[0]


@dataclass(frozen=True)
class Functions:
    """The pure functions that a step is made of, as they are or compiled."""

    ladder_costs: Callable[..., LadderCosts] = ladder_costs
    generated_energy: Callable[[Ladder, Tensor, Tensor | None], Tensor] = generated_energy
    generate: Callable[[Generator, Tensor], Tensor] = Generator.forward
    normal: Callable[[Tensor, Tensor, Sequence[int]], Tensor] = philox_normal
    layers: LayerFunctions = field(default_factory=LayerFunctions)
    generated_energy_and_code: Callable[[Ladder, Tensor, Tensor | None], tuple[Tensor, Tensor]] = (
        generated_energy_and_code
    )
    discriminator_costs: Callable[..., tuple[LadderCosts, Tensor]] = discriminator_costs

    @classmethod
    def prepare(cls, compiled: bool, device: torch.device) -> "Functions":
        """Compile them for `device` if asked to, each when it is first called."""
        return cls(
            prepared(ladder_costs, compiled, device),
            prepared(generated_energy, compiled, device),
            prepared(Generator.forward, compiled, device),
            normal_function(compiled, device),
            layer_functions(compiled, device),
            prepared(generated_energy_and_code, compiled, device),
            prepared(discriminator_costs, compiled, device),
        )
