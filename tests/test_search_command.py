"""The command `search`: what it prints and leaves behind."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import search_run
import tiny
from PIL import Image

from ladder_ebgan.recipe import load_recipe
from ladder_ebgan.report.figures.search import parameters_figure
from ladder_ebgan.search.outcomes import Outcome
from ladder_ebgan.search.space import load_space
from ladder_ebgan.search.summary import Summary

COMMAND = ("--data", "digits", "--validation", "100", "--processes", "1", "--no-compile")


def arguments(folder: Path, *more: str, **space: str) -> list[str]:
    path = search_run.write_space(folder, **space)
    return ["search", "--space", str(path), "--output", str(folder / "out"), *COMMAND, *more]


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tiny.Outcome]:
    folder = tmp_path_factory.mktemp("search")
    more = "report_every_steps = 4"
    return folder / "out", tiny.done(*arguments(folder, "--trials", "6", more=more))


def test_the_tables_are_printed(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, outcome = finished
    found = json.loads((folder / "table.json").read_text())
    lines = outcome.stdout.splitlines()
    assert lines[0] == (
        "Search tiny: ladder, 20 labels of digits, 100 images held out of the training set. Trials: 6 done."
    )
    assert (
        lines[2] == "Best settings, by the validation error in percent (mean ± deviation over 2 labelled subsets)"
    )
    assert lines[4].split() == ["trial", "error", "learning_rate", "input_noise"]
    best = found["trials"][0]
    assert lines[5].split()[:2] == [str(best["trial"]), f"{best['validation_error_percent']:.2f}"]
    assert "What matters" in outcome.stdout
    assert [choice["n_images"] for choice in found["choices"]] == [20, 40, 100]
    means = [trial["validation_error_percent"] for trial in found["trials"]]
    assert means == sorted(means)
    assert 0 < sum(found["importance"].values()) < 0.99  # the rest is due to both together
    markdown = (folder / "table.md").read_text()
    assert "| trial | error | learning_rate | input_noise |\n| --- | ---: | ---: | ---: |\n" in markdown


def test_the_way_is_told_on_stderr(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, outcome = finished
    lines = outcome.stderr.splitlines()
    assert lines[0].startswith("6 settings, each on 2 labelled subsets of 20 images; 2 at once, ")
    assert lines[1] == "settings 0, 1: 12 steps"
    assert re.fullmatch(r"  step 4, validation error of 0: [\d.]+ %, 1: [\d.]+ %", lines[2])
    assert re.fullmatch(r"setting 0: validation error [\d.]+ %", lines[4])
    assert re.fullmatch(
        r"best so far: setting \d with [\d.]+ %: ladder.learning_rate=\S+ network.input_\S+", lines[6]
    )
    assert lines[-1] == f"The search's folder is {folder}"


def test_every_trial_has_a_row(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, _ = finished
    found = json.loads((folder / "table.json").read_text())
    rows = rows_of(folder)
    assert [row["trial"] for row in rows] == list("012345")
    assert {row["status"] for row in rows} == {"done"}
    best = rows[found["trials"][0]["trial"]]
    errors = [float(best[f"validation_error_percent_seed_{seed}"]) for seed in (1000, 1001)]
    assert errors == pytest.approx(found["trials"][0]["errors"])
    assert float(best["validation_error_percent"]) == pytest.approx(sum(errors) / 2)


def test_the_best_setting_is_a_recipe_that_runs(
    finished: tuple[Path, tiny.Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = finished
    found = json.loads((folder / "table.json").read_text())
    recipe = load_recipe(str(folder / "best.toml"))
    settings = found["trials"][0]["settings"]
    assert f"ladder.learning_rate={recipe.settings('ladder').learning_rate:.4g}" == settings[0]
    assert f"network.input_noise={recipe.network.input_noise:.4g}" == settings[1]
    assert recipe.labels == [20]
    assert recipe.models == ["ladder"], "the base recipe's other models were not searched"
    text = (folder / "best.toml").read_text()
    assert "too good by as much as chance has chosen it" in text
    command = next(line for line in text.splitlines() if "ladder-ebgan run" in line)
    output = "--data digits --output runs/best-tiny"
    assert command == f"#     ladder-ebgan run --recipe {folder / 'best.toml'} --model ladder {output}"
    monkeypatch.chdir(tmp_path)
    tiny.done(*command.split()[2:], "--seeds", "1", "--no-compile")
    assert (tmp_path / "runs/best-tiny/results.csv").exists()


@pytest.mark.parametrize("name", ["parameters", "validation_size"])
def test_figures_are_drawn(finished: tuple[Path, tiny.Outcome], name: str) -> None:
    folder, _ = finished
    with Image.open(folder / "figures" / f"{name}.png") as image:
        assert min(image.size) > 300
        assert len(image.convert("L").getcolors() or []) > 2
    assert "<svg" in (folder / "figures" / f"{name}.svg").read_text()


def test_json_is_the_file(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, _ = finished
    space = str(folder.parent / "tiny.toml")
    again = tiny.done("search", "--space", space, "--output", str(folder), *COMMAND, "--json", "--quiet")
    assert again.stdout == (folder / "table.json").read_text()
    assert again.stderr == ""


def test_it_stops_at_the_time_limit_and_goes_on(tmp_path: Path) -> None:
    command = arguments(tmp_path, "--trials", "2")
    stopped = tiny.invoke(*command, "--time-limit", "0.000001")
    assert stopped.code == 75
    assert stopped.stdout.startswith("Search tiny: ladder, 20 labels of digits")
    assert "Trials: 2 unfinished." in stopped.stdout
    assert stopped.stderr.endswith("Stopped (time limit). The same command goes on from here.\n")
    assert not (tmp_path / "out/best.toml").exists()
    assert not (tmp_path / "out/figures").exists()
    ended = tiny.done(*command)
    assert "settings 0, 1: 12 steps, going on from step 1\n" in ended.stderr
    assert "Trials: 2 done." in ended.stdout


def test_one_setting_is_a_search_too(tmp_path: Path) -> None:
    outcome = tiny.done(*arguments(tmp_path, "--trials", "1", "--subsets", "1"))
    assert "What matters" not in outcome.stdout
    assert "± " not in outcome.stdout
    assert (tmp_path / "out/figures/parameters.png").exists()


def test_diverged_settings_are_counted_and_named(tmp_path: Path) -> None:
    rates = ("{ low = 0.001, high = 0.05, log = true }", "{ low = 1e24, high = 1e25, log = true }")
    path = search_run.write_space(tmp_path, rates)
    outcome = tiny.done(
        "search", "--space", str(path), "--output", str(tmp_path / "out"), *COMMAND, "--trials", "2"
    )
    assert "Trials: 2 diverged." in outcome.stdout
    assert "setting 0: validation error diverged" in outcome.stderr
    rows = rows_of(tmp_path / "out")
    assert [(row["status"], row["validation_error_percent"]) for row in rows] == [("diverged", "")] * 2
    assert (tmp_path / "out/figures/parameters.png").exists()


def test_two_processes_train_beside_each_other(tmp_path: Path) -> None:
    command = [*arguments(tmp_path, "--trials", "6")]
    command[command.index("--processes") + 1] = "2"
    outcome = tiny.invoke(*command, n_cores=2)
    assert outcome.code == 0, outcome.stderr
    assert "2 processes with" in outcome.stderr
    assert "Trials: 6 done." in outcome.stdout
    one = tmp_path / "one"
    one.mkdir()
    tiny.done(*arguments(one, "--trials", "2"))
    found = [json.loads((folder / "out/table.json").read_text())["trials"] for folder in (tmp_path, one)]
    first_two = {trial["trial"]: trial["errors"] for trial in found[0] if trial["trial"] < 2}
    assert first_two == {trial["trial"]: trial["errors"] for trial in found[1]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--trials", "0"], "Invalid value for '--trials': 0 is not in the range x>=1."),
        (["--labels", "9"], "9 labels do not fit digits: there must be at least 10"),
        (["--validation", "5"], "5 validation images do not fit digits"),
        (["--set", "ladder.n_stepz=3"], "unknown key 'ladder.n_stepz'"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--processes", "x"], "--processes x: must be auto or a number above 0"),
        (["--time-limit", "nan"], "'--time-limit': 'nan' is no time"),
        (["--device", "cuda:9"], "device 'cuda:9' is not available"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: list[str], expected: str) -> None:
    assert expected in tiny.refused(*arguments(tmp_path), *options)
    assert not (tmp_path / "out").exists()


def test_a_space_must_be_named() -> None:
    assert "Missing option '--space'" in tiny.refused("search")
    assert "unknown search space 'nope': the search spaces are baseline, " in tiny.refused(
        "search", "--space", "nope"
    )


def test_without_optuna_it_says_how_to_get_it() -> None:
    """In an interpreter that cannot import it."""
    code = "import sys; sys.modules['optuna'] = None; from ladder_ebgan.cli import main; main(sys.argv[1:])"
    ended = subprocess.run(
        [sys.executable, "-c", code, "search", "--space", "baseline"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == "ladder-ebgan: a search needs Optuna: pip install optuna\n"


def test_choices_and_settings_given_up_are_drawn(tmp_path: Path) -> None:
    """One point a status and choice; the legend appears with the first setting that was given up."""
    space = load_space(
        str(search_run.write_space(tmp_path, ("{ low = 0.1, high = 0.5 }", "{ choices = [0.1, 0.25, 0.4] }")))
    )
    outcomes = [
        Outcome(0, "done", {"ladder.learning_rate": 0.002, "network.input_noise": "0.1"}, (5.0, 6.0), 12, 1.0),
        Outcome(1, "given up", {"ladder.learning_rate": 0.03, "network.input_noise": "0.4"}, (9.0, 8.0), 4, None),
        Outcome(2, "diverged", {"ladder.learning_rate": 0.04, "network.input_noise": "0.25"}, (), 4, None),
    ]
    search = SimpleNamespace(request=SimpleNamespace(space=space))
    sizes = []
    for shown in (outcomes, outcomes[:1], outcomes[2:]):
        parameters_figure(Summary(search, shown, [], {}, []), tmp_path / "figure")  # type: ignore[arg-type]
        sizes.append((tmp_path / "figure.svg").read_bytes())
    assert len(set(sizes)) == 3
    assert [b'id="legend_1"' in svg for svg in sizes] == [True, False, False]
