"""Split MNIST's training set into 50,000 training and 10,000 validation images, to choose settings on.

python benchmarks/validation_split.py FILE.npz
ladder-ebgan run --data FILE.npz ...

The file's "test" images are the validation images; MNIST's own test images are not in it.
"""

import sys

import numpy as np

from ladder_ebgan.data import load_dataset

N_VALIDATION = 10_000


def main() -> None:
    mnist = load_dataset("mnist")
    order = np.random.default_rng(0).permutation(len(mnist.train_images))
    images = (255 * mnist.train_images).round().astype(np.uint8).reshape(-1, *mnist.image_shape)
    train, validation = order[N_VALIDATION:], order[:N_VALIDATION]
    np.savez_compressed(
        sys.argv[1],
        x_train=images[train],
        y_train=mnist.train_labels[train],
        x_test=images[validation],
        y_test=mnist.train_labels[validation],
    )


if __name__ == "__main__":
    main()
