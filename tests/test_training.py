"""The costs by loops, then one step of each method against the loops and Adam by hand.

The costs' gradients are compared in float64, where only the products of matrices are rounded to float32.
"""

from collections.abc import Sequence
from functools import partial

import pytest
import reference
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from ladder_ebgan.batches import Batch
from ladder_ebgan.combinators import Combinator
from ladder_ebgan.costs import Functions, discriminator_costs, generated_energy, ladder_costs
from ladder_ebgan.generator import Generator
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.training import State, adversarial_step, ladder_step

SIZES, GENERATOR_SIZES = [5, 4, 3, 3], [3, 4, 5]
STDS = [0.3, 0.5, 0.5, 0.5]
WEIGHTS = {
    "bottom": [20.0, 0.0, 0.0, 0.0],
    "full": [20.0, 3.0, 2.0, 1.5],
    "gamma": [0.0, 0.0, 0.0, 1.5],
    "middle": [0.0, 2.0, 0.0, 0.0],
    "supervised": [0.0, 0.0, 0.0, 0.0],
}
BATCH = 4
CPU = torch.device("cpu")
EAGER = Functions()
BETAS, EPSILON = (0.5, 0.999), 1e-8
CORRUPTED_OR_CLEAN = pytest.mark.parametrize(
    "corrupted", [pytest.param(True, id="corrupted"), pytest.param(False, id="clean")]
)  # generated images


def ladder_of(weights: Sequence[float], replicas: int, combinator: Combinator = "gaussian") -> Ladder:
    ladder = Ladder(range(replicas), SIZES, weights, 0.3, 0.5, combinator=combinator).double()
    reference.randomize(ladder)
    return ladder


def network_of(ladder: Ladder) -> reference.Network:
    return reference.Network(SIZES, STDS, ladder.denoising_weights, ladder.combinator_kind)


def batch_of(replicas: int, corrupted: bool = True) -> Batch:
    n_units = sum(SIZES)
    return Batch(
        torch.rand(replicas, 2 * BATCH, SIZES[0], dtype=torch.float64),
        torch.randint(0, SIZES[-1], (replicas, BATCH)),
        torch.randn(replicas, 2 * BATCH, n_units, dtype=torch.float64),
        torch.randn(replicas, BATCH, GENERATOR_SIZES[0], dtype=torch.float64),
        torch.randn(replicas, BATCH, n_units, dtype=torch.float64) if corrupted else None,
    )


def total_cost(net: reference.Network, images: reference.Images, p: reference.Parameters) -> float:
    return reference.ladder_costs(p, net, images, 0.7).total


@pytest.mark.parametrize(
    ("variant", "replicas", "combinator"),
    [
        *(("bottom", 2, "gaussian"), ("full", 2, "gaussian"), ("gamma", 3, "gaussian"), ("middle", 1, "gaussian")),
        *(("full", 2, "vanilla"), ("full", 2, "amlp")),
    ],
)
def test_ladder_costs_and_their_gradient_equal_loops(variant: str, replicas: int, combinator: Combinator) -> None:
    """The gradient flows through the clean targets and both kinds of statistics as well."""
    ladder, batch = ladder_of(WEIGHTS[variant], replicas, combinator), batch_of(replicas)
    costs = ladder_costs(ladder, batch.images, batch.labels, batch.noise, 0.7)
    costs.total.sum().backward()
    for r in range(replicas):
        p, net = reference.parameters_of(ladder, r), network_of(ladder)
        images = reference.images_of(batch.images, batch.labels, batch.noise, r)
        expected = reference.ladder_costs(p, net, images, 0.7)
        for name in ("total", "classification", "denoising", "energy"):
            assert getattr(costs, name)[r].item() == pytest.approx(getattr(expected, name), rel=1e-5, abs=1e-6), (
                name
            )
        gradient = reference.numerical_gradient(partial(total_cost, net, images), p)
        reference.assert_same(reference.gradients_of(ladder, r), gradient, rtol=2e-4, atol=2e-5)


