"""The classifier of digits that generated images are scored with: a small convolutional network.

Zhao, Mathieu, LeCun 2017, arXiv 1609.03126, appendix C, has "a 3-layer ConvNet" trained on the whole MNIST
training set, and says no more. Here: two convolutions and a linear layer, ReLU, max pooling, dropout. The trained
weights come with this package; `train_classifier.py` is how they were made.
"""

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from ladder_ebgan.errors import UsageError
from ladder_ebgan.tensor_files import read_tensors

KIND = "classifier"  # of the file
N_FEATURES = 512
PACKAGED = "mnist_classifier.safetensors"
SHA256 = "98f8af6147820cdb4405e7bf883f9cdfc13d7e46e03d62e4b7db5924cfcd7527"  # of the packaged file


class Classifier(nn.Module):
    """Images of digits, 28 x 28 in [0, 1], to features and probabilities of the classes 0 to 9.

    1x28x28 -> 32 maps, 5x5 -> pool 2 -> 32 maps, 5x5 -> pool 2 -> 512 features -> 10 logits; 31,594 parameters.
    `metadata` says how it was trained.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.metadata = metadata or {}
        self.convolution_1 = nn.Conv2d(1, 32, 5)
        self.convolution_2 = nn.Conv2d(32, 32, 5)
        self.linear = nn.Linear(N_FEATURES, 10)

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.linear.weight.device

    def features(self, images: Tensor) -> Tensor:
        """Return the features `[n, 512]` of images `[n, 784]` or `[n, 28, 28]`: what the linear layer reads."""
        h = functional.max_pool2d(functional.relu(self.convolution_1(images.reshape(-1, 1, 28, 28))), 2)
        return functional.max_pool2d(functional.relu(self.convolution_2(h)), 2).flatten(1)

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Return log p(y|x) `[n, 10]` in double precision; finite for finite features."""
        logits: Tensor = self.linear(features)
        return functional.log_softmax(logits.double(), dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `[n, 10]`; in training mode half of the features are dropped."""
        logits: Tensor = self.linear(functional.dropout(self.features(images), 0.5, self.training))
        return logits


def load_classifier(device: torch.device | str = "cpu", path: Path | None = None) -> Classifier:
    """Return the classifier of this package, or that of a file which `train_classifier` wrote, for evaluation.

    Raises:
        UsageError: the file is damaged, or is no classifier.
    """
    if path is not None:
        return _read(path, f"the file '{path}'", "name a file that train_classifier wrote").to(device)
    with resources.as_file(resources.files("ladder_ebgan.quality").joinpath(PACKAGED)) as packaged:
        what, remedy = f"the installed file {PACKAGED}", "reinstall ladder-ebgan"
        classifier = _read(packaged, what, remedy)
        if hashlib.sha256(packaged.read_bytes()).hexdigest() != SHA256:
            raise UsageError(f"{what} is damaged (its checksum is wrong); {remedy}")
    return classifier.to(device)


def _read(path: Path, what: str, remedy: str) -> Classifier:
    try:
        tensors, metadata = read_tensors(path, KIND)
        classifier = Classifier(metadata)
        classifier.load_state_dict(tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
        raise UsageError(f"{what} is damaged, or no classifier of digits; {remedy}") from error
    return classifier.requires_grad_(False).eval()
