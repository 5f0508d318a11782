"""Layers with a replica axis, but for the matrix products: batch normalisation, denoising, initialisation.

Everything has the shape `[replicas, batch, features]`.

References:
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
    Ioffe, Szegedy 2015, "Batch Normalization", arXiv 1502.03167
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ladder_ebgan.combinators import Combinator, combine
from ladder_ebgan.streams import Stream, stream_generator

EPSILON = 1e-10  # added to the variance before its root; the ladder authors' value


def batch_statistics(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance over the batch, both `[replicas, 1, features]`, in two passes."""
    z = z.to(torch.float32)
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


def noisy_layer(
    z_pre: Tensor, noise: Tensor | None, noise_std: float, beta: Tensor, groups: int, relu: bool, n_decoded: int
) -> tuple[Tensor, Tensor]:
    """Normalise, corrupt, shift, rectify: z = BN(z_pre) + noise_std * noise, h = relu(z + beta).

    Rasmus et al. 2015, algorithm 1, corrupted encoder; their scale gamma has no effect under a ReLU.

    Args:
        z_pre: matrix product `[replicas, batch, features]`, in its own precision.
        noise: standard normal, of the same shape; None for a clean pass.
        noise_std: its standard deviation.
        beta: `[replicas, 1, features]`.
        groups: equal consecutive parts of the batch that are normalised separately.
        relu: False under the softmax.
        n_decoded: how many groups, the last ones, a decoder takes.

    Returns:
        h, in the precision of `z_pre`, and z of these groups `[replicas, n_decoded * batch / groups, features]`.
    """
    z = batch_normalize(z_pre.to(torch.float32), groups)
    if noise is not None:
        z = torch.add(z, noise, alpha=noise_std)
    h = torch.relu(z + beta) if relu else z + beta
    return h.to(z_pre.dtype), last_groups(z, groups, n_decoded)


def last_groups(x: Tensor, groups: int, n_last: int) -> Tensor:
    """Return the last `n_last` of the equal consecutive groups of a batch `[replicas, batch, features]`."""
    assert 1 <= n_last <= groups
    return x if n_last == groups else x[:, (groups - n_last) * (x.shape[1] // groups) :]


def denoise(
    u_pre: Tensor, z: Tensor, a: Tensor, dtype: torch.dtype, combinator: Combinator = "gaussian", groups: int = 1
) -> Tensor:
    """The ladder's denoising function of the normalised u: z_hat = g(z, u), u = BN(u_pre).

    Rasmus et al. 2015, algorithm 1, decoder; `combinators` has what g can be.

    Args:
        u_pre: the vertical signal before normalisation `[replicas, batch, features]`, in its own precision.
        z: the lateral one, corrupted.
        a: parameters of the combinator `[replicas, parameters, 1, features]`.
        dtype: precision of the result.
        combinator: the function g.
        groups: equal consecutive parts of the batch that are normalised separately.
    """
    return combine(batch_normalize(u_pre.to(torch.float32), groups), z, a, combinator).to(dtype)


def initial_weight(
    seeds: Sequence[int], tensor_key: tuple[int, ...], n_in: int, n_out: int, std: float
) -> nn.Parameter:
    """Draw `[replicas, n_in, n_out]` from N(0, std^2), each replica from the weight stream of its own seed."""
    drawn = [
        stream_generator(seed, Stream.INITIAL_WEIGHTS, *tensor_key).standard_normal((n_in, n_out), dtype=np.float32)
        for seed in seeds
    ]
    return nn.Parameter(torch.from_numpy(np.stack(drawn)) * std)


class LayerFunctions(NamedTuple):
    """The element-wise parts of a network: as defined here, or as one kernel each that computes the same."""

    noisy_layer: Callable[[Tensor, Tensor | None, float, Tensor, int, bool, int], tuple[Tensor, Tensor]] = (
        noisy_layer
    )
    denoise: Callable[[Tensor, Tensor, Tensor, torch.dtype, Combinator, int], Tensor] = denoise
