"""The command `margin`: it trains, prints, and writes nothing."""

import json
from pathlib import Path
from typing import NoReturn

import pytest
import tiny
from test_alone import GAN_SETTINGS

from ladder_ebgan import alone
from ladder_ebgan.any_recipe import load_any_recipe

EBGAN = ["margin", "--recipe", "figure4-ebgan", "--data", "digits", "--no-compile", "--max-steps", "8"]
EBGAN += [part for setting in GAN_SETTINGS for part in ("--set", setting)]
LADDER = ["margin", "--data", "digits", "--no-compile", "--max-steps", "8", *tiny.settings()]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "energy", "setting"),
    [(EBGAN, "norm", "ebgan.margin="), (LADDER, "squared error", "ebgan-ladder.margin.values.0=")],
)
def test_a_margin_is_proposed_and_nothing_is_written(
    here: Path, command: list[str], energy: str, setting: str
) -> None:
    """Of 1,297 training images a tenth is held out, of which six whole batches are measured."""
    outcome = tiny.done(*command, "--json")
    content = json.loads(outcome.stdout)
    assert [point["step"] for point in content["points"]] == [0, 2, 4, 6, 8]
    assert outcome.stderr.count("\n") == 5
    assert outcome.stderr.startswith("  step 0: energy ")
    assert (content["energy"], content["n_held_out"], content["seeds"]) == (energy, 120, [0, 1, 2])
    assert content["set"] == f"{setting}{content['margin']:g}"
    assert content["settled"] is False  # no pass over the images yet
    assert list(here.iterdir()) == []


def test_the_proposal_is_a_setting_of_the_recipe() -> None:
    from ladder_ebgan.any_recipe import load_any_recipe

    for recipe, command in (("figure4-ebgan", EBGAN), ("table2", LADDER)):
        setting = json.loads(tiny.done(*command, "--json", "--quiet", "--seeds", "1").stdout)["set"]
        load_any_recipe(recipe, [setting])


def test_it_ends_when_the_energy_has_settled() -> None:
    """A learning rate so small that nothing changes: at the first measurement after a pass over the images."""
    command = [*EBGAN, "--set", "ebgan.discriminator.learning_rate=1e-9", "--seeds", "1", "--max-steps", "100000"]
    outcome = tiny.done(*command)
    assert "It settles at " in outcome.stdout
    assert outcome.stderr.splitlines()[-1].startswith("  step 400: ")
    assert outcome.stdout.splitlines()[-1].startswith("    --set ebgan.margin=")


def test_a_variant_is_trained_as_it_is_set() -> None:
    variants = ["--set", 'variants.wide.of="ebgan"', "--set", 'variants.wide.set=["margin=3"]']
    command = [*EBGAN, *variants, "--model", "wide", "--quiet"]
    content = json.loads(tiny.done(*command, "--json").stdout)
    assert (content["model"], content["recipe_margin"]) == ("wide", 3)
    recipe = load_any_recipe("figure4-ebgan", [*variants[1::2], content["set"]])
    assert recipe.settings("wide").margin == content["margin"] != 3
    assert tiny.done(*command).stdout.endswith(f"    --set '{content['set']}'\n")


def test_quiet_says_nothing_on_the_way() -> None:
    assert tiny.done(*EBGAN, "--quiet", "--seeds", "1").stderr == ""


def test_ctrl_c_is_told_in_a_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(alone, "held_out_energies", interrupted)
    outcome = tiny.invoke(*EBGAN)
    assert outcome.code == 130
    assert outcome.stderr.strip() == "ladder-ebgan: interrupted"
    assert list(here.iterdir()) == []


def test_a_training_that_diverges_ends_with_1() -> None:
    outcome = tiny.invoke(*EBGAN, "--set", "ebgan.discriminator.learning_rate=1e30", "--quiet")
    assert outcome.code == 1
    assert outcome.stdout == ""
    assert outcome.stderr == "The training has diverged by step 2; try a lower learning_rate with --set.\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--recipe", "figure4-gan"],
            "the recipe figure4-gan has no model with a margin: name another with --recipe",
        ),
        (["--recipe", "supervised"], "the recipe supervised has no model with a margin"),
        (["--model", "ladder"], "ladder has no margin: name a model that has, such as ebgan-ladder"),
        (["--model", "nobody"], "the recipe has no model 'nobody': it has ladder, ladder-matched, ebgan-ladder"),
        (["--data", "none.npz"], "none.npz"),
        (["--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(options: list[str], said: str) -> None:
    assert said in tiny.refused("margin", "--data", "digits", *options)
