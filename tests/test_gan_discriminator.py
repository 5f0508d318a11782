"""Judgements against plain PyTorch in float64, but for the normalisation, which is always in float32."""

from functools import partial

import gan_reference
import pytest
import torch
from torch.testing import assert_close as assert_close_by

from ladder_ebgan.energies import reconstruction_norm
from ladder_ebgan.gan.discriminator import Discriminator

assert_close = partial(assert_close_by, rtol=1e-5, atol=1e-5)
AUTO_ENCODER, LOGISTIC = [6, 5, 4, 6], [6, 5, 4, 1]


def randomized(sizes: list[int], replicas: int = 2, dropout: float = 0.0) -> Discriminator:
    discriminator = Discriminator(range(replicas), sizes, 0.5, dropout, torch.float64).double()
    for bias in discriminator.bias:
        torch.nn.init.normal_(bias, std=0.3)
    return discriminator


@pytest.mark.parametrize("sizes", [AUTO_ENCODER, LOGISTIC, [6, 5, 6], [6, 5, 4, 3, 6]])
def test_output_code_and_gradients_equal_plain_pytorch(sizes: list[int]) -> None:
    """Real and generated images are normalised apart, from the second layer on; gradient passes the statistics."""
    discriminator = randomized(sizes)
    x = torch.randn(2, 8, 6, dtype=torch.float64, requires_grad=True)
    judgement = discriminator(x, groups=2)
    direction = torch.randn_like(judgement.output)
    ((judgement.output * direction).sum() + judgement.code.square().sum()).backward()
    assert x.grad is not None
    for r in range(2):
        layers, alone = gan_reference.layers_of(discriminator, r), x.detach()[r].clone().requires_grad_()
        halves = [gan_reference.judge(layers, half) for half in alone.chunk(2)]
        output, code = (torch.cat(part) for part in zip(*halves, strict=True))
        assert_close(judgement.output[r], output)
        assert_close(judgement.code[r], code)
        ((output * direction[r]).sum() + code.square().sum()).backward()
        assert_close(x.grad[r], alone.grad)
        for (weight, bias), of_all, biases in zip(layers, discriminator.weight, discriminator.bias, strict=True):
            assert of_all.grad is not None
            assert biases.grad is not None
            assert_close(of_all.grad[r], weight.grad)
            assert_close(biases.grad[r, 0], bias.grad)


def test_the_input_layer_and_the_output_layer_are_not_normalised() -> None:
    """So with two layers an image is judged alike whatever is beside it; with three it is not."""
    x = torch.randn(2, 8, 6, dtype=torch.float64)
    for sizes, same in (([6, 5, 6], True), (AUTO_ENCODER, False)):
        discriminator = randomized(sizes)
        whole, part = discriminator(x).output[:, :4], discriminator(x[:, :4]).output
        assert torch.allclose(whole, part) is same


def test_a_first_layer_shift_matters() -> None:
    """Under a normalisation a constant added to all units of a layer would vanish."""
    discriminator, x = randomized([6, 5, 6]), torch.randn(2, 8, 6, dtype=torch.float64)
    before = discriminator(x).output
    with torch.no_grad():
        discriminator.weight[0] *= 3
    assert not torch.allclose(discriminator(x).output, before)


def test_initial_weights_are_those_of_the_seed_and_biases_zero() -> None:
    together, alone = Discriminator([3, 7, 9], AUTO_ENCODER, 0.002), Discriminator([7], AUTO_ENCODER, 0.002)
    for a, b in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.equal(a[1:2], b)
    assert not any(bias.any() for bias in together.bias)
    for weight in Discriminator([0], [300, 200, 300], 0.002).weight:
        assert weight.std().item() == pytest.approx(0.002, rel=0.02)


def test_a_replica_does_not_see_the_images_of_another() -> None:
    discriminator, x = randomized(AUTO_ENCODER), torch.randn(2, 4, 6, dtype=torch.float64)
    other = torch.stack([x[0], torch.randn(4, 6, dtype=torch.float64)])
    assert torch.equal(discriminator(x).output[0], discriminator(other).output[0])


@pytest.mark.parametrize("rate", [0.5, 0.2])
def test_dropout_leaves_out_the_hidden_units_whose_noise_is_low(rate: float) -> None:
    """The rest is scaled up; which units it is, is a function of the noise alone."""
    discriminator = randomized(AUTO_ENCODER, dropout=rate)
    assert discriminator.n_noise == 9
    x, noise = (torch.randn(2, 8, n, dtype=torch.float64) for n in (6, 9))
    judgement = discriminator(x, noise, groups=2)
    uniform = torch.special.ndtr(noise)
    keep = (uniform >= rate).double() / (1 - rate)
    for r in range(2):
        layers, masks = gan_reference.layers_of(discriminator, r), keep[r].split([5, 4], dim=-1)
        halves = [
            gan_reference.judge(layers, half, [mask.chunk(2)[number] for mask in masks])
            for number, half in enumerate(x[r].chunk(2))
        ]
        assert_close(judgement.output[r], torch.cat([output for output, _ in halves]))
    left_out = (torch.randn(100_000) < discriminator.threshold).double().mean().item()
    assert left_out == pytest.approx(rate, abs=0.01)


def test_without_dropout_there_is_no_noise() -> None:
    assert randomized(AUTO_ENCODER).n_noise == 0
    dropping, x = randomized(AUTO_ENCODER, dropout=0.5), torch.randn(2, 4, 6, dtype=torch.float64)
    without = Discriminator(range(2), AUTO_ENCODER, 0.5, 0.0, torch.float64).double()
    without.load_state_dict(dropping.state_dict())
    assert torch.equal(dropping(x).output, without(x).output)


def test_bfloat16_products_leave_the_output_in_float32() -> None:
    exact = Discriminator([1], AUTO_ENCODER, 0.5, 0.5)
    coarse = Discriminator([1], AUTO_ENCODER, 0.5, 0.5, torch.bfloat16)
    x, noise = torch.randn(1, 20, 6), torch.randn(1, 20, 9)
    for n in (None, noise):
        assert coarse(x, n).output.dtype == torch.float32
        assert_close(coarse(x, n).output, exact(x, n).output, atol=0.2)
    assert not torch.equal(coarse(x).output, exact(x).output)


def test_the_energy_is_the_norm_of_each_image_not_squared_and_not_divided() -> None:
    x = torch.zeros(1, 3, 4)
    reconstruction = torch.tensor([[[3.0, 4, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]], requires_grad=True)
    energy = reconstruction_norm(reconstruction, x)
    assert energy.tolist() == [[5.0, 0.0, 2.0]]
    energy.sum().backward()
    assert reconstruction.grad is not None
    assert_close(reconstruction.grad[0, 0], torch.tensor([0.6, 0.8, 0, 0]))
    assert not reconstruction.grad[0, 1].any()  # none, rather than NaN
    assert_close(reconstruction.grad[0, 2], torch.full((4,), 0.5))


def test_the_energy_has_gradient_through_both_places_of_an_image() -> None:
    """D(x) = |A x - x| has (A - 1)^T direction as gradient; with the target detached it would be A^T direction."""
    a = torch.randn(4, 4, dtype=torch.float64)
    x = torch.randn(1, 1, 4, dtype=torch.float64, requires_grad=True)
    reconstruction_norm(x @ a.T, x).sum().backward()
    error = (x @ a.T - x).detach()[0, 0]
    assert x.grad is not None
    assert_close(x.grad[0, 0], (a - torch.eye(4, dtype=torch.float64)).T @ error / error.norm())
