"""The C++ kernels against the definitions in layers.py: values and every gradient.

Float32 is held to the definition's formula in float64, whose own float32 form is no nearer; so is bfloat16, of
which every number that a kernel hands on is such a number rounded once: by half a step, 2^-8 of it, at most.
"""

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan import kernels, layers
from ladder_ebgan.combinators import N_PARAMETERS, Combinator, combine
from ladder_ebgan.kernels.library import compiler
from ladder_ebgan.philox import philox_normal

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the kernels")

HALF_STEP = 2.0**-8  # of bfloat16, relative: its fraction has 7 bits
NOISE_STD = 0.7
SIZES = [1, 10, 63, 64, 65, 250]  # a block has 64 columns
DTYPES = [torch.float32, torch.bfloat16]
COMBINATORS = pytest.mark.parametrize("combinator", list(N_PARAMETERS))


class LayerArguments(NamedTuple):
    """Of `noisy_layer`, and the gradients that its two results are given."""

    z_pre: Tensor
    noise: Tensor | None
    beta: Tensor
    groups: int
    relu: bool
    grad_h: Tensor
    grad_z: Tensor | None
    decoded: int


class DenoiseArguments(NamedTuple):
    """Of `denoise`, and the gradient that its result is given."""

    u_pre: Tensor
    z: Tensor
    a: Tensor
    grad_z_hat: Tensor
    combinator: Combinator
    groups: int


def sliced(replicas: int, rows: int, features: int) -> Tensor:
    """Numbers as the ladder hands them over: columns of all layers' noise, rows of the last groups."""
    return torch.randn(replicas, rows + 3, features + 12)[:, 3:, 7 : 7 + features]


def layer_arguments(
    replicas: int = 3,
    groups: int = 2,
    batch: int = 7,
    features: int = 65,
    dtype: torch.dtype = torch.float32,
    noisy: bool = True,
    relu: bool = True,
    decoded: int = 1,
) -> LayerArguments:
    """`batch` counts the rows of a group; units have means and deviations of their own."""
    shape = (replicas, groups * batch, features)
    z_pre = (torch.randn(shape) * (1 + torch.rand(features)) + torch.randn(features)).to(dtype)
    noise = sliced(*shape) if noisy else None
    grad_h, grad_z = torch.randn(shape).to(dtype), sliced(replicas, decoded * batch, features)
    return LayerArguments(z_pre, noise, torch.randn(replicas, 1, features), groups, relu, grad_h, grad_z, decoded)


def denoise_arguments(
    replicas: int = 3,
    batch: int = 7,
    features: int = 65,
    dtype: torch.dtype = torch.float32,
    result: torch.dtype = torch.float32,
    combinator: Combinator = "gaussian",
    groups: int = 1,
) -> DenoiseArguments:
    shape = (replicas, groups * batch, features)
    u_pre = (torch.randn(shape) * (1 + torch.rand(features)) + torch.randn(features)).to(dtype)
    a = torch.randn(replicas, N_PARAMETERS[combinator], 1, features)
    return DenoiseArguments(u_pre, sliced(*shape), a, torch.randn(shape).to(result), combinator, groups)


def run_layer(function: Callable[..., tuple[Tensor, Tensor]], given: LayerArguments) -> dict[str, Tensor]:
    """Return the results and the gradients by their names."""
    z_pre, beta = (tensor.detach().clone().requires_grad_() for tensor in (given.z_pre, given.beta))
    h, z = function(z_pre, given.noise, NOISE_STD, beta, given.groups, given.relu, given.decoded)
    results = [(h, given.grad_h)] + ([] if given.grad_z is None else [(z, given.grad_z)])
    torch.autograd.backward(*zip(*results, strict=True))
    return {"h": h.detach(), "z": z.detach(), "z_pre": gradient_of(z_pre), "beta": gradient_of(beta)}


def run_denoise(function: Callable[..., Tensor], given: DenoiseArguments) -> dict[str, Tensor]:
    u_pre, a = (tensor.detach().clone().requires_grad_() for tensor in (given.u_pre, given.a))
    z = given.z.detach().requires_grad_()  # not a copy: its strides are kept
    z_hat = function(u_pre, z, a, given.grad_z_hat.dtype, given.combinator, given.groups)
    z_hat.backward(given.grad_z_hat)
    return {"z_hat": z_hat.detach(), "u_pre": gradient_of(u_pre), "z": gradient_of(z), "a": gradient_of(a)}


