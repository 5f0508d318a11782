"""Losses, reduced over units and examples but never over replicas: each returns `[replicas]`.

References:
    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
"""

import torch
from torch import Tensor


def classification_cost(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of the softmax of `logits`.

    Args:
        logits: `[replicas, batch, classes]`.
        labels: class indices `[replicas, batch]`.
    """
    log_probability = torch.log_softmax(logits, dim=-1).gather(-1, labels.unsqueeze(-1))
    return -log_probability.mean(dim=(-2, -1))


def denoising_cost(z_hat: Tensor, z_clean: Tensor) -> Tensor:
    """Mean square difference over units and examples, C_d of Rasmus et al. 2015.

    Gradient flows through both arguments `[replicas, batch, features]`.
    """
    return (z_hat - z_clean).square().mean(dim=(-2, -1))


def margin_hinge(energy_generated: Tensor, margin: Tensor | float) -> Tensor:
    """Second term of Eq. (1), `L_D = D(x) + [m - D(G(z))]^+`: the hinge of each example, then their mean.

    The first term is part of the ladder's own cost.

    Args:
        energy_generated: `[replicas, batch]`.
        margin: m, one number or `[replicas, 1]`.
    """
    return torch.relu(margin - energy_generated).mean(dim=-1)


def generator_loss(energy_generated: Tensor) -> Tensor:
    """Eq. (2): `L_G = D(G(z))`, averaged over the batch of energies `[replicas, batch]`."""
    return energy_generated.mean(dim=-1)
