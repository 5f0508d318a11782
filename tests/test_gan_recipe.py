import tomllib
from typing import Any

import pytest

from ladder_ebgan.any_recipe import load_any_recipe, parse_any_recipe
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.recipe import EBGANSettings, GANRecipe
from ladder_ebgan.recipe import load_recipe, recipe_of_model
from ladder_ebgan.recipe_files import recipe_text

FIGURES = ["figure4-gan", "figure4-ebgan", "figure4-ebgan-pt", "figure9"]


def recipe_of(name: str, *overrides: str) -> GANRecipe:
    recipe = load_any_recipe(name, overrides)
    assert isinstance(recipe, GANRecipe)
    return recipe


def message_of(name: str, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_any_recipe(name, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def ebgan(name: str, model: str) -> EBGANSettings:
    settings = recipe_of(name).settings(model)
    assert isinstance(settings, EBGANSettings)
    return settings


@pytest.mark.parametrize("name", FIGURES)
def test_what_all_recipes_have_in_common(name: str) -> None:
    """Batches of 100, 30,000 steps (50 epochs of 60,000 images), 100 latents, 32 x 32, the paper's weights."""
    recipe = recipe_of(name)
    assert recipe.labels == [0]
    assert recipe.training.batch_size == 100
    for model in recipe.models:
        settings = recipe.settings(model)
        d, g = settings.discriminator, settings.generator
        assert (settings.n_steps, settings.padding, g.latent_size) == (30_000, 2, 100)
        assert (d.weight_std, g.weight_std, d.dropout) == (0.002, 0.02, 0)
        assert settings.has_generator


def test_the_best_gan_of_the_paper() -> None:
    settings = recipe_of("figure4-gan").settings("gan")
    d, g = settings.discriminator, settings.generator
    assert settings.discriminator_sizes(1024) == [1024, 1024, 1]
    assert g.sizes(1024) == [100, 1600, 1600, 1600, 1600, 1024]
    assert (d.optimizer, d.learning_rate, g.optimizer, g.learning_rate) == ("sgd", 0.01, "sgd", 0.01)
    assert settings.margin_steps == 0


def test_the_best_ebgan_of_the_paper_with_and_without_the_pulling_away_term() -> None:
    settings, with_term = ebgan("figure4-ebgan", "ebgan"), ebgan("figure4-ebgan-pt", "ebgan-pt")
    d, g = settings.discriminator, settings.generator
    assert settings.discriminator_sizes(1024) == [1024, 1024, 1024]
    assert g.sizes(1024) == [100, 800, 800, 800, 800, 1024]
    assert (d.optimizer, d.learning_rate, g.optimizer, g.learning_rate) == ("adam", 0.001, "adam", 0.001)
    assert (settings.margin, settings.pulling_away_weight, settings.margin_steps) == (10, 0, 30_000)
    assert with_term == settings.model_copy(update={"pulling_away_weight": 0.1})
    assert ebgan("figure4-ebgan-pt", "ebgan") == settings


def test_the_margins_of_figure_9() -> None:
    recipe = recipe_of("figure9")
    margins = [ebgan("figure9", model).margin for model in recipe.compared]
    assert margins == [10, 1, 2, 4, 6, 8, 12, 16, 32]
    base = recipe.settings("ebgan")
    assert base.generator.size == 1600
    assert recipe.settings("margin-4") == base.model_copy(update={"margin": 4})


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "ebgan.margins=5",
            "unknown key 'ebgan.margins' (did you mean 'margin'?): known there are n_steps, padding",
        ),
        ("ebgan.margin=-1", "ebgan.margin is -1: input should be greater than or equal to 0"),
        ("ebgan.pulling_away_weight=-1", "ebgan.pulling_away_weight is -1: input should be greater"),
        (
            "ebgan.discriminator.n_layers=1",
            "ebgan.discriminator.n_layers is 1: input should be greater than",
        ),
        ("ebgan.discriminator.dropout=1", "ebgan.discriminator.dropout is 1: input should be less than 1"),
        ("ebgan.generator.optimizer=rmsprop", "is \"rmsprop\": input should be 'adam' or 'sgd'"),
        ("ebgan.discriminator.learning_rate=0", "learning_rate is 0: input should be greater than 0"),
        ("ebgan.padding=-1", "ebgan.padding is -1: input should be greater than or equal to 0"),
        ("training.averaging_decay=0.5", "training.averaging_decay is for ladders: leave it out"),
        ("gan.margin=3", "unknown key 'gan.margin': known there are n_steps, padding, discriminator, generator"),
        ("labels=[100]", "has [gan] or [ebgan] beside 'labels': GANs without labels have a recipe of their own"),
        ("network.input_noise=1", "has [gan] or [ebgan] beside 'network'"),
        ("variants.gan.of=ebgan", "'gan' is the name of a model: give the variant another one"),
        ("variants.x.of=gan", 'variants.x.of is "gan", but the recipe has no section [gan]'),
        ("variants.x.of=ladder", "variants.x.of is \"ladder\": input should be 'gan' or 'ebgan'"),
    ],
)
def test_what_is_wrong_is_named(override: str, expected: str) -> None:
    assert expected in message_of("figure4-ebgan", override)


def test_a_wrong_change_of_a_variant_is_named() -> None:
    wrong = ["variants.x.of=ebgan", 'variants.x.set=["margin=-3"]']
    assert "variants.x: margin is -3: input should be greater" in message_of("figure4-ebgan", *wrong)


def test_a_frozen_generator_is_allowed() -> None:
    assert recipe_of("figure4-gan", "gan.generator.learning_rate=0").settings("gan").generator.learning_rate == 0


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="the recipe has no model 'ladder': it has ebgan, ebgan-pt"):
        recipe_of("figure4-ebgan-pt").settings("ladder")


def test_what_is_made_for_classifiers_refuses_it() -> None:
    with pytest.raises(UsageError, match="'figure9' is of GANs without labels, which 'ladder-ebgan run' trains"):
        load_recipe("figure9")


def test_both_kinds_of_gans_may_share_a_recipe() -> None:
    tables: dict[str, Any] = tomllib.loads(recipe_text("figure4-gan"))
    tables["ebgan"] = tomllib.loads(recipe_text("figure4-ebgan"))["ebgan"]
    recipe = parse_any_recipe(tables, "both")
    assert recipe.models == recipe.compared == ["gan", "ebgan"]
    assert recipe.identity().keys() == {"training", "gan", "ebgan"}
    assert recipe_of_model(recipe.identity(), "ebgan").keys() == {"training", "ebgan"}
