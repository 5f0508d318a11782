"""Images drawn from trained GANs, and the scores of those that are digits like MNIST's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ladder_ebgan.data import Dataset, load_dataset
from ladder_ebgan.drawing import draw
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.frame import unframed
from ladder_ebgan.gan.training import GANState
from ladder_ebgan.quality import compare, describe, load_classifier
from ladder_ebgan.quality.comparison import described_reference

SCORED_IMAGES = 10_000  # where they are digits


def drawn_images(engine: GANEngine, model: str, state: GANState, seeds: Sequence[int], n: int) -> Tensor:
    """Return the first n images of each replica `[replicas, n, features]`, in [0, 1], without their padding."""
    drawn = draw(state.generator, seeds, n, engine.recipe.training.batch_size)
    return unframed(drawn, engine.dataset.image_shape, engine.recipe.settings(model).padding)


def can_be_scored(dataset: Dataset) -> bool:
    """Return whether images like these have scores: the classifier knows MNIST's digits alone."""
    return dataset.image_shape == (28, 28) and dataset.fingerprint == load_dataset("mnist").fingerprint


class Scores:
    """Scores of generated images, for digits like MNIST's."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.apply = can_be_scored(dataset)
        if self.apply:
            self.classifier = load_classifier(device)
            self.reference = described_reference(dataset, self.classifier)

    def of(self, images: Tensor) -> dict[str, Any]:
        """Return the scores of images `[n, features]`, by the columns of `Result`; none for other images."""
        if not self.apply:
            return {}
        quality = compare(describe(images.clamp(0, 1), self.classifier), self.reference)
        return {
            "modified_inception_score": quality.modified_inception_score,
            "inception_score": quality.inception_score,
            "generated_precision": quality.precision,
            "generated_recall": quality.recall,
            "n_modes": quality.n_modes,
            "class_kl": quality.class_kl,
        }
