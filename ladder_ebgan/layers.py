"""Layers with a replica axis: linear maps, batch normalisation, the Gaussian combinator, initialisation.

Everything has the shape `[replicas, batch, features]`.

References:
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
    Ioffe, Szegedy 2015, "Batch Normalization", arXiv 1502.03167
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ladder_ebgan.streams import Stream, stream_generator

EPSILON = 1e-10  # added to the variance before its root; the ladder authors' value


def replica_matmul(x: Tensor, weight: Tensor, product_dtype: torch.dtype = torch.float32) -> Tensor:
    """Multiply each replica's examples by its own matrix.

    Args:
        x: `[replicas, batch, in]`.
        weight: `[replicas, in, out]`.
        product_dtype: precision of factors and product; the product is then widened to float32.

    Returns:
        `[replicas, batch, out]`.
    """
    x, weight = x.to(product_dtype), weight.to(product_dtype)
    alone = len(weight) == 1  # one replica is faster as a plain product
    product = torch.mm(x[0], weight[0]).unsqueeze(0) if alone else torch.bmm(x, weight)
    return product.to(torch.float32)


def batch_statistics(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance over the batch, both `[replicas, 1, features]`, in two passes."""
    mean = z.mean(dim=-2, keepdim=True)
    return mean, (z - mean).square().mean(dim=-2, keepdim=True)


def normalize(z: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return `(z - mean) / sqrt(variance + EPSILON)`."""
    return (z - mean) * torch.rsqrt(variance + EPSILON)


def batch_normalize(z: Tensor, groups: int = 1) -> Tensor:
    """Normalise by the batch's own statistics, through which gradient flows.

    Args:
        z: `[replicas, batch, features]`.
        groups: equal consecutive parts of the batch that are normalised separately, such as the labelled and
            the unlabelled half.
    """
    parts: Tensor = z.unflatten(-2, (groups, -1))  # [replicas, groups, batch / groups, features]
    centered = parts - parts.mean(dim=-2, keepdim=True)  # once for both: the variance and the result
    variance = centered.square().mean(dim=-2, keepdim=True)
    return (centered * torch.rsqrt(variance + EPSILON)).flatten(-3, -2)


class GaussianCombinator(nn.Module):
    """The ladder's Gaussian denoising function, with ten parameters a unit.

        mu(u) = a1 sigmoid(a2 u + a3) + a4 u + a5
        v(u)  = a6 sigmoid(a7 u + a8) + a9 u + a10
        z_hat = (z - mu(u)) v(u) + mu(u)

    Rasmus et al. 2015, Eq. (2). Initially a2 = a7 = 1 and the rest 0, which makes z_hat = 0.
    """

    def __init__(self, replicas: int, features: int) -> None:
        super().__init__()
        initial = torch.zeros(10, replicas, 1, features)
        initial[[1, 6]] = 1.0
        self.a = nn.Parameter(initial.transpose(0, 1).contiguous())  # [replicas, 10, 1, features]

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        """Combine the lateral `z` and the vertical `u`, both `[replicas, batch, features]`."""
        a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = self.a.unbind(dim=1)  # [replicas, 1, features]
        mu = torch.addcmul(torch.addcmul(a5, a4, u), a1, torch.sigmoid(torch.addcmul(a3, a2, u)))
        v = torch.addcmul(torch.addcmul(a10, a9, u), a6, torch.sigmoid(torch.addcmul(a8, a7, u)))
        return torch.addcmul(mu, z - mu, v)


def initial_weight(
    seeds: Sequence[int], tensor_key: tuple[int, ...], n_in: int, n_out: int, std: float
) -> nn.Parameter:
    """Draw `[replicas, n_in, n_out]` from N(0, std^2), each replica from the weight stream of its own seed."""
    drawn = [
        stream_generator(seed, Stream.INITIAL_WEIGHTS, *tensor_key).standard_normal((n_in, n_out), dtype=np.float32)
        for seed in seeds
    ]
    return nn.Parameter(torch.from_numpy(np.stack(drawn)) * std)
