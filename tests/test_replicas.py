"""Whole runs of a few steps: what a seed means, what a replica owes to the others, the phases, the limits."""

from collections.abc import Callable

import pytest
import reference
import torch
from conftest import SmallData
from group_run import CPU, EAGER_AND_KERNELS, Run, reported

from ladder_ebgan.batches import WINDOW_STEPS
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.training import Stepper, initial_state, rates_at, train

MakeRecipe = Callable[..., Recipe]

MODELS = ["ladder", "ladder-matched", "ebgan-ladder"]


@EAGER_AND_KERNELS
@pytest.mark.parametrize("model", MODELS)
def test_the_same_seeds_twice_give_the_same_bits(
    model: str, compiled: bool, small: MakeRecipe, data: SmallData
) -> None:
    first, second = (Run(small(), model, [0, 1], data, compiled=compiled).train() for _ in range(2))
    reference.assert_equal(reported(first), reported(second))
    reference.assert_equal(first.parameters(0, 1), second.parameters(0, 1))
    changed = Run(small(), model, [0, 1], data).parameters(0, 1)
    assert not all(torch.equal(a, b) for a, b in zip(changed, first.parameters(0, 1), strict=True))


@EAGER_AND_KERNELS
@pytest.mark.parametrize("stop", [1, 4, 6, 9])
def test_going_on_from_a_step_gives_the_bits_of_never_stopping(
    stop: int, compiled: bool, small: MakeRecipe, data: SmallData
) -> None:
    through = Run(small(), "ebgan-ladder", [0, 1], data, compiled=compiled).train()
    stopped = Run(small(), "ebgan-ladder", [0, 1], data, compiled=compiled).train(until=stop).train()
    assert [progress.step for progress in stopped.progress] == list(range(1, 13))
    reference.assert_equal(through.parameters(0, 1), stopped.parameters(0, 1))
    reference.assert_equal(reported(through), reported(stopped))


def test_it_goes_on_beyond_a_window_of_steps_wherever_it_was_stopped(small: MakeRecipe, data: SmallData) -> None:
    """A window begins at the step that a run goes on from, so its end falls elsewhere."""
    recipe = small(f"ladder.n_steps={WINDOW_STEPS + 9}")
    through, stopped = (Run(recipe, "ladder", [0, 1], data) for _ in range(2))
    through.train()
    for until in (5, WINDOW_STEPS + 1, None):
        stopped.train(until)
    assert [progress.step for progress in stopped.progress] == list(range(1, WINDOW_STEPS + 10))
    reference.assert_equal(through.parameters(0, 1), stopped.parameters(0, 1))
    reference.assert_equal(reported(through), reported(stopped))


@EAGER_AND_KERNELS
@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_a_replica_among_others_equals_it_alone(
    model: str, compiled: bool, small: MakeRecipe, data: SmallData
) -> None:
    """The initial weights exactly, the early steps up to the rounding of batched products.

    Not so the combinators of hidden layers: the normalisation below takes their offsets out again, so their
    gradient is nothing but rounding, which Adam scales to whole steps.
    """
    together, alone = (Run(small(), model, seeds, data, compiled=compiled) for seeds in ([3, 7, 11], [7]))
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


@EAGER_AND_KERNELS
@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_what_another_replica_sees_changes_nothing(
    model: str, compiled: bool, small: MakeRecipe, data: SmallData
) -> None:
    """The middle replica gets another seed, then another label budget: the outer ones keep their bits."""
    first = Run(small(), model, [0, 1, 2], data, compiled=compiled).train()
    another_seed = Run(small(), model, [0, 9, 2], data, compiled=compiled).train()
    another_budget = Run(small(), model, [0, 1, 2], data, [10, 30, 10], compiled=compiled).train()
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


@EAGER_AND_KERNELS
@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
@pytest.mark.parametrize("broken", [torch.inf, torch.nan])
def test_a_diverged_replica_is_recorded_and_leaves_the_others_alone(
    model: str, broken: float, compiled: bool, small: MakeRecipe, data: SmallData
) -> None:
    healthy = Run(small(), model, [0, 1, 2], data, compiled=compiled).train()
    run = Run(small(), model, [0, 1, 2], data, compiled=compiled).train(until=3)
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
        run.state.ladder.get_parameter("combinator.0")[0, 4, 0, 0] = 1e30
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


@EAGER_AND_KERNELS
def test_margin_0_is_the_plain_ladder_to_the_bit(compiled: bool, small: MakeRecipe, data: SmallData) -> None:
    """ladder-matched has the same learning rate and number of steps, and no generator."""
    recipe = small("ebgan-ladder.margin.steps=[0]", "ebgan-ladder.margin.values=[0.0]")
    adversarial = Run(recipe, "ebgan-ladder", [0, 1], data, compiled=compiled)
    plain = Run(recipe, "ladder-matched", [0, 1], data, compiled=compiled).train()
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


