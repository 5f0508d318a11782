import pytest
import reference
import torch
from torch.testing import assert_close

from ladder_ebgan.gan.discriminator import DISCRIMINATOR_KEY
from ladder_ebgan.generator import GENERATOR_KEY, Generator
from ladder_ebgan.ladder import COMBINATOR_KEY, DECODER_KEY, ENCODER_KEY

SIZES = [3, 5, 4, 6]


def test_images_and_gradient_equal_loops() -> None:
    """Normalisation and ReLU in the hidden layers, through whose statistics gradient flows; then a sigmoid."""
    generator = Generator([1, 2], SIZES, 0.5, torch.float64).double()
    reference.randomize(generator)
    latents = torch.randn(2, 5, 3, dtype=torch.float64)
    direction = torch.randn(2, 5, 6, dtype=torch.float64)
    images = generator(latents)
    (images * direction).sum().backward()
    for r in range(2):
        p, rows = reference.parameters_of(generator, r), latents[r].tolist()
        expected = torch.tensor(reference.generate(p, 3, rows), dtype=torch.float64)
        assert_close(images[r].detach(), expected, rtol=1e-5, atol=1e-6)

        def projected(
            q: reference.Parameters, rows: reference.Matrix = rows, towards: torch.Tensor = direction[r]
        ) -> float:
            return float((torch.tensor(reference.generate(q, 3, rows), dtype=torch.float64) * towards).sum())

        gradient = reference.numerical_gradient(projected, p)
        reference.assert_same(reference.gradients_of(generator, r), gradient)


def test_images_lie_between_0_and_1_and_start_near_grey() -> None:
    """The last layer is not normalised: with weights of deviation 0.02 its sigmoid stays near 1/2."""
    images = Generator([0], [10, 50, 50, 30], 0.02)(torch.randn(1, 40, 10)).detach()
    assert_close(images, torch.full_like(images, 0.5), rtol=0, atol=0.2)
    extreme = Generator([0], [10, 50, 50, 30], 5.0)(torch.randn(1, 40, 10)).detach()
    assert extreme.min() >= 0
    assert extreme.max() <= 1
    assert extreme.std() > 0.4


def test_initial_weights_are_those_of_the_seed_and_biases_zero() -> None:
    together, alone = Generator([3, 7, 9], SIZES, 0.02), Generator([7], SIZES, 0.02)
    for a, b in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.equal(a[1:2], b)
    assert not any(bias.any() for bias in together.bias)
    wide = Generator([0], [100, 200, 50], 0.02)
    for weight in wide.weight:
        assert weight.std().item() == pytest.approx(0.02, rel=0.03)


def test_a_replica_does_not_see_the_latents_of_another() -> None:
    generator, latents = Generator([1, 2], SIZES, 0.5), torch.randn(2, 5, 3)
    other = torch.stack([latents[0], torch.randn(5, 3)])
    assert torch.equal(generator(latents)[0], generator(other)[0])


def test_bfloat16_products_change_the_images_little() -> None:
    exact, coarse = Generator([1], SIZES, 0.5), Generator([1], SIZES, 0.5, torch.bfloat16)
    latents = torch.randn(1, 20, 3)
    assert coarse(latents).dtype == torch.float32
    assert_close(coarse(latents), exact(latents), rtol=0, atol=0.05)
    assert not torch.equal(coarse(latents), exact(latents))


def test_a_linear_output_is_what_the_sigmoid_is_of() -> None:
    linear, sigmoid = Generator([1, 2], SIZES, 0.5, output="linear"), Generator([1, 2], SIZES, 0.5)
    latents = 3 * torch.randn(2, 50, 3)
    assert_close(torch.sigmoid(linear(latents)), sigmoid(latents))
    assert linear(latents).min() < 0
    assert Generator([1], SIZES, 0.5, torch.bfloat16, output="linear")(latents[:1]).dtype == torch.float32


def test_no_two_kinds_of_weights_are_drawn_from_one_stream() -> None:
    keys = [ENCODER_KEY, DECODER_KEY, COMBINATOR_KEY, GENERATOR_KEY, DISCRIMINATOR_KEY]
    assert len(set(keys)) == len(keys)
