"""The fully connected generator: latents in, images in [0, 1] out, or features of any size.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendices C and D:
ReLU, batch normalisation after every weight layer but the last, weights from N(0, 0.02), biases 0.

As a control, noise takes the place of generated images: standard normal latents through the normal distribution
function are uniform in [0, 1].

Differs: beside a ladder the output is a sigmoid in the place of the Tanh, since that reads pixels in [0, 1], or
linear, for features that are not pixels; normalisation has a shift and no scale, as appendix D has it there.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ladder_ebgan.layers import LayerFunctions, initial_weight
from ladder_ebgan.products import replica_matmul

GENERATOR_KEY = 2  # part of the key of a weight's random stream


class Generator(nn.Module):
    """Generators of several replicas as one batched model.

    Args:
        seeds: one a replica; the initial weights of a replica come from its own seed.
        sizes: latent size, hidden sizes, number of features. A single number is that of the features, and images
            are noise then: the latents themselves, or made uniform in [0, 1] in the place of a sigmoid's output.
        weight_std: standard deviation of the initial weights.
        product_dtype: precision of matrix products.
        functions: how the element-wise parts are computed.
        output: what the last layer ends in.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        sizes: Sequence[int],
        weight_std: float,
        product_dtype: torch.dtype = torch.float32,
        functions: LayerFunctions = LayerFunctions(),  # noqa: B008
        output: Literal["sigmoid", "linear", "tanh"] = "sigmoid",
    ) -> None:
        super().__init__()
        self.functions = functions
        self.output = output
        self.sizes = tuple(sizes)
        self.product_dtype = product_dtype
        pairs = list(pairwise(sizes))
        self.weight = nn.ParameterList(
            initial_weight(seeds, (GENERATOR_KEY, layer), n_in, n_out, weight_std)
            for layer, (n_in, n_out) in enumerate(pairs, start=1)
        )
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(len(seeds), 1, n_out)) for _, n_out in pairs)

    @property
    def is_noise(self) -> bool:
        """Whether there is no network, and images are noise."""
        return len(self.sizes) == 1

    def forward(self, latents: Tensor) -> Tensor:
        """Return images `[replicas, batch, features]` for latents `[replicas, batch, latent]`.

        Normalisation uses the statistics of this batch, so an image depends on the latents beside it.
        """
        h = latents
        for layer, (weight, bias) in enumerate(zip(self.weight, self.bias, strict=True), start=1):
            z = replica_matmul(h, weight, self.product_dtype)
            if layer == len(self.weight):
                end = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}.get(self.output)
                return z + bias if end is None else end(z + bias)
            h, _ = self.functions.noisy_layer(z, None, 0.0, bias, 1, True, 1)
        return torch.special.ndtr(h) if self.output == "sigmoid" else h
