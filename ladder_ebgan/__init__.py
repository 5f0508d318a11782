"""Semi-supervised learning with ladder networks and energy-based GANs, many seeds trained at once.

The one convention to know is the *replica axis*. A replica is an independent training run with its own seed,
labelled subset, weights and noise; all replicas of a group train together as one batched model:

    [replicas, batch, features]      axis 0 the replica, axis 1 the example, last axis the feature

Losses return `[replicas]` and only the training loop sums them. The sum, never the mean: each slice of the
weights then meets the loss of its own replica alone, and an element-wise optimiser keeps replicas independent.
"""

from ladder_ebgan._version import __version__

__all__ = ["__version__"]
