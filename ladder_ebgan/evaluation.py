"""Evaluation: the clean pass with fixed statistics, calibrated from training images."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.energies import reconstruction_energy
from ladder_ebgan.ladder import Ladder, Statistics
from ladder_ebgan.layers import batch_statistics
from ladder_ebgan.streams import Stream, stream_generator

IMAGES_AT_ONCE = 1000


def labeled_calibration(subsets: Sequence[np.ndarray], batch_size: int) -> tuple[Tensor, Tensor]:
    """Return the minibatches that calibrate from the labelled images.

    A subset is cut into minibatches; the last one is filled up from the subset's start.

    Returns:
        Image indices `[replicas, minibatches, batch]` and the minibatches' weights `[replicas, minibatches]`,
        which sum to 1 over those of the replica and are 0 where another replica has more of them.
    """
    counts = [-(-len(subset) // batch_size) for subset in subsets]
    index = np.stack([np.resize(subset, (max(counts), batch_size)) for subset in subsets])
    weight = [[1 / count if i < count else 0.0 for i in range(max(counts))] for count in counts]
    return torch.from_numpy(index), torch.tensor(weight)


def unlabeled_calibration(
    n_images: int, seeds: Sequence[int], batch_size: int, at_most: int
) -> tuple[Tensor, Tensor]:
    """Return `at_most` minibatches that calibrate from all training images, as `labeled_calibration` does.

    The images come in an order of the replica's seed; those that fill no minibatch are left out.
    """
    batch_size = min(batch_size, n_images)
    count = min(n_images // batch_size, at_most)
    orders = [stream_generator(seed, Stream.EVALUATION, 1).permutation(n_images) for seed in seeds]
    index = np.stack([order[: count * batch_size].reshape(count, batch_size) for order in orders])
    return torch.from_numpy(index), torch.full((len(seeds), count), 1 / count)


@torch.no_grad()
def calibrate(
    ladder: Ladder, images: Tensor, index: Tensor, weight: Tensor, with_decoder: bool = False
) -> Statistics:
    """Average the batch statistics of clean passes: means and unbiased variances, as the ladder's authors do.

    Args:
        ladder: the networks.
        images: `[n_images, features]`.
        index: minibatches `[replicas, minibatches, batch]` into `images`.
        weight: of each minibatch in the average `[replicas, minibatches]`.
        with_decoder: measure the statistics of the decoder too, which energies need and classes do not.
    """
    batch_size = index.shape[-1]
    unbiased = batch_size / max(1, batch_size - 1)
    index, weight = index.to(images.device), weight.to(images.device)
    zero = torch.zeros(1, device=images.device)
    means, variances = [zero] * len(ladder.encoder), [zero] * len(ladder.encoder)
    decoder: dict[int, tuple[Tensor, Tensor]] = {}
    for i in range(index.shape[1]):
        share = weight[:, i, None, None]
        encoding = ladder.encode(images[index[:, i]])
        for layer, z_pre in enumerate(encoding.z_pre):
            mean, variance = batch_statistics(z_pre)
            means[layer] = means[layer] + share * mean
            variances[layer] = variances[layer] + share * unbiased * variance
        z_hat = ladder.decode(encoding.z, encoding.logits) if with_decoder else {}
        for layer in z_hat:
            mean, variance = batch_statistics(ladder.vertical_signal(layer, z_hat, encoding.logits))
            means_before, variances_before = decoder.get(layer, (zero, zero))
            decoder[layer] = means_before + share * mean, variances_before + share * unbiased * variance
    return Statistics(means, variances, decoder if with_decoder else None)


@torch.no_grad()
def class_probabilities(ladder: Ladder, statistics: Statistics, images: Tensor) -> Tensor:
    """Return `[replicas, n_images, classes]` of the clean pass.

    Args:
        ladder: the networks.
        statistics: as calibrated.
        images: the same for all replicas `[n_images, features]`, or their own `[replicas, n_images, features]`.
    """
    parts = [
        torch.softmax(ladder.encode(part, statistics=statistics).logits, dim=-1) for part in _parts(ladder, images)
    ]
    return torch.cat(parts, dim=1)


@torch.no_grad()
def clean_energies(ladder: Ladder, statistics: Statistics, images: Tensor) -> Tensor:
    """Return the energy of each image in the clean pass `[replicas, n_images]`, a function of that image alone.

    Arguments are those of `class_probabilities`; the statistics must have the decoder's, and the ladder a decoder
    down to layer 0.
    """
    parts = [
        reconstruction_energy(_reconstruction(ladder, statistics, part), part) for part in _parts(ladder, images)
    ]
    return torch.cat(parts, dim=1)


@torch.no_grad()
def clean_reconstructions(ladder: Ladder, statistics: Statistics, images: Tensor) -> Tensor:
    """Return what the decoder makes of each image in the clean pass `[replicas, n_images, features]`.

    Arguments are those of `clean_energies`.
    """
    return torch.cat([_reconstruction(ladder, statistics, part) for part in _parts(ladder, images)], dim=1)


def _reconstruction(ladder: Ladder, statistics: Statistics, images: Tensor) -> Tensor:
    encoding = ladder.encode(images, statistics=statistics)
    return ladder.decode(encoding.z, encoding.logits, statistics)[0]


@torch.no_grad()
def top_features(ladder: Ladder, statistics: Statistics, images: Tensor) -> Tensor:
    """Return the last hidden layer of the clean pass `[replicas, n_images, units]`, after its ReLU.

    Arguments are those of `class_probabilities`.
    """
    parts = []
    for part in _parts(ladder, images):
        parts.append(ladder.encode(part, statistics=statistics).code)
    return torch.cat(parts, dim=1)


def _parts(ladder: Ladder, images: Tensor) -> Sequence[Tensor]:
    """Return the images for all replicas in parts `[replicas, at most IMAGES_AT_ONCE, features]`."""
    if images.dim() == 2:
        images = images.expand(len(ladder.encoder[0]), *images.shape)
    parts: Sequence[Tensor] = images.split(IMAGES_AT_ONCE, dim=1)
    return parts


def error_percent(probabilities: Tensor, labels: Tensor, sizes: Tensor | None = None) -> Tensor:
    """Return the share of wrong labels in percent `[replicas]`; NaN where a probability is not finite.

    Args:
        probabilities: `[replicas, n_images, classes]`.
        labels: class indices `[n_images]` or `[replicas, n_images]`.
        sizes: how many of the images count, from the first on `[replicas]`; all by default. NaN where 0.
    """
    n_images = probabilities.shape[1]
    if sizes is None:
        sizes = torch.full(probabilities.shape[:1], n_images, device=probabilities.device)
    counts = torch.arange(n_images, device=probabilities.device) < sizes[:, None]
    wrong = (probabilities.argmax(dim=-1) != labels) & counts
    error = 100 * wrong.sum(dim=-1).double() / sizes
    return error.masked_fill(~probabilities.isfinite().flatten(1).all(dim=-1), torch.nan)


def unlabeled_sample(subset: np.ndarray, known: np.ndarray, seed: int, size: int) -> np.ndarray:
    """Return up to `size` of the images with a known label outside the labelled subset, fixed by the seed."""
    rest = np.setdiff1d(known, subset)
    return stream_generator(seed, Stream.EVALUATION, 0).permutation(rest)[:size]
