import copy
import datetime
import json
import math
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import parameters_of_run

from ladder_ebgan.any_recipe import load_any_recipe, parse_any_recipe
from ladder_ebgan.batches import BatchStream
from ladder_ebgan.costs import Functions
from ladder_ebgan.errors import UsageError
from ladder_ebgan.recipe import (
    EBGANLadderSettings,
    Recipe,
    identity_of_model,
    load_recipe,
    parse_recipe,
    recipe_tables,
    recipe_toml,
)
from ladder_ebgan.recipe_files import recipe_names, recipe_summary, recipe_text
from ladder_ebgan.training import initial_state, train

OF_CLASSIFIERS = [name for name in recipe_names() if isinstance(load_any_recipe(name), Recipe)]
ALL_MODELS = [(name, model) for name in OF_CLASSIFIERS for model in load_recipe(name).models]


def tables(name: str = "table2") -> dict[str, Any]:
    return recipe_tables(name, ())[0]


def message_of(*overrides: str, recipe: str = "table2") -> str:
    with pytest.raises(UsageError) as caught:
        load_recipe(recipe, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_there_are_recipes() -> None:
    assert {"demo", "table2"} <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_says_what_it_is_and_the_command_that_runs_it(name: str) -> None:
    commands = re.findall(r"^#\s+(ladder-ebgan run .*)$", recipe_text(name), re.MULTILINE)
    assert len(commands) == 1
    assert parameters_of_run(*shlex.split(commands[0])[2:])["recipe_name"] == name
    assert len(recipe_summary(name)) > 30
    assert not recipe_summary(name).startswith("#")


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_as_written_back_is_the_same(name: str) -> None:
    recipe = load_any_recipe(name)
    written = recipe.model_dump(by_alias=True, exclude_none=True)
    assert parse_any_recipe(written, "copy") == recipe
    assert parse_any_recipe(tomllib.loads(recipe_toml(recipe.model_dump(by_alias=True))), "copy") == recipe
    of_classifiers = {"network", "training", "ladder", "ebgan-ladder"}
    assert set(recipe.identity()) - {"variants"} == (
        of_classifiers if isinstance(recipe, Recipe) else {"training", "gan", "ebgan"}
    )


def tiny(name: str) -> Recipe:
    """The recipe with small networks and 4 steps; its denoising weights and noise as they are."""
    small = tables(name)
    small["network"]["hidden_sizes"] = [6] * len(small["network"]["hidden_sizes"])
    small["training"]["batch_size"] = 4
    for section in (small[key] for key in ("ladder", "ebgan-ladder") if key in small):
        section |= {"n_steps": 4, "decay_start_step": 2}
    if "ebgan-ladder" in small:
        adversarial = small["ebgan-ladder"]
        adversarial["adversarial_steps"] = 2
        adversarial["margin"]["steps"] = list(range(len(adversarial["margin"]["steps"])))
        adversarial["generator"] |= {"hidden_sizes": [5], "latent_size": 3}
    return parse_recipe(small, name)


@pytest.mark.parametrize(("name", "model"), ALL_MODELS)
def test_every_model_of_every_recipe_trains(name: str, model: str) -> None:
    recipe, seeds = tiny(name), [0, 3]
    settings = recipe.settings(model)
    state = initial_state(recipe, model, seeds, 9, 3, torch.device("cpu"))
    before = [parameter.clone() for parameter in state.ladder.parameters()]
    images = torch.from_numpy(np.random.default_rng(0).random((30, 9), dtype=np.float32))
    labels = torch.arange(30) % 3
    is_adversarial = isinstance(settings, EBGANLadderSettings)
    latent_size = settings.generator.sizes(9)[0] if isinstance(settings, EBGANLadderSettings) else None
    subsets = [np.arange(6), np.arange(9)]
    batches = BatchStream(images, labels, subsets, seeds, 4, state.ladder.n_units, latent_size)
    progress = list(train(state, batches, settings, Functions()))
    assert [p.step for p in progress] == [1, 2, 3, 4]
    assert [p.margin is not None for p in progress] == [is_adversarial] * 2 + [False] * 2
    assert all(p.costs.ladder.total.isfinite().all() for p in progress)
    assert state.diverged_step.tolist() == [-1, -1]
    after = list(state.ladder.parameters())
    assert any(not torch.equal(x, y) for x, y in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ladder.n_step=5", "unknown key 'ladder.n_step' (did you mean 'n_steps'?): known there are n_steps, "),
        ("ladders.n_steps=5", "unknown key 'ladders' (did you mean 'ladder'?): known there are labels, "),
        ("ebgan-ladder.generator.depth=5", "unknown key 'ebgan-ladder.generator.depth': known there are hidden"),
        ("ebgan-ladder.margin.value=5", "(did you mean 'values'?)"),
        ("network.hidden_sizes=5", "network.hidden_sizes is 5: input should be a valid array"),
        ("network.hidden_sizes=[]", "network.hidden_sizes is []: list should have at least 1 item"),
        ("network.hidden_sizes=[5, 0]", "network.hidden_sizes.1 is 0: input should be greater than 0"),
        ("network.hidden_sizes=[10, 1000000]", "network.hidden_sizes.1 is 1000000: input should be less than"),
        ("network.input_noise=-0.1", "network.input_noise is -0.1: input should be greater than or equal to 0"),
        ("network.input_noise=loud", 'network.input_noise is "loud": input should be a valid number'),
        ("network.hidden_noise=loud", 'network.hidden_noise is "loud": input should be a valid number'),
        (
            "network.hidden_noise=[]",
            "network: hidden_noise has 0 numbers, but needs one for all layers above the input",
        ),
        ("network.hidden_noise=[0.3, 0.2]", "or 6: for each of the 5 hidden ones, and for the classes"),
        (
            "network.hidden_noise=[0.3, -0.2]",
            "network.hidden_noise.1 is -0.2: input should be greater than or equal",
        ),
        (
            "network.hidden_noise=[0, 0, true, 0, 0, 0]",
            "network.hidden_noise.2 is true: input should be a valid number",
        ),
        (
            "network.combinator=mlp",
            "network.combinator is \"mlp\": input should be 'gaussian', 'vanilla' or 'amlp'",
        ),
        ("training.averaging_decay=1", "training.averaging_decay is 1: input should be less than 1"),
        ("network.evaluation_statistics=both", "is \"both\": input should be 'labeled' or 'unlabeled'"),
        ("network=3", "network is 3: input should be an object"),
        ("training.batch_size=1", "training.batch_size is 1: input should be greater than or equal to 2"),
        ("training.adam_beta1=1", "training.adam_beta1 is 1: input should be less than 1"),
        ("training.adam_epsilon=0", "training.adam_epsilon is 0: input should be greater than 0"),
        ("training.curve_every_steps=-1", "training.curve_every_steps is -1: input should be greater than 0"),
        ("ladder.n_steps=1.5", "ladder.n_steps is 1.5: input should be a valid integer"),
        ('ladder.n_steps="10"', 'ladder.n_steps is "10": input should be a valid integer'),
        ("ladder.n_steps=true", "ladder.n_steps is true: input should be a valid integer"),
        ("ladder.n_steps=0", "ladder.n_steps is 0: input should be greater than 0"),
        ("ladder.n_steps=99999999999999999999", "input should be less than or equal to 1000000000"),
        ("ladder.learning_rate=-1", "ladder.learning_rate is -1: input should be greater than 0"),
        ("ladder.learning_rate=0", "ladder.learning_rate is 0: input should be greater than 0"),
        ("ladder.learning_rate=inf", "ladder.learning_rate is Infinity: input should be a finite number"),
        ("ladder.learning_rate=nan", "ladder.learning_rate is NaN: input should be "),
        ("ladder.classification_weight=-inf", "ladder.classification_weight is -Infinity: input should be "),
        ("ladder.decay_start_step=120000", "decay_start_step is 120000, but must be below n_steps (120000)"),
        ("ladder.denoising_weights=[1, 2]", "ladder.denoising_weights has 2 numbers, but the network has 7 layers"),
        ("network.hidden_sizes=[9]", "ladder.denoising_weights has 7 numbers, but the network has 3 layers"),
        ("ebgan-ladder.denoising_weights=[1]", "ebgan-ladder.denoising_weights has 1 numbers"),
        ("ebgan-ladder.adversarial_steps=180001", "must not be above n_steps (180000)"),
        (
            "ebgan-ladder.margin.steps=[0, 1, 2]",
            "ebgan-ladder.margin: it has 3 steps and 2 values, but needs as many",
        ),
        ("ebgan-ladder.margin.steps=[5, 1]", "ebgan-ladder.margin: its steps must increase, but are [5, 1]"),
        ("ebgan-ladder.margin.steps=[5, 5]", "ebgan-ladder.margin: its steps must increase, but are [5, 5]"),
        ("ebgan-ladder.margin.values=[]", "ebgan-ladder.margin.values is []"),
        ("ebgan-ladder.margin.values=[-1, 0]", "ebgan-ladder.margin.values.0 is -1"),
        ("ebgan-ladder.margin.shape=square", "is \"square\": input should be 'linear' or 'cosine'"),
        ("ebgan-ladder.denoising_weights=[0,1,1,1,1,1,1]", "denoising_weights[0] is 0, but the energy is"),
        ("ebgan-ladder.generator.latent_size=0", "ebgan-ladder.generator.latent_size is 0"),
        ("labels=[]", "labels is []"),
        ("labels=[100, 0]", "labels.1 is 0: input should be greater than 0"),
        ("labels=100", "labels is 100: input should be a valid array"),
        ("n_seeds=0", "n_seeds is 0: input should be greater than 0"),
        ("n_seeds=2024-01-01", "dates are not allowed"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(override: str, expected: str) -> None:
    message = message_of(override)
    assert message.startswith("recipe 'table2': ")
    assert expected in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ladder.n_steps", "--set ladder.n_steps: must be key=value, for example ladder.learning_rate=0.001"),
        ("=3", "--set =3: must be key=value"),
        ("ladder.n_steps.x=1", "--set ladder.n_steps.x=1: 'n_steps' is not a section of the recipe"),
        ("labels.1=1", "--set labels.1=1: '1' is no place in a list of 1, counted from 0"),
        ("ladder.denoising_weights.x=1", "'x' is no place in a list of 7, counted from 0"),
        ("ladder.denoising_weights.0.x=1", "'0' is not a section of the recipe"),
        ("ladder.=1", "unknown key 'ladder.'"),
        ("ladder.n_steps=", 'ladder.n_steps is ""'),
        ("ladder.n_steps=1 2", 'ladder.n_steps is "1 2"'),
        ("ladder.n_steps=" + "9" * 5000, "input should be a valid integer"),
        ("ladder.n_steps=" + "[" * 5000, "input should be a valid integer"),
        ("ladder.n_steps=9\nx = 2", "input should be a valid integer"),
    ],
)
def test_a_wrong_override_is_refused(override: str, expected: str) -> None:
    assert expected in message_of(override)


def test_overrides_are_applied_in_order() -> None:
    recipe = load_recipe("table2", ["ladder.n_steps=90000", " n_seeds = 3 ", "n_seeds=4", "labels=[5, 6]"])
    assert recipe.ladder is not None
    assert recipe.ladder.n_steps == 90000
    assert recipe.n_seeds == 4
    assert recipe.labels == [5, 6]


def test_a_place_in_a_list_is_changed() -> None:
    changes = ["ladder.denoising_weights.6=0.5", "ebgan-ladder.margin.values.0=8", "labels.0=50"]
    recipe = load_recipe("table2", changes)
    assert recipe.settings("ladder").denoising_weights == [1000, 0, 0, 0, 0, 0, 0.5]
    assert recipe.ebgan_ladder is not None
    assert recipe.ebgan_ladder.margin.values == [8, 0]
    assert recipe.labels == [50]


def test_a_bare_word_is_a_string() -> None:
    assert load_recipe("table2", ["network.evaluation_statistics=unlabeled"]).network.evaluation_statistics == (
        "unlabeled"
    )


def required(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        if (*path, key) not in {("ladder",), ("ebgan-ladder",)} and key != "shape":
            yield (*path, key)
        if isinstance(value, dict):
            yield from required(value, (*path, key))


@pytest.mark.parametrize("path", list(required(tables())), ids=".".join)
def test_a_missing_key_is_named(path: tuple[str, ...]) -> None:
    changed = tables()
    table = changed
    for key in path[:-1]:
        table = table[key]
    del table[path[-1]]
    with pytest.raises(UsageError, match=rf"^mine: the key '{re.escape('.'.join(path))}' is missing$"):
        parse_recipe(changed, "mine")


def test_models_are_those_of_the_sections() -> None:
    assert load_recipe("table2").models == ["ladder", "ladder-matched", "ebgan-ladder"]
    alone, adversarial = tables(), tables()
    del alone["ebgan-ladder"], adversarial["ladder"]
    assert parse_recipe(alone, "").models == ["ladder"]
    assert parse_recipe(adversarial, "").models == ["ladder-matched", "ebgan-ladder"]
    del alone["ladder"]
    with pytest.raises(UsageError, match=r"no model: needs a section \[ladder\] or \[ebgan-ladder\]"):
        parse_recipe(alone, "")


def test_the_matched_ladder_has_the_settings_of_the_adversarial_one() -> None:
    recipe = load_recipe("table2")
    matched, adversarial = recipe.settings("ladder-matched"), recipe.settings("ebgan-ladder")
    assert matched.model_dump().items() <= adversarial.model_dump().items()
    assert not hasattr(matched, "generator")
    assert recipe.settings("ladder") is recipe.ladder


@pytest.mark.parametrize("model", ["lader", "ebgan-ladder", "ladder-matched"])
def test_a_model_that_the_recipe_lacks_is_refused(model: str) -> None:
    alone = tables()
    del alone["ebgan-ladder"]
    with pytest.raises(UsageError, match=rf"^the recipe has no model '{model}': it has ladder$"):
        parse_recipe(alone, "").settings(model)


def test_an_energy_without_reconstruction_is_allowed_when_there_is_no_adversarial_phase() -> None:
    weights = "ebgan-ladder.denoising_weights=[0,1,1,1,1,1,1]"
    assert load_recipe("table2", [weights, "ebgan-ladder.adversarial_steps=0"]).models


def test_budgets_and_seeds_are_no_part_of_the_identity() -> None:
    other = load_recipe("table2", ["labels=[77]", "n_seeds=3"])
    assert other.identity() == load_recipe("table2").identity()
    changed = load_recipe("table2", ["network.input_noise=0.25"])
    assert changed.identity() != other.identity()


def test_keys_that_earlier_versions_did_not_know_are_no_part_of_an_identity_that_is_as_it_was_then() -> None:
    """So that folders and models of then and now are compared without them; other values are a part of it."""
    then, new = load_recipe("table2"), {"network.combinator": '"amlp"', "training.averaging_decay": "0.999"}
    assert "combinator" not in then.identity()["network"]
    assert "averaging_decay" not in then.identity()["training"]
    said = load_recipe("table2", ["network.combinator=gaussian", "training.averaging_decay=0"])
    assert said == then
    assert said.identity() == then.identity()
    for key, value in new.items():
        section, name = key.split(".")
        changed = load_recipe("table2", [f"{key}={value}"]).identity()
        assert changed[section].pop(name) == json.loads(value)
        assert changed == then.identity()


def test_new_keys_are_written_back() -> None:
    noise = "[0.1, 0, 0.2, 0.3, 0.3, 0.5]"
    recipe = load_recipe(
        "table2", ["network.combinator=vanilla", "training.averaging_decay=0.99", f"network.hidden_noise={noise}"]
    )
    assert recipe.network.noise_stds == (0.3, *json.loads(noise))
    tables = {"labels": recipe.labels, "n_seeds": recipe.n_seeds, **recipe.identity()}
    assert parse_recipe(tomllib.loads(recipe_toml(tables)), "copy") == recipe


def test_one_number_of_noise_is_that_of_all_layers_above_the_input() -> None:
    recipe = load_recipe("table2", ["network.input_noise=0.2", "network.hidden_noise=0.5"])
    assert recipe.network.noise_stds == (0.2, *[0.5] * 6)
    one_changed = load_recipe("table2", ["network.hidden_noise=[1, 1, 1, 1, 1, 1]", "network.hidden_noise.5=0"])
    assert one_changed.network.noise_stds == (0.3, 1, 1, 1, 1, 1, 0)


def test_an_unknown_recipe_is_refused_with_a_suggestion() -> None:
    message = message_of(recipe="tabel2")
    assert message.startswith("unknown recipe 'tabel2' (did you mean 'table2'?): the recipes are demo, ")
    assert message.endswith("a recipe of your own is a file that ends in .toml")
    assert "did you mean" not in message_of(recipe="zzz")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot read the recipe {path}: No such file or directory"),
        (b"labels = [1,", "the recipe {path} is not valid TOML: "),
        (b"labels = 1\nlabels = 2", "the recipe {path} is not valid TOML: "),
        (b"\xff\xfe\x00", "cannot read the recipe {path}: it is not UTF-8 text"),
        (b"", "recipe '{path}': the key 'labels' is missing"),
        (b"labels = " + b"9" * 5000, "the recipe {path} is not valid TOML: "),
        (b"labels = " + b"[" * 5000, "the recipe {path} is not valid TOML: "),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    assert message_of(recipe=str(path)).startswith(expected.format(path=path))


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").mkdir()
    assert message_of(recipe=str(tmp_path / "mine.toml")).endswith(
        "is not a file: a recipe is a TOML file of at most 100,000 bytes"
    )


def test_a_recipe_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(recipe_text("demo"), encoding="utf-8")
    assert load_recipe(str(path)) == load_recipe("demo")


def test_a_recipe_says_what_differs_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "below.toml").write_text('base = "fast"\n[ladder]\nn_steps = 20000\n')
    path = tmp_path / "mine.toml"
    path.write_text('base = "below.toml"\n[ladder]\nlearning_rate = 0.5\n[variants.plain]\nof = "ladder"\n')
    mine = load_recipe(str(path), ["ladder.classification_weight=9"])
    changes = ["ladder.n_steps=20000", "ladder.learning_rate=0.5", "ladder.classification_weight=9"]
    assert mine.model_dump(exclude={"variants"}) == load_recipe("fast", changes).model_dump()
    assert mine.variants.keys() == {"plain"}


@pytest.mark.parametrize("name", ["fast-ablations", "fast-spread"])
def test_a_folder_of_fast_goes_on_with_recipes_of_its_variants(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.variants
    assert identity_of_model(recipe.identity(), "ladder") == load_recipe("fast").identity()


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ('"mine.toml"', ": more than 10 recipes rest on each other; is one its own base?"),
        ('"fats"', ": unknown recipe 'fats' (did you mean 'fast'?): the recipes are demo, fast, "),
        ('"other.toml"', ": cannot read the recipe {folder}/other.toml: No such file or directory"),
        ('"folder.toml"', ": the recipe {folder}/folder.toml is not a file: a recipe is a TOML file of "),
        ('"loop.toml"', ": cannot read the recipe {folder}/loop.toml: Too many levels of symbolic links"),
        ("1", " must be the name or the file of a recipe, in quotes"),
    ],
)
def test_a_base_that_is_none_is_refused(tmp_path: Path, base: str, expected: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"base = {base}\n")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    message = message_of(recipe=str(path))
    assert message.startswith(f"base of the recipe {path}{expected.format(folder=tmp_path)}")


