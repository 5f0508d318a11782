import math

import pytest
import reference
import torch
from torch.testing import assert_close

from ladder_ebgan.combinators import N_PARAMETERS, Combinator, combine
from ladder_ebgan.layers import (
    batch_normalize,
    batch_statistics,
    denoise,
    initial_weight,
    noisy_layer,
    normalize,
)


def test_statistics_by_hand() -> None:
    """1, 3, 8: mean 12/3 = 4; squares 9 + 1 + 16 = 26, divided by 3 and not by 2."""
    mean, variance = batch_statistics(torch.tensor([[[1.0], [3.0], [8.0]]]))
    assert_close(mean, torch.tensor([[[4.0]]]))
    assert_close(variance, torch.tensor([[[26 / 3]]]))


def test_statistics_of_a_large_mean_keep_their_digits() -> None:
    """The mean of squares less the square of the mean would leave nothing of 0.25 beside 10^8 in float32."""
    _, variance = batch_statistics(torch.tensor([[[10000.0], [10001.0]]]))
    assert_close(variance, torch.tensor([[[0.25]]]))


def test_normalising_divides_by_the_root_of_the_variance() -> None:
    """(7 - 1) / sqrt(4) = 3; by the variance itself it were 1.5."""
    z = normalize(torch.tensor([[[7.0]]]), torch.tensor([[[1.0]]]), torch.tensor([[[4.0]]]))
    assert_close(z, torch.tensor([[[3.0]]]))


def test_a_normalised_batch_by_hand() -> None:
    """-2, 0, 2, 8: mean 2, squares 16 + 4 + 0 + 36 = 56, variance 14."""
    z = batch_normalize(torch.tensor([[[-2.0], [0.0], [2.0], [8.0]]]))
    assert_close(z, torch.tensor([[[-4.0], [-2.0], [0.0], [6.0]]]) / math.sqrt(14))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_are_normalised_each_by_its_own_statistics(groups: int) -> None:
    z = torch.randn(2, 12, 3) * 4 + 1
    parts = z.chunk(groups, dim=1)
    expected = torch.cat([normalize(part, *batch_statistics(part)) for part in parts], dim=1)
    assert_close(batch_normalize(z, groups), expected)
    for r in range(2):
        loops = [row for part in parts for row in reference.batch_norm(part[r].tolist())]
        assert_close(batch_normalize(z, groups)[r], torch.tensor(loops))


def test_halves_that_differ_by_a_constant_are_equal_once_normalised_separately() -> None:
    half = torch.randn(1, 5, 2)
    labeled, unlabeled = batch_normalize(torch.cat([half, half + 3], dim=1), groups=2).chunk(2, dim=1)
    assert_close(labeled, unlabeled, rtol=1e-4, atol=1e-5)


def test_a_dead_unit_is_normalised_to_zero_with_a_finite_gradient() -> None:
    z = torch.zeros(1, 4, 2, requires_grad=True)
    normalized = batch_normalize(z)
    (normalized * torch.arange(8.0).reshape(1, 4, 2)).sum().backward()
    assert z.grad is not None
    assert_close(normalized.detach(), torch.zeros(1, 4, 2))
    assert z.grad.isfinite().all()


def test_gradient_flows_through_the_statistics() -> None:
    z = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: batch_normalize(z, 2), z)


def test_gradient_flows_through_statistics_that_normalise_something_else() -> None:
    """The statistics are computed in float32: their gradient is held to that of the formula in float64."""
    z = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    direction, centered = torch.randn(2, 6, 3, dtype=torch.float64), z - z.mean(dim=1, keepdim=True)
    by_formula = (z.flip(1) - z.mean(dim=1, keepdim=True)) / centered.square().mean(dim=1, keepdim=True).sqrt()
    (expected,) = torch.autograd.grad((by_formula * direction).sum(), z)
    (gradient,) = torch.autograd.grad((normalize(z.flip(1), *batch_statistics(z)) * direction).sum(), z)
    assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


def test_one_replica_is_not_normalised_by_another() -> None:
    z = torch.randn(2, 5, 3)
    other = torch.stack([z[0], 100 * torch.randn(5, 3)])
    assert torch.equal(batch_normalize(z)[0], batch_normalize(other)[0])


@pytest.mark.parametrize(("relu", "expected"), [(True, [0.5, 0.0]), (False, [0.5, -2.5])])
def test_a_noisy_layer_by_hand(relu: bool, expected: list[float]) -> None:
    """1 and 3 are -1 and 1 once normalised; 2 * 0.5 and 2 * -2 are added: 0 and -3; the shift is 0.5."""
    z_pre, noise = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[0.5], [-2.0]]])
    h, z = noisy_layer(z_pre, noise, 2.0, torch.tensor([[[0.5]]]), 1, relu, 1)
    assert_close(h, torch.tensor(expected).reshape(1, 2, 1))
    assert_close(z, torch.tensor([[[0.0], [-3.0]]]))


