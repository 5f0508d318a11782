"""One step of each method against loops and Adam by hand; then replicas, seeds and limits over several steps.

The costs' gradients are compared in float64, where only the products of matrices are rounded to float32.
"""

from collections.abc import Callable, Sequence

import pytest
import reference
import torch
from conftest import SmallData
from torch import Tensor, nn

from ladder_ebgan.batches import Batch, BatchStream
from ladder_ebgan.capture import compiler_missing
from ladder_ebgan.data import labeled_order
from ladder_ebgan.generator import Generator
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.training import (
    Functions,
    Progress,
    State,
    adversarial_step,
    generated_energy,
    initial_state,
    ladder_costs,
    ladder_step,
    train,
)

MakeRecipe = Callable[..., Recipe]

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
EAGER = Functions.prepare(compiled=False)
BETAS, EPSILON = (0.5, 0.999), 1e-8


def ladder_of(weights: Sequence[float], replicas: int, std: float = 0.6) -> Ladder:
    ladder = Ladder(range(replicas), SIZES, weights, 0.3, 0.5, torch.float64).double()
    reference.randomize(ladder, std)
    return ladder


def network_of(ladder: Ladder) -> reference.Network:
    return reference.Network(SIZES, STDS, ladder.denoising_weights)


def batch_of(replicas: int) -> Batch:
    n_units = sum(SIZES)
    return Batch(
        torch.rand(replicas, 2 * BATCH, SIZES[0], dtype=torch.float64),
        torch.randint(0, SIZES[-1], (replicas, BATCH)),
        torch.randn(replicas, 2 * BATCH, n_units, dtype=torch.float64),
        torch.randn(replicas, BATCH, GENERATOR_SIZES[0], dtype=torch.float64),
        torch.randn(replicas, BATCH, n_units, dtype=torch.float64),
    )


@pytest.mark.parametrize(("variant", "replicas"), [("bottom", 2), ("full", 3), ("gamma", 2), ("middle", 1)])
def test_ladder_costs_and_their_gradient_equal_loops(variant: str, replicas: int) -> None:
    """The gradient flows through the clean targets and both kinds of statistics as well."""
    ladder, batch = ladder_of(WEIGHTS[variant], replicas), batch_of(replicas)
    costs = ladder_costs(ladder, batch.images, batch.labels, batch.noise, 0.7)
    costs.total.sum().backward()
    for r in range(replicas):
        p, net = reference.parameters_of(ladder, r), network_of(ladder)
        images = reference.images_of(batch.images, batch.labels, batch.noise, r)
        expected = reference.ladder_costs(p, net, images, 0.7)
        for name in ("total", "classification", "denoising", "energy"):
            assert getattr(costs, name)[r].item() == pytest.approx(getattr(expected, name), rel=1e-5, abs=1e-6), name
        gradient = reference.numerical_gradient(
            lambda q, net=net, images=images: reference.ladder_costs(q, net, images, 0.7).total, p
        )
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

        def cost(
            q: reference.Parameters, net: reference.Network = net, images: reference.Images = images
        ) -> float:
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


