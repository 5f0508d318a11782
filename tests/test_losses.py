import math

import pytest
import reference
import torch
from torch.testing import assert_close

from ladder_ebgan.energies import reconstruction_energy
from ladder_ebgan.losses import (
    classification_cost,
    denoising_cost,
    generator_loss,
    margin_hinge,
)


def test_the_energy_is_the_squared_error_of_each_example_summed_over_features() -> None:
    """(1 - 0)^2 + (2 - 4)^2 = 5 and (3 - 3)^2 + (1 - 2)^2 = 1: no mean, no root, no half."""
    energy = reconstruction_energy(
        torch.tensor([[[1.0, 2.0], [3.0, 1.0]]]), torch.tensor([[[0.0, 4.0], [3.0, 2.0]]])
    )
    assert_close(energy, torch.tensor([[5.0, 1.0]]))


def test_gradient_of_the_energy_flows_through_both_places() -> None:
    """d (r - x)^2 = 2 (r - x) dr - 2 (r - x) dx, with r - x = 3."""
    reconstruction, x = (torch.tensor([[[value]]], requires_grad=True) for value in (5.0, 2.0))
    reconstruction_energy(reconstruction, x).sum().backward()
    assert_close(reconstruction.grad, torch.tensor([[[6.0]]]))
    assert_close(x.grad, torch.tensor([[[-6.0]]]))


def test_the_hinge_is_of_each_example() -> None:
    """Margin 2, energies 0 and 4: (2 + 0) / 2 = 1. A hinge on their mean 2 were 0, without max(0, .) it were 0."""
    assert_close(margin_hinge(torch.tensor([[0.0, 4.0]]), 2.0), torch.tensor([1.0]))


def test_energies_beyond_the_margin_cost_nothing_and_have_no_gradient() -> None:
    """Energies 1, 3, 5 and margin 3: only the first hinge is open, with gradient -1/3."""
    energy = torch.tensor([[1.0, 3.0, 5.0]], requires_grad=True)
    hinge = margin_hinge(energy, 3.0)
    hinge.sum().backward()
    assert_close(hinge.detach(), torch.tensor([2 / 3]))
    assert_close(energy.grad, torch.tensor([[-1 / 3, 0.0, 0.0]]))


def test_at_margin_0_there_is_no_hinge() -> None:
    energy = torch.tensor([[0.0, 1.0]], requires_grad=True)
    hinge = margin_hinge(energy, 0.0)
    hinge.sum().backward()
    assert hinge.tolist() == [0.0]
    assert_close(energy.grad, torch.zeros(1, 2))


def test_each_replica_may_have_its_own_margin() -> None:
    """Energies 0, 4: hinge (2 + 0) / 2 = 1 at margin 2, (5 + 1) / 2 = 3 at margin 5."""
    generated = torch.tensor([[0.0, 4.0]] * 2)
    assert_close(margin_hinge(generated, torch.tensor([[2.0], [5.0]])), torch.tensor([1.0, 3.0]))


def test_eq_2_is_the_mean_energy_whatever_the_margin() -> None:
    assert_close(generator_loss(torch.tensor([[0.0, 4.0, 20.0]])), torch.tensor([8.0]))


@pytest.mark.parametrize("margin", [0.0, 1.5, 10.0])
def test_eq_1_and_2_equal_loops(margin: float) -> None:
    real, generated = 3 * torch.rand(3, 7), 3 * torch.rand(3, 7)
    for r in range(3):
        expected = reference.discriminator_loss(real[r].tolist(), generated[r].tolist(), margin)
        both_terms = real.mean(dim=-1) + margin_hinge(generated, margin)
        assert both_terms[r].item() == pytest.approx(expected, rel=1e-5)
        expected = reference.generator_loss(generated[r].tolist())
        assert generator_loss(generated)[r].item() == pytest.approx(expected, rel=1e-5)


def test_classification_cost_by_hand() -> None:
    """Probabilities 1/4 and 3/4 from logits 0 and log 3: -(log 1/4 + log 3/4) / 2. One softmax, not two."""
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, math.log(3)]]])
    cost = classification_cost(logits, torch.tensor([[0, 1]]))
    assert_close(cost, torch.tensor([-(math.log(1 / 4) + math.log(3 / 4)) / 2]))


def test_classification_cost_of_huge_logits_is_finite() -> None:
    """-log of e^-2000 is 2000, though e^-2000 is 0 in floating point."""
    cost = classification_cost(torch.tensor([[[1000.0, -1000.0]]]), torch.tensor([[1]]))
    assert cost.tolist() == [2000.0]


def test_denoising_cost_is_the_mean_over_units_and_examples() -> None:
    """Squares 1, 4, 0, 9: 14 / 4."""
    z_hat = torch.tensor([[[1.0, 2.0], [0.0, 3.0]]], requires_grad=True)
    z = torch.zeros(1, 2, 2, requires_grad=True)
    cost = denoising_cost(z_hat, z)
    cost.sum().backward()
    assert_close(cost.detach(), torch.tensor([3.5]))
    assert_close(z_hat.grad, z_hat.detach() / 2)
    assert_close(z.grad, -z_hat.detach() / 2)


def test_no_loss_is_reduced_over_replicas() -> None:
    a, b = torch.rand(4, 3, 2), torch.rand(4, 3, 2)
    energy = reconstruction_energy(a, b)
    assert energy.shape == (4, 3)
    costs = [
        classification_cost(a, torch.zeros(4, 3, dtype=torch.long)),
        denoising_cost(a, b),
        margin_hinge(energy, 1.0),
        generator_loss(energy),
    ]
    assert [cost.shape for cost in costs] == [(4,)] * 4
    alone = [
        classification_cost(a[2:3], torch.zeros(1, 3, dtype=torch.long)),
        denoising_cost(a[2:3], b[2:3]),
        margin_hinge(energy[2:3], 1.0),
        generator_loss(energy[2:3]),
    ]
    for together, single in zip(costs, alone, strict=True):
        assert_close(together[2:3], single)
