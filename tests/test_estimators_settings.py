from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ladder_ebgan.errors import UsageError
from ladder_ebgan.estimators.settings import Sizes, make_recipe
from ladder_ebgan.recipe import EBGANLadderSettings, LadderSettings, Recipe, load_recipe, parse_recipe

DIGITS = Sizes(n_rows=1000, n_features=64, n_labeled=50)


def made(given: Any = None, sizes: Sizes = DIGITS, n_replicas: Any = 1, **wishes: Any) -> Recipe:
    return make_recipe("ladder", given, wishes, sizes, n_replicas, standardized=given is None)


def adversarial(given: Any = None, standardized: bool = True, **wishes: Any) -> EBGANLadderSettings:
    settings = make_recipe("ebgan-ladder", given, wishes, DIGITS, 1, standardized).settings("ebgan-ladder")
    assert isinstance(settings, EBGANLadderSettings)
    return settings


@pytest.mark.parametrize(
    ("sizes", "hidden", "batch_size", "n_steps"),
    [
        (Sizes(1000, 64, 50), [256, 128, 64], 100, 2000),
        (Sizes(150, 4, 9), [64, 32, 16], 100, 2000),
        (Sizes(30, 10_000, 9), [1000, 500, 250], 30, 2000),
        (Sizes(20_000, 30, 50), [120, 60, 30], 100, 4000),
        (Sizes(10**6, 30, 50), [120, 60, 30], 100, 20_000),
        (Sizes(1, 1, 1), [64, 32, 16], 2, 2000),
    ],
)
def test_the_size_of_the_table_decides(sizes: Sizes, hidden: list[int], batch_size: int, n_steps: int) -> None:
    recipe = made(sizes=sizes, n_replicas=np.int64(3))
    assert recipe.network.hidden_sizes == hidden
    assert recipe.training.batch_size == batch_size
    settings = recipe.settings("ladder")
    assert (settings.n_steps, settings.decay_start_step) == (n_steps, n_steps // 2)
    assert (recipe.labels, recipe.n_seeds) == ([sizes.n_labeled], 3)


def test_the_margin_is_a_share_of_the_variance_of_standardised_features() -> None:
    """0.3 of 64 features of variance 1."""
    settings = adversarial()
    assert settings.margin.values == [pytest.approx(19.2), 0]
    assert settings.margin.steps == [0, 400]
    assert settings.adversarial_steps == 400
    assert settings.generator.output == "linear"
    assert settings.generator.hidden_sizes == [256, 256]


def test_wishes_are_granted() -> None:
    recipe = made(
        hidden_layer_sizes=(7, np.int64(5)),
        **{"n_steps": np.int64(30), "batch_size": 8, "learning_rate": np.float64(0.5), "denoising_weights": 3},
        **{"input_noise": 0.1, "hidden_noise": 0.2},
    )
    assert recipe.network.hidden_sizes == [7, 5]
    assert (recipe.network.input_noise, recipe.network.hidden_noise) == (0.1, 0.2)
    assert recipe.training.batch_size == 8
    assert recipe.ladder == LadderSettings(
        n_steps=30, learning_rate=0.5, decay_start_step=15, denoising_weights=[3.0, 0, 0, 0]
    )
    settings = adversarial(generator_layer_sizes=[9], latent_size=2, generator_learning_rate=0.25, margin=4)
    assert settings.generator.hidden_sizes == [9]
    assert (settings.generator.latent_size, settings.generator.learning_rate) == (2, 0.25)
    assert settings.margin.values == [4, 0]


def test_each_layer_may_have_a_weight() -> None:
    weights = np.array([9.0, 1.0, 0.5])
    assert made(hidden_layer_sizes=[6], denoising_weights=weights).settings("ladder").denoising_weights == [
        9,
        1,
        0.5,
    ]
    with pytest.raises(UsageError, match=r"denoising_weights has 3 numbers, but the network has 4 layers"):
        made(hidden_layer_sizes=[6, 6], denoising_weights=weights)


def test_a_recipe_is_taken_as_it_is() -> None:
    table2 = load_recipe("table2")
    for given in ("table2", table2):
        recipe = made(given)
        assert recipe.settings("ladder") == table2.settings("ladder")
        assert (recipe.network, recipe.training) == (table2.network, table2.training)
        assert adversarial(given, standardized=False) == table2.settings("ebgan-ladder")


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    from ladder_ebgan.recipe import recipe_text

    path = tmp_path / "mine.toml"
    path.write_text(recipe_text("demo"))
    assert made(path).settings("ladder") == load_recipe("demo").settings("ladder")


def test_the_schedules_of_a_recipe_keep_their_shares() -> None:
    """Of 180,000 steps table2 is adversarial for 60,000 and has the full rate for 120,000."""
    settings = adversarial("table2", standardized=False, n_steps=90, margin=8)
    assert (settings.n_steps, settings.adversarial_steps, settings.decay_start_step) == (90, 30, 60)
    assert settings.margin.steps == [0, 30]
    assert settings.margin.values == [8, 0]
    one_step = adversarial("table2", standardized=False, n_steps=1)
    assert (one_step.adversarial_steps, one_step.decay_start_step, one_step.margin.steps) == (0, 0, [0])
    ramp = load_recipe("table2", ["ladder.pseudo_label_weight={steps = [0, 60000], values = [0, 2]}"])
    weight = made(ramp, n_steps=90).ladder.pseudo_label_weight  # type: ignore[union-attr]
    assert weight is not None
    assert (weight.steps, weight.values) == ([0, 45], [0, 2])


@pytest.mark.parametrize(("n_steps", "every"), [(1, 1), (90, 2), (12_000, 200), (120_000, 2_000), (240_000, 2_000)])
def test_curves_have_as_many_points_in_fewer_steps(n_steps: int, every: int) -> None:
    """A point every 2,000 of the 120,000 steps of table2."""
    assert made("table2", n_steps=n_steps).training.curve_every_steps == every


def test_other_layers_need_other_weights_only_if_there_are_any() -> None:
    assert made("table2", hidden_layer_sizes=[8]).settings("ladder").denoising_weights == [1000, 0, 0]
    full = parse_recipe(
        load_recipe("table2", ["ladder.denoising_weights=[1000,10,1,1,1,1,1]"]).model_dump(by_alias=True), "full"
    )
    with pytest.raises(UsageError, match="has 7 numbers, but the network has 3 layers"):
        made(full, hidden_layer_sizes=[8])


def test_a_margin_of_zero_has_no_shape() -> None:
    flat = load_recipe("table2", ["ebgan-ladder.margin.values=[0,0]"])
    assert adversarial(flat).margin.values == [0, 0]
    with pytest.raises(UsageError, match=r"ebgan-ladder.margin.values is 3: input should be a valid array"):
        adversarial(flat, margin=3)


def test_a_recipe_without_the_model_is_refused() -> None:
    tables = load_recipe("table2").model_dump(by_alias=True) | {"ladder": None}
    with pytest.raises(UsageError, match=r"^the recipe has no model 'ladder': it has ladder-matched, ebgan-ladder"):
        made(parse_recipe(tables, "half"))
