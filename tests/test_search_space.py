"""What a search varies: how a space is read, what its settings come to, which can train together."""

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from ladder_ebgan.errors import UsageError
from ladder_ebgan.recipe import load_recipe
from ladder_ebgan.recipe_files import recipe_names, space_names, space_summary, space_text
from ladder_ebgan.search.batch import stackable
from ladder_ebgan.search.space import load_space, overrides

SPACE = """# A space for tests
recipe = "table2"
model = "ladder"
labels = 100
n_subsets = 2
n_trials = 6
sampler = "tpe"

[parameters]
"ladder.learning_rate" = { low = 0.001, high = 0.1, log = true }
"ladder.decay_start_step" = { low = 10, high = 1000 }
"network.input_noise, network.hidden_noise" = { low = 0.1, high = 0.5 }
"ladder.denoising_weights" = { choices = [[1000, 0, 0, 0, 0, 0, 0], [1000, 10, 0, 0, 0, 0, 0.1]] }
"""


def written(folder: Path, *changes: tuple[str, str]) -> str:
    text = SPACE
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = folder / "space.toml"
    path.write_text(text)
    return str(path)


def test_parameters_are_what_optuna_is_told(tmp_path: Path) -> None:
    weights = ("[1000, 0, 0, 0, 0, 0, 0]", "[1000, 10, 0, 0, 0, 0, 0.1]")
    assert load_space(written(tmp_path)).distributions() == {
        "ladder.learning_rate": FloatDistribution(0.001, 0.1, log=True),
        "ladder.decay_start_step": IntDistribution(10, 1000),
        "network.input_noise, network.hidden_noise": FloatDistribution(0.1, 0.5),
        "ladder.denoising_weights": CategoricalDistribution(weights),
    }


def test_a_proposal_becomes_a_recipe(tmp_path: Path) -> None:
    """Several keys get one value; numbers are cut to the digits that they are written with."""
    space = load_space(written(tmp_path), {"set": ["ladder.n_steps=2000", "ladder.decay_start_step=0"]})
    proposal = {
        "ladder.learning_rate": 0.0123456789,
        "ladder.decay_start_step": 700,
        "network.input_noise, network.hidden_noise": 0.25,
        "ladder.denoising_weights": "[1000, 10, 0, 0, 0, 0, 0.1]",
    }
    assert overrides(proposal) == [
        "ladder.learning_rate=0.01235",
        "ladder.decay_start_step=700",
        "network.input_noise=0.25",
        "network.hidden_noise=0.25",
        "ladder.denoising_weights=[1000, 10, 0, 0, 0, 0, 0.1]",
    ]
    recipe = space.recipe_of(proposal)
    settings = recipe.settings("ladder")
    assert (settings.learning_rate, settings.decay_start_step, settings.n_steps) == (0.01235, 700, 2000)
    assert recipe.network.noise_stds == (0.25,) * 7
    assert settings.denoising_weights == [1000, 10, 0, 0, 0, 0, 0.1]


@pytest.mark.parametrize("name", space_names())
def test_packaged_spaces_can_be_searched(name: str) -> None:
    space = load_space(name)
    assert f"ladder-ebgan search --space {name}" in space_text(name)
    assert space_summary(name)
    assert name not in recipe_names()
    assert not set(space.seeds) & set(range(100))  # other subsets than those of a table


def test_the_grid_of_the_paper_is_whole() -> None:
    """Four weights of the reconstruction by five learning rates: Zhao et al. 2017, appendix D."""
    space = load_space("baseline")
    settings = [space.recipe_of(proposal).settings("ladder") for proposal in space.grid()]
    found = {(each.denoising_weights[0], each.learning_rate) for each in settings}
    rates = (0.002, 0.001, 0.0005, 0.0002, 0.0001)
    assert found == {(weight, rate) for weight in (5000, 2000, 1000, 500) for rate in rates}
    assert len(settings) == space.n_trials == 20


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('"table2"', '"table3"'), "unknown recipe 'table3'"),
        (('model = "ladder"', 'model = "laddder"'), "the recipe has no model 'laddder'"),
        (('"tpe"', '"grid"'), "a grid has choices, but 'ladder.learning_rate' is a range: use choices"),
        (("n_trials = 6", "n_trials = 0"), "n_trials is 0: input should be greater than 0"),
        (("n_trials", "n_trails"), "unknown key 'n_trails' (did you mean 'n_trials'?)"),
        (("ladder.learning_rate", "ladder.learning_rates"), "unknown key 'ladder.learning_rates'"),
        (("low = 0.001, high = 0.1", "low = 0.1, high = 0.1"), "low is 0.1, but must be below high (0.1)"),
        (("low = 0.001", "low = 0.0"), "low is 0.0, but must be above 0 if log is true"),
        (("high = 1000 }", "high = 130000 }"), "with ladder.decay_start_step = 130000: recipe 'table2': "),
        (("[1000, 0, 0, 0, 0, 0, 0]", "[1000]"), "ladder.denoising_weights has 1 numbers"),
        (("[parameters]", "[parameter]"), "unknown key 'parameter' (did you mean 'parameters'?)"),
        (("labels = 100", "labels = 2024-01-01"), "dates are not allowed"),
        (("labels = 100", "labels = "), "is not valid TOML"),
    ],
)
def test_a_wrong_space_is_refused_by_name(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    with pytest.raises(UsageError) as refusal:
        load_space(written(tmp_path, change))
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_unknown_space_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"unknown search space 'base-line' \(did you mean 'baseline'\?\)"):
        load_space("base-line")


def test_more_trials_are_the_same_search(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert load_space(path).identity() == load_space(path, {"n_trials": 60}).identity()
    assert load_space(path).identity() != load_space(path, {"n_subsets": 3}).identity()
    assert load_space(path).identity() != load_space(path, {"set": ["ladder.n_steps=150000"]}).identity()


TOGETHER = ["ladder.learning_rate=1", "ladder.decay_start_step=0", "ladder.classification_weight=2"]
APART = ["ladder.n_steps=99999", "network.hidden_sizes=[9]", "training.batch_size=50", "training.adam_beta1=0.9"]


@pytest.mark.parametrize("change", [*TOGETHER, "ladder.denoising_weights.0=7", "network.input_noise=1"])
def test_what_replicas_may_differ_in_trains_together(change: str) -> None:
    assert stackable(load_recipe("table2", [change]), "ladder") == stackable(load_recipe("table2"), "ladder")


@pytest.mark.parametrize("change", [*APART, "ladder.denoising_weights.1=7", "network.softmax_gamma=true"])
def test_what_changes_shapes_or_steps_trains_apart(change: str) -> None:
    changes = [change] if "sizes" not in change else [change, "ladder.denoising_weights=[1, 0, 0]"]
    changes += ["ebgan-ladder.denoising_weights=[1, 0, 0]"] if "sizes" in change else []
    assert stackable(load_recipe("table2", changes), "ladder") != stackable(load_recipe("table2"), "ladder")


@pytest.mark.parametrize(
    ("change", "together"),
    [
        ("ebgan-ladder.margin.values=[3, 1]", True),
        ("ebgan-ladder.margin.shape=cosine", True),
        ("ebgan-ladder.generator.learning_rate=1", True),
        ("ebgan-ladder.generator.hidden_sizes=[9]", False),
        ("ebgan-ladder.adversarial_steps=7", False),
    ],
)
def test_of_the_generator_too(change: str, together: bool) -> None:
    here, there = (stackable(load_recipe("table2", changes), "ebgan-ladder") for changes in ([], [change]))
    assert (here == there) == together
