"""Costs of unlabelled images without a decoder: pseudo-labels and virtual adversarial training, against loops."""

import math
from collections.abc import Callable

import pytest
import reference
import torch
from conftest import SmallData
from group_run import EAGER_AND_KERNELS, Run
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ladder_ebgan.consistency import (
    PROBE,
    Consistency,
    consistency_cost,
    pseudo_label_cost,
    virtual_adversarial_cost,
)
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.search.stacking import stackable

MakeRecipe = Callable[..., Recipe]
SIZES, STDS, BATCH, REPLICAS = [5, 4, 3], [0.3, 0.2, 0.1], 6, 2
SUPERVISED = "ladder.denoising_weights=[0, 0, 0, 0, 0, 0, 0]"
PSEUDO = ("ladder.pseudo_label_weight.steps=[2, 8]", "ladder.pseudo_label_weight.values=[0, 0.9]")
VAT = ("ladder.vat_weight=0.8", "ladder.vat_radius=0.5")


def network() -> Ladder:
    ladder = Ladder(range(REPLICAS), SIZES, [0.0] * 3, STDS[0], STDS[1:], True, torch.float64).double()
    with torch.no_grad():
        for parameter in ladder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return ladder


def unlabeled() -> tuple[Tensor, Tensor]:
    shape = (REPLICAS, BATCH)
    return torch.rand(*shape, SIZES[0], dtype=torch.float64), torch.randn(*shape, sum(SIZES), dtype=torch.float64)


def logits_of(p: reference.Parameters, images: reference.Matrix, noise: reference.Matrix) -> reference.Matrix:
    return reference.encode(p, reference.Network(SIZES, STDS, [0.0] * 3), images, noise).logits


def divergence(target: reference.Matrix, logits: reference.Matrix) -> float:
    """Mean over the examples of KL(p || q)."""
    total = 0.0
    for one, other in zip(target, logits, strict=True):
        log_p, log_q = reference.log_softmax(one), reference.log_softmax(other)
        total += sum(math.exp(a) * (a - b) for a, b in zip(log_p, log_q, strict=True))
    return total / len(target)


def test_pseudo_labels_are_the_most_probable_classes() -> None:
    """Worked by hand: probabilities 3/4 and 1/2 of the two most probable classes."""
    logits = torch.tensor([[[math.log(3), 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, math.log(7)]]])
    assert pseudo_label_cost(logits).tolist() == pytest.approx(
        [-(math.log(3 / 4) + math.log(1 / 2)) / 2, -(math.log(1 / 2) + math.log(7 / 8)) / 2]
    )


def test_pseudo_label_cost_and_gradient_equal_loops() -> None:
    ladder, (images, noise) = network(), unlabeled()
    cost = consistency_cost(ladder, images, noise, None, Consistency(torch.tensor([0.5, 2.0]), None, 1.0))
    cost.sum().backward()
    for r, weight in enumerate((0.5, 2.0)):
        p = reference.parameters_of(ladder, r)
        x, n = images[r].tolist(), noise[r].tolist()

        def expected(q: reference.Parameters, x: reference.Matrix = x, n: reference.Matrix = n) -> float:
            logits = logits_of(q, x, n)
            return reference.classification_cost(logits, [max(range(3), key=row.__getitem__) for row in logits])

        assert cost[r].item() == pytest.approx(weight * expected(p), rel=1e-6)
        gradient = reference.numerical_gradient(expected, p)
        reference.assert_same(
            reference.gradients_of(ladder, r), {name: weight * value for name, value in gradient.items()}
        )


def adversarial(p: reference.Parameters, x: Tensor, noise: Tensor, start: Tensor, radius: float) -> Tensor:
    """Return x + r of algorithm 1, with the gradient in r by central differences."""
    target = logits_of(p, x.tolist(), noise.tolist())
    probe, width = PROBE * start / start.norm(dim=-1, keepdim=True), 1e-5
    gradient = torch.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            ends = []
            for sign in (1, -1):
                moved = x + probe
                moved[i, j] += sign * width
                ends.append(divergence(target, logits_of(p, moved.tolist(), noise.tolist())))
            gradient[i, j] = (ends[0] - ends[1]) / (2 * width)
    return x + radius * gradient / gradient.norm(dim=-1, keepdim=True)


def test_virtual_adversarial_cost_and_gradient_equal_loops() -> None:
    """Neither the prediction at x nor the perturbation has a gradient; each replica has its own radius."""
    ladder, (images, noise) = network(), unlabeled()
    directions = torch.randn_like(images)
    radii = torch.tensor([0.3, 0.8], dtype=torch.float64)
    weights = Consistency(None, 1.5, radii)
    cost = consistency_cost(ladder, images, noise, directions, weights)
    cost.sum().backward()
    for r in range(REPLICAS):
        p, n = reference.parameters_of(ladder, r), noise[r].tolist()
        target = logits_of(p, images[r].tolist(), n)
        moved = adversarial(p, images[r], noise[r], directions[r], radii[r].item()).tolist()

        def expected(
            q: reference.Parameters,
            target: reference.Matrix = target,
            moved: reference.Matrix = moved,
            n: reference.Matrix = n,
        ) -> float:
            return 1.5 * divergence(target, logits_of(q, moved, n))

        assert cost[r].item() == pytest.approx(expected(p), rel=1e-3)
        reference.assert_same(
            reference.gradients_of(ladder, r), reference.numerical_gradient(expected, p), rtol=5e-3, atol=1e-4
        )


