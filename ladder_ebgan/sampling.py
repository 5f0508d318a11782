"""Images drawn from a trained generator."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ladder_ebgan.drawing import draw
from ladder_ebgan.errors import UsageError
from ladder_ebgan.models import TrainedModel
from ladder_ebgan.prediction import predict


@dataclass(frozen=True, eq=False)
class Samples:
    """Drawn images, or rows of a table in their own units, and how the discriminator sees them."""

    images: NDArray[np.floating]  # [n, height, width] or other pixels in [0, 1], or features [n, features]
    energies: NDArray[np.float32] | None  # [n], as `predict` has them

    def csv(self, columns: Sequence[str]) -> bytes:
        """Return features as CSV, a line each, below their names."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([f"{value:.6g}" for value in row] for row in self.images.tolist())
        return buffer.getvalue().encode()

    def npz(self) -> bytes:
        """Return them as an .npz archive: `images`, and `energies` if there are any."""
        buffer = io.BytesIO()
        energies = {} if self.energies is None else {"energies": self.energies}
        np.savez_compressed(buffer, allow_pickle=False, images=self.images, **energies)
        return buffer.getvalue()


@torch.no_grad()
def sample(model: TrainedModel, n: int, latent_seed: int) -> Samples:
    """Draw n images from the generator of one model, or of several in turn, which are given the same latents.

    Latents come in whole batches of the training's size, whose own statistics normalise them as in training: image
    i is a function of the latent seed and i, however many are drawn. With a model's own seed as latent seed the
    first ones are those that its run has kept.

    Raises:
        UsageError: the model has no generator.
    """
    if model.generator is None:
        raise UsageError(f"{model.description}: it has no generator to draw images with; ebgan-ladder has one")
    n_seeds = len(model.seeds)
    drawn = draw(model.generator, [latent_seed] * n_seeds, math.ceil(n / n_seeds), model.recipe.training.batch_size)
    scaled = drawn.transpose(0, 1).flatten(0, 1)[:n].cpu().numpy()
    pixels = scaled if model.scaling is None else model.scaling.undo(scaled)
    return Samples(pixels.reshape(n, *model.image_shape), predict(model, pixels).energies)