@pytest.mark.parametrize(("groups", "n_decoded"), [(1, 1), (2, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("corrupted", [True, False])
@pytest.mark.parametrize("relu", [True, False])
def test_a_noisy_layer_equals_loops(groups: int, n_decoded: int, corrupted: bool, relu: bool) -> None:
    """z is that of the last groups alone, before the shift; each replica has its own shift."""
    z_pre, noise, beta = 3 * torch.randn(2, 12, 5) + 1, torch.randn(2, 12, 5), torch.randn(2, 1, 5)
    h, z = noisy_layer(z_pre, noise if corrupted else None, 0.7, beta, groups, relu, n_decoded)
    assert z.shape == (2, n_decoded * 12 // groups, 5)
    for r in range(2):
        parts = [reference.batch_norm(part.tolist()) for part in z_pre[r].chunk(groups)]
        beside = noise[r].tolist() if corrupted else None
        rows = reference.add_noise([row for part in parts for row in part], beside, 0.7)
        assert_close(z[r], torch.tensor(rows[-(n_decoded * 12 // groups) :]))
        shifted = torch.tensor(rows) + beta[r]
        assert_close(h[r], shifted.clamp(min=0) if relu else shifted)


def test_a_noisy_layer_hands_on_the_precision_of_the_products_and_keeps_z_in_float32() -> None:
    z_pre, beta = torch.randn(2, 8, 3), torch.randn(2, 1, 3)
    coarse = z_pre.to(torch.bfloat16)
    h, z = noisy_layer(coarse, None, 0.0, beta, 2, True, 1)
    assert (h.dtype, z.dtype) == (torch.bfloat16, torch.float32)
    exact_h, exact_z = noisy_layer(coarse.float(), None, 0.0, beta, 2, True, 1)
    assert torch.equal(z, exact_z)
    assert torch.equal(h, exact_h.to(torch.bfloat16))


@pytest.mark.parametrize("combinator", list(N_PARAMETERS))
def test_denoising_combines_z_and_the_normalised_u(combinator: Combinator) -> None:
    u_pre, z, a = 3 * torch.randn(2, 6, 4) + 1, torch.randn(2, 6, 4), torch.randn(2, N_PARAMETERS[combinator], 1, 4)
    z_hat = denoise(u_pre, z, a, torch.float32, combinator)
    assert torch.equal(z_hat, combine(batch_normalize(u_pre), z, a, combinator))
    first, last = (
        denoise(u, of_u, a, torch.float32, combinator)
        for u, of_u in zip(u_pre.chunk(2, 1), z.chunk(2, 1), strict=True)
    )
    assert_close(denoise(u_pre, z, a, torch.float32, combinator, 2), torch.cat([first, last], dim=1))


def test_denoising_by_hand() -> None:
    """3 and 5 are u = -1 and 1 once normalised; sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4.

    mu = 4 sigmoid(u log 3) + 2 u + 5 = 4 and 10; v = 8 sigmoid(-u log 3) + 3 u + 1 = 4 and 6;
    z_hat = (10 - 4) * 4 + 4 = 28 and (11 - 10) * 6 + 10 = 16.
    """
    a = torch.tensor([4.0, math.log(3), 0.0, 2.0, 5.0, 8.0, -math.log(3), 0.0, 3.0, 1.0]).reshape(1, 10, 1, 1)
    z_hat = denoise(torch.tensor([[[3.0], [5.0]]]), torch.tensor([[[10.0], [11.0]]]), a, torch.float32)
    assert_close(z_hat, torch.tensor([[[28.0], [16.0]]]))


def test_the_offsets_within_the_sigmoids_by_hand() -> None:
    """One image alone has u = 0, so the sigmoids are those of a3 = log 3 and a8 = -log 3: 3/4 and 1/4.

    mu = 4 * 3/4 + 5 = 8; v = 8 * 1/4 + 1 = 3; z_hat = (10 - 8) * 3 + 8 = 14.
    """
    a = torch.tensor([4.0, 9.0, math.log(3), 9.0, 5.0, 8.0, 9.0, -math.log(3), 9.0, 1.0]).reshape(1, 10, 1, 1)
    z_hat = denoise(torch.tensor([[[6.0]]]), torch.tensor([[[10.0]]]), a, torch.float32)
    assert_close(z_hat, torch.tensor([[[14.0]]]))


def test_every_unit_of_every_replica_is_denoised_by_parameters_of_its_own() -> None:
    a, u_pre, z = torch.randn(2, 10, 1, 3), 2 * torch.randn(2, 4, 3) + 1, torch.randn(2, 4, 3)
    expected = torch.zeros(2, 4, 3)
    for r in range(2):
        u = reference.batch_norm(u_pre[r].tolist())
        for i in range(4):
            for j in range(3):
                expected[r, i, j] = reference.gaussian_combinator(
                    z[r, i, j].item(), u[i][j], a[r, :, 0, j].tolist()
                )
    assert_close(denoise(u_pre, z, a, torch.float32), expected)
    coarse = denoise(u_pre, z, a, torch.bfloat16)
    assert coarse.dtype == torch.bfloat16
    assert torch.equal(coarse, denoise(u_pre, z, a, torch.float32).to(torch.bfloat16))


def test_initial_weights_have_the_deviation_asked_for() -> None:
    """Of 40,000 numbers the deviation has a relative error of 1 / sqrt(80,000) = 0.0035, the mean 0.005."""
    weight = initial_weight([5], (0, 1), 200, 200, 0.02)
    assert weight.dtype == torch.float32
    assert weight.std().item() == pytest.approx(0.02, rel=0.015)
    assert abs(weight.mean().item()) < 0.02 * 0.02


def test_initial_weights_belong_to_the_seed_and_the_tensor() -> None:
    both = initial_weight([5, 6], (0, 1), 4, 3, 1.0)
    assert both.shape == (2, 4, 3)
    assert torch.equal(both[:1], initial_weight([5], (0, 1), 4, 3, 1.0))
    assert torch.equal(both[1:], initial_weight([6], (0, 1), 4, 3, 1.0))
    drawn = [initial_weight([seed], key, 4, 3, 1.0) for seed in (5, 6) for key in ((0, 1), (0, 2), (1, 1))]
    assert len({tuple(weight.flatten().tolist()) for weight in drawn}) == 6
