"""Energies: one number for each example, low where the data lie.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126.
"""

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
