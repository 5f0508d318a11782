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
    pulling_away_term,
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
        pulling_away_term(a),
    ]
    assert [cost.shape for cost in costs] == [(4,)] * 5
    alone = [
        classification_cost(a[2:3], torch.zeros(1, 3, dtype=torch.long)),
        denoising_cost(a[2:3], b[2:3]),
        margin_hinge(energy[2:3], 1.0),
        generator_loss(energy[2:3]),
        pulling_away_term(a[2:3]),
    ]
    for together, single in zip(costs, alone, strict=True):
        assert_close(together[2:3], single)


def pulling_away_loops(rows: list[list[float]]) -> float:
    """Eq. (14) for one replica, as it is written; a row of zeros has cosine 0 with all."""
    total, n = 0.0, len(rows)
    for i in range(n):
        for j in range(n):
            lengths = math.hypot(*rows[i]) * math.hypot(*rows[j])
            if i != j and lengths > 0:
                total += (sum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / lengths) ** 2
    return total / (n * (n - 1))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 0, 0], [0, 5, 0], [0, 0, -2]], 0),  # orthogonal
        ([[1, 2], [1, 2], [1, 2]], 1),  # the same; over N^2 pairs it were 2/3
        ([[1, 0], [3, 4]], 9 / 25),  # cosine 3/5
        ([[1, 0], [-7, 0]], 1),  # cosine -1: without the square it were -1
        ([[1, 0], [0, 1], [2, 2]], 1 / 3),  # squared cosines 0, 1/2, 1/2; with the diagonal it were 5/9
        ([[0, 0], [1, 1], [2, 2]], 1 / 3),  # zeros are orthogonal to all: 0, 0, 1
        ([[0, 0], [0, 0]], 0),
    ],
)
def test_eq_14_by_hand(rows: list[list[float]], expected: float) -> None:
    assert pulling_away_loops(rows) == pytest.approx(expected)
    assert_close(pulling_away_term(torch.tensor([rows], dtype=torch.float32)), torch.tensor([float(expected)]))


@pytest.mark.parametrize(("n_replicas", "n", "n_features"), [(1, 2, 1), (3, 7, 4), (2, 5, 12)])
def test_eq_14_equals_loops(n_replicas: int, n: int, n_features: int) -> None:
    representation = torch.randn(n_replicas, n, n_features, dtype=torch.float64)
    expected = [pulling_away_loops(rows) for rows in representation.tolist()]
    assert_close(pulling_away_term(representation), torch.tensor(expected, dtype=torch.float64))


def test_small_cosines_are_not_lost_beside_the_diagonal() -> None:
    """Cosines of about 1e-5, squared 1e-10, beside ones on the diagonal, of which float32 keeps seven digits."""
    angle = torch.tensor([[[1.0, 0.0], [1e-5, 1.0]]])
    assert_close(pulling_away_term(angle), torch.tensor([1e-10]), rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_length_of_an_encoder_output_does_not_count(scale: float) -> None:
    representation = torch.randn(2, 5, 3)
    scaled = representation.clone()
    scaled[:, 1] *= scale
    assert_close(pulling_away_term(scaled), pulling_away_term(representation))


def test_gradient_of_the_pulling_away_term_equals_finite_differences() -> None:
    representation = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pulling_away_term, (representation,))


def test_the_pulling_away_term_turns_outputs_away_from_each_other_and_keeps_their_lengths() -> None:
    """Cosine c = 3/5 of (1, 0) and (3, 4) / 5: d c^2 / d S_1 = 2 c (S_2 - c S_1) = 6/5 (0, 4/5)."""
    representation = torch.tensor([[[1.0, 0.0], [0.6, 0.8]]], requires_grad=True)
    pulling_away_term(representation).sum().backward()
    assert_close(representation.grad, torch.tensor([[[0.0, 0.96], [0.768, -0.576]]]))
    assert_close((representation.grad * representation.detach()).sum(dim=-1), torch.zeros(1, 2))


def test_an_encoder_output_of_zeros_has_no_gradient_and_spoils_no_other() -> None:
    representation = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.6, 0.8]]], requires_grad=True)
    pulling_away_term(representation).sum().backward()
    assert_close(representation.grad, torch.tensor([[[0.0, 0.0], [0.0, 0.32], [0.256, -0.192]]]))


@pytest.mark.parametrize("length", [1e-38, 1e-12, 1e-8])
def test_outputs_of_hardly_any_length_have_a_finite_gradient(length: float) -> None:
    representation = torch.tensor([[[length, 0.0], [length, length], [1.0, 0.0]]], requires_grad=True)
    term = pulling_away_term(representation)
    term.sum().backward()
    assert 0 <= term.item() <= 1
    assert representation.grad.isfinite().all()


def test_one_replica_s_outputs_have_no_part_in_another_s_term_or_gradient() -> None:
    def term_and_gradient(representation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = representation.clone().requires_grad_()
        term = pulling_away_term(leaf)
        return term.detach(), torch.autograd.grad(term.sum(), leaf)[0]

    representation = torch.randn(3, 6, 4)
    changed = representation.clone()
    changed[1] = torch.randn(6, 4)
    for before, after in zip(term_and_gradient(representation), term_and_gradient(changed), strict=True):
        assert torch.equal(before[[0, 2]], after[[0, 2]])
        assert not torch.equal(before[1], after[1])


def test_bfloat16_outputs_are_computed_with_in_float32() -> None:
    """To the bit as if they had been converted before; a sum in bfloat16 has two or three digits."""
    representation = torch.randn(2, 20, 30).bfloat16().requires_grad_()
    term = pulling_away_term(representation)
    assert term.dtype == torch.float32
    assert torch.equal(term, pulling_away_term(representation.float()))
    term.sum().backward()
    assert representation.grad.dtype == torch.bfloat16
    assert pulling_away_term(torch.randn(1, 2, 2, dtype=torch.float64)).dtype == torch.float64


def test_nothing_of_the_size_of_pairs_times_features_is_kept() -> None:
    """For 2 replicas of 30 examples with 40 features: at most [2, 30, 40] or [2, 30, 30], not [2, 30, 30, 40]."""
    sizes: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        pulling_away_term(torch.randn(2, 30, 40, requires_grad=True))
    assert max(sizes) == 2 * 30 * 40


@pytest.mark.parametrize("n", [0, 1])
def test_a_batch_without_pairs_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"needs a batch of 2 or more examples, not {n}$"):
        pulling_away_term(torch.randn(3, n, 2))
