"""The game of an EBGAN on a finite space, exactly: best responses, values, equilibria.

The space has n points. `p_data` and `p_generated`, p_G, are probabilities `[n]` that sum to 1; a discriminator is
the energies `[n]`, 0 or more, that it gives to the points. There are no networks, samples and steps here: the
players choose any distribution and any energies, as in section 2.2 of the paper. docs/theory.md walks through it.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126.
"""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def point_cost(energy: Vector, p_data: Vector, p_generated: Vector, margin: float) -> Vector:
    """Cost of each point to the discriminator: `phi(y) = a y + b [m - y]^+` of Lemma 1, `a = p_data`, `b = p_G`."""
    return p_data * energy + p_generated * np.maximum(margin - energy, 0)


def discriminator_value(p_data: Vector, p_generated: Vector, energy: Vector, margin: float) -> float:
    """`V(G, D)`, the mean of L_D, Eq. (1), in the form of Eq. (6): the discriminator minimises it."""
    return float(point_cost(energy, p_data, p_generated, margin).sum())


def generator_value(p_generated: Vector, energy: Vector) -> float:
    """`U(G, D)`, the mean of L_G, Eq. (2): the generator minimises it."""
    return float(p_generated @ energy)


def total_variation(p: Vector, q: Vector) -> float:
    """Half of the sum of `|p - q|`: 0 for equal distributions, 1 for those that share no point."""
    return float(np.abs(p - q).sum() / 2)


def best_energies(p_data: Vector, p_generated: Vector, margin: float) -> tuple[Vector, Vector]:
    """Lowest and highest best energy of each point, Lemma 1: D minimises V where it lies between them, only there.

    With the margin m: 0 where p_data > p_G, m where 0 < p_data < p_G. The others are not unique: [0, m] where
    p_data = p_G > 0, [m, inf) where 0 = p_data < p_G, [0, inf) where both are 0.
    """
    lowest = np.where(p_data < p_generated, margin, 0.0)
    highest = np.where(p_data > p_generated, 0.0, margin)
    return lowest, np.where(p_data == 0, np.inf, highest)


def least_discriminator_value(p_data: Vector, p_generated: Vector, margin: float) -> float:
    """Return the minimum of V over D, Eq. (7) to (10): `m sum min(p_data, p_G)`, m (1 - their total variation)."""
    return float(margin * np.minimum(p_data, p_generated).sum())


def best_points(energy: Vector) -> NDArray[np.bool_]:
    """Return where D is lowest, `[n]`: the generator's best responses are the distributions on these points."""
    best: NDArray[np.bool_] = energy == energy.min()
    return best


def regrets(p_data: Vector, p_generated: Vector, energy: Vector, margin: float) -> tuple[float, float]:
    """What each player could still gain alone: `V - min_D V` and `U - min_G U`, 0 or more.

    Differs: the paper has no such number. Its proof of Theorem 1, with slack in Eq. (3) and (4), gives a bound for
    pairs near an equilibrium: `m` times the total variation of p_data and p_G is at most the sum of the two.
    """
    value = discriminator_value(p_data, p_generated, energy, margin)
    return (
        value - least_discriminator_value(p_data, p_generated, margin),
        generator_value(p_generated, energy) - float(energy.min()),
    )


def is_equilibrium(
    p_data: Vector, p_generated: Vector, energy: Vector, margin: float, tolerance: float = 1e-9
) -> bool:
    """Return whether neither player gains more than `tolerance` alone: a Nash equilibrium, Eq. (3) and (4)."""
    return max(regrets(p_data, p_generated, energy, margin)) <= tolerance


def meets_theorem_2(p_data: Vector, p_generated: Vector, energy: Vector, margin: float) -> bool:
    """Return whether p_G = p_data, and D is a constant gamma in [0, m] where there is data: with no tolerance.

    Differs: where p_data = 0 the paper's footnote lets D be anything in [0, m]. For an equilibrium it must be gamma
    or more there, else the generator would move to that point, and it may be above m, since no one loses by it.
    """
    of_data = energy[p_data > 0]
    constant = bool(of_data.min() == of_data.max() <= margin)
    return constant and bool(energy.min() == of_data.min() and np.array_equal(p_data, p_generated))


def value_without_hinge(p_data: Vector, p_generated: Vector, energy: Vector, margin: float) -> float:
    """V with `m - D(G(z))` in place of `[m - D(G(z))]^+`: `m + sum (p_data - p_G) D`, linear in D."""
    return margin + float((p_data - p_generated) @ energy)


def best_energies_without_hinge(
    p_data: Vector, p_generated: Vector, highest_energy: float = np.inf
) -> tuple[Vector, Vector]:
    """Lowest and highest best energy of each point without the hinge, for D in [0, highest_energy].

    0 where p_data > p_G, the highest energy where p_data < p_G, any where they are equal. If it is infinite and
    p_data < p_G somewhere, D has no best response. The margin has no part in it.
    """
    lowest = np.where(p_data < p_generated, highest_energy, 0.0)
    return lowest, np.where(p_data > p_generated, 0.0, highest_energy)


def least_value_without_hinge(
    p_data: Vector, p_generated: Vector, margin: float, highest_energy: float = np.inf
) -> float:
    """Return the infimum of `value_without_hinge` over D in [0, highest_energy].

    `m - highest_energy` times the total variation: for unbounded D minus infinity, unless p_G = p_data.
    """
    distance = total_variation(p_data, p_generated)
    return margin - highest_energy * distance if distance > 0 else margin
