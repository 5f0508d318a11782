"""Where the spread of error rates comes from: variance components of a crossed design.

Every labelled subset is trained on with every seed for the rest (initial weights, batches, noise). The error of
subset a and seed b is taken as

    x_ab = mu + A_a + B_b + e_ab,

with independent random effects of the subset, of the seed, and of the two together. Their variances are estimated
from the mean squares of the two-way analysis of variance without replication: Searle, Casella, McCulloch,
"Variance Components", Wiley 1992, section 4.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ladder_ebgan.statistics import DECIMALS


@dataclass(frozen=True)
class Spread:
    """Estimates from a crossed design; standard deviations in percentage points of the error."""

    mean: float
    std_subset: float  # 0 where the estimate of the variance is negative, as for the next
    std_seed: float
    std_both: float  # of the two together: what neither tells by itself
    p_subset: float | None  # F tests that there is no such effect; None where nothing is left to test against
    p_seed: float | None


def spread(errors: Sequence[Sequence[float]]) -> Spread:
    """Return the variance components of `errors[a][b]`, of subset a and seed b.

    Raises:
        ValueError: there are fewer than two of either, or an error is missing.
    """
    x = np.asarray(errors, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or not np.isfinite(x).all():
        raise ValueError("a crossed design needs two subsets and two seeds or more, and the error of every pair")
    n_subsets, n_seeds = x.shape
    of_subset, of_seed, mean = x.mean(axis=1), x.mean(axis=0), x.mean()
    rest = np.round(x - of_subset[:, None] - of_seed + mean, DECIMALS)  # else a rest of 0 is one of rounding
    degrees = (n_subsets - 1) * (n_seeds - 1)
    square_subset, square_seed = n_seeds * of_subset.var(ddof=1), n_subsets * of_seed.var(ddof=1)
    square_rest = np.square(rest).sum() / degrees
    return Spread(
        mean=float(mean),
        std_subset=float(np.sqrt(max(0.0, square_subset - square_rest) / n_seeds)),
        std_seed=float(np.sqrt(max(0.0, square_seed - square_rest) / n_subsets)),
        std_both=float(np.sqrt(square_rest)),
        p_subset=_p(square_subset, square_rest, n_subsets - 1, degrees),
        p_seed=_p(square_seed, square_rest, n_seeds - 1, degrees),
    )


def _p(square: float, square_rest: float, degrees: int, degrees_rest: int) -> float | None:
    """Return the p-value of the F test of one mean square against the rest."""
    from scipy.stats import f  # here, since it takes long to import

    return float(f.sf(square / square_rest, degrees, degrees_rest)) if square_rest > 0 else None
