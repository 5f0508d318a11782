"""Energies: one number for each example, low where the data lie.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126.
"""

import torch
from torch import Tensor


def reconstruction_energy(reconstruction: Tensor, x: Tensor) -> Tensor:
    """Squared error summed over features, the "vanilla" l2 form of the paper's appendix D.

    Gradient flows through both arguments: for a generated image, D(G(z)) depends on G(z) in both places.

    Args:
        reconstruction, x: `[replicas, batch, features]`.

    Returns:
        `[replicas, batch]`.
    """
    return (reconstruction - x).square().sum(dim=-1)


def reconstruction_norm(reconstruction: Tensor, x: Tensor) -> Tensor:
    """Eq. (13): `D(x) = ||Dec(Enc(x)) - x||`, the l2 norm of an example, not squared, of EBGAN's auto-encoder.

    Gradient flows through both arguments; where the reconstruction is exact, and the norm has none, it is 0.

    Args:
        reconstruction, x: `[replicas, batch, features]`.

    Returns:
        `[replicas, batch]`.
    """
    norm: Tensor = torch.linalg.vector_norm(reconstruction - x, dim=-1)
    return norm
