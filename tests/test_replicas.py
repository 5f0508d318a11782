"""Whole runs of a few steps: what a seed means, what a replica owes to the others, the phases, the limits."""

from collections.abc import Callable

import pytest
import reference
import torch
from conftest import SmallData
from torch import Tensor

from ladder_ebgan.batches import BatchStream
from ladder_ebgan.data import labeled_order
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.training import Functions, Progress, initial_state, train

MakeRecipe = Callable[..., Recipe]

CPU = torch.device("cpu")
EAGER = Functions.prepare(compiled=False)


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
        for progress in train(self.state, self.batches(), self.settings, EAGER):
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
    reference.assert_equal(first.parameters(0, 1), second.parameters(0, 1))
    changed = Run(small(), model, [0, 1], data).parameters(0, 1)
    assert not all(torch.equal(a, b) for a, b in zip(changed, first.parameters(0, 1), strict=True))


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
def test_going_on_from_a_step_gives_the_bits_of_never_stopping(
    stop: int, small: MakeRecipe, data: SmallData
) -> None:
    through = Run(small(), "ebgan-ladder", [0, 1], data).train()
    stopped = Run(small(), "ebgan-ladder", [0, 1], data).train(until=stop).train()
    assert [progress.step for progress in stopped.progress] == list(range(1, 13))
    reference.assert_equal(through.parameters(0, 1), stopped.parameters(0, 1))


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_a_replica_among_others_equals_it_alone(model: str, small: MakeRecipe, data: SmallData) -> None:
    """The initial weights exactly, the early steps up to the rounding of batched products.

    Not so the combinators of hidden layers: the normalisation below takes their offsets out again, so their
    gradient is nothing but rounding, which Adam scales to whole steps.
    """
    together, alone = Run(small(), model, [3, 7, 11], data), Run(small(), model, [7], data)
    reference.assert_equal(together.parameters(1), alone.parameters(0))
    together.train(until=3)
    alone.train(until=3)
    for a, b in zip(together.state.ladder.encoder, alone.state.ladder.encoder, strict=True):
        torch.testing.assert_close(a[1], b[0], rtol=1e-3, atol=1e-4)
    for a, b in zip(together.progress, alone.progress, strict=True):
        for many, one in zip(a.costs.ladder, b.costs.ladder, strict=True):
            torch.testing.assert_close(many[1], one[0], rtol=1e-4, atol=1e-4)
        if model == "ebgan-ladder":
            assert a.costs.energy_generated is not None
            assert b.costs.energy_generated is not None
            torch.testing.assert_close(a.costs.energy_generated[1], b.costs.energy_generated[0])


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_what_another_replica_sees_changes_nothing(model: str, small: MakeRecipe, data: SmallData) -> None:
    """The middle replica gets another seed, then another label budget: the outer ones keep their bits."""
    first = Run(small(), model, [0, 1, 2], data).train()
    another_seed = Run(small(), model, [0, 9, 2], data).train()
    another_budget = Run(small(), model, [0, 1, 2], data, [10, 30, 10]).train()
    for other in (another_seed, another_budget):
        reference.assert_equal(first.parameters(0, 2), other.parameters(0, 2))
        assert not all(torch.equal(a, b) for a, b in zip(first.parameters(1), other.parameters(1), strict=True))


def test_budgets_of_one_seed_may_share_a_group(small: MakeRecipe, data: SmallData) -> None:
    """Seed 1 with 10 and with 30 labels starts from the same weights and goes separate ways."""
    pair = Run(small(), "ladder", [1, 1], data, [10, 30])
    reference.assert_equal(pair.parameters(0), pair.parameters(1))
    pair.train()
    other = Run(small(), "ladder", [5, 1], data, [20, 30]).train()
    reference.assert_equal(pair.parameters(1), other.parameters(1))
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
    assert run.state.diverged_step.tolist() == [-1, 4, -1]
    reference.assert_equal(healthy.parameters(0, 2), run.parameters(0, 2))
    assert healthy.state.diverged_step.tolist() == [-1, -1, -1]
    assert not run.progress[-1].costs.ladder.total[1].isfinite()
    assert run.progress[-1].costs.ladder.total[::2].isfinite().all()


def test_a_cost_too_large_for_a_number_is_recorded_too(small: MakeRecipe, data: SmallData) -> None:
    """An offset of 1e30 in the reconstruction: its square is infinite, but nothing is NaN yet."""
    run = Run(small(), "ladder", [0, 1], data).train(until=2)
    with torch.no_grad():
        run.state.ladder.get_parameter("decoder.0.a")[0, 4, 0, 0] = 1e30
    run.train(until=3)
    assert run.progress[-1].costs.ladder.total[0].item() == torch.inf
    assert run.state.diverged_step.tolist() == [3, -1]


