import pytest

from ladder_ebgan.errors import UsageError
from ladder_ebgan.recipe import EBGANLadderSettings
from ladder_ebgan.sizing import settings_for, sized_recipe


def test_a_run_has_the_settings_of_the_estimators_and_both_models() -> None:
    """20,000 rows of 30 features: 120 units, 20 passes in batches of 100, a margin of 0.3 for each feature."""
    recipe = sized_recipe(20_000, 30, 40)
    assert (recipe.labels, recipe.n_seeds, recipe.compared) == ([40], 5, ["ladder", "ebgan-ladder"])
    assert recipe.network.hidden_sizes == [120, 60, 30]
    ladder, adversarial = recipe.settings("ladder"), recipe.settings("ebgan-ladder")
    assert isinstance(adversarial, EBGANLadderSettings)
    assert (
        (ladder.n_steps, ladder.decay_start_step)
        == (adversarial.n_steps, adversarial.decay_start_step)
        == (4000, 2000)
    )
    assert (adversarial.adversarial_steps, adversarial.margin.steps) == (800, [0, 800])
    assert adversarial.margin.values == [pytest.approx(9), 0]


def test_a_change_of_one_model_is_none_of_the_other() -> None:
    recipe = sized_recipe(100, 4, 40, ["ladder.denoising_weights.0=7"])
    assert recipe.settings("ladder").denoising_weights[0] == 7
    assert (
        recipe.settings("ebgan-ladder").denoising_weights[0]
        == settings_for(100, 4)["ladder"]["denoising_weights"][0]
    )


def test_a_wrong_change_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^recipe 'auto': unknown key 'ladder.steps' \(did you mean 'n_steps'"):
        sized_recipe(100, 4, 40, ["ladder.steps=7"])