@given(radius=st.floats(0.01, 0.3))
def test_the_perturbation_found_moves_predictions_more_than_a_random_one(radius: float) -> None:
    torch.manual_seed(0)
    ladder, (images, noise) = network(), unlabeled()
    directions = torch.randn_like(images)
    with torch.enable_grad():
        logits = ladder.encode(images, noise).logits
        found = virtual_adversarial_cost(ladder, images, noise, logits, directions, radius)
        random = images + radius * directions / directions.norm(dim=-1, keepdim=True)
    target = torch.log_softmax(logits, dim=-1)
    moved = torch.log_softmax(ladder.encode(random, noise).logits, dim=-1)
    by_chance = (target.exp() * (target - moved)).sum(dim=-1).mean(dim=-1)
    assert (found > by_chance).all()


def test_a_network_that_says_the_same_everywhere_has_no_adversarial_cost() -> None:
    """Its gradient is 0 and has no direction, which must not make a NaN."""
    ladder, (images, noise) = network(), unlabeled()
    with torch.no_grad():
        ladder.gamma.zero_()  # type: ignore[union-attr]
    cost = consistency_cost(ladder, images, noise, torch.randn_like(images), Consistency(None, 1.0, 2.0))
    cost.sum().backward()
    assert cost.tolist() == [0.0, 0.0]
    assert all(p.grad is None or p.grad.isfinite().all() for p in ladder.parameters())


@EAGER_AND_KERNELS
def test_a_method_trains_by_its_own_costs(small: MakeRecipe, data: SmallData, compiled: bool) -> None:
    """Weight 0 is the supervised network to the bit; pseudo-labels change nothing before their first step."""

    def trained(*changes: str, until: int = 12) -> list[Tensor]:
        run = Run(small(SUPERVISED, *changes), "ladder", [0, 1], data, compiled=compiled).train(until)
        assert all(torch.isfinite(progress.costs.ladder.total).all() for progress in run.progress)
        return run.parameters(0, 1)

    def same(first: list[Tensor], second: list[Tensor]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))

    assert same(trained(), trained("ladder.vat_weight=0"))
    assert same(trained(until=3), trained(*PSEUDO, until=3))  # weight 0 at steps 0 to 2
    assert not same(trained(until=4), trained(*PSEUDO, until=4))
    assert not same(trained(until=1), trained(*VAT, until=1))


def test_replicas_have_their_own_weights_and_radius(small: MakeRecipe, data: SmallData) -> None:
    """Two settings train beside each other as each alone, and are stacked only where both have the same costs."""
    first = small(SUPERVISED, *PSEUDO, *VAT)
    second = small(SUPERVISED, *PSEUDO, "ladder.vat_weight=0.1", "ladder.vat_radius=3")
    assert stackable(first, "ladder") == stackable(second, "ladder")
    assert stackable(first, "ladder") != stackable(small(SUPERVISED, *PSEUDO), "ladder")
    assert stackable(first, "ladder") != stackable(small(SUPERVISED, *VAT), "ladder")
    both = Run([first, second], "ladder", [0, 0], data).train()
    for replica, recipe in enumerate((first, second)):
        alone = Run([recipe, recipe], "ladder", [0, 0], data).train()
        for a, b in zip(both.parameters(replica), alone.parameters(0), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_run_goes_on_to_the_bit(small: MakeRecipe, data: SmallData) -> None:
    """The schedule and the directions are functions of the step alone."""
    recipe = small(*PSEUDO, *VAT)  # beside a decoder
    whole = Run(recipe, "ladder", [0, 1], data).train()
    halves = Run(recipe, "ladder", [0, 1], data).train(5).train()
    for a, b in zip(whole.parameters(0, 1), halves.parameters(0, 1), strict=True):
        assert torch.equal(a, b)


def test_an_adversarial_step_has_them_too(small: MakeRecipe, data: SmallData) -> None:
    changes = [change.replace("ladder.", "ebgan-ladder.", 1) for change in VAT]
    plain, changed = (Run(small(*each), "ebgan-ladder", [0], data).train(1) for each in ([], changes))
    assert changed.progress[0].costs.ladder.total > plain.progress[0].costs.ladder.total
    assert torch.equal(*(run.progress[0].costs.ladder.denoising for run in (plain, changed)))


def test_what_the_recipe_says_is_part_of_its_identity_only_if_it_is_said(small: MakeRecipe) -> None:
    assert not {"vat_weight", "vat_radius", "pseudo_label_weight"} & small().identity()["ladder"].keys()
    said = small(*PSEUDO, *VAT).identity()["ladder"]
    assert said["pseudo_label_weight"] == {"shape": "linear", "steps": [2, 8], "values": [0, 0.9]}
    assert (said["vat_weight"], said["vat_radius"]) == (0.8, 0.5)
