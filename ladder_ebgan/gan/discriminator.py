"""Discriminators: the auto-encoder of EBGAN and the logistic one of an ordinary GAN, which differ in one layer.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendix C: fully
connected, ReLU, batch normalisation after every weight layer but the first, biases 0.

Where the paper is silent: the output layer, a reconstruction or a logit, has no normalisation and no ReLU, under
which it could not have the values that it needs; normalisation has a shift and no scale, whose work the weights
above a ReLU can do; dropout is of the hidden layers, after their ReLU.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from scipy.special import ndtri
from torch import Tensor, nn

from ladder_ebgan.layers import LayerFunctions, initial_weight
from ladder_ebgan.products import replica_matmul

DISCRIMINATOR_KEY = 3  # part of the key of a weight's random stream


class Judgement(NamedTuple):
    """What a discriminator makes of a batch."""

    output: Tensor  # [replicas, batch, features] of the reconstruction, or [replicas, batch, 1]: the logit
    code: Tensor  # the last hidden layer, which for an auto-encoder is the encoder's output [replicas, batch, size]


class Discriminator(nn.Module):
    """Discriminators of several replicas as one batched model.

    Args:
        seeds: one a replica; the initial weights of a replica come from its own seed.
        sizes: number of features, hidden sizes, then the number of features again for an auto-encoder, whose
            decoder is its last layer, or 1 for a logit.
        weight_std: standard deviation of the initial weights.
        dropout: share of the hidden units that noise leaves out; the others are scaled up to make up for it.
        product_dtype: precision of matrix products, but for the last one: float32 or better.
        functions: how the element-wise parts are computed.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        sizes: Sequence[int],
        weight_std: float,
        dropout: float = 0.0,
        product_dtype: torch.dtype = torch.float32,
        functions: LayerFunctions = LayerFunctions(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.functions = functions
        self.sizes = tuple(sizes)
        self.dropout = dropout
        self.threshold = float(ndtri(dropout))  # of the noise: below it a unit is left out
        self.product_dtype = product_dtype
        self.weight = nn.ParameterList(
            initial_weight(seeds, (DISCRIMINATOR_KEY, layer), n_in, n_out, weight_std)
            for layer, (n_in, n_out) in enumerate(pairwise(sizes), start=1)
        )
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(len(seeds), 1, n_out)) for n_out in sizes[1:])

    @property
    def n_noise(self) -> int:
        """How many noise values an example takes: one a hidden unit, none without dropout."""
        return sum(self.sizes[1:-1]) if self.dropout else 0

    def forward(self, x: Tensor, noise: Tensor | None = None, groups: int = 1) -> Judgement:
        """Judge images.

        Args:
            x: `[replicas, batch, features]`.
            noise: standard normal `[replicas, batch, n_noise]`, which says what dropout leaves out; None: nothing.
            groups: equal consecutive parts of the batch that are normalised separately: real and generated.
        """
        noises = [None] * (len(self.weight) - 1) if noise is None else noise.split(self.sizes[1:-1], dim=-1)
        h, weights, biases = x, list(self.weight), list(self.bias)
        for layer, (weight, bias) in enumerate(zip(weights[:-1], biases[:-1], strict=True)):
            z = replica_matmul(h, weight, self.product_dtype)
            if layer == 0:
                h = torch.relu(z + bias).to(z.dtype)
            else:
                h, _ = self.functions.noisy_layer(z, None, 0.0, bias, groups, True, 1)
            of_layer = noises[layer]
            if of_layer is not None:
                h = h * (of_layer >= self.threshold).to(h.dtype) / (1 - self.dropout)
        last_dtype = torch.promote_types(self.product_dtype, torch.float32)
        return Judgement(replica_matmul(h, weights[-1], last_dtype) + biases[-1], h)
