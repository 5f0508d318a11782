"""What trained models say of images: class probabilities and energies."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ladder_ebgan.errors import UsageError
from ladder_ebgan.evaluation import class_probabilities, clean_energies
from ladder_ebgan.models import TrainedModel


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities and energies by each model, and their means: the prediction of the ensemble."""

    of_models: NDArray[np.float32]  # [models, n, classes]
    energies_of_models: NDArray[np.float32] | None  # [models, n]; None where the models have none

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Class probabilities `[n, classes]`, averaged over the models."""
        return np.asarray(self.of_models.mean(axis=0))

    @property
    def energies(self) -> NDArray[np.float32] | None:
        """Energies `[n]`, averaged over the models."""
        return None if self.energies_of_models is None else np.asarray(self.energies_of_models.mean(axis=0))


def predict(model: TrainedModel, pixels: NDArray[np.floating]) -> Predictions:
    """Return what the models say of images `[n, features]`, or of other features in their own units.

    Both come from the clean pass, without noise and with fixed statistics: what is said of an image does not depend
    on the images beside it. The energy is the squared reconstruction error of the pixels, or of scaled features,
    summed over them.

    Raises:
        UsageError: features that are infinite once they are scaled.
    """
    scaled = pixels.astype(np.float32, copy=False) if model.scaling is None else model.scaling.apply(pixels)
    if not np.isfinite(scaled).all():
        raise UsageError("rows lie so far from those of the training that 32-bit numbers do not reach them")
    images = torch.from_numpy(scaled).to(model.device)
    probabilities = class_probabilities(model.ladder, model.statistics, images)
    energies = None if model.why_no_energy else clean_energies(model.ladder, model.statistics, images)
    return Predictions(probabilities.cpu().numpy(), None if energies is None else energies.cpu().numpy())
