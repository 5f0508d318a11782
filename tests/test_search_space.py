"""What a search varies: how a space is read, what its settings come to, which can train together."""

import zlib
from functools import reduce
from itertools import islice
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from ladder_ebgan.any_recipe import load_any_recipe
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.recipe import GANSettings
from ladder_ebgan.recipe import load_recipe
from ladder_ebgan.recipe_files import recipe_names, space_names, space_summary, space_text
from ladder_ebgan.search.slices import slices_of, with_slice
from ladder_ebgan.search.space import GANSpace, Space, load_space, overrides, seed_of, stored_space
from ladder_ebgan.search.stacking import stackable

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


def test_a_recipe_of_ones_own_lies_beside_the_space(tmp_path: Path) -> None:
    """It is looked for there, whichever the working folder is."""
    (tmp_path / "mine.toml").write_text('base = "table2"\n[training]\nbatch_size = 77\n')
    space = load_space(written(tmp_path, ('recipe = "table2"', 'recipe = "mine.toml"')))
    assert isinstance(space, Space)
    assert space.base().training.batch_size == 77


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
    if isinstance(space, Space):
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
        (
            ("[parameters]", 'set = ["ladder.labeled_subset_seed=0"]\n\n[parameters]'),
            "labeled_subset_seed cannot be set or searched: n_subsets and first_seed say which images have labels",
        ),
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


def test_an_identity_is_as_it_was_before_there_were_slices() -> None:
    """A search that an earlier version began goes on: its identity has these keys, and no others."""
    space = load_space("baseline")
    keys = {"model", "sampler", "parameters", "labels", "n_subsets", "first_seed", "report_every_steps", "base"}
    assert space.identity().keys() == keys
    assert load_space("fast-ladder").identity().keys() == keys | {"n_startup_trials"}
    assert with_slice(space, {"learning_rate": ["0.001"]}).identity() == space.identity()
    assert stored_space(space.model_dump()) == space


# Grids of GANs.


def settings_of(name: str) -> list[GANSettings]:
    space = load_space(name)
    settings = [space.recipe_of(proposal).settings(space.model) for proposal in space.grid()]
    return [each for each in settings if isinstance(each, GANSettings)]


def choices_of(settings: list[GANSettings], *path: str) -> set[object]:
    return {reduce(getattr, path, each) for each in settings}


@pytest.mark.parametrize(("name", "n", "rates"), [("grid-ebgan", 512, {0.001}), ("grid-gan", 6144, None)])
def test_the_grid_of_gans_is_table_1(name: str, n: int, rates: set[float] | None) -> None:
    """Zhao et al. 2017, table 1; the paper's dropout is true or false."""
    found = settings_of(name)
    assert len(found) == n == len({each.model_dump_json() for each in found})
    for side, sizes in (("generator", {400, 800, 1600, 3200}), ("discriminator", {128, 256, 512, 1024})):
        assert choices_of(found, side, "n_layers") == {2, 3, 4, 5}
        assert choices_of(found, side, "size") == sizes
        assert choices_of(found, side, "learning_rate") == (rates or {0.01, 0.001, 0.0001})
        assert choices_of(found, side, "optimizer") == ({"adam"} if rates else {"adam", "sgd"})
    assert choices_of(found, "discriminator", "dropout") == {0.5, 0.0}
    assert all(each.discriminator.learning_rate == each.generator.learning_rate for each in found)
    assert choices_of(found, "n_steps") == {30000}
    if rates:
        assert choices_of(found, "margin") == {10.0}


def test_the_settings_of_the_optimisers_follow_each_other_and_train_together() -> None:
    space = load_space("grid-gan")
    proposals = list(islice(space.grid(), 60))
    keys = [stackable(space.recipe_of(proposal), "gan") for proposal in proposals]
    assert len(set(keys)) == 5
    for start in range(0, 60, 12):
        assert len(set(keys[start : start + 12])) == 1
        assert len({space.stack_of(proposal) for proposal in proposals[start : start + 12]}) == 1
        assert len({tuple(proposal.values()) for proposal in proposals[start : start + 12]}) == 12


def test_both_grids_take_the_architectures_in_one_order() -> None:
    """So that parts of them are of the same architectures, as far as they go."""

    def shapes(name: str) -> list[tuple[str, ...]]:
        proposals = [
            {key.partition(".")[2]: value for key, value in each.items()} for each in load_space(name).grid()
        ]
        keys = [*(f"{side}.{what}" for side in ("generator", "discriminator") for what in ("n_layers", "size"))]
        return list(
            dict.fromkeys(tuple(each[key] for key in (*keys, "discriminator.dropout")) for each in proposals)
        )

    assert shapes("grid-gan") == shapes("grid-ebgan")
    assert len(shapes("grid-gan")) == 512