def test_without_denoising_the_ladder_is_a_supervised_network() -> None:
    """Only the classification cost is left, and the unlabelled images have no part in it, to the bit."""
    ladder, batch = ladder_of(WEIGHTS["supervised"], 2), batch_of(2)
    costs = ladder_costs(ladder, batch.images, batch.labels, batch.noise, 1.0)
    costs.total.sum().backward()
    assert torch.equal(costs.total, costs.classification)
    assert costs.denoising.tolist() == costs.energy.tolist() == [0.0, 0.0]
    for r in range(2):
        p, net = reference.parameters_of(ladder, r), network_of(ladder)
        images = reference.images_of(batch.images, batch.labels, batch.noise, r)

        def cost(q: reference.Parameters, net: reference.Network = net, images: reference.Images = images) -> float:
            logits = reference.encode(q, net, images.labeled, images.noise[:BATCH]).logits
            return reference.classification_cost(logits, images.labels)

        assert costs.total[r].item() == pytest.approx(cost(p), rel=1e-5)
        reference.assert_same(reference.gradients_of(ladder, r), reference.numerical_gradient(cost, p))
    others = torch.cat([batch.images[:, :BATCH], torch.rand(2, BATCH, 5, dtype=torch.float64)], dim=1)
    assert torch.equal(ladder_costs(ladder, others, batch.labels, batch.noise, 1.0).total, costs.total)


def test_float32_costs_are_close_to_loops() -> None:
    ladder, batch = ladder_of(WEIGHTS["full"], 2).float(), batch_of(2)
    ladder.product_dtype = torch.float32
    costs = ladder_costs(ladder, batch.images.float(), batch.labels, batch.noise.float(), 1.0)
    for r in range(2):
        images = reference.images_of(batch.images, batch.labels, batch.noise, r)
        expected = reference.ladder_costs(reference.parameters_of(ladder, r), network_of(ladder), images, 1.0)
        assert costs.total[r].item() == pytest.approx(expected.total, rel=1e-4)


