"""Costs of unlabelled images that need no decoder: pseudo-labels and virtual adversarial training.

They make other methods of semi-supervised learning of the same network, to be compared with the ladder.

References:
    Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks",
        ICML workshop on challenges in representation learning
    Miyato, Maeda, Koyama, Ishii 2018, "Virtual Adversarial Training: A Regularization Method for Supervised and
        Semi-Supervised Learning", arXiv 1704.03976
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ladder_ebgan.ladder import Ladder
from ladder_ebgan.losses import classification_cost

PROBE = 0.01  # xi of Miyato et al.: length of the first perturbation; small, and yet seen in float32


class Consistency(NamedTuple):
    """Weights of the costs, each one number or `[replicas]`; None where a cost is not computed."""

    pseudo_label_weight: Tensor | None  # alpha(t), by schedule
    vat_weight: Tensor | float | None
    vat_radius: Tensor | float  # epsilon: l2 norm of the perturbation of an image


def consistency_cost(
    ladder: Ladder, images: Tensor, noise: Tensor, directions: Tensor | None, weights: Consistency
) -> Tensor:
    """Return the weighted sum of the costs `[replicas]`.

    Args:
        ladder: the networks.
        images: unlabelled `[replicas, batch, features]`, normalised as a group of their own.
        noise: standard normal `[replicas, batch, units of all layers]`, the same in all passes.
        directions: standard normal `[replicas, batch, features]`, from which virtual adversarial training starts.
        weights: of the costs.
    """
    logits = ladder.encode(images, noise).logits
    cost = torch.zeros(len(images), device=images.device)
    if weights.pseudo_label_weight is not None:
        cost = cost + weights.pseudo_label_weight * pseudo_label_cost(logits)
    if weights.vat_weight is not None:
        assert directions is not None
        divergence = virtual_adversarial_cost(ladder, images, noise, logits, directions, weights.vat_radius)
        cost = cost + weights.vat_weight * divergence
    return cost


def pseudo_label_cost(logits: Tensor) -> Tensor:
    """Mean cross-entropy with the class that the same `logits` find most probable, Lee 2013, Eq. (15).

    Args:
        logits: `[replicas, batch, classes]`.
    """
    return classification_cost(logits, logits.detach().argmax(dim=-1))


def virtual_adversarial_cost(
    ladder: Ladder, images: Tensor, noise: Tensor, logits: Tensor, directions: Tensor, radius: Tensor | float
) -> Tensor:
    """Mean divergence of the prediction at `x + r` from that at x, Miyato et al. 2018, Eq. (5) to (8).

    r is the perturbation of length `radius` that changes the prediction most, by one step of power iteration
    (their algorithm 1). No gradient flows through the prediction at x, nor through r.

    Args:
        ladder, images, noise, directions: as of `consistency_cost`.
        logits: of `images` under `noise`.
        radius: one number or `[replicas]`.
    """
    target = torch.log_softmax(logits.detach(), dim=-1)
    r = (PROBE * normalize(directions, dim=-1)).requires_grad_()
    divergence = _divergence(target, ladder.encode(images + r, noise).logits)
    (gradient,) = torch.autograd.grad(divergence.sum(), r)
    largest = gradient.abs().amax(dim=-1, keepdim=True)
    gradient = gradient / largest.clamp_min(torch.finfo(gradient.dtype).tiny)  # whose squares would underflow
    length = radius[:, None, None] if isinstance(radius, Tensor) else radius
    return _divergence(target, ladder.encode(images + length * normalize(gradient, dim=-1), noise).logits)


def _divergence(target: Tensor, logits: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence KL(p || q), in nats, of q = softmax(logits) `[replicas]`.

    Args:
        target: log p `[replicas, batch, classes]`.
        logits: of the same shape.
    """
    return (target.exp() * (target - torch.log_softmax(logits, dim=-1))).sum(dim=-1).mean(dim=-1)
