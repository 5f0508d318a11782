"""Semi-supervised learning with ladder networks and energy-based GANs, many seeds trained at once.

The one convention to know is the *replica axis*. A replica is an independent training run with its own seed,
labelled subset, weights and noise; all replicas of a group train together as one batched model:

    [replicas, batch, features]      axis 0 the replica, axis 1 the example, last axis the feature

Losses return `[replicas]` and only the training loop sums them. The sum, never the mean: each slice of the
weights then meets the loss of its own replica alone, and an element-wise optimiser keeps replicas independent.
"""

from typing import TYPE_CHECKING, Any

from ladder_ebgan._version import __version__

if TYPE_CHECKING:
    from ladder_ebgan.estimators import EBGANLadderClassifier, LabeledStratifiedKFold, LadderClassifier

__all__ = ["EBGANLadderClassifier", "LabeledStratifiedKFold", "LadderClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the estimators when they are first asked for: the command line starts without PyTorch."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from ladder_ebgan import estimators

    return getattr(estimators, name)


def __dir__() -> list[str]:
    """Return the names that there are, the estimators among them."""
    return sorted({*globals(), *__all__})
