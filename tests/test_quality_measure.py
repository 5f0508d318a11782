"""Scores of images by the packaged classifier: what is measured, on what, and what is refused."""

import math

import pytest
import torch
from torch import Tensor

from ladder_ebgan.data import load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.quality import (
    Classifier,
    compare,
    comparison,
    cropped,
    describe,
    load_classifier,
    measure,
    modified_score,
    scores,
)
from ladder_ebgan.quality.comparison import compared, pixel_noise

N = 300


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier()


@pytest.fixture(scope="module")
def digits() -> Tensor:
    return torch.from_numpy(load_dataset("mnist").train_images[: 2 * N])


def test_all_scores_are_those_of_the_functions(digits: Tensor, classifier: Classifier) -> None:
    """As one batch and by hand; 300 images are more than one of the classifier's batches."""
    found = measure(digits[:N], digits[N:], classifier)
    log_p = [torch.log_softmax(classifier(each).double(), dim=1) for each in (digits[:N], digits[N:])]
    features = [classifier.features(each) for each in (digits[:N], digits[N:])]
    directions = [each / each.square().sum(dim=1, keepdim=True).sqrt() for each in features]
    radii = [scores.radii(each) for each in directions]
    assert found.modified_inception_score == pytest.approx(scores.modified_inception_score(log_p[0]), rel=1e-5)
    assert modified_score(digits[:N], classifier) == found.modified_inception_score
    assert found.inception_score == pytest.approx(scores.inception_score(log_p[0]), rel=1e-5)
    precision_and_recall = scores.precision_and_recall(directions[0], radii[0], directions[1], radii[1])
    assert (found.precision, found.recall) == pytest.approx(precision_and_recall, abs=2 / N)
    shares = [scores.class_shares(each) for each in log_p]
    assert found.class_kl == pytest.approx(scores.class_kl(*shares), abs=1e-6)
    assert found.n_modes == 10
    assert 0.7 < found.precision < 1
    assert 0.7 < found.recall < 1


def test_the_same_images_are_perfect(digits: Tensor, classifier: Classifier) -> None:
    found = measure(digits, digits.flip(0), classifier)
    assert (found.precision, found.recall, found.class_kl) == (1, 1, 0)


def test_one_image_repeated(digits: Tensor, classifier: Classifier) -> None:
    found = measure(digits[:1].expand(N, 784), digits, classifier)
    assert found.modified_inception_score == pytest.approx(0, abs=1e-6)
    assert found.inception_score == pytest.approx(1, abs=1e-6)
    assert (found.precision, found.n_modes) == (1, 1)
    assert found.recall <= 1 / N
    share = float((classifier(digits).argmax(dim=1) == classifier(digits[:1]).argmax()).double().mean())
    assert found.class_kl == pytest.approx(-math.log(share))


def test_noise_and_blank_images_are_far_from_digits(digits: Tensor, classifier: Classifier) -> None:
    for images in (pixel_noise(N), torch.zeros(N, 784)):
        found = measure(images, digits, classifier)
        assert (found.precision, found.recall, found.n_modes) == (0, 0, 1)
        assert found.modified_inception_score < 0.1


def test_shape_and_precision_of_the_images_do_not_matter(digits: Tensor, classifier: Classifier) -> None:
    flat, square = (describe(each, classifier) for each in (digits[:9], digits[:9].reshape(9, 28, 28).double()))
    assert compare(flat, flat) == compare(square, flat)


def test_memory_is_bounded(digits: Tensor, classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, sizes = measure(digits[:N], digits[N:], classifier), []
    distances = scores._distances

    def recorded(rows: Tensor, points: Tensor) -> Tensor:
        sizes.append(rows.shape[0] * points.shape[0])
        return distances(rows, points)

    monkeypatch.setattr(scores, "_distances", recorded)
    monkeypatch.setattr(scores, "BLOCK_ENTRIES", 10 * N)
    assert measure(digits[:N], digits[N:], classifier) == expected
    assert max(sizes) == 10 * N


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(5, 1024), r"images of shape \[5, 1024\] cannot be scored: give \[n, 784\] or \[n, 28, 28\]"),
        (torch.zeros(784), r"images of shape \[784\] cannot be scored"),
        (torch.zeros(3, 784), "3 images are too few to be scored: give 4 or more"),
        (torch.full((5, 784), -0.5), r"images with pixels outside \[0, 1\], or that are no numbers"),
        (torch.full((5, 784), 1.5), r"images with pixels outside \[0, 1\], or that are no numbers"),
        (torch.full((5, 784), math.nan), r"images with pixels outside \[0, 1\], or that are no numbers"),
    ],
)
def test_what_cannot_be_scored(images: Tensor, message: str, digits: Tensor, classifier: Classifier) -> None:
    for pair in ((images, digits), (digits, images)):
        with pytest.raises(UsageError, match=f"^{message}"):
            measure(*pair, classifier)


@pytest.mark.parametrize("shape", [(3, 1024), (3, 32, 32)])
def test_padded_images_are_cropped_back(shape: tuple[int, ...]) -> None:
    """Padded and scaled as the paper has it: a border of two pixels, 2 x - 1."""
    images = torch.rand(3, 28, 28)
    padded = 2 * torch.nn.functional.pad(images, (2, 2, 2, 2)) - 1
    torch.testing.assert_close(cropped(padded.reshape(shape)), images.flatten(1))
    assert cropped(torch.ones(shape)).max() == 1
    assert cropped(-torch.ones(shape)).min() == 0


@pytest.mark.parametrize("shape", [(3, 784), (1024,), (3, 1, 1024)])
def test_other_shapes_are_not_cropped(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be cropped: give"):
        cropped(torch.zeros(shape))


def test_a_comparison_has_real_images_and_noise_beside(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MOST_IMAGES", 500)
    mnist = load_dataset("mnist")
    images = torch.from_numpy(mnist.test_images[:20])
    found = compared(images, mnist, classifier)
    assert (found.n, found.n_reference) == (20, 500)
    assert found.images == found.real
    assert found.noise == measure(pixel_noise(20), torch.from_numpy(mnist.train_images[:500]), classifier)
    assert found.real.modified_inception_score > found.noise.modified_inception_score
    assert compared(torch.from_numpy(mnist.train_images), mnist, classifier).n == 500