@CORRUPTED_OR_CLEAN
@pytest.mark.parametrize("variant", ["bottom", "full"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_one_pass_of_real_and_generated_images_is_two_of_each_alone(
    replicas: int, variant: str, corrupted: bool
) -> None:
    """Costs of the real images, energies of the generated ones, and the gradient of any sum of them."""
    ladder, batch = ladder_of(WEIGHTS[variant], replicas), batch_of(replicas, corrupted)
    generated = torch.rand(replicas, BATCH, SIZES[0], dtype=torch.float64)
    of_real, seen = (batch.images, batch.labels, batch.noise, 0.7), (generated, batch.generated_noise)
    weights = torch.randn(replicas, BATCH, dtype=torch.float64)
    expected = ladder_costs(ladder, *of_real), generated_energy(ladder, *seen)
    found = discriminator_costs(ladder, *of_real, *seen)
    assert_close(found[1], expected[1], rtol=1e-5, atol=1e-6)
    gradients = []
    for costs, energy in (expected, found):
        ladder.zero_grad()
        (costs.total.sum() + (weights * energy).sum()).backward()
        gradients.append([p.grad for p in ladder.parameters()])
    assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-5)
    assert_close(tuple(found[0]), tuple(expected[0]), rtol=1e-5, atol=1e-6)


def mean_energy(
    p: reference.Parameters, net: reference.Network, noise: reference.Matrix | None, images: reference.Parameters
) -> float:
    return reference.generator_loss(reference.energies(p, net, images["x"].tolist(), noise))


@CORRUPTED_OR_CLEAN
@pytest.mark.parametrize("replicas", [1, 2])
def test_energy_of_generated_images_equals_loops_with_gradient_through_both_places(
    replicas: int, corrupted: bool
) -> None:
    """G(z) is what is reconstructed and what the reconstruction is compared with: gradient by both."""
    ladder = ladder_of(WEIGHTS["bottom"], replicas)
    batch = batch_of(replicas, corrupted)
    x = batch.images[:, :BATCH].clone().requires_grad_()
    energy = generated_energy(ladder, x, batch.generated_noise)
    energy.mean(dim=-1).sum().backward()
    assert x.grad is not None
    for r in range(replicas):
        p, net, noise = reference.parameters_of(ladder, r), network_of(ladder), generated_noise(batch, r)
        expected = reference.energies(p, net, x[r].tolist(), noise)
        assert energy[r].tolist() == pytest.approx(expected, rel=1e-5)
        gradient = reference.numerical_gradient(
            partial(mean_energy, p, net, noise), {"x": reference.array_of(x[r])}
        )
        reference.assert_same({"x": reference.array_of(x.grad[r])}, gradient)


def float64_state(replicas: int, learning_rate: float = 0.01, generator_learning_rate: float = 0.02) -> State:
    ladder = ladder_of(WEIGHTS["bottom"], replicas)
    generator = Generator(range(replicas), GENERATOR_SIZES, 0.5, torch.float64).double()
    reference.randomize(generator)
    return State(
        ladder,
        torch.optim.Adam(ladder.parameters(), learning_rate, BETAS, EPSILON, fused=True),
        generator,
        torch.optim.Adam(generator.parameters(), generator_learning_rate, BETAS, EPSILON, fused=True),
        torch.full((replicas,), -1),
    )


def generated_energies(
    p: reference.Parameters, state: State, batch: Batch, r: int, q: reference.Parameters
) -> list[float]:
    """D(G(z)) by loops, for the ladder's parameters p and the generator's q."""
    assert batch.latents is not None
    generated = reference.generate(q, len(GENERATOR_SIZES) - 1, batch.latents[r].tolist())
    return reference.energies(p, network_of(state.ladder), generated, generated_noise(batch, r))


def generated_noise(batch: Batch, r: int) -> reference.Matrix | None:
    """That of a replica's generated images; None where they pass clean."""
    return None if batch.generated_noise is None else batch.generated_noise[r].tolist()


def generator_cost(p: reference.Parameters, state: State, batch: Batch, r: int, q: reference.Parameters) -> float:
    return reference.generator_loss(generated_energies(p, state, batch, r, q))


def first_adam_step(p: reference.Parameters, g: reference.Parameters, rate: float) -> reference.Parameters:
    """p - rate g / (|g| + epsilon): both moments are corrected to g and g^2."""
    return {name: p[name] - rate * g[name] / (abs(g[name]) + EPSILON) for name in p}


def test_ladder_steps_are_steps_of_adam_down_the_costs_of_their_own_batches() -> None:
    """Three steps, none of which keeps gradient of the one before; the generator has no part in them."""
    state = float64_state(2)
    generator = reference.snapshot(state.generator)
    by_hand = [reference.Adam(reference.parameters_of(state.ladder, r), *BETAS, EPSILON) for r in range(2)]
    for _ in range(3):
        batch = batch_of(2)
        total = ladder_costs(state.ladder, batch.images, batch.labels, batch.noise, 0.7).total
        gradient = torch.autograd.grad(total.sum(), list(state.ladder.parameters()))
        costs = ladder_step(state, batch, EAGER, 0.7)
        assert torch.equal(costs.ladder.total, total)
        assert costs.energy_generated is None
        assert costs.open_hinges is None
        reference.assert_equal(list(gradient), [p.grad for p in state.ladder.parameters() if p.grad is not None])
        for r, adam in enumerate(by_hand):
            adam.step(reference.gradients_of(state.ladder, r), 0.01)
            reference.assert_same(reference.parameters_of(state.ladder, r), adam.p, rtol=1e-7, atol=1e-9)
    reference.assert_equal(generator, reference.snapshot(state.generator))


@CORRUPTED_OR_CLEAN
def test_an_adversarial_step_is_eq_1_then_eq_2_one_step_of_adam_each(corrupted: bool) -> None:
    """The ladder goes down cost(x) + lambda mean [m - D(G(z))]^+, the generator then D(G(z)) of the new ladder."""
    state, batch = float64_state(2), batch_of(2, corrupted)
    assert state.generator is not None
    ladders = [reference.parameters_of(state.ladder, r) for r in range(2)]
    generators = [reference.parameters_of(state.generator, r) for r in range(2)]
    energies = [generated_energies(ladders[r], state, batch, r, generators[r]) for r in range(2)]
    margin = sorted(energies[0])[2] + 1e-3  # three of four hinges of the first replica are open
    costs = adversarial_step(state, batch, EAGER, 0.7, margin)
    assert costs.energy_generated is not None
    assert costs.open_hinges is not None
    for r in range(2):
        net = network_of(state.ladder)
        images = reference.images_of(batch.images, batch.labels, batch.noise, r)

        def discriminator_cost(
            p: reference.Parameters, r: int = r, images: reference.Images = images, net: reference.Network = net
        ) -> float:
            hinge = reference.hinge(generated_energies(p, state, batch, r, generators[r]), margin)
            return total_cost(net, images, p) + net.lambda_energy() * hinge

        taken = reference.gradients_of(state.ladder, r)
        expected = reference.numerical_gradient(discriminator_cost, ladders[r])
        reference.assert_same(taken, expected, rtol=2e-4, atol=2e-5)
        new_ladder = reference.parameters_of(state.ladder, r)
        reference.assert_same(new_ladder, first_adam_step(ladders[r], taken, 0.01), rtol=1e-7, atol=1e-9)

        taken = reference.gradients_of(state.generator, r)
        expected = reference.numerical_gradient(partial(generator_cost, new_ladder, state, batch, r), generators[r])
        reference.assert_same(taken, expected)
        new_generator = reference.parameters_of(state.generator, r)
        reference.assert_same(new_generator, first_adam_step(generators[r], taken, 0.02), rtol=1e-7, atol=1e-9)

        assert costs.energy_generated[r].item() == pytest.approx(sum(energies[r]) / BATCH, rel=1e-5)
        assert costs.open_hinges[r].item() == pytest.approx(sum(e < margin for e in energies[r]) / BATCH)
        real = reference.ladder_costs(ladders[r], net, images, 0.7)
        assert costs.ladder.total[r].item() == pytest.approx(real.total, rel=1e-5)
    assert costs.open_hinges[0].item() == 0.75


def test_further_steps_follow_adam_with_the_moments_kept() -> None:
    state = float64_state(1)
    assert state.generator is not None
    modules: list[nn.Module] = [state.ladder, state.generator]
    by_hand = [reference.Adam(reference.parameters_of(module, 0), *BETAS, EPSILON) for module in modules]
    for margin in (2.0, 1.0, 0.0):
        adversarial_step(state, batch_of(1), EAGER, 1.0, margin)
        for module, adam, rate in zip(modules, by_hand, (0.01, 0.02), strict=True):
            adam.step(reference.gradients_of(module, 0), rate)
            reference.assert_same(reference.parameters_of(module, 0), adam.p, rtol=1e-7, atol=1e-9)


def test_the_update_of_the_generator_leaves_the_ladder_alone() -> None:
    """With and without a step of the generator: the same ladder and the same .grad, to the bit."""
    moving, still = (_same_state(0.01, rate) for rate in (0.02, 0.0))
    batch = batch_of(2)
    generator = reference.snapshot(still.generator)
    for state in (moving, still):
        adversarial_step(state, batch, EAGER, 1.0, 5.0)
        assert all(parameter.requires_grad for parameter in state.ladder.parameters())
    reference.assert_equal(reference.snapshot(moving.ladder), reference.snapshot(still.ladder))
    for a, b in zip(moving.ladder.parameters(), still.ladder.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.equal(a.grad, b.grad)
    reference.assert_equal(generator, reference.snapshot(still.generator))
    assert all((a != b).any() for a, b in zip(generator, reference.snapshot(moving.generator), strict=True))


def test_the_update_of_the_discriminator_leaves_the_generator_alone() -> None:
    """Where the ladder does not move, its hinge, open or closed, makes no difference to the generator."""
    batch = batch_of(2)
    generators = []
    for margin in (0.0, 50.0):
        state = _same_state(0.0, 0.02)
        ladder = reference.snapshot(state.ladder)
        adversarial_step(state, batch, EAGER, 1.0, margin)
        reference.assert_equal(ladder, reference.snapshot(state.ladder))
        generators.append(reference.snapshot(state.generator))
    reference.assert_equal(*generators)


def test_the_ladder_can_be_trained_again_after_a_step_that_failed() -> None:
    """An error in the generator's part does not leave the ladder frozen."""

    def failing(ladder: Ladder, generated: Tensor, noise: Tensor) -> Tensor:
        raise RuntimeError("out of memory")

    state = float64_state(1)
    functions = Functions(EAGER.ladder_costs, failing, EAGER.generate)
    with pytest.raises(RuntimeError, match="out of memory"):
        adversarial_step(state, batch_of(1), functions, 1.0, 5.0)
    assert all(parameter.requires_grad for parameter in state.ladder.parameters())


def _same_state(learning_rate: float, generator_learning_rate: float) -> State:
    torch.manual_seed(3)
    state = float64_state(2, learning_rate, generator_learning_rate)
    torch.manual_seed(4)
    return state
