"""Discriminators that train alone: against plain PyTorch, without labels, on images that are not held out."""

from dataclasses import replace

import gan_reference
import numpy as np
import pytest
import tiny
import torch
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan.alone import (
    AutoEncoders,
    Discriminators,
    Ladders,
    discriminators_of,
    held_out_energies,
    measured,
)
from ladder_ebgan.any_recipe import AnyRecipe, load_any_recipe
from ladder_ebgan.data import Dataset, load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.frame import framed
from ladder_ebgan.machine import Resolved
from ladder_ebgan.search.validation import validation_split

RESOLVED = Resolved(torch.device("cpu"), "cpu", "float32", 4, False, 1)
GAN_SETTINGS = ["training.batch_size=20", "ebgan.discriminator.size=12", "ebgan.generator.size=9"]


@pytest.fixture(scope="module")
def split() -> Dataset:
    return validation_split(load_dataset("digits"), 50)


def ladder_recipe(*overrides: str) -> AnyRecipe:
    return load_any_recipe("table2", [*tiny.settings()[1::2], *overrides])


def gan_recipe(*overrides: str) -> AnyRecipe:
    return load_any_recipe("figure4-ebgan", [*GAN_SETTINGS, *overrides])


def ladders(split: Dataset, seeds: list[int], *overrides: str) -> Ladders:
    made = discriminators_of(ladder_recipe(*overrides), "ebgan-ladder", split, RESOLVED, seeds)
    assert isinstance(made, Ladders)
    return made


def auto_encoders(split: Dataset, seeds: list[int], *overrides: str) -> AutoEncoders:
    made = discriminators_of(gan_recipe(*overrides), "ebgan", split, RESOLVED, seeds)
    assert isinstance(made, AutoEncoders)
    return made


def trained(discriminators: Discriminators, n_steps: int) -> tuple[float, ...]:
    list(discriminators.train(n_steps, n_steps))
    return held_out_energies(discriminators)


def test_an_auto_encoder_goes_down_its_energy_alone(split: Dataset) -> None:
    """Three steps of Adam on the mean norm, one network at a time; the generator stays as it is."""
    alone = auto_encoders(split, [0, 1])
    generator = [parameter.detach().clone() for parameter in alone.state.generator.parameters()]
    plain = [gan_reference.layers_of(alone.state.discriminator, r) for r in range(2)]
    alone.batches.seek(0)
    batches = []
    for _ in range(3):
        batches.append(alone.batches.current().images.clone())
        alone.batches.advance()
    for r, layers in enumerate(plain):
        optimizer = torch.optim.Adam([p for pair in layers for p in pair], 0.001, (0.5, 0.999), 1e-8)
        for images in batches:
            optimizer.zero_grad()
            gan_reference.energies(layers, images[r])[0].mean().backward()
            optimizer.step()
    assert list(alone.train(3, 1)) == [1, 2, 3]
    for layer, weight in enumerate(alone.state.discriminator.weight):
        for r, layers in enumerate(plain):
            assert_close(weight.detach()[r], layers[layer][0].detach(), rtol=1e-3, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(generator, alone.state.generator.parameters(), strict=True))


def test_its_energy_is_the_norm_of_held_out_images(split: Dataset) -> None:
    """Two batches of twenty, each normalised by itself; the last ten images do not fill one."""
    alone = auto_encoders(split, [0, 1])
    alone_energies = trained(alone, 3)
    images = framed(torch.from_numpy(split.test_images[:40]), split.image_shape, 2)
    for r, found in enumerate(alone_energies):
        layers = gan_reference.layers_of(alone.state.discriminator, r)
        parts = [gan_reference.energies(layers, part)[0] for part in images.split(20)]
        assert found == pytest.approx(torch.cat(parts).mean().item(), rel=1e-5)


@pytest.mark.parametrize("dropout", ["0.0", "0.5"])
def test_auto_encoders_learn_and_are_measured_in_the_same_way_each_time(split: Dataset, dropout: str) -> None:
    alone = auto_encoders(split, [0, 1], f"ebgan.discriminator.dropout={dropout}")
    before = held_out_energies(alone)
    assert before == held_out_energies(alone)
    assert all(after < start for start, after in zip(before, trained(alone, 40), strict=True))


