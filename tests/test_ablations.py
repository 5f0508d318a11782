"""Settings that take a part away: a generator frozen, or noise; a hinge without weight; generated images clean."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from conftest import SmallData
from group_run import EAGER_AND_KERNELS, Run
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan.checkpoints import checkpoint_bytes, restore
from ladder_ebgan.costs import Functions
from ladder_ebgan.engine import Engine
from ladder_ebgan.evaluation import labeled_calibration, unlabeled_calibration
from ladder_ebgan.floor import step_work
from ladder_ebgan.generator import Generator
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.search.stacking import stackable
from ladder_ebgan.streams import Stream, stream_key
from ladder_ebgan.timing import first_phase, phase_of
from ladder_ebgan.training import adversarial_step, ladder_step

MakeRecipe = Callable[..., Recipe]
FROZEN = "ebgan-ladder.generator.learning_rate=0"
NOISE = "ebgan-ladder.generator.source=noise"
UNWEIGHTED = "ebgan-ladder.energy_weighted=false"
CLEAN = "ebgan-ladder.corrupt_generated=false"
MARGIN_0 = "ebgan-ladder.margin.values=[0, 0]"
EAGER = Functions()


def run(recipe: Recipe | list[Recipe], data: SmallData, model: str = "ebgan-ladder") -> Run:
    return Run(recipe, model, [0, 1], data)


def weights(module: torch.nn.Module | None) -> list[Tensor]:
    assert module is not None
    return [parameter.detach().clone() for parameter in module.parameters()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_frozen_generator_stays_to_the_bit_and_the_ladder_meets_its_images(
    small: MakeRecipe, data: SmallData
) -> None:
    frozen, trained, matched = (
        run(small(FROZEN), data),
        run(small(), data),
        run(small(), data, "ladder-matched"),
    )
    assert frozen.state.generator_optimizer is None
    before = weights(frozen.state.generator)
    for each in (frozen, trained, matched):
        each.train()
    assert same(weights(frozen.state.generator), before)
    assert not same(weights(trained.state.generator), before)
    ladders = [weights(each.state.ladder) for each in (frozen, trained, matched)]
    assert not same(ladders[0], ladders[1])
    assert not same(ladders[0], ladders[2])
    first = [each.progress[0].costs.energy_generated for each in (frozen, trained)]
    assert first[0] is not None
    assert first[1] is not None
    assert torch.equal(first[0], first[1])  # the generators part after the first step


def test_a_frozen_generator_beside_one_that_trains(small: MakeRecipe, data: SmallData) -> None:
    """As two settings of a search: the first is frozen by its rate of 0 alone, and is what it is by itself."""
    both = run([small(FROZEN), small()], data)
    assert both.state.generator_optimizer is not None
    before = weights(both.state.generator)
    both.train(until=3)
    for old, new in zip(before, weights(both.state.generator), strict=True):
        assert torch.equal(old[0], new[0])
        assert not torch.equal(old[1], new[1])
    alone = run([small(FROZEN), small(FROZEN)], data).train(until=3)
    for a, b in zip(both.state.ladder.encoder, alone.state.ladder.encoder, strict=True):
        assert_close(a[0], b[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", [FROZEN, NOISE, CLEAN])
def test_going_on_from_a_checkpoint_gives_the_same_bits(
    change: str, small: MakeRecipe, data: SmallData, tmp_path: Path
) -> None:
    through, stopped, resumed = (run(small(change), data) for _ in range(3))
    through.train()
    path = tmp_path / "checkpoint"
    path.write_bytes(checkpoint_bytes(stopped.train(until=4).state, {}))
    restore(resumed.state, path, {})
    resumed.train()
    reference.assert_equal(through.parameters(0, 1), resumed.parameters(0, 1))


def test_noise_is_uniform_and_a_function_of_seed_and_step(small: MakeRecipe, data: SmallData) -> None:
    """The images are the latents' own stream, of the images' shape, through the normal distribution function."""
    noise = run(small(NOISE), data)
    generator, batches = noise.state.generator, noise.batches()
    assert generator is not None
    assert generator.is_noise
    assert not list(generator.parameters())
    batches.seek(5)
    latents = batches.current(adversarial=True).latents
    assert latents is not None
    assert latents.shape == (2, 10, 9)
    for r, seed in enumerate((0, 1)):
        keys = torch.tensor([stream_key(seed, Stream.LATENTS)])
        drawn = EAGER.normal(keys, torch.tensor(5), (10, 9))[0]
        expected = 0.5 * (1 + torch.erf(drawn / 2**0.5))
        assert_close(EAGER.generate(generator, latents)[r], expected)


def test_noise_has_the_moments_of_a_uniform_distribution() -> None:
    """Of a million numbers: mean 1/2, variance 1/12, fourth central moment 1/80; or normal, in that range."""
    latents = torch.randn(1, 1000, 1000)
    images = Generator([0], [1000], 0.02)(latents)
    assert 0 <= images.min() < 1e-4
    assert 1 - 1e-4 < images.max() <= 1
    centred = images.double() - 0.5
    assert centred.mean().item() == pytest.approx(0, abs=2e-3)
    assert centred.square().mean().item() == pytest.approx(1 / 12, rel=5e-3)
    assert centred.pow(4).mean().item() == pytest.approx(1 / 80, rel=1e-2)
    assert torch.equal(Generator([0], [1000], 0.02, output="linear")(latents), latents)


@pytest.mark.parametrize("changes", [[NOISE], [FROZEN], [UNWEIGHTED], [CLEAN], [NOISE, UNWEIGHTED]])
def test_at_margin_0_it_is_the_matched_ladder_to_the_bit(
    changes: list[str], small: MakeRecipe, data: SmallData
) -> None:
    ablated = run(small(MARGIN_0, *changes), data).train()
    matched = run(small(), data, "ladder-matched").train()
    assert same(weights(ablated.state.ladder), weights(matched.state.ladder))


def test_without_its_weight_the_hinge_has_the_weight_1(small: MakeRecipe, data: SmallData) -> None:
    """Gradients are linear in it: g(weighted) - g(none) = lambda_L2 (g(1) - g(none)), with lambda_L2 = 1000 / 9.

    With a weight of its own they differ by three times g(1) - g(none), and by a quarter of the first.
    """
    gradients = []
    start = run(small(), data)
    batches = start.batches()
    batches.seek(0)
    batch = batches.current(adversarial=True)
    steps: list[Callable[[Any], object]] = [
        lambda state: ladder_step(state, batch, EAGER, 1.0),
        lambda state: adversarial_step(state, batch, EAGER, 1.0, 50.0, True),
        lambda state: adversarial_step(state, batch, EAGER, 1.0, 50.0, False),
        lambda state: adversarial_step(state, batch, EAGER, 1.0, 50.0, False, hinge_weight=3.0),
        lambda state: adversarial_step(state, batch, EAGER, 1.0, 50.0, True, hinge_weight=torch.tensor(0.25)),
    ]
    for step in steps:
        state = run(small(), data).state
        step(state)
        gradients.append([p.grad for p in state.ladder.parameters() if p.grad is not None])
    largest = 0.0
    for none, weighted, one, three, quarter in zip(*gradients, strict=True):
        assert_close(weighted - none, 1000 / 9 * (one - none), rtol=1e-2, atol=2e-2)
        assert_close(three - none, 3 * (one - none), rtol=1e-2, atol=2e-2)
        assert_close(quarter - none, (weighted - none) / 4, rtol=1e-2, atol=2e-2)
        largest = max(largest, (weighted - none).abs().max().item())
    assert largest > 1


def test_with_a_weight_of_1_it_makes_no_difference(small: MakeRecipe, data: SmallData) -> None:
    """9 on the mean over nine pixels is 1 on their sum."""
    lambda_1 = "ebgan-ladder.denoising_weights.0=9"
    weighted, one = run(small(lambda_1), data).train(), run(small(lambda_1, UNWEIGHTED), data).train()
    other = run(small(UNWEIGHTED), data).train()
    assert same(weights(weighted.state.ladder), weights(one.state.ladder))
    assert not same(weights(other.state.ladder), weights(run(small(), data).train().state.ladder))


@EAGER_AND_KERNELS
def test_generated_images_may_pass_clean(compiled: bool, small: MakeRecipe, data: SmallData) -> None:
    """Their energies are then those of a pass without noise."""
    clean = Run(small(CLEAN), "ebgan-ladder", [0, 1], data, compiled=compiled).train(until=5)
    batches = clean.batches()
    batches.seek(5)
    without, batch = (batches.current(adversarial=True, corrupt_generated=noisy) for noisy in (False, True))
    assert without.generated_noise is None
    assert without.latents is not None
    assert clean.state.generator is not None
    generated = EAGER.generate(clean.state.generator, without.latents)
    expected, corrupted = (
        EAGER.generated_energy(clean.state.ladder, generated, noise).detach()
        for noise in (None, batch.generated_noise)
    )
    found = clean.train(until=6).progress[-1].costs.energies_generated
    assert found is not None
    assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert (found - corrupted).abs().max() > 1e-2


def test_a_model_may_have_evaluation_statistics_of_its_own(small: MakeRecipe, data: SmallData) -> None:
    """The network's are of labelled images; training knows nothing of either."""
    recipe = small("ladder.evaluation_statistics=unlabeled")
    assert recipe.network.evaluation_statistics == "labeled"
    assert [recipe.evaluation_statistics(model) for model in recipe.models] == ["unlabeled", "labeled", "labeled"]
    tensors = type("Data", (), {"train_images": data.images})
    engine = Engine(recipe, None, None, tensors, EAGER)  # type: ignore[arg-type]
    subsets = [np.arange(10), np.arange(20, 35)]
    expected = {
        "ladder": unlabeled_calibration(60, [0, 1], 10, 4),
        "ebgan-ladder": labeled_calibration(subsets, 10),
    }
    for model, calibration in expected.items():
        for found, wanted in zip(engine.calibration(model, subsets, [0, 1], 4), calibration, strict=True):
            assert torch.equal(found, wanted)
    trained = run(recipe, data, "ladder").train(), run(small(), data, "ladder").train()
    assert same(weights(trained[0].state.ladder), weights(trained[1].state.ladder))


