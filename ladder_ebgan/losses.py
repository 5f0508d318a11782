"""Losses, reduced over units and examples but never over replicas: each returns `[replicas]`.

References:
    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus


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


def logistic_discriminator_loss(real_logits: Tensor, generated_logits: Tensor) -> Tensor:
    """Cross-entropy of an ordinary GAN's discriminator, in nats: `-log D(x) - log(1 - D(G(z)))`, averaged.

    D is the sigmoid of logits `[replicas, batch]`; Goodfellow et al. 2014, arXiv 1406.2661.
    """
    return softplus(-real_logits).mean(dim=-1) + softplus(generated_logits).mean(dim=-1)


def non_saturating_loss(generated_logits: Tensor) -> Tensor:
    """`-log D(G(z))` of an ordinary GAN's generator, averaged over logits `[replicas, batch]`, in nats.

    Where D recognises generated images it has a gradient still, unlike `log(1 - D(G(z)))`.
    """
    return softplus(-generated_logits).mean(dim=-1)


def pulling_away_term(representation: Tensor) -> Tensor:
    """Eq. (14): mean over pairs `i != j` of a batch of the squared cosine between their encoder outputs, in [0, 1].

    `f_PT = 1 / (N (N - 1)) sum_i sum_{j != i} (S_i^T S_j / (|S_i| |S_j|))^2`: 0 for orthogonal outputs, 1 for
    parallel ones, whatever their lengths. It belongs to the generator's loss alone. An output of zeros, without a
    direction, counts as orthogonal to all and has no gradient.

    Args:
        representation: S, `[replicas, batch, features]`; gradient flows through both outputs of a pair. Numbers of
            less than 32 bits are converted to float32 first.

    Raises:
        ValueError: for a batch of fewer than two examples, which has no pairs.
    """
    n = representation.shape[-2]
    if n < 2:
        raise ValueError(f"the pulling-away term needs a batch of 2 or more examples, not {n}")
    s = representation.to(torch.promote_types(representation.dtype, torch.float32))
    direction = normalize(s, dim=-1)  # by lengths of 1e-12 or more: zeros stay zeros
    cosine = direction @ direction.mT  # [replicas, batch, batch]
    # Each pair once: subtracting the diagonal from a sum over all would drown small cosines in its rounding.
    return cosine.triu(diagonal=1).square().sum(dim=(-2, -1)) / (n * (n - 1) / 2)
