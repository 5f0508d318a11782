"""What trained models say of images: class probabilities and energies."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from ladder_ebgan.errors import UsageError
from ladder_ebgan.evaluation import class_probabilities, clean_energies
from ladder_ebgan.models import TrainedModel
from ladder_ebgan.scaling import FURTHEST


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities and energies by each model, and their means: the prediction of the ensemble."""

    of_models: NDArray[np.float32]  # [models, n, classes]
    energies_of_models: NDArray[np.float32] | None  # [models, n]; None where the models have none

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Class probabilities `[n, classes]`, averaged over the models."""
        return np.asarray(self.of_models.mean(axis=0))

    @cached_property
    def agreement(self) -> NDArray[np.float64]:
        """Share of the models `[n]` that by itself gives the label that all give together."""
        return np.asarray((self.of_models.argmax(axis=2) == self.probabilities.argmax(axis=1)).mean(axis=0))

    @property
    def energies(self) -> NDArray[np.float32] | None:
        """Energies `[n]`, averaged over the models."""
        return None if self.energies_of_models is None else np.asarray(self.energies_of_models.mean(axis=0))


def predict(model: TrainedModel, pixels: NDArray[np.floating]) -> Predictions:
    """Return what the models say of images `[n, features]`, or of other features in their own units.

    Both come from the clean pass, without noise and with fixed statistics: what is said of an image does not depend
    on the images beside it. The energy is the squared reconstruction error of the pixels, or of scaled features,
    summed over them; infinite where 32 bits do not hold it.

    Raises:
        UsageError: rows so far from those of the training that a scaled feature, or a probability, is not finite.
    """
    scaled = pixels.astype(np.float32, copy=False) if model.scaling is None else model.scaling.apply(pixels)
    images = torch.from_numpy(scaled).to(model.device)
    probabilities = class_probabilities(model.ladder, model.statistics, images)
    energies = None if model.why_no_energy else clean_energies(model.ladder, model.statistics, images)
    if energies is not None:  # not a number is what infinities make of each other
        energies = energies.nan_to_num(nan=torch.inf, posinf=torch.inf)
    found = Predictions(probabilities.cpu().numpy(), None if energies is None else energies.cpu().numpy())
    refuse_far_rows(np.asarray(np.isfinite(scaled).all(axis=1) & np.isfinite(found.of_models).all(axis=(0, 2))))
    return found


def refuse_far_rows(finite: NDArray[np.bool_]) -> None:
    """Refuse rows of which not all numbers are `finite` `[n]`.

    Raises:
        UsageError: naming the first one.
    """
    if not finite.all():
        raise UsageError(
            f"row {finite.argmin()}, counted from 0, lies so far from those of the training that 32-bit numbers do "
            "not reach it: look for a mistake in it, or leave it out"
        )


def far_features(model: TrainedModel, features: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which features `[n, features]` lie further out than any row of the training, twice at least."""
    if model.scaling is None:
        return np.zeros(features.shape, dtype=bool)
    return np.asarray(np.abs(model.scaling.apply(features)) > 2 * FURTHEST)