def gradient_of(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    assert tensor.grad.dtype == tensor.dtype
    return tensor.grad


def double(given: Any) -> Any:
    """Return the same arguments in float64."""
    return type(given)(*(part.double() if isinstance(part, Tensor) else part for part in given))


def exact_noisy_layer(
    z_pre: Tensor, noise: Tensor | None, noise_std: float, beta: Tensor, groups: int, relu: bool, decoded: int
) -> tuple[Tensor, Tensor]:
    """The definition without its roundings to float32."""
    z = layers.batch_normalize(z_pre, groups)
    z = z if noise is None else z + noise_std * noise
    return (torch.relu(z + beta) if relu else z + beta), torch.cat(z.chunk(groups, dim=1)[-decoded:], dim=1)


def exact_denoise(
    u_pre: Tensor, z: Tensor, a: Tensor, dtype: torch.dtype, combinator: Combinator, groups: int
) -> Tensor:
    """The definition without its roundings to float32; `combinators` is held to plain loops by its own tests."""
    if combinator != "gaussian":
        return combine(layers.batch_normalize(u_pre, groups), z, a, combinator).to(dtype)
    u, p = layers.batch_normalize(u_pre, groups), [None, *a.unbind(dim=1)]
    mu = p[1] * torch.sigmoid(p[2] * u + p[3]) + p[4] * u + p[5]
    v = p[6] * torch.sigmoid(p[7] * u + p[8]) + p[9] * u + p[10]
    return ((z - mu) * v + mu).to(dtype)


def assert_near(actual: dict[str, Tensor], exact: dict[str, Tensor], tolerance: float = 2e-5) -> None:
    """Within `tolerance` of a number or of 1/10 of the largest of its tensor; bfloat16 half a step beside."""
    assert actual.keys() == exact.keys()
    for name, value in actual.items():
        absolute = tolerance * max(1.0, 0.1 * exact[name].abs().max().item())
        relative = tolerance + (HALF_STEP if value.dtype == torch.bfloat16 else 0.0)
        assert_close(
            value.double(), exact[name].double(), rtol=relative, atol=absolute, msg=lambda m, n=name: f"{n}: {m}"
        )


def assert_alike(actual: dict[str, Tensor], defined: dict[str, Tensor]) -> None:
    """As near to each other as two float32 forms are; of bfloat16 less than one in 200 are rounded otherwise."""
    for name, value in actual.items():
        assert value.dtype == defined[name].dtype
        assert value.shape == defined[name].shape
        if value.dtype == torch.bfloat16:
            flipped = (value != defined[name]).double().mean().item()
            assert flipped <= max(0.005, 1.5 / value.numel()), (name, flipped)


def assert_same_bits(first: dict[str, Tensor], second: dict[str, Tensor], of: Any = slice(None)) -> None:
    for name, value in first.items():
        assert torch.equal(value[of], second[name][of]), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("features", SIZES)
@pytest.mark.parametrize(("replicas", "groups", "decoded"), [(1, 1, 1), (1, 2, 1), (1, 3, 2), (3, 2, 2), (3, 3, 1)])
def test_a_noisy_layer_is_the_defined_one(
    replicas: int, groups: int, decoded: int, features: int, dtype: torch.dtype
) -> None:
    for batch, noisy, relu in ((13, True, True), (13, False, True), (8, True, False), (100, False, False)):
        given = layer_arguments(replicas, groups, batch, features, dtype, noisy, relu, decoded)
        kernel = run_layer(kernels.noisy_layer, given)
        assert_near(kernel, run_layer(exact_noisy_layer, double(given)))
        assert_alike(kernel, run_layer(layers.noisy_layer, given))


@pytest.mark.parametrize(
    "dtypes", [(torch.float32, torch.float32), (torch.bfloat16, torch.float32), (torch.bfloat16, torch.bfloat16)]
)
@pytest.mark.parametrize("features", SIZES)
@pytest.mark.parametrize("replicas", [1, 3])
@COMBINATORS
def test_denoising_is_the_defined_one(
    combinator: Combinator, replicas: int, features: int, dtypes: tuple[torch.dtype, torch.dtype]
) -> None:
    for batch, groups in ((8, 1), (13, 2), (100, 1)):
        given = denoise_arguments(replicas, batch, features, *dtypes, combinator, groups)
        kernel = run_denoise(kernels.denoise, given)
        assert_near(kernel, run_denoise(exact_denoise, double(given)))
        assert_alike(kernel, run_denoise(layers.denoise, given))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_of_one_or_two(dtype: torch.dtype) -> None:
    """One image is normalised to 0 and has no gradient; 1 and 3 to -1 and 1, and theirs is rounding."""
    one = layer_arguments(batch=1, dtype=dtype)
    kernel = run_layer(kernels.noisy_layer, one)
    assert not kernel["z_pre"].any()
    assert one.noise is not None
    assert_close(kernel["z"], NOISE_STD * one.noise[:, -1:])
    assert_near(kernel, run_layer(exact_noisy_layer, double(one)))
    two = layer_arguments(batch=2, dtype=dtype, noisy=False, relu=False)
    two.z_pre[:, 0::2], two.z_pre[:, 1::2] = 1.0, 3.0
    apart = run_layer(kernels.noisy_layer, two)
    assert_close(apart["z"], torch.tensor([-1.0, 1.0])[:, None].expand(3, 2, 65))
    assert apart["z_pre"].abs().max().item() < 1e-5
    alone = run_denoise(kernels.denoise, denoise_arguments(batch=1, dtype=dtype))
    assert not alone["u_pre"].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_unit_that_never_changes_is_normalised_to_zero_with_a_finite_gradient(dtype: torch.dtype) -> None:
    """Its variance is 0, so the gradient is 1 / sqrt(epsilon) = 10^5 times what it is given, less the mean."""
    given = layer_arguments(dtype=dtype)
    for value, unit in ((0.0, 0), (2.5, 40), (-1.0, 64)):
        given.z_pre[..., unit] = value
    kernel = run_layer(kernels.noisy_layer, given)
    assert given.noise is not None
    for unit in (0, 40, 64):
        assert torch.equal(kernel["z"][..., unit], NOISE_STD * given.noise[:, -7:, unit])
    assert all(tensor.isfinite().all() for tensor in kernel.values())
    assert_near(kernel, run_layer(exact_noisy_layer, double(given)))

    lateral = denoise_arguments(dtype=dtype)
    lateral.u_pre[..., 5] = 0.5
    denoised = run_denoise(kernels.denoise, lateral)
    assert all(tensor.isfinite().all() for tensor in denoised.values())
    assert_near(denoised, run_denoise(exact_denoise, double(lateral)))


def test_a_large_mean_leaves_the_digits_of_a_small_deviation() -> None:
    given = layer_arguments(noisy=False)
    given.z_pre.copy_(1000 + torch.randn_like(given.z_pre))
    kernel = run_layer(kernels.noisy_layer, given)
    assert_near(kernel, run_layer(exact_noisy_layer, double(given)), tolerance=1e-3)  # float32: 1000 +- 6e-5


def test_either_result_may_go_without_a_gradient() -> None:
    """As in a generator, which hands on h alone, and under a supervised network."""
    without = layer_arguments()._replace(grad_z=None)
    kernel = run_layer(kernels.noisy_layer, without)
    assert_near(kernel, run_layer(exact_noisy_layer, double(without)))
    gradients = []
    for function, given in ((kernels.noisy_layer, without), (exact_noisy_layer, double(without))):
        z_pre = given.z_pre.detach().requires_grad_()
        beta = given.beta.detach().requires_grad_()
        _, z = function(z_pre, given.noise, NOISE_STD, beta, 2, True, 1)
        z.backward(torch.ones_like(z) * z.detach())
        gradients.append({"z_pre": gradient_of(z_pre)})
        assert beta.grad is None or not beta.grad.any()
    assert_near(*gradients)


def test_parameters_may_be_frozen() -> None:
    """As while the generator is updated: gradient passes to the input alone."""
    given, lateral = layer_arguments(), denoise_arguments()
    full, full_denoised = run_layer(kernels.noisy_layer, given), run_denoise(kernels.denoise, lateral)
    z_pre, u_pre = given.z_pre.clone().requires_grad_(), lateral.u_pre.clone().requires_grad_()
    h, z = kernels.noisy_layer(z_pre, given.noise, NOISE_STD, given.beta, 2, True, 1)
    torch.autograd.backward([h, z], [given.grad_h, given.grad_z])
    assert torch.equal(gradient_of(z_pre), full["z_pre"])
    kernels.denoise(u_pre, lateral.z, lateral.a, torch.float32).backward(lateral.grad_z_hat)
    assert torch.equal(gradient_of(u_pre), full_denoised["u_pre"])


def test_arguments_are_left_as_they_are() -> None:
    given, lateral = layer_arguments(), denoise_arguments()
    before = [tensor.clone() for tensor in (*given, *lateral) if isinstance(tensor, Tensor)]
    run_layer(kernels.noisy_layer, given)
    run_denoise(kernels.denoise, lateral)
    after = [tensor for tensor in (*given, *lateral) if isinstance(tensor, Tensor)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_products_and_gradients_need_not_lie_in_one_piece() -> None:
    given = layer_arguments()
    turned = given._replace(
        z_pre=given.z_pre.mT.contiguous().mT, grad_h=given.grad_h.mT.contiguous().mT, noise=given.noise
    )
    assert not turned.z_pre.is_contiguous()
    z_pre, beta = turned.z_pre.requires_grad_(), given.beta.clone().requires_grad_()
    h, z = kernels.noisy_layer(z_pre, turned.noise, NOISE_STD, beta, 2, True, 1)
    (gradient,) = torch.autograd.grad([h, z], [z_pre], [turned.grad_h, turned.grad_z])
    expected = run_layer(kernels.noisy_layer, given)
    assert torch.equal(h, expected["h"])
    assert torch.equal(gradient, expected["z_pre"])


@pytest.fixture
def two_threads() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.usefixtures("two_threads")
@COMBINATORS
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bits_depend_on_nothing_but_the_arguments(dtype: torch.dtype, combinator: Combinator) -> None:
    """Not on the number of threads, nor on when it is computed."""
    given = layer_arguments(features=250, dtype=dtype)
    lateral = denoise_arguments(features=250, dtype=dtype, combinator=combinator)
    first, denoised = run_layer(kernels.noisy_layer, given), run_denoise(kernels.denoise, lateral)
    for n_threads in (2, 1, 3):
        torch.set_num_threads(n_threads)
        assert_same_bits(run_layer(kernels.noisy_layer, given), first)
        assert_same_bits(run_denoise(kernels.denoise, lateral), denoised)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("features", [10, 65])
@COMBINATORS
def test_a_replica_among_others_is_it_alone_to_the_bit(
    combinator: Combinator, features: int, dtype: torch.dtype
) -> None:
    given, lateral = (
        layer_arguments(features=features, dtype=dtype),
        denoise_arguments(features=features, dtype=dtype, combinator=combinator),
    )
    together, denoised = run_layer(kernels.noisy_layer, given), run_denoise(kernels.denoise, lateral)
    for r in range(3):
        one = slice(r, r + 1)
        alone = LayerArguments(*(part[one] if isinstance(part, Tensor) else part for part in given))
        for name, value in run_layer(kernels.noisy_layer, alone).items():
            assert torch.equal(value, together[name][one]), name
        alone_denoised = DenoiseArguments(*(part[one] if isinstance(part, Tensor) else part for part in lateral))
        for name, value in run_denoise(kernels.denoise, alone_denoised).items():
            assert torch.equal(value, denoised[name][one]), name


BROKEN = [torch.nan, torch.inf, -torch.inf]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("where", ["z_pre", "noise", "beta", "grad_h", "grad_z"])
def test_what_is_not_finite_in_a_noisy_layer_comes_out_as_it_is_defined(
    where: str, broken: float, dtype: torch.dtype
) -> None:
    """And in the unit and the replica that it came into: a diverged replica is noticed, and alone in it."""
    given = layer_arguments(dtype=dtype)
    healthy = run_layer(kernels.noisy_layer, given)
    broken_part = getattr(given, where)
    broken_part[1, broken_part.shape[1] - 1, 33] = broken
    kernel, defined = run_layer(kernels.noisy_layer, given), run_layer(layers.noisy_layer, given)
    for name, value in kernel.items():
        assert torch.equal(value.isfinite(), defined[name].isfinite()), name
    for name in ("h", "z"):
        assert_close(kernel[name], defined[name], rtol=2 * HALF_STEP, atol=1e-5, equal_nan=True)
    assert_spread(kernel, healthy)
    assert not all(value.isfinite().all() for value in kernel.values()) or (where, broken) == ("beta", -torch.inf)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize(
    ("combinator", "where"),
    [(name, part) for name, n in N_PARAMETERS.items() for part in ("u_pre", "z", "grad_z_hat", *range(n))],
)
def test_what_is_not_finite_in_denoising_comes_out_as_it_is_defined(
    combinator: Combinator, where: str | int, broken: float, dtype: torch.dtype
) -> None:
    given = denoise_arguments(dtype=dtype, result=dtype, combinator=combinator)
    healthy = run_denoise(kernels.denoise, given)
    if isinstance(where, int):
        given.a[1, where, 0, 33] = broken
    else:
        getattr(given, where)[1, 4, 33] = broken
    kernel, defined = run_denoise(kernels.denoise, given), run_denoise(layers.denoise, given)
    for name, value in kernel.items():
        assert torch.equal(value.isfinite(), defined[name].isfinite()), name
    assert torch.equal(kernel["z_hat"].isnan(), defined["z_hat"].isnan())
    assert_spread(kernel, healthy)
    inner = {"gaussian": {2, 7}, "vanilla": {5}, "amlp": set[int]()}[combinator]  # biases within the sigmoids
    saturated = where in inner and not math.isnan(broken)  # an infinite one is a sigmoid of 0 or 1
    assert not all(value.isfinite().all() for value in kernel.values()) or saturated


def assert_spread(broken: dict[str, Tensor], healthy: dict[str, Tensor]) -> None:
    """What is broken is in unit 33 of replica 1; the rest has the bits that it had."""
    for name, value in broken.items():
        same = value == healthy[name]
        same[1, ..., 33] = True
        assert same.all(), name


def test_a_number_too_large_for_bfloat16_becomes_infinite() -> None:
    """3.4e38 lies beyond the largest, 3.39e38, by more than half a step."""
    given = layer_arguments(features=2, dtype=torch.bfloat16, relu=False)
    given.beta[0, 0, 1] = 3.4e38
    kernel, defined = run_layer(kernels.noisy_layer, given), run_layer(layers.noisy_layer, given)
    assert kernel["h"][0, :, 1].tolist() == defined["h"][0, :, 1].tolist() == [torch.inf] * 14


def test_rounding_to_bfloat16_is_torchs_to_the_bit() -> None:
    """One image alone has z = 0, so h is beta rounded: ties, halves of the smallest, everything between."""
    patterns = torch.randint(-(2**31), 2**31 - 1, (30_000,)).to(torch.int32)
    ties = (torch.randint(0, 2**15, (5_000,)) << 16 | 0x8000).to(torch.int32)
    beta = torch.cat([patterns, ties]).view(torch.float32).reshape(1, 1, -1)
    h, _ = kernels.noisy_layer(torch.zeros_like(beta, dtype=torch.bfloat16), None, 0.0, beta, 1, False, 1)
    expected = beta.to(torch.bfloat16)
    assert torch.equal(h.isnan(), expected.isnan())
    assert torch.equal(h.nan_to_num(), expected.nan_to_num())


@pytest.mark.parametrize("which", [0, 5])
def test_the_sigmoid_is_exact_to_a_few_digits_of_float32(which: int) -> None:
    """One image alone has u = 0, so that a3 and a8 are the arguments; z_hat is mu, or v times z = 1."""
    x = torch.linspace(-100, 100, 200_001)
    a = torch.zeros(1, 10, 1, len(x))
    a[0, which], a[0, which + 2, 0] = 1.0, x
    z = torch.full((1, 1, len(x)), 1.0 if which else 0.0)
    result = kernels.denoise(torch.zeros_like(z), z, a, torch.float32).flatten()
    expected = torch.sigmoid(x.double())
    inside = x > -87  # below, float32 has no ordinary numbers left
    assert_close(result[inside].double(), expected[inside], rtol=4e-7, atol=0)
    assert_close(result[~inside].double(), expected[~inside], rtol=0, atol=2e-38)
    assert result.min() >= 0
    assert result.max() <= 1


def test_the_sigmoid_of_what_is_not_finite_is_torchs() -> None:
    x = torch.tensor([torch.inf, -torch.inf, torch.nan, 1e30, -1e30, 0.0])
    a = torch.zeros(1, 10, 1, 6)
    a[0, 0], a[0, 2, 0] = 1.0, x
    zeros = torch.zeros(1, 1, 6)
    result = kernels.denoise(zeros, zeros, a, torch.float32).flatten()
    assert_close(result, torch.sigmoid(x), rtol=0, atol=2e-38, equal_nan=True)


class Guarded:
    """Makes tensors for the kernels that lie in a larger one, between numbers that nobody may change."""

    MARGIN, GUARD = 200, 12345.0

    def __init__(self) -> None:
        self.made: list[tuple[Tensor, Tensor]] = []

    def empty(self, *size: Any, dtype: torch.dtype = torch.float32) -> Tensor:
        shape = torch.empty(*size).shape
        around = torch.full((shape.numel() + 2 * self.MARGIN,), self.GUARD, dtype=dtype)
        inside = around[self.MARGIN : -self.MARGIN]
        inside.fill_(torch.nan)  # whatever a kernel does not write shows itself
        self.made.append((around, inside))
        return inside.view(shape)

    def empty_like(self, tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        return self.empty(tensor.shape, dtype=dtype or tensor.dtype)

    def assert_whole(self) -> None:
        for around, inside in self.made:
            guard = around.new_tensor(self.GUARD)
            assert (around[: self.MARGIN] == guard).all()
            assert (around[-self.MARGIN :] == guard).all()
            assert inside.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("features", SIZES)
@COMBINATORS
def test_all_of_the_results_is_written_and_nothing_beside(
    combinator: Combinator, features: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = Guarded()
    stand_in = SimpleNamespace(**{name: getattr(torch, name) for name in ("float32", "bfloat16", "zeros_like")})
    stand_in.get_num_threads = torch.get_num_threads
    stand_in.empty, stand_in.empty_like = guarded.empty, guarded.empty_like
    monkeypatch.setattr(kernels, "torch", stand_in)
    run_layer(kernels.noisy_layer, layer_arguments(features=features, dtype=dtype))
    assert len(guarded.made) == 5  # h, z, means and scales; the gradients of z_pre and beta
    lateral = denoise_arguments(features=features, dtype=dtype, result=dtype, combinator=combinator)
    run_denoise(kernels.denoise, lateral)
    assert len(guarded.made) == 5 + 5  # z_hat, means and scales; the gradients of u_pre, a and z
    guarded.assert_whole()


# Normal numbers, against philox.py. Both use float32 and other formulas for log, sine and cosine: a rounding of the
# angle, 2^-24 of a turn, moves a number by up to 4e-7 times its radius, which is below 6.7.


@pytest.mark.parametrize("shape", [(1,), (4,), (5,), (1023,), (1024, 4), (200, 130), (3, 7, 11)])
@pytest.mark.parametrize("step", [0, 7, 2**32 - 1, 2**40 + 3])
def test_normal_numbers_are_those_of_philox(shape: tuple[int, ...], step: int) -> None:
    keys = torch.tensor([0, 2**63 - 1, 1_234_567_890_123])
    drawn = kernels.philox_normal(keys, torch.tensor(step), shape)
    assert drawn.dtype == torch.float32
    assert_close(drawn, philox_normal(keys, torch.tensor(step), shape), rtol=0, atol=1e-5)


def test_a_million_normal_numbers_are_those_of_philox() -> None:
    keys, step, shape = torch.tensor([99]), torch.tensor(5), (1000, 1000)
    drawn, expected = kernels.philox_normal(keys, step, shape), philox_normal(keys, step, shape)
    assert_close(drawn, expected, rtol=0, atol=1e-5)
    assert (drawn - expected).abs().mean() < 3e-7


def test_normal_numbers_do_not_depend_on_threads_and_company() -> None:
    keys, step, before = torch.tensor([5, 6, 7]), torch.tensor(3), torch.get_num_threads()
    drawn = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            drawn.append(kernels.philox_normal(keys, step, (301, 17)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(kernels.philox_normal(keys[1:2], step, (301, 17)), drawn[0][1:2])
    assert not torch.equal(drawn[0][0], drawn[0][1])
