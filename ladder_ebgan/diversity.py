"""How different generated images are from each other, beside real ones: what shows a collapsed generator."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

N_IMAGES = 100  # that are compared with each other


def mean_distance(images: Tensor) -> Tensor:
    """Return the mean l2 distance of all pairs of images `[replicas]`; 0 where they are all the same.

    Args:
        images: `[replicas, n, features]`; n is at least 2.
    """
    n = images.shape[1]
    # Not by products of matrices, in whose rounding small distances drown.
    distance = torch.cdist(images, images, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.sum(dim=(-2, -1)) / (n * (n - 1))


class Diversity:
    """Measures generated images beside real ones, always the same.

    Args:
        images: `[n, features]`, on the device.
        rows: those of them that are real ones to compare with; N_IMAGES of them, evenly spaced, are.
    """

    def __init__(self, images: Tensor, rows: NDArray[np.integer]) -> None:
        self.n_images = min(N_IMAGES, len(rows))
        places = rows[np.linspace(0, len(rows) - 1, self.n_images).round().astype(int)]
        self.real = images[torch.from_numpy(places).to(images.device)][None]

    @torch.no_grad()
    def of(self, draw: Callable[[int], Tensor]) -> Tensor | None:
        """Return the mean distance of generated images over that of as many real ones `[replicas]`.

        Args:
            draw: returns so many generated images `[replicas, n, features]`, in the range of the real ones.

        Returns:
            None where there are less than two real ones.
        """
        if self.n_images < 2:
            return None
        return mean_distance(draw(self.n_images)) / mean_distance(self.real)
