"""How good generated digits are against real ones, by a classifier: all of `scores.py` in one call."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.frame import unframed
from ladder_ebgan.quality.classifier import Classifier
from ladder_ebgan.quality.scores import (
    NEAREST,
    class_kl,
    class_shares,
    inception_score,
    modified_inception_score,
    n_modes,
    precision_and_recall,
    radii,
)

BATCH = 200  # images that the classifier sees at once
LEAST_IMAGES = NEAREST + 1


@dataclass(frozen=True)
class Quality:
    """Scores of generated images; `scores.py` has their equations."""

    modified_inception_score: float  # I' of Zhao et al. 2017, in nats: higher is better
    inception_score: float  # of Salimans et al. 2016, from 1 to 10
    precision: float  # share of the generated images that lie among real ones
    recall: float  # share of the real images that lie among generated ones
    n_modes: int  # digits with at least 1 % of the generated images, of 10
    class_kl: float  # KL of the generated digits' shares to the real ones', in nats: 0 is best


@dataclass(frozen=True, eq=False)
class Described:
    """What a classifier makes of images: all that their scores need, on its device."""

    log_probabilities: Tensor  # [n, 10], double precision
    features: Tensor  # [n, 512], of length 1
    radii: Tensor  # [n], to the third-nearest other image


def measure(images: Tensor, reference: Tensor, classifier: Classifier) -> Quality:
    """Return the scores of generated images `[n, 784]` against real training images `[m, 784]`, all in [0, 1].

    Computed on the classifier's device, in blocks: memory grows with n + m, time with their products. 10,000 of
    each are what the documented numbers have; precision and recall depend on how many there are. For many sets of
    images against one reference, `describe` the reference once and `compare`.

    Raises:
        UsageError: fewer than four images, another shape, or pixels that are not in [0, 1].
    """
    return compare(describe(images, classifier), describe(reference, classifier))


@torch.no_grad()
def describe(images: Tensor, classifier: Classifier) -> Described:
    """Return what the classifier makes of images `[n, 784]` or `[n, 28, 28]` in [0, 1].

    Differs: Kynkäänniemi et al. 2019 take features as they are. These are brought to length 1. Images in which the
    classifier sees little have short ones, which would lie in the balls of real outliers whatever they show.

    Raises:
        UsageError: as `measure`.
    """
    features = _features(images, classifier)
    directions = functional.normalize(features)
    return Described(classifier.log_probabilities(features), directions, radii(directions))


@torch.no_grad()
def modified_score(images: Tensor, classifier: Classifier) -> float:
    """Return the modified inception score of images `[n, 784]` in [0, 1] alone: it needs no other images.

    Raises:
        UsageError: as `measure`.
    """
    return modified_inception_score(classifier.log_probabilities(_features(images, classifier)))


@torch.no_grad()
def compare(images: Described, reference: Described) -> Quality:
    """Return the scores of generated images against real ones."""
    shares = class_shares(images.log_probabilities)
    precision, recall = precision_and_recall(images.features, images.radii, reference.features, reference.radii)
    return Quality(
        modified_inception_score(images.log_probabilities),
        inception_score(images.log_probabilities),
        precision,
        recall,
        n_modes(shares),
        class_kl(shares, class_shares(reference.log_probabilities)),
    )


def cropped(images: Tensor) -> Tensor:
    """Return images `[n, 784]` in [0, 1] for images `[n, 1024]` or `[n, 32, 32]` in [-1, 1].

    The networks of the paper's section 4.1 see digits with a border of two pixels; it is cut off.

    Raises:
        UsageError: another shape.
    """
    if images.shape[1:] not in {(1024,), (32, 32)}:
        raise UsageError(f"images of shape {list(images.shape)} cannot be cropped: give [n, 1024] or [n, 32, 32]")
    return unframed(images.flatten(1), (28, 28), padding=2)


def _features(images: Tensor, classifier: Classifier) -> Tensor:
    _check(images)
    classifier.eval()
    return torch.cat([classifier.features(batch.to(classifier.device).float()) for batch in images.split(BATCH)])


def _check(images: Tensor) -> None:
    if images.shape[1:] not in {(784,), (28, 28)}:
        raise UsageError(f"images of shape {list(images.shape)} cannot be scored: give [n, 784] or [n, 28, 28]")
    if len(images) < LEAST_IMAGES:
        raise UsageError(f"{len(images)} images are too few to be scored: give {LEAST_IMAGES} or more")
    if not (images.amin() >= 0 and images.amax() <= 1):  # a NaN is neither
        raise UsageError("images with pixels outside [0, 1], or that are no numbers, cannot be scored")
