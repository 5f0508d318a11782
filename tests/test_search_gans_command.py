"""The command `search` on spaces of GANs: what it prints, and what it leaves."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import gan_search
import pytest
import tiny
from drawing import catch_figures, words

from ladder_ebgan.any_recipe import load_any_recipe
from ladder_ebgan.report.figures import search as figures
from ladder_ebgan.search.gan_summary import summarize_gans
from ladder_ebgan.search.search import open_search
from ladder_ebgan.search.trainer import BatchTrained


@pytest.fixture(autouse=True)
def fake_scores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with gan_search.patched(monkeypatch):
        yield


COMMAND = ("--data", "digits", "--processes", "1", "--no-compile", "--replicas-at-once", "4")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, tiny.Outcome]]:
    folder = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch, gan_search.patched(patch):
        space = gan_search.write_space(folder)
        outcome = tiny.done("search", "--space", str(space), "--output", str(folder / "out"), *COMMAND)
    return folder / "out", outcome


def test_the_table_is_printed(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, outcome = finished
    lines = outcome.stdout.splitlines()
    assert lines[0] == "Search tiny-gan: gan on digits, 16 settings asked for. Trials: 16 done."
    assert lines[2] == "Best settings, by the modified inception score I' (one run each)"
    names = ["trial", "I'", "precision", "recall", "digits", "generator.size", "generator.n_layers"]
    assert lines[4].split() == [
        *names,
        "discriminator.size",
        "discriminator.optimizer",
        "discriminator.learning_rate",
    ]
    found = json.loads((folder / "table.json").read_text())
    assert lines[5].split()[:2] == [
        str(found["trials"][0]["trial"]), f"{found['trials'][0]['modified_inception_score']:.3f}"
    ]  # fmt: skip
    scores = [each["modified_inception_score"] for each in found["trials"]]
    assert scores == sorted(scores, reverse=True)
    assert (found["n_wanted"], found["counts"], found["diverged"]) == (16, {"done": 16}, [])
    assert "| trial | I' | precision |" in (folder / "table.md").read_text()


def test_the_way_is_told_on_stderr(finished: tuple[Path, tiny.Outcome]) -> None:
    _, outcome = finished
    lines = outcome.stderr.splitlines()
    assert lines[0].startswith("16 settings; 4 at once, ")
    assert lines[1] == "settings 0, 1, 2, 3: 6 steps"
    assert lines[2].startswith("setting 0: I' ")
    assert re.match(r"4 settings known of 16, about \d+ s left; best so far: setting ", lines[6])


def test_every_trial_has_a_row(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, _ = finished
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    best = json.loads((folder / "table.json").read_text())["trials"][0]
    assert len(rows) == 16
    assert {row["status"] for row in rows} == {"done"}
    assert {row["gan.discriminator.optimizer"] for row in rows} == {"adam", "sgd"}
    row = rows[best["trial"]]
    assert float(row["modified_inception_score"]) == pytest.approx(best["modified_inception_score"], rel=1e-5)
    assert int(row["seed"]) == best["seed"]


def test_the_best_setting_is_a_recipe(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, _ = finished
    best = json.loads((folder / "table.json").read_text())["trials"][0]
    recipe = load_any_recipe(str(folder / "best.toml"))
    space = json.loads((folder / "search.json").read_text())["space"]
    assert recipe == load_any_recipe("figure4-gan", [*space["set"], *best["settings"]])
    lines = (folder / "best.toml").read_text().splitlines()
    assert any(f"with seed {best['seed']}, best of 16 settings" in line for line in lines)
    (command,) = [line for line in lines if "ladder-ebgan run" in line]
    assert tiny.parameters_of_run(*command.split()[3:])["recipe_name"] == str(folder / "best.toml")
    assert command.endswith(" --output runs/best-tiny-gan")


def test_a_figure_is_drawn(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, _ = finished
    assert sorted(path.name for path in (folder / "figures").iterdir()) == ["parameters.png", "parameters.svg"]


def test_json_is_the_file(finished: tuple[Path, tiny.Outcome]) -> None:
    folder, _ = finished
    space = str(folder.parent / "tiny-gan.toml")
    again = tiny.done("search", "--space", space, "--output", str(folder), *COMMAND, "--json", "--quiet")
    assert again.stdout == (folder / "table.json").read_text()


def test_a_diverged_setting_is_told_and_drawn(tmp_path: Path) -> None:
    space = gan_search.write_space(tmp_path, ("[0.01, 0.001]", "[0.01, 1e30]"), ('"adam", "sgd"', '"sgd"'))
    command = ("search", "--space", str(space), "--output", str(tmp_path / "out"), *COMMAND)
    outcome = tiny.done(*command, "--trials", "2")
    assert "Trials: 1 done, 1 diverged." in outcome.stdout or "Trials: 1 diverged, 1 done." in outcome.stdout
    assert "diverged at step " in outcome.stderr
    (lost,) = json.loads((tmp_path / "out/table.json").read_text())["diverged"]
    assert lost["settings"][-1] == "gan.generator.learning_rate=1e+30"
    rows = list(csv.DictReader((tmp_path / "out/trials.csv").read_text().splitlines()))
    assert [
        (row["modified_inception_score"], row["diverged_step"]) for row in rows if row["status"] == "diverged"
    ] == [("", str(lost["step"]))]


def test_stopped_at_once_it_says_so(tmp_path: Path) -> None:
    space = gan_search.write_space(tmp_path)
    command = ("search", "--space", str(space), "--output", str(tmp_path / "out"), *COMMAND)
    stopped = tiny.invoke(*command, "--time-limit", "0.000001")
    assert stopped.code == 75
    assert "Trials: 4 unfinished." in stopped.stdout
    assert not (tmp_path / "out/best.toml").exists()


def test_a_slice_by_the_command_line(tmp_path: Path) -> None:
    space = gan_search.write_space(tmp_path)
    command = ("search", "--space", str(space), "--output", str(tmp_path / "out"), *COMMAND)
    assert "--only size: 'size' is one of gan.generator.size; gan.disc" in tiny.refused(
        *command, "--only", "size=4"
    )
    outcome = tiny.done(*command, "--only", "generator.size=4", "--only", "generator.n_layers=2", "--quiet")
    assert "4 settings asked for. Trials: 4 done." in outcome.stdout
    grown = tiny.done(*command, "--only", "generator.size=4").stderr.splitlines()
    assert grown[0].startswith("8 settings, 4 of them begun earlier; ")
    assert grown[-2].startswith("8 settings known of 8; ")
    other = tiny.done(*command, "--only", "generator.size=5", "--trials", "4").stderr.splitlines()
    assert other[0].startswith("4 settings; ")
    assert other[-2].startswith("4 settings known of 4; ")


def test_where_all_diverge_nothing_is_best(tmp_path: Path) -> None:
    space = gan_search.write_space(tmp_path, ("[0.01, 0.001]", "[1e30]"), ('"adam", "sgd"', '"sgd"'))
    outcome = tiny.done(
        "search", "--space", str(space), "--output", str(tmp_path / "out"), *COMMAND, "--trials", "1"
    )
    assert outcome.stdout == "Search tiny-gan: gan on digits, 1 settings asked for. Trials: 1 diverged.\n"
    assert outcome.stderr.splitlines()[-2] == "1 settings known of 1"
    assert not (tmp_path / "out/best.toml").exists()
    assert (tmp_path / "out/figures/parameters.png").exists()


def test_a_figure_of_what_is_unfinished_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = catch_figures(monkeypatch, figures)
    wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=1)
    gan_search.run(wanted, stop_after=lambda event: isinstance(event, BatchTrained))
    with open_search(wanted) as search:
        figures.draw_gan_search(summarize_gans(search))
    assert words(drawn[0].axes[0]) == ["nothing to show yet"]
    assert all(not axes.lines for axes in drawn[0].axes)
