"""The pulling-away term in the loss of the generator that trains against a ladder, and nowhere else."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import reference
import tiny
import torch
from conftest import SmallData
from group_run import EAGER_AND_KERNELS, Run
from test_training import EAGER, batch_of, float64_state, generated_energies, network_of
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan.batches import Batch
from ladder_ebgan.costs import Functions, generated_energy, generated_energy_and_code
from ladder_ebgan.floor import step_work
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.report.page import report_page
from ladder_ebgan.runs import read_record
from ladder_ebgan.search.stacking import stackable
from ladder_ebgan.training import State, adversarial_step

MakeRecipe = Callable[..., Recipe]
SEED = 2  # with codes that are neither zeros nor parallel, which have no gradient
PULLING = "ebgan-ladder.pulling_away_weight=0.5"


def stepped(weight: float, margin: float = 5.0, functions: Functions = EAGER) -> tuple[State, Batch]:
    """A state after a step, and what it was given; without randomness but for that."""
    torch.manual_seed(SEED)
    state, batch = float64_state(2), batch_of(2)
    adversarial_step(state, batch, functions, 0.7, margin, pulling_away_weight=weight)
    return state, batch


def codes_of(
    p: reference.Parameters, state: State, batch: Batch, r: int, q: reference.Parameters
) -> reference.Matrix:
    """S of each generated image by loops, for the ladder's parameters p and the generator's q."""
    assert batch.latents is not None
    assert batch.generated_noise is not None
    assert state.generator is not None
    generated = reference.generate(q, len(state.generator.weight), batch.latents[r].tolist())
    return reference.encode(p, network_of(state.ladder), generated, batch.generated_noise[r].tolist()).code


def generator_cost(
    p: reference.Parameters, state: State, batch: Batch, r: int, weight: float, q: reference.Parameters
) -> float:
    """Eq. (2) plus the weighted Eq. (14), by loops."""
    energies = generated_energies(p, state, batch, r, q)
    return reference.generator_loss(energies) + weight * reference.pulling_away(codes_of(p, state, batch, r, q))


def test_the_generator_goes_down_eq_2_plus_eq_14_of_the_new_ladder() -> None:
    torch.manual_seed(SEED)
    before = float64_state(2)
    assert before.generator is not None
    generators = [reference.parameters_of(before.generator, r) for r in range(2)]
    state, batch = stepped(3.0)
    assert state.generator is not None
    shares = []
    for r in range(2):
        new_ladder = reference.parameters_of(state.ladder, r)
        cost = partial(generator_cost, new_ladder, state, batch, r)
        taken = reference.gradients_of(state.generator, r)
        reference.assert_same(taken, reference.numerical_gradient(partial(cost, 3.0), generators[r]))
        without = reference.numerical_gradient(partial(cost, 0.0), generators[r])
        shares.append(max(abs(taken[name] - without[name]).max() for name in taken))
    assert min(shares) > 1e-3


def test_the_code_is_the_highest_hidden_layer_of_the_noisy_pass() -> None:
    state, batch = float64_state(2), batch_of(2)
    assert batch.generated_noise is not None
    images = batch.images[:, :4]
    energy, code = generated_energy_and_code(state.ladder, images, batch.generated_noise)
    assert torch.equal(energy, generated_energy(state.ladder, images, batch.generated_noise))
    for r in range(2):
        p, noise = reference.parameters_of(state.ladder, r), batch.generated_noise[r].tolist()
        expected = reference.encode(p, network_of(state.ladder), images[r].tolist(), noise).code
        assert_close(code[r].double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-6)
        assert code[r].shape == (4, 3)


def test_the_update_of_the_discriminator_has_the_same_bits_with_and_without_it() -> None:
    with_term, without = stepped(0.5)[0], stepped(0.0)[0]
    reference.assert_equal(reference.snapshot(with_term.ladder), reference.snapshot(without.ladder))
    for a, b in zip(with_term.ladder.parameters(), without.ladder.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.equal(a.grad, b.grad)
    generators = zip(reference.snapshot(with_term.generator), reference.snapshot(without.generator), strict=True)
    assert not any(torch.equal(a, b) for a, b in generators)


def test_without_a_weight_it_is_not_computed() -> None:
    def unwanted(*_: object) -> tuple[Tensor, Tensor]:
        raise AssertionError

    assert stepped(0.0, functions=Functions(generated_energy_and_code=unwanted))[0].step == 0
    with pytest.raises(AssertionError):
        stepped(0.5, functions=Functions(generated_energy_and_code=unwanted))


@EAGER_AND_KERNELS
def test_a_replica_among_others_equals_it_alone(compiled: bool, small: MakeRecipe, data: SmallData) -> None:
    """The early steps, up to the rounding of batched products, as in test_replicas.py."""
    recipe, model = small(PULLING, "ebgan-ladder.margin.values=[50, 0]"), "ebgan-ladder"
    together, alone = (Run(recipe, model, seeds, data, compiled=compiled) for seeds in ([3, 7, 11], [7]))
    plain = Run(small("ebgan-ladder.margin.values=[50, 0]"), model, [7], data, compiled=compiled).train(until=3)
    for a, b in zip(together.train(until=3).progress, alone.train(until=3).progress, strict=True):
        assert a.costs.energy_generated is not None
        assert b.costs.energy_generated is not None
        assert_close(a.costs.energy_generated[1], b.costs.energy_generated[0])
    energies = [run.progress[-1].costs.energy_generated for run in (alone, plain)]
    assert not torch.equal(*energies)  # type: ignore[arg-type]


def test_what_a_replica_sees_changes_no_bit_of_another(small: MakeRecipe, data: SmallData) -> None:
    """The codes of one replica are no neighbours of those of the other."""
    first, second = (Run(small(PULLING), "ebgan-ladder", seeds, data) for seeds in ([0, 1], [0, 2]))
    for run in (first, second):
        run.train()
    reference.assert_equal(first.parameters(0), second.parameters(0))
    assert not torch.equal(first.parameters(1)[0], second.parameters(1)[0])


def test_its_weight_is_a_part_of_the_recipe_that_none_had_before(small: MakeRecipe) -> None:
    assert small("ebgan-ladder.pulling_away_weight=0").identity() == small().identity()
    assert "pulling_away_weight" not in small().identity()["ebgan-ladder"]
    settings = small(PULLING).settings("ebgan-ladder")
    assert isinstance(settings, EBGANLadderSettings)
    assert settings.pulling_away_weight == 0.5
    assert stackable(small(PULLING), "ebgan-ladder") != stackable(small(), "ebgan-ladder")
    message = tiny.refused("run", "--set", "ebgan-ladder.pulling_away_weight=-1")
    assert "ebgan-ladder.pulling_away_weight is -1" in message


def test_the_work_of_a_step_has_the_cosines_of_all_pairs(small: MakeRecipe) -> None:
    """Of ten codes of five units the products 10 x 5 x 10 and, for the gradient, 10 x 10 x 5."""
    plain, pulling = (step_work(recipe, "ebgan-ladder", True, 9, 5) for recipe in (small(), small(PULLING)))
    assert pulling.flops - plain.flops == 2 * (2 * 10 * 5 * 10)
    frozen = small(PULLING, "ebgan-ladder.generator.learning_rate=0")
    plain_frozen = small("ebgan-ladder.generator.learning_rate=0")
    assert step_work(frozen, "ebgan-ladder", True, 9, 5) == step_work(plain_frozen, "ebgan-ladder", True, 9, 5)


def test_a_variant_with_it_stands_in_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    variant = ("--set", 'variants.pulling.of="ebgan-ladder"')
    variant += ("--set", 'variants.pulling.set=["pulling_away_weight=0.1"]')
    tiny.done(*tiny.arguments(folder, "--quiet", "--seeds", "1"), *variant)
    assert [group["model"] for group in read_record(folder)["groups"]] == ["ebgan-ladder", "pulling"]
    (comparison,) = json.loads(tiny.done("table", str(folder), "--format", "json").stdout)["comparisons"]
    assert (comparison["baseline"], comparison["model"]) == ("ebgan-ladder", "pulling")
    assert "pulling_away_weight=0.1" in report_page(folder)