def test_only_numbers_of_a_game_may_differ_between_replicas(small: MakeRecipe) -> None:
    every = [small(), small(FROZEN), small(NOISE), small(UNWEIGHTED), small(CLEAN)]
    every.append(small("ebgan-ladder.evaluation_statistics=unlabeled"))
    every.append(small("ebgan-ladder.hinge_weight=0.5"))
    kinds = [stackable(recipe, "ebgan-ladder") for recipe in every]
    assert kinds[0] == kinds[1] == kinds[-1]
    assert len(set(kinds)) == 5


def test_defaults_are_no_part_of_an_identity(small: MakeRecipe) -> None:
    said = small(
        *("ebgan-ladder.energy_weighted=true", "ebgan-ladder.generator.source=network"),
        *("ebgan-ladder.corrupt_generated=true", "ebgan-ladder.hinge_weight=1"),
    )
    assert said.identity() == small().identity()
    identity = small(NOISE, UNWEIGHTED, "ebgan-ladder.evaluation_statistics=unlabeled").identity()["ebgan-ladder"]
    expected: dict[str, Any] = copy.deepcopy(small().identity()["ebgan-ladder"])
    expected["generator"]["source"] = "noise"
    assert identity == expected | {"energy_weighted": False, "evaluation_statistics": "unlabeled"}
    unchanged = small().identity()
    assert "evaluation_statistics" not in unchanged["ladder"]
    assert "source" not in unchanged["ebgan-ladder"]["generator"]


