"""Variants of a model: in a recipe, in a run, in its table and its files."""

import csv
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from ladder_ebgan.errors import UsageError
from ladder_ebgan.model_files import find_models
from ladder_ebgan.models import load
from ladder_ebgan.recipe import (
    EBGANLadderSettings,
    LadderSettings,
    identity_of_model,
    load_recipe,
    parse_recipe,
    recipe_of_model,
    recipe_toml,
)
from ladder_ebgan.report.outputs import table_of
from ladder_ebgan.report.page import report_page

VARIANTS = {
    "same": {"of": "ebgan-ladder"},
    "noise": {"of": "ebgan-ladder", "set": ['generator.source="noise"']},
    "frozen": {"of": "ebgan-ladder", "set": ["generator.learning_rate=0", "margin.values=[99, 99]"]},
}


def changes(variants: dict[str, dict[str, Any]]) -> list[str]:
    """The --set values that add variants."""
    return [
        f"variants.{name}.{key}={json.dumps(value)}"
        for name, each in variants.items()
        for key, value in each.items()
    ]


def refusal(*overrides: str, recipe: str = "table2") -> str:
    with pytest.raises(UsageError) as caught:
        load_recipe(recipe, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_variant_has_the_settings_of_its_model_but_for_what_it_sets() -> None:
    recipe = load_recipe("table2", changes(VARIANTS))
    assert recipe.models == ["ladder", "ladder-matched", "ebgan-ladder", "same", "noise", "frozen"]
    base = recipe.settings("ebgan-ladder")
    assert isinstance(base, EBGANLadderSettings)
    assert recipe.settings("same") == base
    expected = base.model_dump()
    expected["generator"]["learning_rate"] = 0
    expected["margin"]["values"] = [99, 99]
    assert recipe.settings("frozen").model_dump() == expected
    assert base.margin.values == [16, 0]


def test_a_variant_of_the_matched_ladder_has_no_generator_to_set() -> None:
    matched = {"slow": {"of": "ladder-matched", "set": ["learning_rate=0.0001"]}}
    recipe = load_recipe("table2", changes(matched))
    settings = recipe.settings("slow")
    assert type(settings) is LadderSettings
    assert settings.n_steps == 180000
    assert settings.learning_rate == 0.0001
    message = refusal('variants.x.of="ladder-matched"', 'variants.x.set=["margin.values=[1, 1]"]')
    assert message.startswith("recipe 'table2': variants.x: unknown key 'margin': known there are n_steps, ")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("ladder", ["ladder"]),
        ("ladder-matched", ["ladder-matched", "ebgan-ladder"]),
        ("ebgan-ladder", ["ladder-matched", "ebgan-ladder"]),
        ("wide", ["ladder-matched", "ebgan-ladder", "wide"]),
        ("slow", ["ladder", "slow"]),
    ],
)
def test_a_recipe_of_one_model_has_no_section_that_only_others_need(model: str, expected: list[str]) -> None:
    variants = {"wide": {"of": "ladder-matched", "set": []}, "slow": {"of": "ladder", "set": ["n_steps=200000"]}}
    recipe = load_recipe("table2", changes(variants))
    tables = recipe_of_model(recipe.model_dump(by_alias=True, exclude_none=True), model)
    alone = parse_recipe(tables, "the rest")
    assert alone.models == expected
    assert alone.settings(model) == recipe.settings(model)


def test_a_change_of_the_model_is_one_of_its_variants() -> None:
    recipe = load_recipe("table2", [*changes(VARIANTS), "ebgan-ladder.generator.latent_size=7"])
    for model in ("ebgan-ladder", "same", "noise"):
        settings = recipe.settings(model)
        assert isinstance(settings, EBGANLadderSettings)
        assert settings.generator.latent_size == 7