def test_a_slice_is_of_the_same_grid_in_the_same_order() -> None:
    space = load_space("grid-gan")
    part = with_slice(
        space, slices_of(["generator.size=400,800", "learning_rate=0.01", "discriminator.optimizer=sgd"])
    )
    found = list(part.grid())
    assert len(found) == 6144 // (2 * 3 * 2)
    wanted = [each for each in space.grid() if each in found]
    assert found == wanted
    assert {each["gan.generator.size"] for each in found} == {"400", "800"}
    assert {each["gan.discriminator.optimizer"] for each in found} == {'"sgd"'}
    assert part.identity() == space.identity()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "optimizer=sgd",
            "--only optimizer: 'optimizer' is one of gan.discriminator.optimizer; gan.generator.optim",
        ),
        ("generator.size=500", "--only generator.size=500: the choices are 400, 800, 1600, 3200"),
        (
            "generator.sizes=400",
            "--only generator.sizes: 'generator.sizes' is no parameter: they are gan.generator.n",
        ),
        ("generator.size", "--only generator.size: must be key=value,value..., for example generator.size=400,800"),
        ("=400", "--only =400: must be key=value"),
    ],
)
def test_a_wrong_slice_is_refused(written: str, expected: str) -> None:
    with pytest.raises(UsageError) as refusal:
        with_slice(load_space("grid-gan"), slices_of([written]))
    assert str(refusal.value).startswith(expected)


def test_only_a_grid_has_slices() -> None:
    with pytest.raises(UsageError, match="--only learning_rate: only a grid has slices, and the sampler is tpe"):
        with_slice(load_space("fast-ladder"), {"learning_rate": ["0.01"]})


def test_a_setting_of_gans_has_a_seed_of_its_own() -> None:
    """A function of the setting alone: whatever the grid, the slice and the order."""
    proposals = list(load_space("grid-ebgan").grid())
    seeds = {seed_of(proposal) for proposal in proposals}
    assert len(seeds) == 512
    first = {"b": 0.1, "a": "2"}
    assert seed_of(first) == seed_of(dict(reversed(first.items()))) == zlib.crc32(b"a=2\nb=0.1")


GAN_SPACE = """
recipe = "figure4-gan"
model = "gan"
sampler = "random"
n_trials = 3

[parameters]
"gan.generator.size" = { choices = [4, 8] }
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("n_trials = 3", ""), "n_trials is missing: the sampler is random, and only a grid ends by itself"),
        (("n_trials = 3", "labels = 100"), "labels is of classifiers, and the recipe 'figure4-gan' is of GANs"),
        (
            ('"random"', '"random"\ntogether = ["x"]'),
            "only a grid has slices and an order, and the sampler is random",
        ),
        (('"random"', '"grid"\ntogether = ["x"]'), "'x' is no parameter: they are gan.generator.size"),
        (('"random"', '"grid"\nonly = { y = [1] }'), "'y' is no parameter: they are gan.generator.size"),
        (('recipe = "figure4-gan"', "recipe = 4"), "recipe is 4: input should be a valid string"),
        (("[4, 8]", "[4, -8]"), "with gan.generator.size = -8: recipe 'figure4-gan': gan.generator.size is -8"),
    ],
)
def test_a_wrong_space_of_gans_is_refused(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    path = tmp_path / "gans.toml"
    path.write_text(GAN_SPACE)
    assert isinstance(load_space(str(path)), GANSpace)
    assert change[0] in GAN_SPACE
    path.write_text(GAN_SPACE.replace(*change))
    with pytest.raises(UsageError) as refusal:
        load_space(str(path))
    assert expected in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "together"),
    [
        ("gan.generator.optimizer=adam", True),
        ("gan.discriminator.learning_rate=1", True),
        ("gan.generator.learning_rate=0", False),
        ("gan.discriminator.dropout=0.5", False),
        ("gan.generator.size=9", False),
        ("gan.n_steps=7", False),
        ("training.adam_beta1=0.9", False),
    ],
)
def test_what_gans_may_differ_in(change: str, together: bool) -> None:
    here, there = (stackable(load_any_recipe("figure4-gan", changes), "gan") for changes in ([], [change]))
    assert (here == there) == together


@pytest.mark.parametrize(("change", "together"), [("margin=3", True), ("pulling_away_weight=0.1", False)])
def test_what_ebgans_may_differ_in(change: str, together: bool) -> None:
    """A weight of 0 leaves the term out, and so trains apart from any other."""
    here, there = (stackable(load_any_recipe("figure4-ebgan", c), "ebgan") for c in ([], [f"ebgan.{change}"]))
    assert (here == there) == together


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
