"""Trains the classifier that generated digits are scored with, on all training images of MNIST.

    python -m ladder_ebgan.quality.train_classifier --output FILE

Adam, batches of 128, ten epochs, learning rate 0.001, linear to 0. These are common settings; none was tuned, so
the test images are read once, for the error that the file's metadata tell. The same seed gives the same weights on
one machine with the same number of threads.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ladder_ebgan.data import Dataset, load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import write_atomically
from ladder_ebgan.machine import name_of_device, resolve_device, versions
from ladder_ebgan.quality.classifier import KIND, Classifier
from ladder_ebgan.streams import Stream, stream_generator
from ladder_ebgan.tensor_files import tensor_bytes

N_EPOCHS, BATCH_SIZE, LEARNING_RATE = 10, 128, 0.001


def train(dataset: Dataset, seed: int, device: torch.device, n_epochs: int = N_EPOCHS) -> Classifier:
    """Return a classifier trained on the training images of a data set of ten classes, 28 x 28."""
    images = torch.from_numpy(dataset.train_images).to(device)
    labels = torch.from_numpy(dataset.train_labels).to(device)
    order = stream_generator(seed, Stream.BATCH_ORDER)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        classifier = Classifier().to(device).train()
        optimizer = torch.optim.Adam(classifier.parameters(), LEARNING_RATE)
        n_steps = n_epochs * -(-len(images) // BATCH_SIZE)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_steps)
        for epoch in range(1, n_epochs + 1):
            batches = torch.from_numpy(order.permutation(len(images))).to(device).split(BATCH_SIZE)
            total = torch.zeros((), device=device)
            for index in batches:
                optimizer.zero_grad()
                loss = functional.cross_entropy(classifier(images[index]), labels[index])
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.detach()
            sys.stderr.write(f"epoch {epoch} of {n_epochs}: mean cost {float(total) / len(batches):.4f}\n")
    return classifier.eval()


@torch.no_grad()
def error_percent(classifier: Classifier, images: Tensor, labels: Tensor) -> float:
    """Return the share of images that are classified wrongly, in %."""
    wrong = sum(
        int((classifier(batch.to(classifier.device)).argmax(dim=1).cpu() != truth).sum())
        for batch, truth in zip(images.split(1000), labels.split(1000), strict=True)
    )
    return 100 * wrong / len(images)


def trained_file(dataset: Dataset, seed: int, device: torch.device, n_epochs: int = N_EPOCHS) -> bytes:
    """Train a classifier, measure its test error, and return its file."""
    start = time.monotonic()
    classifier = train(dataset, seed, device, n_epochs)
    seconds = time.monotonic() - start
    test = torch.from_numpy(dataset.test_images), torch.from_numpy(dataset.test_labels)
    error = error_percent(classifier, *test)
    sys.stderr.write(f"test error {error:.2f} %, {seconds:.0f} s of training\n")
    metadata = {
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        **{"n_train": len(dataset.train_images), "n_test": len(dataset.test_images)},
        **{"test_error_percent": error, "seed": seed, "n_epochs": n_epochs},
        **{"batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE},
        **{"device": name_of_device(device), "n_threads": torch.get_num_threads(), "seconds": round(seconds, 1)},
        "versions": versions(),
    }
    return tensor_bytes(classifier.state_dict(), KIND, metadata)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write the file; what is wrong is told in one line with exit code 2."""
    what = "Train the classifier that generated digits are scored with, on all training images of MNIST."
    parser = argparse.ArgumentParser("python -m ladder_ebgan.quality.train_classifier", description=what)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where the weights are written")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="fixes the weights (0)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda", help="where to train")
    options = parser.parse_args(arguments)
    try:
        if options.output.is_dir() or not options.output.absolute().parent.is_dir():
            raise UsageError(f"--output {options.output}: name a file in a folder that is there")
        if options.seed < 0:
            raise UsageError(f"--seed {options.seed}: must be 0 or more")
        content = trained_file(load_dataset("mnist"), options.seed, resolve_device(options.device))
        write_atomically(options.output, content)
    except (UsageError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
