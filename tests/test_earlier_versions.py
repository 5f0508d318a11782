"""What an earlier version has written is read, and a run that it began goes on.

`fixtures/run-format-1` was written by version 0.1.0: `tiny.arguments` with one seed, the ladder finished, the
EBGAN-ladder stopped after a step. It is never made anew: a format that changes gets a folder of its own beside it.
"""

import json
import shutil
from pathlib import Path

import pytest
import tiny

EARLIER = Path(__file__).parent / "fixtures" / "run-format-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EARLIER, tmp_path / "run"))


def test_the_table_of_a_finished_seed(folder: Path) -> None:
    (row,) = json.loads(tiny.done("table", str(folder), "--format", "json").stdout)["rows"]
    assert (row["model"], row["labels"], row["seeds"], row["errors"]) == ("ladder", 20, [0], [83.2])


def test_its_model_predicts_what_it_did(folder: Path) -> None:
    command = ("predict", str(folder), "digits", "--json", "--output", str(folder / "predictions.csv"))
    assert json.loads(tiny.done(*command).stdout)["scores"]["error_percent"] == pytest.approx(83.2)


def test_a_setting_that_had_no_key_then_makes_it_another_run(folder: Path) -> None:
    message = tiny.refused(*tiny.arguments(folder, "--seeds", "1", network__combinator="vanilla"))
    assert 'holds another run (recipe.network.combinator is not set there, "vanilla" here)' in message


def test_a_variant_is_compared_with_a_model_that_was_trained_then(folder: Path) -> None:
    """What the folder said of itself stays, and the variant is added."""
    before = json.loads((folder / "run.json").read_text())["identity"]
    options = ("--set", 'variants.slow.of="ladder"', "--set", 'variants.slow.set=["learning_rate=0.001"]')
    tiny.done(*tiny.arguments(folder, "--seeds", "1", "--model", "slow"), *options)
    (comparison,) = json.loads((folder / "table.json").read_text())["comparisons"]
    assert (comparison["baseline"], comparison["model"], comparison["n_seeds"]) == ("ladder", "slow", 1)
    after = json.loads((folder / "run.json").read_text())["identity"]
    assert after["recipe"].pop("variants") == {"slow": {"of": "ladder", "set": ["learning_rate=0.001"]}}
    assert after == before


def test_the_run_goes_on(folder: Path) -> None:
    finished = (EARLIER / "results.csv").read_text()
    outcome = tiny.done(*tiny.arguments(folder, "--seeds", "1"))
    assert "24 steps, going on from step 1\n" in outcome.stderr
    results = (folder / "results.csv").read_text()
    assert results.startswith(finished)
    assert results.splitlines()[2].startswith("ebgan-ladder,20,0,ok,")


def test_its_curves_go_on_with_the_columns_of_today(folder: Path) -> None:
    """What was measured stays; what was not is empty."""
    before = (folder / "history.csv").read_text().splitlines()
    assert "generated_diversity" not in before[0]
    tiny.done(*tiny.arguments(folder, "--seeds", "1"))
    header, *rows = (folder / "history.csv").read_text().splitlines()
    assert header == before[0] + ",generated_diversity"
    assert rows[: len(before) - 1] == [f"{row}," for row in before[1:]]
    (adversarial,) = [row for row in rows if row.startswith("ebgan-ladder,20,0,10,")]
    assert not adversarial.endswith(",")
    assert [row.split(",")[:4] for row in (folder / "energies.csv").read_text().splitlines()[1:]] == [
        ["ebgan-ladder", "20", "0", "10"]
    ]


def test_its_tables_and_figures_are_made_without_energies(folder: Path) -> None:
    history = (folder / "history.csv").read_bytes()
    tiny.done("report", str(folder))
    assert (folder / "history.csv").read_bytes() == history
    assert not (folder / "energies.csv").exists()