@pytest.mark.parametrize("replicas", [1, 2])
def test_energy_of_generated_images_equals_loops_with_gradient_through_both_places(replicas: int) -> None:
    """G(z) is what is reconstructed and what the reconstruction is compared with: gradient by both."""
    ladder = ladder_of(WEIGHTS["bottom"], replicas)
    batch = batch_of(replicas)
    assert batch.generated_noise is not None
    x = batch.images[:, :BATCH].clone().requires_grad_()
    energy = generated_energy(ladder, x, batch.generated_noise)
    energy.mean(dim=-1).sum().backward()
    assert x.grad is not None
    for r in range(replicas):
        p, net, noise = reference.parameters_of(ladder, r), network_of(ladder), batch.generated_noise[r].tolist()
        expected = reference.energies(p, net, x[r].tolist(), noise)
        assert energy[r].tolist() == pytest.approx(expected, rel=1e-5)
        gradient = reference.numerical_gradient(
            lambda q, p=p, net=net, noise=noise: reference.generator_loss(
                reference.energies(p, net, q["x"].tolist(), noise)
            ),
            {"x": reference.array_of(x[r])},
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


def generated_energies(p: reference.Parameters, state: State, q: reference.Parameters, batch: Batch, r: int) -> list[float]:
    """D(G(z)) by loops, for the ladder's parameters p and the generator's q."""
    assert batch.latents is not None
    assert batch.generated_noise is not None
    generated = reference.generate(q, len(GENERATOR_SIZES) - 1, batch.latents[r].tolist())
    return reference.energies(p, network_of(state.ladder), generated, batch.generated_noise[r].tolist())


def first_adam_step(p: reference.Parameters, g: reference.Parameters, rate: float) -> reference.Parameters:
    """p - rate g / (|g| + epsilon): both moments are corrected to g and g^2."""
    return {name: p[name] - rate * g[name] / (abs(g[name]) + EPSILON) for name in p}


def test_a_ladder_step_is_one_step_of_adam_down_the_costs() -> None:
    state, batch = float64_state(2), batch_of(2)
    before = [reference.parameters_of(state.ladder, r) for r in range(2)]
    generator = snapshot(state.generator)
    costs = ladder_step(state, batch, EAGER, 0.7)
    assert costs.energy_generated is None
    assert costs.open_hinges is None
    for r in range(2):
        images = reference.images_of(batch.images, batch.labels, batch.noise, r)
        net = network_of(state.ladder)
        gradient = reference.numerical_gradient(
            lambda p, net=net, images=images: reference.ladder_costs(p, net, images, 0.7).total, before[r]
        )
        taken = reference.gradients_of(state.ladder, r)
        reference.assert_same(taken, gradient, rtol=2e-4, atol=2e-5)
        moved = reference.parameters_of(state.ladder, r)
        reference.assert_same(moved, first_adam_step(before[r], taken, 0.01), rtol=1e-7, atol=1e-9)
    assert_equal(generator, snapshot(state.generator))


def test_an_adversarial_step_is_eq_1_then_eq_2_one_step_of_adam_each() -> None:
    """The ladder goes down cost(x) + lambda mean [m - D(G(z))]^+, the generator then D(G(z)) of the new ladder."""
    state, batch = float64_state(2), batch_of(2)
    assert state.generator is not None
    ladders = [reference.parameters_of(state.ladder, r) for r in range(2)]
    generators = [reference.parameters_of(state.generator, r) for r in range(2)]
    energies = [generated_energies(ladders[r], state, generators[r], batch, r) for r in range(2)]
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
            real = reference.ladder_costs(p, net, images, 0.7).total
            hinge = reference.hinge(generated_energies(p, state, generators[r], batch, r), margin)
            return real + net.lambda_energy() * hinge

        taken = reference.gradients_of(state.ladder, r)
        expected = reference.numerical_gradient(discriminator_cost, ladders[r])
        reference.assert_same(taken, expected, rtol=2e-4, atol=2e-5)
        new_ladder = reference.parameters_of(state.ladder, r)
        reference.assert_same(new_ladder, first_adam_step(ladders[r], taken, 0.01), rtol=1e-7, atol=1e-9)

        taken = reference.gradients_of(state.generator, r)
        expected = reference.numerical_gradient(
            lambda q, p=new_ladder, r=r: reference.generator_loss(generated_energies(p, state, q, batch, r)),
            generators[r],
        )
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
    generator = snapshot(still.generator)
    for state in (moving, still):
        adversarial_step(state, batch, EAGER, 1.0, 5.0)
        assert all(parameter.requires_grad for parameter in state.ladder.parameters())
    assert_equal(snapshot(moving.ladder), snapshot(still.ladder))
    for a, b in zip(moving.ladder.parameters(), still.ladder.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        assert a.grad is None or torch.equal(a.grad, b.grad)
    assert_equal(generator, snapshot(still.generator))
    assert all((a != b).any() for a, b in zip(generator, snapshot(moving.generator), strict=True))


def test_the_update_of_the_discriminator_leaves_the_generator_alone() -> None:
    """Where the ladder does not move, its hinge, open or closed, makes no difference to the generator."""
    batch = batch_of(2)
    generators = []
    for margin in (0.0, 50.0):
        state = _same_state(0.0, 0.02)
        ladder = snapshot(state.ladder)
        adversarial_step(state, batch, EAGER, 1.0, margin)
        assert_equal(ladder, snapshot(state.ladder))
        generators.append(snapshot(state.generator))
    assert_equal(*generators)


def test_the_ladder_can_be_trained_again_after_a_step_that_failed() -> None:
    """An error in the generator's part does not leave the ladder frozen."""

    def failing(ladder: Ladder, generated: Tensor, noise: Tensor) -> Tensor:
        if generated.requires_grad:
            raise RuntimeError("out of memory")
        return generated_energy(ladder, generated, noise)

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


def snapshot(module: nn.Module | None) -> list[Tensor]:
    assert module is not None
    return [parameter.detach().clone() for parameter in module.parameters()]


def assert_equal(first: list[Tensor], second: list[Tensor]) -> None:
    assert len(first) == len(second)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# Whole runs of a few steps, as the recipe has them.


class Run:
    """A group of replicas, its batches, and what its steps reported."""

    def __init__(
        self, recipe: Recipe, model: str, seeds: list[int], data: SmallData, budgets: list[int] | None = None
    ) -> None:
        self.recipe, self.model, self.seeds, self.data = recipe, model, seeds, data
        self.budgets = budgets or [10] * len(seeds)
        self.settings = recipe.settings(model)
        self.state = initial_state(recipe, model, seeds, data.images.shape[1], data.n_classes, CPU)
        self.progress: list[Progress] = []

    def batches(self) -> BatchStream:
        order = {seed: labeled_order(self.data.labels.numpy(), seed, self.data.n_classes) for seed in self.seeds}
        subsets = [order[seed][:budget] for seed, budget in zip(self.seeds, self.budgets, strict=True)]
        generator = self.state.generator
        latent_size = generator.sizes[0] if generator else None
        n_units = self.state.ladder.n_units
        return BatchStream(self.data.images, self.data.labels, subsets, self.seeds, 10, n_units, latent_size)

    def train(self, until: int | None = None) -> "Run":
        """Go on up to a step, with a fresh loop and fresh batches, as after a resume."""
        for progress in train(self.state, self.batches(), self.settings, self.model, EAGER):
            self.progress.append(progress)
            if progress.step == until:
                break
        return self

    def parameters(self, *replicas: int) -> list[Tensor]:
        modules = [self.state.ladder] + ([self.state.generator] if self.state.generator else [])
        return [p.detach()[r].clone() for r in replicas for module in modules for p in module.parameters()]


MODELS = ["ladder", "ladder-matched", "ebgan-ladder"]


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seeds_twice_give_the_same_bits(model: str, small: MakeRecipe, data: SmallData) -> None:
    first, second = (Run(small(), model, [0, 1], data).train() for _ in range(2))
    assert_equal(first.parameters(0, 1), second.parameters(0, 1))
    changed = Run(small(), model, [0, 1], data).parameters(0, 1)
    assert not all(torch.equal(a, b) for a, b in zip(changed, first.parameters(0, 1), strict=True))


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
def test_going_on_from_a_step_gives_the_bits_of_never_stopping(
    stop: int, small: MakeRecipe, data: SmallData
) -> None:
    through = Run(small(), "ebgan-ladder", [0, 1], data).train()
    stopped = Run(small(), "ebgan-ladder", [0, 1], data).train(until=stop).train()
    assert [progress.step for progress in stopped.progress] == list(range(1, 13))
    assert_equal(through.parameters(0, 1), stopped.parameters(0, 1))


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_a_replica_among_others_equals_it_alone(model: str, small: MakeRecipe, data: SmallData) -> None:
    """The initial weights exactly, the early steps up to the rounding of batched products."""
    together, alone = Run(small(), model, [3, 7, 11], data), Run(small(), model, [7], data)
    assert_equal(together.parameters(1), alone.parameters(0))
    together.train(until=3)
    alone.train(until=3)
    for a, b in zip(together.parameters(1), alone.parameters(0), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    for a, b in zip(together.progress, alone.progress, strict=True):
        torch.testing.assert_close(a.costs.ladder.total[1], b.costs.ladder.total[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_what_another_replica_sees_changes_nothing(model: str, small: MakeRecipe, data: SmallData) -> None:
    """The middle replica gets another seed, then another label budget: the outer ones keep their bits."""
    first = Run(small(), model, [0, 1, 2], data).train()
    another_seed = Run(small(), model, [0, 9, 2], data).train()
    another_budget = Run(small(), model, [0, 1, 2], data, [10, 30, 10]).train()
    for other in (another_seed, another_budget):
        assert_equal(first.parameters(0, 2), other.parameters(0, 2))
        assert not all(torch.equal(a, b) for a, b in zip(first.parameters(1), other.parameters(1), strict=True))


def test_budgets_of_one_seed_may_share_a_group(small: MakeRecipe, data: SmallData) -> None:
    """Seed 1 with 10 and with 30 labels starts from the same weights and goes separate ways."""
    pair = Run(small(), "ladder", [1, 1], data, [10, 30])
    assert_equal(pair.parameters(0), pair.parameters(1))
    pair.train()
    other = Run(small(), "ladder", [5, 1], data, [20, 30]).train()
    assert_equal(pair.parameters(1), other.parameters(1))
    assert not torch.equal(pair.state.ladder.encoder[0][0], pair.state.ladder.encoder[0][1])


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
@pytest.mark.parametrize("broken", [torch.inf, torch.nan])
def test_a_diverged_replica_is_recorded_and_leaves_the_others_alone(
    model: str, broken: float, small: MakeRecipe, data: SmallData
) -> None:
    healthy = Run(small(), model, [0, 1, 2], data).train()
    run = Run(small(), model, [0, 1, 2], data).train(until=3)
    with torch.no_grad():
        run.state.ladder.encoder[1][1, 0, 0] = broken
    run.train()
    assert run.state.diverged_step.tolist() == [-1, 3, -1]
    assert_equal(healthy.parameters(0, 2), run.parameters(0, 2))
    assert healthy.state.diverged_step.tolist() == [-1, -1, -1]
    assert not run.progress[-1].costs.ladder.total[1].isfinite()
    assert run.progress[-1].costs.ladder.total[::2].isfinite().all()


def test_a_generator_that_diverges_is_recorded_too(small: MakeRecipe, data: SmallData) -> None:
    """Its images are all that is broken in that step: the cost of the real ones is finite."""
    run = Run(small(), "ebgan-ladder", [0, 1], data).train(until=2)
    assert run.state.generator is not None
    with torch.no_grad():
        run.state.generator.weight[0][0, 0, 0] = torch.nan
    run.train(until=3)
    assert run.progress[-1].costs.ladder.total.isfinite().all()
    assert run.state.diverged_step.tolist() == [2, -1]


def test_margin_0_is_the_plain_ladder_to_the_bit(small: MakeRecipe, data: SmallData) -> None:
    """ladder-matched has the same learning rate and number of steps, and no generator."""
    recipe = small("ebgan-ladder.margin.steps=[0]", "ebgan-ladder.margin.values=[0.0]")
    adversarial = Run(recipe, "ebgan-ladder", [0, 1], data)
    plain = Run(recipe, "ladder-matched", [0, 1], data).train()
    assert adversarial.state.generator is not None
    before = snapshot(adversarial.state.generator)
    adversarial.train()
    assert_equal(snapshot(adversarial.state.ladder), snapshot(plain.state.ladder))
    assert not torch.equal(before[0], snapshot(adversarial.state.generator)[0])


def test_a_margin_above_0_makes_a_difference(small: MakeRecipe, data: SmallData) -> None:
    adversarial, plain = (Run(small(), model, [0, 1], data).train(until=2) for model in MODELS[:0:-1])
    assert adversarial.progress[0].costs.open_hinges is not None
    assert (adversarial.progress[0].costs.open_hinges > 0).all()
    different = [(a != b).flatten(1).any(1) for a, b in zip(snapshot(adversarial.state.ladder), snapshot(plain.state.ladder), strict=True)]
    assert torch.stack(different).any(dim=0).all()


def test_no_adversarial_steps_are_the_matched_ladder_to_the_bit(small: MakeRecipe, data: SmallData) -> None:
    recipe = small("ebgan-ladder.adversarial_steps=0")
    without = Run(recipe, "ebgan-ladder", [0, 1], data).train()
    matched = Run(recipe, "ladder-matched", [0, 1], data).train()
    assert_equal(snapshot(without.state.ladder), snapshot(matched.state.ladder))
    assert matched.state.generator is None


def test_ladder_and_ebgan_ladder_of_a_seed_are_paired(small: MakeRecipe, data: SmallData) -> None:
    ladder, adversarial = Run(small(), "ladder", [0, 1], data), Run(small(), "ebgan-ladder", [0, 1], data)
    assert_equal(snapshot(ladder.state.ladder), snapshot(adversarial.state.ladder))
    one, other = ladder.batches().at(3), adversarial.batches().at(3, adversarial=True)
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


def test_the_phases_of_a_run(small: MakeRecipe, data: SmallData) -> None:
    """Six steps against a generator while the margin falls from 6 by 1 a step, six alone; the generator is off.

    The learning rates of both, 0.003 and 0.001, are constant to step 4 and fall linearly to 0 at step 12.
    """
    run = Run(small(), "ebgan-ladder", [0], data)
    generator_optimizer = run.state.generator_optimizer
    assert generator_optimizer is not None
    generators, rates = [snapshot(run.state.generator)], []
    for progress in train(run.state, run.batches(), run.settings, run.model, EAGER):
        run.progress.append(progress)
        generators.append(snapshot(run.state.generator))
        rates.append((run.state.ladder_optimizer.param_groups[0]["lr"], generator_optimizer.param_groups[0]["lr"]))
    factors = [1, 1, 1, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    assert [progress.step for progress in run.progress] == list(range(1, 13))
    assert [progress.margin for progress in run.progress] == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0] + [None] * 6
    assert [progress.learning_rate for progress in run.progress] == pytest.approx([0.003 * f for f in factors])
    assert [rate for rate, _ in rates] == pytest.approx([0.003 * f for f in factors])
    assert [rate for _, rate in rates[:6]] == pytest.approx([0.001 * f for f in factors[:6]])
    for step in range(12):
        moved = not all(torch.equal(a, b) for a, b in zip(generators[step], generators[step + 1], strict=True))
        assert moved == (step < 6)
        assert (run.progress[step].costs.energy_generated is None) == (step >= 6)
    assert run.state.step == 12
    assert run.state.seconds > 0
    assert list(train(run.state, run.batches(), run.settings, run.model, EAGER)) == []


def test_initial_state_is_what_the_recipe_says(small: MakeRecipe, data: SmallData) -> None:
    recipe = small("training.adam_beta1=0.4", "training.adam_beta2=0.99", "training.adam_epsilon=1e-6")
    state = initial_state(recipe, "ebgan-ladder", [0, 1], 9, 5, CPU)
    settings = recipe.ebgan_ladder
    assert isinstance(settings, EBGANLadderSettings)
    assert state.generator is not None
    assert state.generator_optimizer is not None
    assert state.ladder.sizes == (9, 12, 8, 7, 6, 5, 5)
    assert state.ladder.noise_stds == (0.3,) * 7
    assert state.ladder.denoising_weights == tuple(settings.denoising_weights)
    assert state.generator.sizes == (4, 9, 8, 9)
    for optimizer, rate in ((state.ladder_optimizer, 0.003), (state.generator_optimizer, 0.001)):
        options = optimizer.param_groups[0]
        assert (options["lr"], options["betas"], options["eps"]) == (rate, (0.4, 0.99), 1e-6)
        assert options["weight_decay"] == 0
    assert state.diverged_step.tolist() == [-1, -1]


def test_noise_of_the_input_and_the_hidden_layers_follow_the_recipe(small: MakeRecipe) -> None:
    recipe = small("network.input_noise=0.25", "network.hidden_noise=0.5")
    state = initial_state(recipe, "ladder", [0], 9, 5, CPU, torch.bfloat16)
    assert state.ladder.noise_stds == (0.25, *[0.5] * 6)
    assert state.ladder.product_dtype == torch.bfloat16
    assert state.generator is None


def test_training_lowers_the_cost_and_the_energy(small: MakeRecipe, data: SmallData) -> None:
    recipe = small("ladder.n_steps=150", "ladder.decay_start_step=100", "ladder.learning_rate=0.01")
    run = Run(recipe, "ladder", [0, 1], data).train()
    first, last = run.progress[0].costs.ladder, run.progress[-1].costs.ladder
    assert (last.classification < 0.5 * first.classification).all()
    assert (last.energy < 0.5 * first.energy).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(compiler_missing(CPU) is not None, reason="no C++ compiler")
def test_compiled_costs_equal_eager_ones() -> None:
    compiled = Functions.prepare(compiled=True)
    ladder, batch = Ladder([0, 1], SIZES, WEIGHTS["full"], 0.3, 0.5), batch_of(2)
    reference.randomize(ladder)
    arguments = (ladder, batch.images.float(), batch.labels, batch.noise.float(), 0.7)
    results = []
    for functions in (EAGER, compiled):
        ladder.zero_grad()
        costs = functions.ladder_costs(*arguments)
        costs.total.sum().backward()
        results.append([*costs, *(p.grad for p in ladder.parameters())])
    assert EAGER.ladder_costs is ladder_costs
    torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    ladder, batch = Ladder([0, 1], SIZES, WEIGHTS["full"], 0.3, 0.5), batch_of(2)
    reference.randomize(ladder)
    results = []
    for device in (CPU, torch.device("cuda")):
        ladder.to(device).zero_grad()
        tensors = [tensor.to(device) for tensor in (batch.images.float(), batch.labels, batch.noise.float())]
        costs = ladder_costs(ladder, *tensors, 0.7)
        costs.total.sum().backward()
        results.append([tensor.cpu() for tensor in (*costs, *(p.grad for p in ladder.parameters()))])
    torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-4)
