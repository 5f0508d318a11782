"""Features brought to one size before a network sees them, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALING = ("inputs.mean", "inputs.scale")  # names in a model file
FURTHEST = 5.0  # deviations from the mean: of two million normal numbers one lies further


@dataclass(frozen=True, eq=False)
class Scaling:
    """The mean of each feature and what it is divided by, in double precision: a year has four digits to lose."""

    mean: NDArray[np.float64]  # [features]
    scale: NDArray[np.float64]  # [features]

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> "Scaling":
        """Return what brings features `[n, features]` to mean 0 and deviation 1; a constant one becomes 0.

        A feature with values further out than FURTHEST deviations gets a smaller one, at which the furthest lies
        there. Such is a pixel that is nearly always black: with a deviation of 1 the few images that have it would
        cost the reconstruction more than all their other pixels.
        """
        from sklearn.preprocessing import StandardScaler

        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused as it is applied
            scaler = StandardScaler().fit(features)
        mean, deviation = (np.asarray(found, dtype=np.float64) for found in (scaler.mean_, scaler.scale_))
        return cls(mean, np.maximum(deviation, np.abs(features - mean).max(axis=0) / FURTHEST))

    @property
    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """What a model file keeps of it, by its name there."""
        return dict(zip(SCALING, (self.mean, self.scale), strict=True))

    def apply(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Return scaled features, infinite where float32 does not reach."""
        with np.errstate(over="ignore"):
            return np.asarray((features - self.mean) / self.scale, dtype=np.float32)

    def undo(self, scaled: NDArray[Any]) -> NDArray[np.float64]:
        """Return scaled features in their own units."""
        return np.asarray(scaled * self.scale + self.mean, dtype=np.float64)