def test_a_ladder_learns_without_labels(split: Dataset) -> None:
    """Other labels change no bit."""
    points = []
    for shift in (0, 3):
        labels = (split.train_labels + shift) % split.n_classes
        alone = ladders(replace(split, train_labels=labels), [0, 1])
        points.append(list(measured(alone, 20, 10)))
    assert points[0] == points[1]
    assert [point.step for point in points[0]] == [0, 10, 20]
    for r in range(2):
        assert points[0][2].energies[r] < points[0][1].energies[r] < points[0][0].energies[r]


def test_a_ladder_never_sees_what_is_held_out(split: Dataset) -> None:
    """Other test images have other energies; the networks are the same, to the bit."""
    other = replace(split, test_images=np.zeros_like(split.test_images))
    one, two = (ladders(data, [0]) for data in (split, other))
    assert trained(one, 5) != trained(two, 5)
    for a, b in zip(one.state.ladder.parameters(), two.state.ladder.parameters(), strict=True):
        assert torch.equal(a, b)


def test_its_energy_is_the_noisy_squared_error_of_training(split: Dataset) -> None:
    alone = ladders(split, [0, 1])
    found = trained(alone, 3)
    images, energies = torch.from_numpy(split.test_images[:40]), list[Tensor]()
    for number, part in enumerate(images.split(20)):
        batch, noise = part.expand(2, -1, -1), alone.noise.at(torch.tensor(number))
        energies.append((alone.state.ladder.reconstruct(batch, noise) - batch).square().sum(dim=-1))
    assert found == pytest.approx(torch.cat(energies, dim=1).mean(dim=1).tolist(), rel=1e-5)


def test_its_learning_rate_does_not_fall_and_other_costs_of_unlabelled_images_are_none(split: Dataset) -> None:
    """A decay from the first step on, pseudo-labels and virtual adversarial training change no bit."""
    changes = ["decay_start_step=0", "pseudo_label_weight.steps=[0]", "pseudo_label_weight.values=[9]"]
    changes.append("vat_weight=5")
    plain, changed = (
        trained(ladders(split, [0], *(f"ebgan-ladder.{change}" for change in these)), 70) for these in ([], changes)
    )
    assert plain == changed


@pytest.mark.parametrize("kind", [ladders, auto_encoders])
def test_a_replica_among_others_equals_it_alone(kind: type[Ladders], split: Dataset) -> None:
    together, alone = trained(kind(split, [3, 7]), 5), trained(kind(split, [7]), 5)  # type: ignore[call-arg,arg-type]
    assert together[1] == pytest.approx(alone[0], rel=1e-3)
    assert together[0] != pytest.approx(together[1], rel=1e-6)


def test_fewer_images_than_a_batch_are_one(split: Dataset) -> None:
    few = replace(split, test_images=split.test_images[:7], test_labels=split.test_labels[:7])
    for alone in (ladders(few, [0]), auto_encoders(few, [0], "ebgan.discriminator.dropout=0.5")):
        assert np.isfinite(trained(alone, 1)).all()


def test_what_the_recipe_has_is_known(split: Dataset) -> None:
    assert (ladders(split, [0]).margin, ladders(split, [0]).squared) == (16, True)
    assert (auto_encoders(split, [0]).margin, auto_encoders(split, [0]).squared) == (10, False)


@pytest.mark.parametrize(
    ("recipe", "model", "said"),
    [
        (ladder_recipe(), "ladder", "ladder has no margin: name a model that has, such as ebgan-ladder"),
        (
            load_any_recipe("figure4-gan"),
            "gan",
            "gan has no margin: its discriminator gives a logit; name an EBGAN",
        ),
        (
            ladder_recipe(
                *("ebgan-ladder.adversarial_steps=0", "ebgan-ladder.denoising_weights=[0, 1, 0, 0, 0, 0, 0]")
            ),
            "ebgan-ladder",
            "ebgan-ladder has no energy: its denoising_weights[0] must be above 0",
        ),
    ],
)
def test_a_model_without_energy_or_margin_is_refused(
    recipe: AnyRecipe, model: str, said: str, split: Dataset
) -> None:
    with pytest.raises(UsageError) as caught:
        discriminators_of(recipe, model, split, RESOLVED, [0])
    assert str(caught.value) == said