def test_what_a_base_may_have_wrong_is_not_blamed_on_the_recipe_alone(tmp_path: Path) -> None:
    (tmp_path / "below.toml").write_text('base = "fast"\n[ladder]\nlearning_rat = 0.5\n')
    path = tmp_path / "mine.toml"
    path.write_text('base = "below.toml"\n')
    expected = f"recipe '{path}' (with its base 'below.toml'): unknown key 'ladder.learning_rat'"
    assert message_of(recipe=str(path)).startswith(expected)


def test_a_base_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    for name in ("mine", "other"):
        key = ".".join(["a"] * 900)
        base = 'base = "other.toml"\n' if name == "mine" else ""
        (tmp_path / f"{name}.toml").write_text(f"{base}{key}.{name} = 1\n")
    assert "nested too deeply" in message_of(recipe=str(tmp_path / "mine.toml"))


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**31),
    st.just(10**400),
    st.floats(allow_subnormal=False),  # a run before this test may have made the processor flush them
    st.text(max_size=5),
    st.sampled_from(["\ud800", datetime.date(2024, 1, 1), math.inf, math.nan, -0.0, 1e308]),
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(data=st.data())
def test_any_mutation_gives_a_recipe_or_one_line(data: st.DataObject) -> None:
    mutated = copy.deepcopy(tables())
    mutated["variants"] = {"flat": {"of": "ebgan-ladder", "set": ["margin.values=[9, 9]", "n_steps=200000"]}}
    for _ in range(data.draw(st.integers(1, 3))):
        table: Any = mutated
        while True:
            key = data.draw(st.sampled_from(sorted(table)) if isinstance(table, dict) and table else st.text())
            if not isinstance(table.get(key), dict) or data.draw(st.booleans()):
                break
            table = table[key]
        if data.draw(st.booleans()) or key not in table:
            table[key] = data.draw(values)
        else:
            del table[key]
    message = "mutated: "
    try:
        assert isinstance(parse_recipe(mutated, "mutated"), Recipe)
    except UsageError as error:
        message = str(error)
    assert message.startswith("mutated: ")
    assert len(message.splitlines()) == 1
