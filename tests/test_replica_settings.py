"""Replicas with settings of their own: each trains as it would alone."""

from collections.abc import Callable

import pytest
import reference
import torch
from conftest import SmallData
from group_run import EAGER_AND_KERNELS, Run, reported

from ladder_ebgan.batches import WINDOW_STEPS
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.replica_optimizers import ReplicaAdam
from ladder_ebgan.training import Rates, Stepper, rates_at

MakeRecipe = Callable[..., Recipe]

# Of each replica; what is not said is the recipe's.
SETTINGS = {
    "ladder": [
        ["ladder.learning_rate=0.02", "network.input_noise=0.1", "ladder.decay_start_step=0"],
        ["ladder.classification_weight=0.1", "network.hidden_noise=0.6", "network.input_noise=0"],
        ["ladder.denoising_weights=[500, 0, 0, 2, 0, 0, 0.5]", "ladder.learning_rate=0.001"],
    ],
    "ebgan-ladder": [
        ["ebgan-ladder.learning_rate=0.02", "ebgan-ladder.margin.values=[0, 0]", "network.input_noise=0.1"],
        [
            "ebgan-ladder.generator.learning_rate=0.05",
            "ebgan-ladder.classification_weight=0.1",
            "ebgan-ladder.hinge_weight=0.2",
        ],
        ["ebgan-ladder.denoising_weights.0=500", "ebgan-ladder.margin.steps=[2, 4]", "network.hidden_noise=0"],
    ],
}
FULL = "ladder.denoising_weights=[1000, 0, 0, 1, 0, 0, 0.1]"


def recipes(small: MakeRecipe, model: str) -> list[Recipe]:
    shared = [FULL] if model == "ladder" else []
    return [small(*shared, *own) for own in SETTINGS[model]]


@EAGER_AND_KERNELS
@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_each_replica_trains_as_it_would_alone(
    model: str, compiled: bool, small: MakeRecipe, data: SmallData
) -> None:
    """The early steps up to the rounding of batched products."""
    every, seeds = recipes(small, model), [5, 6, 7]
    together = Run(every, model, seeds, data, compiled=compiled).train(until=3)
    for r, (recipe, seed) in enumerate(zip(every, seeds, strict=True)):
        alone = Run(recipe, model, [seed], data, compiled=compiled).train(until=3)
        for many, one in zip(together.progress, alone.progress, strict=True):
            costs = zip([*many.costs.ladder, *many.costs[1:]], [*one.costs.ladder, *one.costs[1:]], strict=True)
            for of_many, of_one in costs:
                if of_one is not None:
                    torch.testing.assert_close(of_many[r], of_one[0], rtol=1e-4, atol=1e-4)
        for a, b in zip(together.state.ladder.encoder, alone.state.ladder.encoder, strict=True):
            torch.testing.assert_close(a[r], b[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_settings_that_agree_are_one_setting(model: str, small: MakeRecipe, data: SmallData) -> None:
    """Up to rounding: Adam's vectors end elsewhere in slices of a tensor."""
    one = Run(small(), model, [0, 1], data).train(until=3)
    each = Run([small(), small()], model, [0, 1], data).train(until=3)
    assert isinstance(each.state.ladder_optimizer, ReplicaAdam)
    for a, b in zip(reported(one), reported(each), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_each_step_has_the_rates_of_each_replica(small: MakeRecipe, data: SmallData) -> None:
    every = recipes(small, "ebgan-ladder")
    run = Run(every, "ebgan-ladder", [0, 1, 2], data)
    stepper = Stepper(run.state, run.batches(), run.settings, run.functions)
    stepper.seek(3)
    for step in (3, 4):
        stepper.step(adversarial=True)
        for r, recipe in enumerate(every):
            expected = rates_at(recipe.settings("ebgan-ladder"), step)
            assert run.state.generator_optimizer is not None
            of_ladder = run.state.ladder_optimizer.param_groups[r]["lr"].item()
            of_generator = run.state.generator_optimizer.param_groups[r]["lr"].item()
            assert of_ladder == pytest.approx(expected.learning_rate)
            assert of_generator == pytest.approx(expected.generator_learning_rate)
    assert stepper.rates.shape == (WINDOW_STEPS, len(Rates._fields), 3)


def test_going_on_gives_the_bits_of_never_stopping(small: MakeRecipe, data: SmallData) -> None:
    through, stopped = (Run(recipes(small, "ladder"), "ladder", [0, 1, 2], data) for _ in range(2))
    through.train()
    stopped.train(until=4)
    stopped.train()
    reference.assert_equal(through.parameters(0, 1, 2), stopped.parameters(0, 1, 2))


def adam_by_hand(weight: float, gradients: list[float], rate: float) -> float:
    """Kingma, Ba 2015, algorithm 1, with beta1 = 0.5, beta2 = 0.9, epsilon = 0."""
    m = v = 0.0
    for t, gradient in enumerate(gradients, start=1):
        m = 0.5 * m + 0.5 * gradient
        v = 0.9 * v + 0.1 * gradient**2
        weight -= rate * (m / (1 - 0.5**t)) / (v / (1 - 0.9**t)) ** 0.5
    return weight


def test_adam_moves_each_replica_at_its_own_rate() -> None:
    """One weight a replica, beside a parameter that never has a gradient and stays."""
    weights = torch.nn.Parameter(torch.tensor([[1.0], [1.0], [-2.0]]))
    idle = torch.nn.Parameter(torch.ones(3, 2))
    rates, gradients = [0.1, 0.01, 1.0], [[3.0, 3.0, -1.0], [-1.0, -1.0, 0.5], [2.0, 2.0, 4.0]]
    optimizer = ReplicaAdam([weights, idle], rates, (0.5, 0.9), 0.0)
    for gradient in gradients:
        optimizer.zero_grad()
        assert weights.grad is None
        weights.grad = torch.tensor(gradient)[:, None]
        optimizer.step()
    expected = [
        adam_by_hand(start, [gradient[r] for gradient in gradients], rates[r])
        for r, start in enumerate([1.0, 1.0, -2.0])
    ]
    torch.testing.assert_close(weights.detach()[:, 0], torch.tensor(expected))
    assert optimizer.state[weights]["step"].tolist() == [3, 3, 3]
    assert torch.equal(idle.detach(), torch.ones(3, 2))