def test_what_is_trained_when_nobody_says_which() -> None:
    assert load_recipe("table2").compared == ["ladder", "ebgan-ladder"]
    assert load_recipe("table2", changes(VARIANTS)).compared == ["ebgan-ladder", "same", "noise", "frozen"]
    both = {"b": {"of": "ladder-matched"}, "a": {"of": "ladder"}}
    assert load_recipe("table2", changes(both)).compared == ["ladder", "ladder-matched", "b", "a"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["variants.x.set=[]"], "the key 'variants.x.of' is missing"),
        (["variants.x=3"], "variants.x is 3: input should be an object"),
        (["variants=3"], "variants is 3: input should be an object"),
        (
            ["variants.x.of=lader"],
            "variants.x.of is \"lader\": input should be 'ladder', 'ladder-matched' or 'ebgan",
        ),
        (["variants.x.off=ladder"], "unknown key 'variants.x.off' (did you mean 'of'?): known there are of, set"),
        (
            ["variants.x.of=ladder", "variants.x.set=n_steps=5"],
            'variants.x.set is "n_steps=5": input should be a valid array',
        ),
        (["variants.x.of=ladder", "variants.x.set=[5]"], "variants.x.set.0 is 5: input should be a valid string"),
        (["variants.Big.of=ladder"], "variants: 'Big' is no name of a variant: at most 40 lower-case letters"),
        (["variants.a_b.of=ladder"], "variants: 'a_b' is no name of a variant: "),
        (["variants.-a.of=ladder"], "variants: '-a' is no name of a variant: "),
        (["variants.a/b.of=ladder"], "variants: 'a/b' is no name of a variant: "),
        ([f"variants.{'a' * 41}.of=ladder"], "is no name of a variant: "),
        (["variants.ladder.of=ladder"], "variants: 'ladder' is the name of a model: give the variant another one"),
    ],
)
def test_a_wrong_variant_is_refused_by_name(overrides: list[str], expected: str) -> None:
    message = refusal(*overrides)
    assert message.startswith("recipe 'table2': ")
    assert expected in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("n_step=5", "variants.x: unknown key 'n_step' (did you mean 'n_steps'?): known there are n_steps, "),
        ("margin.vales=[1]", "variants.x: unknown key 'margin.vales' (did you mean 'values'?)"),
        ("margin.values=[-1, 0]", "variants.x: margin.values.0 is -1: input should be greater than or equal to 0"),
        ("margin.values.5=1", "variants.x: margin.values.5=1: '5' is no place in a list of 2, counted from 0"),
        ("n_steps", "variants.x: n_steps: must be key=value, for example learning_rate=0.001"),
        ("n_steps=2024-01-01", "variants.x: dates are not allowed in a recipe, nor numbers that long"),
        ("n_steps=5", "variants.x: decay_start_step is 120000, but must be below n_steps (5)"),
        ("denoising_weights=[1]", "variants.x.denoising_weights has 1 numbers, but the network has 7 layers"),
        (
            "network.input_noise=1",
            "variants.x: unknown key 'network' (did you mean 'generator'?): known there are n_st",
        ),
        ("generator.source=nois", "variants.x: generator.source is \"nois\": input should be 'network' or 'noise'"),
        ("evaluation_statistics=all", "evaluation_statistics is \"all\": input should be 'labeled' or 'unlabeled'"),
        ("energy_weighted=1", "variants.x: energy_weighted is 1: input should be a valid boolean"),
    ],
)
def test_a_wrong_change_of_a_variant_is_refused_by_name_and_key(change: str, expected: str) -> None:
    assert expected in refusal("variants.x.of=ebgan-ladder", f"variants.x.set={json.dumps([change])}")


def test_a_variant_needs_the_section_of_its_model() -> None:
    recipe = load_recipe("table2").identity() | {"labels": [100], "n_seeds": 1, "ebgan-ladder": None}
    with pytest.raises(UsageError, match=r'^mine: variants\.x\.of is "ladder-matched", but .* \[ebgan-ladder\]$'):
        parse_recipe(recipe | {"variants": {"x": {"of": "ladder-matched"}}}, "mine")


def test_variants_are_written_back_and_are_a_part_of_the_identity_of_their_own_models() -> None:
    plain, recipe = load_recipe("table2"), load_recipe("table2", changes(VARIANTS))
    assert "variants" not in plain.identity()
    tables = {"labels": recipe.labels, "n_seeds": recipe.n_seeds, **recipe.identity()}
    assert parse_recipe(tomllib.loads(recipe_toml(tables)), "copy") == recipe
    for model in plain.models:
        assert identity_of_model(recipe.identity(), model) == plain.identity()
    assert identity_of_model(recipe.identity(), "noise") == {
        **plain.identity(),
        "variants": {"noise": VARIANTS["noise"]},
    }


