"""Scores of images whose quality is known, for docs/quality.md: real digits, noise, collapsed generators.

    python benchmarks/quality.py

Prints a row a set of 10,000 images, scored against the first 10,000 training images of MNIST; what is made of real
digits is made of others. Then what becomes of the scores with a surer classifier, and with features as they are.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ladder_ebgan.data import load_dataset
from ladder_ebgan.quality import Classifier, compare, describe, load_classifier
from ladder_ebgan.quality.comparison import MOST_IMAGES, described_reference, pixel_noise
from ladder_ebgan.quality.scores import inception_score, modified_inception_score, precision_and_recall, radii

N = MOST_IMAGES


def blurred(images: Tensor) -> Tensor:
    """Each pixel is the mean of the 5 x 5 around it."""
    return functional.avg_pool2d(images.reshape(-1, 1, 28, 28), 5, 1, 2).flatten(1)


def controls(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Sets of N images made of training images that are not in the reference."""
    first_of_each = torch.stack([images[labels == digit][0] for digit in range(10)])
    of_one = images[labels == 1]
    return {
        "other training images": images[:N],
        "the same, blurred": blurred(images[:N]),
        "means of two training images": (images[:N] + images[N : 2 * N]) / 2,
        "one image of each digit, repeated": first_of_each.repeat(N // 10, 1),
        "the digit 1 only": of_one.repeat(2, 1)[:N],
        "one image, repeated": images[:1].expand(N, -1),
        "noise": pixel_noise(N),
    }


def print_surer(classifier: Classifier, test: Tensor) -> None:
    logits = torch.cat([classifier(batch) for batch in test.split(200)]).double()
    for factor in (0.5, 1.0, 2.0):
        log_p = torch.log_softmax(factor * logits, dim=1)
        print(
            f"test images, logits times {factor}: I' {modified_inception_score(log_p):.2f}, inception score "
            f"{inception_score(log_p):.2f}, median least probability {float(log_p.amin(dim=1).exp().median()):.1e}"
        )


def print_features_as_they_are(classifier: Classifier, real: Tensor) -> None:
    noise, reference = (
        torch.cat([classifier.features(batch) for batch in images.split(200)]) for images in (pixel_noise(N), real)
    )
    precision, recall = precision_and_recall(noise, radii(noise), reference, radii(reference))
    print(f"noise, features as they are: precision {precision:.2f}, recall {recall:.2f}")


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    mnist, classifier = load_dataset("mnist"), load_classifier()
    reference = described_reference(mnist, classifier)
    images, labels = torch.from_numpy(mnist.train_images[N:]), torch.from_numpy(mnist.train_labels[N:])
    print("| images | I' | inception score | precision | recall | digits found | KL of the shares |")
    print("|---|---|---|---|---|---|---|")
    for name, each in {"test images": torch.from_numpy(mnist.test_images), **controls(images, labels)}.items():
        q = compare(describe(each, classifier), reference)
        numbers = f"{q.modified_inception_score:.2f} | {q.inception_score:.2f} | {q.precision:.3f} | {q.recall:.3f}"
        print(f"| {name} | {numbers} | {q.n_modes} | {q.class_kl:.4f} |", flush=True)
    print_surer(classifier, torch.from_numpy(mnist.test_images))
    print_features_as_they_are(classifier, torch.from_numpy(mnist.train_images[:N]))


if __name__ == "__main__":
    main()