def test_a_generator_that_diverges_is_recorded_too(small: MakeRecipe, data: SmallData) -> None:
    """Its images are all that is broken in that step: the cost of the real ones is finite."""
    run = Run(small(), "ebgan-ladder", [0, 1], data).train(until=2)
    assert run.state.generator is not None
    with torch.no_grad():
        run.state.generator.weight[0][0, 0, 0] = torch.nan
    run.train(until=3)
    assert run.progress[-1].costs.ladder.total.isfinite().all()
    assert run.state.diverged_step.tolist() == [3, -1]


def test_margin_0_is_the_plain_ladder_to_the_bit(small: MakeRecipe, data: SmallData) -> None:
    """ladder-matched has the same learning rate and number of steps, and no generator."""
    recipe = small("ebgan-ladder.margin.steps=[0]", "ebgan-ladder.margin.values=[0.0]")
    adversarial = Run(recipe, "ebgan-ladder", [0, 1], data)
    plain = Run(recipe, "ladder-matched", [0, 1], data).train()
    assert adversarial.state.generator is not None
    before = reference.snapshot(adversarial.state.generator)
    adversarial.train()
    reference.assert_equal(reference.snapshot(adversarial.state.ladder), reference.snapshot(plain.state.ladder))
    assert not torch.equal(before[0], reference.snapshot(adversarial.state.generator)[0])


def test_a_margin_above_0_makes_a_difference(small: MakeRecipe, data: SmallData) -> None:
    adversarial, plain = (Run(small(), model, [0, 1], data).train() for model in MODELS[:0:-1])
    assert adversarial.progress[0].costs.open_hinges is not None
    assert (adversarial.progress[0].costs.open_hinges > 0).all()
    for r in range(2):
        assert not torch.equal(adversarial.state.ladder.encoder[0][r], plain.state.ladder.encoder[0][r])


def test_no_adversarial_steps_are_the_matched_ladder_to_the_bit(small: MakeRecipe, data: SmallData) -> None:
    recipe = small("ebgan-ladder.adversarial_steps=0")
    without = Run(recipe, "ebgan-ladder", [0, 1], data).train()
    matched = Run(recipe, "ladder-matched", [0, 1], data).train()
    reference.assert_equal(reference.snapshot(without.state.ladder), reference.snapshot(matched.state.ladder))
    assert matched.state.generator is None


def test_ladder_and_ebgan_ladder_of_a_seed_are_paired(small: MakeRecipe, data: SmallData) -> None:
    ladder, adversarial = Run(small(), "ladder", [0, 1], data), Run(small(), "ebgan-ladder", [0, 1], data)
    reference.assert_equal(reference.snapshot(ladder.state.ladder), reference.snapshot(adversarial.state.ladder))
    one, other = ladder.batches().at(3), adversarial.batches().at(3, adversarial=True)
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


def test_the_phases_of_a_run(small: MakeRecipe, data: SmallData) -> None:
    """Six steps against a generator while the margin falls from 6 by 1 a step, six alone; the generator is off.

    The learning rates of both, 0.003 and 0.001, are constant to step 4 and fall linearly to 0 at step 12.
    """
    run = Run(small(), "ebgan-ladder", [0], data)
    generator_optimizer = run.state.generator_optimizer
    assert generator_optimizer is not None
    generators, rates = [reference.snapshot(run.state.generator)], []
    for progress in train(run.state, run.batches(), run.settings, EAGER):
        run.progress.append(progress)
        generators.append(reference.snapshot(run.state.generator))
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
    assert list(train(run.state, run.batches(), run.settings, EAGER)) == []


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
    """In the mean of ten steps, since noise makes single ones uncertain."""
    steps = ("ladder.n_steps=100", "ladder.decay_start_step=99", "ladder.learning_rate=0.01")
    recipe = small(*steps, "network.softmax_gamma=true")
    run = Run(recipe, "ladder", [0, 1], data).train()
    costs = [progress.costs.ladder for progress in run.progress]
    for name, share in (("classification", 0.8), ("energy", 0.5)):
        first, last = (torch.stack([getattr(c, name) for c in part]).mean(0) for part in (costs[:10], costs[-10:]))
        assert (last < share * first).all(), name
