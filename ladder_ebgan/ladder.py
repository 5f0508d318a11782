"""The ladder network: a classifier with a decoder that denoises every layer.

Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672. Symbols as in that paper:
`z` is a layer after batch normalisation and, in the corrupted pass, noise (there with a tilde), `h` the layer's
output, `u` the signal that comes down the decoder, `z_hat` the denoised `z`. Layer 0 is the input, layer L the one
under the softmax.

Which variant it is (bottom cost only, full, Gamma, supervised) follows from the denoising weights alone: the
decoder reaches down to the lowest layer with a weight, and the clean pass runs if a layer above 0 has one.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ladder_ebgan.combinators import Combinator, combine, initial_combinator
from ladder_ebgan.layers import LayerFunctions, initial_weight, last_groups, normalize
from ladder_ebgan.products import replica_matmul

ENCODER_KEY, DECODER_KEY, COMBINATOR_KEY = 0, 1, 4  # parts of the key of a weight's random stream


class Encoding(NamedTuple):
    """What one pass of the encoder leaves behind."""

    z: list[Tensor]  # layers 0..L, after normalisation and noise, of the groups to decode [replicas, ..., features]
    z_pre: list[Tensor]  # layers 1..L before normalisation [replicas, batch, features]
    code: Tensor  # h of layer L - 1, the highest hidden one, behind its ReLU [replicas, batch, features]
    logits: Tensor  # [replicas, batch, classes]


class Statistics(NamedTuple):
    """Fixed normalisation statistics for evaluation, each `[replicas, 1, features]`."""

    means: list[Tensor]  # of the encoder's layers 1..L
    variances: list[Tensor]
    decoder: dict[int, tuple[Tensor, Tensor]] | None = None  # mean and variance of u by layer, if measured


class Ladder(nn.Module):
    """Ladder networks of several replicas as one batched model.

    Args:
        seeds: one a replica; the initial weights of a replica come from its own seed.
        sizes: units of the layers 0..L, classes last.
        denoising_weights: one a layer 0..L, multiplying the mean square over units and examples.
        input_noise: standard deviation of the corruption of layer 0.
        hidden_noise: that of layers 1..L, one number for all or one for each.
        softmax_gamma: whether the layer under the softmax has a learned scale, as Rasmus et al. have it and the
            ladder of Zhao et al. 2017 (appendix D) has not.
        product_dtype: precision of matrix products, but for the small one under the softmax: float32.
        functions: how the element-wise parts are computed.
        combinator: what makes z_hat of u and z.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        sizes: Sequence[int],
        denoising_weights: Sequence[float],
        input_noise: float,
        hidden_noise: float | Sequence[float],
        softmax_gamma: bool = True,
        product_dtype: torch.dtype = torch.float32,
        functions: LayerFunctions = LayerFunctions(),  # noqa: B008
        combinator: Combinator = "gaussian",
    ) -> None:
        super().__init__()
        self.functions, self.combinator_kind = functions, combinator
        self.sizes = tuple(sizes)
        # One number a layer, or `[replicas]` where they differ; which layers have a weight is the same for all.
        self.denoising_weights: tuple[Tensor | float, ...] = tuple(denoising_weights)
        of_hidden = hidden_noise if isinstance(hidden_noise, Sequence) else [hidden_noise] * (len(sizes) - 1)
        self.noise_stds: tuple[Tensor | float, ...] = (input_noise, *of_hidden)
        self.product_dtype = product_dtype
        replicas, top = len(seeds), len(sizes) - 1
        self.weighted = weighted = {layer for layer, weight in enumerate(denoising_weights) if weight > 0}
        self.lowest_decoded = min(weighted, default=top + 1)
        self.needs_clean_pass = any(layer > 0 for layer in weighted)

        pairs = list(pairwise(sizes))
        self.encoder = nn.ParameterList(
            initial_weight(seeds, (ENCODER_KEY, layer), n_in, n_out, n_in**-0.5)
            for layer, (n_in, n_out) in enumerate(pairs, start=1)
        )
        self.beta = nn.ParameterList(nn.Parameter(torch.zeros(replicas, 1, n_out)) for _, n_out in pairs)
        self.gamma = nn.Parameter(torch.ones(replicas, 1, sizes[-1])) if softmax_gamma else None
        decoded = range(self.lowest_decoded, top + 1)
        self.combinator = nn.ParameterDict(
            {
                str(layer): initial_combinator(combinator, seeds, (COMBINATOR_KEY, layer), sizes[layer])
                for layer in decoded
            }
        )
        self.decoder_weight = nn.ParameterDict(
            {
                str(layer): initial_weight(
                    seeds, (DECODER_KEY, layer), sizes[layer + 1], sizes[layer], sizes[layer + 1] ** -0.5
                )
                for layer in decoded[:-1]
            }
        )

    @property
    def n_units(self) -> int:
        """Units of all layers together: how many noise values an example takes."""
        return sum(self.sizes)

    def encode(
        self,
        x: Tensor,
        noise: Tensor | None = None,
        groups: int = 1,
        statistics: Statistics | None = None,
        n_decoded: int = 1,
    ) -> Encoding:
        """Run the encoder, corrupted or clean: the first two blocks of algorithm 1.

        Args:
            x: `[replicas, batch, features]`.
            noise: standard normal `[replicas, batch, n_units]`; None gives the clean pass.
            groups: equal consecutive parts of the batch that are normalised separately.
            statistics: fixed statistics for evaluation; None normalises by those of the batch.
            n_decoded: how many groups, the last ones, will be decoded.
        """
        noises, noise_stds = self._noise_of_layers(noise)
        h = x if noises[0] is None else torch.add(x, noises[0], alpha=noise_stds[0])
        zs, zs_pre, code = [last_groups(h, groups, n_decoded)], [], h
        for layer, (weight, beta) in enumerate(zip(self.encoder, self.beta, strict=True), start=1):
            relu, code = layer < len(self.encoder), h
            z_pre = replica_matmul(h, weight, self.product_dtype if relu else torch.float32)
            if statistics is None:
                corruption = noises[layer], noise_stds[layer]
                h, z = self.functions.noisy_layer(z_pre, *corruption, beta, groups, relu, n_decoded)
            else:
                z = normalize(z_pre, statistics.means[layer - 1], statistics.variances[layer - 1])
                h = torch.relu(z + beta) if relu else z + beta
            zs.append(z)
            zs_pre.append(z_pre)
        return Encoding(zs, zs_pre, code, h if self.gamma is None else h * self.gamma)

    def _noise_of_layers(self, noise: Tensor | None) -> tuple[list[Tensor | None], list[float]]:
        """Return each layer's part of the noise, and the number to multiply it by; None in a clean pass."""
        if noise is None:
            return [None] * len(self.sizes), [0.0] * len(self.sizes)
        parts: list[Tensor | None] = [
            part * std[:, None, None] if isinstance(std, Tensor) else part  # one a replica, or one
            for part, std in zip(noise.split(self.sizes, dim=-1), self.noise_stds, strict=True)
        ]
        return parts, [1.0 if isinstance(std, Tensor) else std for std in self.noise_stds]

    def decode(
        self, z: Sequence[Tensor], logits: Tensor, statistics: Statistics | None = None, groups: int = 1
    ) -> dict[int, Tensor]:
        """Denoise the layers from the top down to the lowest one with a weight: the decoder of algorithm 1.

        Args:
            z: corrupted layers 0..L, each `[replicas, batch, features]`.
            logits: of the same images, `[replicas, batch, classes]`.
            statistics: fixed statistics for evaluation, the decoder's among them; None normalises by those of the
                batch.
            groups: equal consecutive parts of the batch that are normalised separately.

        Returns:
            `z_hat` by layer; it is not normalised yet.
        """
        top = len(self.sizes) - 1
        z_hat: dict[int, Tensor] = {}
        for layer in range(top, self.lowest_decoded - 1, -1):
            u_pre, a = self.vertical_signal(layer, z_hat, logits), self.combinator[str(layer)]
            has_cost = layer in self.weighted
            dtype = torch.float32 if has_cost or layer == top else self.product_dtype
            if statistics is None:
                z_hat[layer] = self.functions.denoise(u_pre, z[layer], a, dtype, self.combinator_kind, groups)
            else:
                assert statistics.decoder is not None
                u = normalize(u_pre.to(torch.float32), *statistics.decoder[layer])
                z_hat[layer] = combine(u, z[layer], a, self.combinator_kind).to(dtype)
        return z_hat

    def vertical_signal(self, layer: int, z_hat: dict[int, Tensor], logits: Tensor) -> Tensor:
        """Return what comes down to a layer of the decoder, `u` before it is normalised: at the top the softmax."""
        if layer == len(self.sizes) - 1:
            return torch.softmax(logits, dim=-1)
        return replica_matmul(z_hat[layer + 1], self.decoder_weight[str(layer)], self.product_dtype)

    def reconstruct(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """Return `z_hat` of layer 0 for `x` `[replicas, batch, features]`, as one group of its own."""
        encoding = self.encode(x, noise)
        return self.decode(encoding.z, encoding.logits)[0]