# A run.


def arguments(folder: Path, *more: str, variants: dict[str, dict[str, Any]] = VARIANTS) -> list[str]:
    options = [word for change in changes(variants) for word in ("--set", change)]
    open_hinges = {"ebgan_ladder__margin__values": "[80, 0]"}
    return [*tiny.arguments(folder, "--seeds", "3", "--quiet", *more, **open_hinges), *options]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; copy it before changing anything."""
    path = tmp_path_factory.mktemp("variants") / "run"
    tiny.done(*arguments(path))
    return path


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in json.loads((folder / "table.json").read_text())["rows"]}


def test_noise_has_energies_but_no_generator_whose_diversity_could_be_measured(folder: Path) -> None:
    with (folder / "history.csv").open() as file:
        points = [row for row in csv.DictReader(file) if row["margin"]]
    measured = {
        model: {row["generated_diversity"] != "" for row in points if row["model"] == model}
        for model in rows(folder)
    }
    assert measured == {"ebgan-ladder": {True}, "same": {True}, "noise": {False}, "frozen": {True}}
    assert {line.split(",")[0] for line in (folder / "energies.csv").read_text().splitlines()[1:]} == set(measured)


def test_the_model_and_all_variants_are_trained(folder: Path) -> None:
    assert list(rows(folder)) == ["ebgan-ladder", "same", "noise", "frozen"]


def test_a_folder_with_variants_goes_on_by_a_recipe_without(folder: Path) -> None:
    plan = json.loads(tiny.done(*arguments(folder, "--dry-run", "--json", variants={})).stdout)
    assert plan["folder_state"] == "goes on"


def test_a_variant_without_changes_is_its_model_to_the_bit(folder: Path) -> None:
    by_model = rows(folder)
    assert by_model["same"]["errors"] == by_model["ebgan-ladder"]["errors"]
    files = {(f.metadata.model, f.metadata.seed): load([f], torch.device("cpu")) for f in find_models(folder)}
    for seed in range(3):
        of_model, of_variant, of_noise = (files[model, seed] for model in ("ebgan-ladder", "same", "noise"))
        for a, b in zip(of_model.ladder.parameters(), of_variant.ladder.parameters(), strict=True):
            assert a.equal(b)
        assert of_variant.generator is not None
        assert of_noise.generator is None
        assert not of_model.ladder.encoder[0].equal(of_noise.ladder.encoder[0])


def test_each_variant_is_compared_with_its_model_and_p_is_corrected(folder: Path) -> None:
    comparisons = {each["model"]: each for each in json.loads((folder / "table.json").read_text())["comparisons"]}
    assert list(comparisons) == ["same", "noise", "frozen"]
    assert {(each["baseline"], each["n_seeds"], each["n_variants"]) for each in comparisons.values()} == {
        ("ebgan-ladder", 3, 3)
    }
    assert comparisons["same"]["mean_difference"] == 0
    assert comparisons["same"]["p_paired_t_holm"] is None
    for name in ("noise", "frozen"):
        assert comparisons[name]["p_paired_t"] <= comparisons[name]["p_paired_t_holm"] <= 1


def test_a_model_file_knows_its_own_variant_alone(folder: Path) -> None:
    for file in find_models(folder):
        model = file.metadata.model
        assert file.metadata.recipe.get("variants", {}).keys() == ({model} if model in VARIANTS else set())
        assert file.has_generator == (model != "noise")


def test_a_variant_predicts(folder: Path, tmp_path: Path) -> None:
    chosen = ("--model", "noise", "--seed", "1", "--json", "--output", str(tmp_path / "predictions.csv"))
    scores = json.loads(tiny.done("predict", str(folder), "digits", *chosen).stdout)["scores"]
    assert scores["error_percent"] == pytest.approx(rows(folder)["noise"]["errors"][1])


def test_a_frozen_generator_draws_images_and_noise_does_not(folder: Path, tmp_path: Path) -> None:
    output = ("--seed", "0", "--output", str(tmp_path / "images.npz"))
    tiny.done("sample", str(folder), "--model", "frozen", *output)
    message = tiny.refused("sample", str(folder), "--model", "noise", *output)
    assert "noise, 20 labels, seed 0: it has no generator to draw images with" in message
    arrays = [name.name for name in (folder / "predictions").glob("noise-*.npz")]
    assert len(arrays) == 3


def test_the_page_shows_variants(folder: Path) -> None:
    page = report_page(folder)
    assert "frozen against ebgan-ladder: " in page
    assert "once it is corrected for how many they are" in page
    assert "of frozen" not in page
    assert "[variants.noise]" in page


def test_a_plan_has_variants(folder: Path) -> None:
    plan = json.loads(tiny.done(*arguments(folder, "--seeds", "4", "--dry-run", "--json")).stdout)
    assert plan["models"] == ["ebgan-ladder", "same", "noise", "frozen"]


def test_a_variant_is_added_to_a_run_and_not_changed_in_it(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "run"))
    longer = {"longer": {"of": "ebgan-ladder", "set": ["n_steps=26"]}}
    tiny.done(*arguments(copy, "--model", "longer", variants=longer))
    table = rows(copy)
    assert list(table) == ["ebgan-ladder", "same", "noise", "frozen", "longer"]
    assert {name: table[name] for name in VARIANTS} == {name: rows(folder)[name] for name in VARIANTS}
    recorded = json.loads((copy / "run.json").read_text())["identity"]["recipe"]["variants"]
    assert list(recorded) == ["same", "noise", "frozen", "longer"]
    other = {"longer": {"of": "ebgan-ladder", "set": ["n_steps=28"]}}
    message = tiny.refused(*arguments(copy, variants=other))
    assert "holds another run (recipe.variants.longer.set is" in message


def test_a_run_without_variants_gets_one(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    before = rows(copy)
    flat = {"flat": {"of": "ladder", "set": ["classification_weight=0.5"]}}
    options = [word for change in changes(flat) for word in ("--set", change)]
    tiny.done(*tiny.arguments(copy, "--quiet", "--model", "flat"), *options)
    assert list(rows(copy)) == ["ladder", "ebgan-ladder", "flat"]
    assert {name: row for name, row in rows(copy).items() if name != "flat"} == before


def test_an_unknown_model_is_told_which_there_are(tmp_path: Path) -> None:
    message = tiny.refused(*arguments(tmp_path / "run", "--model", "nois"))
    assert message == (
        "the recipe has no model 'nois': it has ladder, ladder-matched, ebgan-ladder, same, noise, frozen"
    )
    assert not (tmp_path / "run").exists()


def test_a_table_of_folders_whose_models_or_variants_differ_is_refused(folder: Path, tmp_path: Path) -> None:
    assert [row.model for row in table_of([folder, folder]).rows] == list(rows(folder))
    other = Path(shutil.copytree(folder, tmp_path / "run"))
    written = (other / "run.json").read_text()
    record = json.loads(written)
    record["identity"]["recipe"]["variants"]["noise"]["set"] = ['generator.source = "noise"']  # the same in effect
    (other / "run.json").write_text(json.dumps(record))
    assert table_of([folder, other]).rows == table_of([folder]).rows
    record["identity"]["recipe"]["variants"]["noise"]["set"].append("n_steps=25")
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"^noise has other settings in .* \(ebgan-ladder.n_steps is 24"):
        table_of([folder, other])
    record = json.loads(written)
    record["identity"]["recipe"]["variants"]["noise"] = {"of": "ladder-matched", "set": []}
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="noise has other settings"):
        table_of([folder, other])


def test_a_variant_stands_beside_the_model_that_it_is_of(folder: Path, tmp_path: Path) -> None:
    """Its own folder has no result of that model, but says how that would have been trained there."""
    other = Path(shutil.copytree(folder, tmp_path / "run"))
    lines = (other / "results.csv").read_text().splitlines(keepends=True)
    (other / "results.csv").write_text("".join(line for line in lines if not line.startswith("ebgan-ladder")))
    record = json.loads((other / "run.json").read_text())
    assert table_of([folder, other]).rows == table_of([folder]).rows
    record["identity"]["recipe"]["ebgan-ladder"]["learning_rate"] = 0.5
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"has other settings in .* \(ebgan-ladder.learning_rate is "):
        table_of([folder, other])