def test_a_margin_may_rise_from_0(small: MakeRecipe, data: SmallData) -> None:
    recipe = small("ebgan-ladder.margin.values=[0, 50]")
    adversarial, plain = (Run(recipe, model, [0, 1], data).train(until=3) for model in MODELS[:0:-1])
    shares = [progress.costs.open_hinges for progress in adversarial.progress]
    assert shares[0] is not None
    assert shares[2] is not None
    assert shares[0].tolist() == [0, 0]
    assert (shares[2] > 0).all()
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
    streams = ladder.batches(), adversarial.batches()
    for stream in streams:
        stream.seek(3)
    one, other = streams[0].current(), streams[1].current(adversarial=True)
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


def test_the_phases_of_a_run(small: MakeRecipe, data: SmallData) -> None:
    """Six steps against a generator while the margin falls from 6 by 1 a step, six alone; the generator is off.

    The learning rates of both, 0.003 and 0.001, are constant to step 4 and fall linearly to 0 at step 12.
    """
    run = Run(small(), "ebgan-ladder", [0], data)
    generator_optimizer = run.state.generator_optimizer
    assert generator_optimizer is not None
    generators, rates = [reference.snapshot(run.state.generator)], []
    for progress in train(run.state, run.batches(), run.settings, run.functions):
        run.progress.append(progress)
        generators.append(reference.snapshot(run.state.generator))
        optimizers = (run.state.ladder_optimizer, generator_optimizer)
        rates.append(tuple(optimizer.param_groups[0]["lr"].item() for optimizer in optimizers))
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
    assert list(train(run.state, run.batches(), run.settings, run.functions)) == []


def test_a_step_takes_the_rates_of_its_place_in_the_window(small: MakeRecipe, data: SmallData) -> None:
    """The loop reports rates of its own; here they are those that the steps compute with, far beyond the first.

    The margin is seen through the hinges that are open below it: all of them, or none.
    """
    margins = ("ebgan-ladder.margin.steps=[0, 5, 6]", "ebgan-ladder.margin.values=[1e4, 1e4, 0]")
    run = Run(small(*margins), "ebgan-ladder", [0, 1], data)
    stepper = Stepper(run.state, run.batches(), run.settings, run.functions)
    assert run.state.generator_optimizer is not None
    for first, n_steps in ((4, 3), (9, 2)):
        stepper.seek(first)
        for step in range(first, first + n_steps):
            costs = stepper.step(adversarial=True)
            expected = rates_at(run.settings, step)
            assert run.state.ladder_optimizer.param_groups[0]["lr"].item() == pytest.approx(expected.learning_rate)
            rate = run.state.generator_optimizer.param_groups[0]["lr"].item()
            assert rate == pytest.approx(expected.generator_learning_rate)
            assert costs.open_hinges is not None
            assert costs.open_hinges.tolist() == [1.0 if step <= 5 else 0.0] * 2


def test_a_diverging_step_is_counted_from_1_wherever_the_window_began(small: MakeRecipe, data: SmallData) -> None:
    run = Run(small(), "ladder", [0, 1], data)
    stepper = Stepper(run.state, run.batches(), run.settings, run.functions)
    stepper.seek(7)
    stepper.step(adversarial=False)
    with torch.no_grad():
        run.state.ladder.encoder[0][1] = torch.nan
    for _ in range(2):
        stepper.step(adversarial=False)
    assert run.state.diverged_step.tolist() == [-1, 9]


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
        assert options["lr"].item() == pytest.approx(rate)
        assert (options["betas"], options["eps"]) == ((0.4, 0.99), 1e-6)
        assert options["weight_decay"] == 0
    assert state.diverged_step.tolist() == [-1, -1]


def test_noise_of_the_input_and_the_hidden_layers_follow_the_recipe(small: MakeRecipe) -> None:
    recipe = small("network.input_noise=0.25", "network.hidden_noise=0.5")
    state = initial_state(recipe, "ladder", [0], 9, 5, CPU, torch.bfloat16)
    assert state.ladder.noise_stds == (0.25, *[0.5] * 6)
    assert state.ladder.product_dtype == torch.bfloat16
    assert state.generator is None


@EAGER_AND_KERNELS
def test_training_lowers_the_cost_and_the_energy(compiled: bool, small: MakeRecipe, data: SmallData) -> None:
    """In the mean of ten steps and ten seeds, since noise makes single ones uncertain: to 0.76 and 0.14 or so."""
    steps = ("ladder.n_steps=100", "ladder.decay_start_step=99", "ladder.learning_rate=0.01")
    recipe = small(*steps, "network.softmax_gamma=true")
    run = Run(recipe, "ladder", list(range(10)), data, compiled=compiled).train()
    costs = [progress.costs.ladder for progress in run.progress]
    for name, share in (("classification", 0.85), ("energy", 0.25)):
        first, last = (torch.stack([getattr(c, name) for c in part]).mean() for part in (costs[:10], costs[-10:]))
        assert last < share * first, name
