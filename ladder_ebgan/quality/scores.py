"""Scores of generated images, from a classifier's class probabilities and features of them.

Class probabilities p(y|x) come as log-probabilities `[n, classes]`, so that a classifier may be as sure as it
likes: the logarithm of a probability too small for a floating-point number is still a number. They must be finite.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, section 4.1.
Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen 2016, "Improved Techniques for Training GANs", arXiv
1606.03498.
Kynkäänniemi, Karras, Laine, Lehtinen, Aila 2019, "Improved Precision and Recall Metric for Assessing Generative
Models", arXiv 1904.06991.
Metz, Poole, Pfau, Sohl-Dickstein 2017, "Unrolled Generative Adversarial Networks", arXiv 1611.02163 (modes).
"""

import math

import torch
from torch import Tensor

NEAREST = 3  # k of precision and recall, as Kynkäänniemi et al. have it
LEAST_SHARE = 0.01  # of the images, for a class to count as found
BLOCK_ENTRIES = 2**23  # distances held at once: 64 MB


def modified_inception_score(log_probabilities: Tensor) -> float:
    """`I' = E_x KL( p(y) || p(y|x) )`, with `p(y) = E_x p(y|x)`: 0 or more, and without an upper limit.

    Zhao et al. 2017, section 4.1: the two of the standard score the other way round, and no exponential. Equal to
    `sum over y of p(y) (log p(y) - E_x log p(y|x))`, so what counts is how small the probabilities of the classes
    are that an image is not of: a mean of logarithms, in which a surer classifier gives a larger score to the same
    images. Scores by different classifiers cannot be compared.
    """
    log_p = log_probabilities.double()
    log_marginal = _log_marginal(log_p)
    return max(0.0, float((log_marginal.exp() * (log_marginal - log_p.mean(dim=0))).sum()))


def inception_score(log_probabilities: Tensor) -> float:
    """`exp E_x KL( p(y|x) || p(y) )`, from 1 to the number of classes.

    Salimans et al. 2016, section 4. Differs: with the classifier at hand in place of the Inception network, and of
    all images at once where they average over ten parts.
    """
    log_p = log_probabilities.double()
    return math.exp(max(0.0, float((log_p.exp() * (log_p - _log_marginal(log_p))).sum(dim=1).mean())))


def _log_marginal(log_p: Tensor) -> Tensor:
    """Logarithm of `p(y) = E_x p(y|x)`, `[classes]`."""
    return torch.logsumexp(log_p, dim=0) - math.log(len(log_p))


def class_shares(log_probabilities: Tensor) -> Tensor:
    """Share of the images whose most probable class is each one, `[classes]` in double precision."""
    n, classes = log_probabilities.shape
    return torch.bincount(log_probabilities.argmax(dim=1), minlength=classes).double() / n


def n_modes(shares: Tensor, least_share: float = LEAST_SHARE) -> int:
    """How many classes have at least that share of the images.

    Differs: Metz et al. 2017 count a class with a single image; among many images of few classes, the classifier's
    own mistakes would find them all.
    """
    return int((shares >= least_share).sum())


def class_kl(shares: Tensor, reference_shares: Tensor) -> float:
    """`KL( q || p ) = sum over y of q(y) log( q(y) / p(y) )`, q the classes' shares of generated images, p of data.

    The direction of Metz et al. 2017. 0 for equal shares; log(classes) if all images are of one class of balanced
    data; infinite only if there are images of a class that the data do not have.
    """
    return max(0.0, float((torch.xlogy(shares, shares) - torch.xlogy(shares, reference_shares)).sum()))


def radii(features: Tensor, k: int = NEAREST) -> Tensor:
    """Distance of each feature vector `[n, d]` to its k-th nearest neighbour among the others, `[n]`.

    Distances are Euclidean, in double precision, a block of rows at a time. More than k vectors are needed.
    """
    points = features.double()
    blocks = []
    for rows in points.split(_block_size(points)):
        # Each one's own distance of 0 comes first.
        blocks.append(_distances(rows, points).topk(k + 1, dim=1, largest=False).values[:, k])
    return torch.cat(blocks)


def precision_and_recall(
    features: Tensor, own_radii: Tensor, reference: Tensor, reference_radii: Tensor
) -> tuple[float, float]:
    """Improved precision and recall of generated images, from features `[n, d]` and `[m, d]` and their `radii`.

    Kynkäänniemi et al. 2019, Eq. (1) and (2). Around each vector is a ball that reaches to its k-th neighbour.
    Precision is the share of generated images in a ball of a real one, recall the share of real images in a ball of
    a generated one. Both depend on n and m: compare scores of the same sizes only.
    """
    theirs = reference.double()
    covered = torch.zeros(len(theirs), dtype=torch.bool, device=theirs.device)
    inside = 0
    size = _block_size(theirs)
    for rows, reach in zip(features.double().split(size), own_radii.split(size), strict=True):
        distances = _distances(rows, theirs)
        inside += int((distances <= reference_radii).any(dim=1).sum())
        covered |= (distances <= reach[:, None]).any(dim=0)
    return inside / len(features), int(covered.sum()) / len(theirs)


def _block_size(points: Tensor) -> int:
    return max(1, BLOCK_ENTRIES // len(points))


def _distances(rows: Tensor, points: Tensor) -> Tensor:
    """`sqrt(|a|^2 + |b|^2 - 2 a b)`, `[rows, points]`: a matrix product, in double precision for what cancels."""
    squares = rows.square().sum(dim=1)[:, None] + points.square().sum(dim=1)
    return squares.addmm_(rows, points.T, alpha=-2).clamp_(min=0).sqrt_()
