"""Scores of images beside what they can be read against: real test images, and noise."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.data import Dataset
from ladder_ebgan.quality.classifier import Classifier
from ladder_ebgan.quality.measure import Described, Quality, compare, describe
from ladder_ebgan.streams import Stream, stream_generator

MOST_IMAGES = 10_000  # that are scored, and of the reference: MNIST has as many test images


@dataclass(frozen=True)
class Comparison:
    """Scores of images, of as many real test images and of as many images of noise, against the same reference."""

    n: int
    n_reference: int
    images: Quality
    real: Quality
    noise: Quality


def described_reference(mnist: Dataset, classifier: Classifier) -> Described:
    """Return what images are compared with: the first 10,000 training images."""
    return describe(torch.from_numpy(mnist.train_images[:MOST_IMAGES]), classifier)


def pixel_noise(n: int) -> Tensor:
    """Return images `[n, 784]` whose pixels are uniform in [0, 1], the same ones each time."""
    return torch.from_numpy(stream_generator(0, Stream.EVALUATION, 3).random((n, 784), dtype=np.float32))


def compared(images: Tensor, mnist: Dataset, classifier: Classifier) -> Comparison:
    """Score images `[n, 784]` in [0, 1], as many test images and as much noise; of more than 10,000 the first.

    Raises:
        UsageError: as `measure`.
    """
    scored = images[:MOST_IMAGES]
    described = describe(scored, classifier)  # first, as it is what may be refused
    reference = described_reference(mnist, classifier)
    real, noise = torch.from_numpy(mnist.test_images[: len(scored)]), pixel_noise(len(scored))
    return Comparison(
        len(scored),
        len(reference.features),
        compare(described, reference),
        compare(describe(real, classifier), reference),
        compare(describe(noise, classifier), reference),
    )