def test_the_work_of_a_step_without_a_generator_that_trains(small: MakeRecipe, data: SmallData) -> None:
    """Beside the discriminator: nothing but noise of the images' size; or the generator once, forward.

    Generated images that pass clean take no noise.
    """
    works = {
        change: step_work(small(*([change] if change else [])), "ebgan-ladder", True, 9, 5)
        for change in ("", FROZEN, NOISE, CLEAN)
    }
    generator = 4 * 9 + 9 * 8 + 8 * 9  # weights
    assert works[FROZEN].flops - works[NOISE].flops == 2 * 10 * generator
    assert works[""].flops > works[FROZEN].flops
    assert works[FROZEN].n_parameters - works[NOISE].n_parameters == generator + 9 + 8 + 9
    assert works[NOISE].n_normals - works[FROZEN].n_normals == 10 * (9 - 4)
    assert works[CLEAN].flops == works[""].flops
    assert works[""].n_normals - works[CLEAN].n_normals == 10 * sum(run(small(), data).state.ladder.sizes)


def test_a_step_against_a_generator_is_timed_with_the_first_model_that_has_such_steps(small: MakeRecipe) -> None:
    """A variant may be the only one."""
    assert [first_phase(small(), kind).model for kind in (False, True)] == ["ladder", "ebgan-ladder"]
    variant = ('variants.late.of="ebgan-ladder"', 'variants.late.set=["adversarial_steps=3"]')
    recipe = small("ebgan-ladder.adversarial_steps=0", *variant)
    assert [first_phase(recipe, kind).model for kind in (False, True)] == ["ladder", "late"]


@pytest.mark.parametrize(
    ("change", "others"),
    [
        ("margin.values=[3, 1]", [False, False]),
        ("learning_rate=0.5", [False, False]),
        ("hinge_weight=0.5", [False, False]),
        ("adversarial_steps=2", [False, False]),
        ("generator.learning_rate=0.5", [False, False]),
        ("generator.learning_rate=0", [False, True]),
        ("generator.hidden_sizes=[3]", [False, True]),
        ("margin.values=[0, 0]", [False, True]),
        ("corrupt_generated=false", [False, True]),
        ("denoising_weights.3=0.1", [True, True]),
        ("vat_weight=1", [True, True]),
        ("pulling_away_weight=0.1", [False, True]),
        ("generator.weight_std=0.5", [False, False]),
    ],
)
def test_steps_that_do_the_same_are_one_phase(change: str, others: list[bool], small: MakeRecipe) -> None:
    """Whether those of the variant are others than its model's, alone and against a generator."""
    recipe = small('variants.v.of="ebgan-ladder"', f'variants.v.set=["{change}"]')
    found = [phase_of(recipe, "v", kind) != phase_of(recipe, "ebgan-ladder", kind) for kind in (False, True)]
    assert found == others
    assert phase_of(recipe, "ebgan-ladder", False) == phase_of(recipe, "ladder-matched", False)


def test_whether_there_is_a_generator(small: MakeRecipe) -> None:
    of_model = {"ladder": False, "ladder-matched": False, "ebgan-ladder": True}
    assert {model: small().settings(model).has_generator for model in of_model} == of_model
    settings = small(NOISE).settings("ebgan-ladder")
    assert isinstance(settings, EBGANLadderSettings)
    assert not settings.has_generator
    assert not settings.generator.is_trained
