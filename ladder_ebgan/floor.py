"""What one step of one replica has to compute at the least: matrix products, Adam's bytes, random numbers.

Only what the arithmetic asks for is counted, in the fewest products: examples that meet the same weights at the
same time are the rows of one product. So, of the sizes 784-1000-500-250-250-250-10 of `table2` with 100 images:

- the corrupted encoder takes 200 rows, labelled and unlabelled together, and the decoder 100; images need no
  gradient. Without a decoder the unlabelled images are not needed at all.
- the clean pass, where a layer above 0 is denoised, takes 100 rows more up to the highest such layer, with
  gradient.
- the adversarial step sends the generated images through encoder and decoder twice: once beside the real ones for
  the discriminator (gradient to the weights, none to the images), and once more after Adam has changed these
  weights (`training.adversarial_step` updates the discriminator first), now with gradient to the images and none
  to the weights. The generator itself has not changed in between: it runs once, forward and backward.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from ladder_ebgan.combinators import N_PARAMETERS
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe

ADAM_PASSES = 7  # reads parameter, gradient and both averages; writes parameter and both averages
BYTES = 4  # a float32

Kind = Literal["forward", "weight gradient", "input gradient"]


@dataclass(frozen=True)
class Product:
    """A matrix product `[m, k] [k, n]` of a layer; `count` of them in a step of one replica.

    For a layer with weight `[in, out]` and `rows` examples:

        forward          x W        [rows, in] [in, out]
        weight gradient  x^T g      [in, rows] [rows, out]
        input gradient   g W^T      [rows, out] [out, in]
    """

    kind: Kind
    m: int
    k: int
    n: int
    count: int = 1

    @property
    def flops(self) -> int:
        """Multiplications and additions of all `count` of them."""
        return 2 * self.m * self.k * self.n * self.count


@dataclass(frozen=True)
class Work:
    """The least work of one step of one replica."""

    products: tuple[Product, ...]
    n_parameters: int
    n_normals: int

    @property
    def flops(self) -> int:
        """Those of the matrix products; all else is left out."""
        return sum(product.flops for product in self.products)

    @property
    def adam_bytes(self) -> int:
        """Bytes that Adam reads and writes."""
        return ADAM_PASSES * BYTES * self.n_parameters


def step_work(recipe: Recipe, model: str, adversarial: bool, n_features: int, n_classes: int) -> Work:
    """Return the work of a step of `model`, against its generator if `adversarial`."""
    settings, batch = recipe.settings(model), recipe.training.batch_size
    sizes = [n_features, *recipe.network.hidden_sizes, n_classes]
    weighted = [layer for layer, weight in enumerate(settings.denoising_weights) if weight > 0]
    encoder = list(pairwise(sizes))
    decoder = [(above, below) for below, above in encoder[min(weighted) :]] if weighted else []  # of layer 0 first
    clean_layers = max(weighted, default=0)
    corrupted_rows = 2 * batch if weighted else batch
    generated_rows = batch if adversarial else 0

    found: Counter[Product] = Counter()
    for layer, (n_in, n_out) in enumerate(encoder, start=1):
        rows = corrupted_rows + generated_rows + (batch if layer <= clean_layers else 0)
        found.update(_products(rows, n_in, n_out, to_input=layer > 1))
    for n_in, n_out in decoder:
        found.update(_products(batch + generated_rows, n_in, n_out))
    network = recipe.network
    n_units = sum(sizes)
    n_parameters = _ladder_parameters(sizes, weighted, network.softmax_gamma, N_PARAMETERS[network.combinator])
    n_normals = corrupted_rows * n_units
    if adversarial:
        assert isinstance(settings, EBGANLadderSettings)
        options = settings.generator
        generator_sizes = options.sizes(n_features)
        generator = list(pairwise(generator_sizes))
        for n_in, n_out in [*encoder, *decoder] if options.is_trained else []:  # through the frozen discriminator
            found.update(_products(batch, n_in, n_out, to_weight=False))
        for layer, (n_in, n_out) in enumerate(generator, start=1):
            trained = options.is_trained
            found.update(_products(batch, n_in, n_out, to_weight=trained, to_input=trained and layer > 1))
        if options.is_trained and settings.pulling_away_weight:  # cosines of all pairs of codes, and their gradient
            found.update(
                [Product("forward", batch, sizes[-2], batch), Product("input gradient", batch, batch, sizes[-2])]
            )
        n_parameters += sum(n_in * n_out + n_out for n_in, n_out in generator)
        n_normals += batch * (generator_sizes[0] + (n_units if settings.corrupt_generated else 0))
    products = tuple(replace(product, count=count) for product, count in found.items())
    return Work(products, n_parameters, n_normals)


def _products(rows: int, n_in: int, n_out: int, to_weight: bool = True, to_input: bool = True) -> Iterator[Product]:
    """Yield the products of a layer, forward and for the gradients that are needed."""
    yield Product("forward", rows, n_in, n_out)
    if to_weight:
        yield Product("weight gradient", n_in, rows, n_out)
    if to_input:
        yield Product("input gradient", rows, n_out, n_in)


def _ladder_parameters(sizes: Sequence[int], weighted: Sequence[int], softmax_gamma: bool, per_unit: int) -> int:
    """Return the number of weights, shifts, `per_unit` numbers for each decoded unit, and scales."""
    lowest = min(weighted, default=len(sizes))
    pairs = list(pairwise(sizes))
    encoder = sum(n_in * n_out + n_out for n_in, n_out in pairs)
    decoder = sum(n_in * n_out for n_in, n_out in pairs[lowest:]) + per_unit * sum(sizes[lowest:])
    return encoder + decoder + (sizes[-1] if softmax_gamma else 0)
