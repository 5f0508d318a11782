import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.latex import table_latex
from ladder_ebgan.report.outputs import table_of, write_tables
from ladder_ebgan.report.table import Table
from ladder_ebgan.report.table_formats import table_csv, table_json, table_markdown, table_text
from ladder_ebgan.runs import RunFolder, read_record


def opened(folder: Path, **changed: Any) -> RunFolder:
    return RunFolder(folder, read_record(folder) | changed)


def test_the_files_of_the_table_are_those_of_its_writers(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    before = tiny.content(folder)
    for path in folder.glob("table.*"):
        path.unlink()
    table = write_tables(opened(folder))
    assert table == table_of([folder])
    assert (folder / "table.json").read_text() == table_json(table)
    assert (folder / "table.md").read_text() == table_markdown(table)
    assert (folder / "table.csv").read_text() == table_csv(table)
    assert (folder / "table.tex").read_text() == table_latex(table)
    assert tiny.content(folder) == before


def test_a_folder_without_results_has_an_empty_table(tmp_path: Path) -> None:
    record = {"identity": {"data": {"name": "digits", "fingerprint": "x"}}, "image_shape": [8, 8], "starts": []}
    table = write_tables(RunFolder(tmp_path, record))
    assert table.rows == ()
    assert json.loads((tmp_path / "table.json").read_text())["notes"] == ["no results yet"]


@pytest.mark.parametrize(
    ("changed", "is_there"),
    [
        ({}, True),
        ({"denoising_weights": [1000, 10, 0, 0, 0, 0, 0]}, False),
        ({"denoising_weights": [0, 0, 0, 0, 0, 0, 0]}, False),
        ({"vat_weight": 1.0}, False),
    ],
)
def test_only_the_papers_own_models_stand_beside_it(
    tmp_path: Path, changed: dict[str, Any], is_there: bool
) -> None:
    results = Path(__file__).parent.parent / "docs" / "results"
    folder = shutil.copytree(results / "fast-early-cpu", tmp_path / "fast")
    record = json.loads((folder / "run.json").read_text())
    record["identity"]["recipe"]["ladder"] |= changed
    (folder / "run.json").write_text(json.dumps(record))
    table = table_of([folder])
    assert isinstance(table, Table)
    assert [each.model for each in table.beside_paper] == (["ladder"] if is_there else [])


def test_a_table_needs_run_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a run folder: it has no run\.json$"):
        table_of([tmp_path])


def test_a_table_knows_its_test_set_and_its_recipes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The older folder has neither; digits have 500 test images."""
    older, newer = (tiny.copied_run(tmp_path_factory, tmp_path / name) for name in ("a", "b"))
    table = table_of([newer])
    assert (table.n_test, table.recipes) == (500, ("table2 with changed settings",))
    record = read_record(older)
    del record["n_test"], record["starts"][0]["overrides"]
    record["starts"].append({**record["starts"][0], "recipe_name": "recipes/of my own.toml", "overrides": []})
    (older / "run.json").write_text(json.dumps(record))
    table = table_of([older])
    assert (table.n_test, table.recipes) == (None, ("table2", "of my own"))
    assert table.rows[0].sampling_error is None
    table = table_of([older, newer])
    assert (table.n_test, table.recipes) == (500, ("table2", "of my own", "table2 with changed settings"))
    assert table.rows[0].sampling_error is not None


def test_recipes_that_train_a_model_differently_have_rows_of_their_own(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A third folder, of more seeds of the first recipe, joins its rows; only models of one recipe are compared."""
    first, second, third = (tiny.copied_run(tmp_path_factory, tmp_path / name) for name in ("a", "b", "c"))
    record = read_record(second)
    record["identity"]["recipe"]["ladder"]["n_steps"] += 1
    record["starts"][0] |= {"recipe_name": "mine.toml", "overrides": []}
    del record["n_test"]
    (second / "run.json").write_text(json.dumps(record))
    (third / "results.csv").write_text(
        (third / "results.csv").read_text().replace(",20,0,", ",20,7,").replace(",20,1,", ",20,8,")
    )
    table, alone = table_of([first, second, third]), table_of([first, third])
    assert table.recipes == ("table2 with changed settings", "mine")
    assert [row for row in table.rows if row.recipe == alone.recipes[0]] == list(alone.rows)
    assert [row.seeds for row in table.rows if row.recipe == "mine"] == [(0, 1), (0, 1)]
    assert [row.seeds for row in alone.rows] == [(0, 1, 7, 8), (0, 1, 7, 8)]
    assert [(each.recipe, each.model, each.paired.n) for each in table.comparisons] == [
        (alone.recipes[0], "ebgan-ladder", 4),
        ("mine", "ebgan-ladder", 2),
    ]
    assert all(row.sampling_error is not None for row in table.rows)  # the second folder does not say n_test
    text = table_text(table)
    assert "ebgan-ladder (mine)" in text
    assert "20 labels: ebgan-ladder (mine) against ladder:" in text
    device = first.joinpath("results.csv").read_text().splitlines()[1].split('"')[1]
    assert f"mine: ladder, 20 labels: seeds 0, 1 on {device}, float32" in text.splitlines()
    assert f"{alone.recipes[0]}: ladder, 20 labels: seeds 0, 1, 7, 8 on {device}, float32" in text.splitlines()
    latex = table_latex(table)
    assert "ladder (mine) & " in latex
    assert "{ebgan-ladder (table2 with changed settings) against ladder}" in latex
    assert "(mine)" not in table_text(alone)


def test_one_model_trained_in_two_ways_by_one_recipe_has_no_common_table(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = (tiny.copied_run(tmp_path_factory, tmp_path / name) for name in ("a", "b"))
    record = read_record(second)
    record["identity"]["recipe"]["training"]["curve_every_steps"] += 1  # changes no result
    (second / "run.json").write_text(json.dumps(record))
    assert table_of([first, second]) == table_of([first])
    record["identity"]["recipe"]["ladder"]["n_steps"] += 1
    (second / "run.json").write_text(json.dumps(record))
    with pytest.raises(
        UsageError,
        match=r"^ladder has other settings in .*b than in .*a or one joined to it \(ladder.n_steps is .*\): ",
    ):
        table_of([first, second])


def with_results_of(folder: Path, model: str) -> None:
    lines = (folder / "results.csv").read_text().splitlines(keepends=True)
    (folder / "results.csv").write_text(
        "".join([lines[0], *(line for line in lines if line.startswith(f"{model},"))])
    )


def test_models_that_only_one_folder_has_are_compared_within_one_recipe(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither folder has a model of the other, but one recipe must be that of both."""
    first, second = (tiny.copied_run(tmp_path_factory, tmp_path / name) for name in ("a", "b"))
    with_results_of(first, "ladder")
    with_results_of(second, "ebgan-ladder")
    record = read_record(first)
    record["identity"]["recipe"]["ebgan-ladder"]["learning_rate"] = 0.5  # by which nothing was trained
    (first / "run.json").write_text(json.dumps(record))
    assert [each.baseline for each in table_of([first, second]).comparisons] == ["ladder"]  # by the second's recipe

    changed = read_record(second)
    changed["identity"]["recipe"]["ladder"]["n_steps"] += 1
    (second / "run.json").write_text(json.dumps(changed))
    with pytest.raises(
        UsageError, match=r"^ladder has other settings in .*b than in .*a or one joined to it \(ladder.n_steps is "
    ):
        table_of([first, second])
    changed["starts"][0] |= {"recipe_name": "mine.toml", "overrides": []}
    (second / "run.json").write_text(json.dumps(changed))
    record["identity"]["recipe"]["ebgan-ladder"] = None
    (first / "run.json").write_text(json.dumps(record))
    table = table_of([first, second])
    assert table.comparisons == ()
    assert [(row.model, row.recipe) for row in table.rows] == [
        ("ladder", "table2 with changed settings"),
        ("ebgan-ladder", "mine"),
    ]


def test_folders_of_one_gan_each_share_a_table() -> None:
    """No recipe has both: GANs are not compared with each other."""
    results = Path(__file__).parent.parent / "docs" / "results"
    table = table_of([results / "figure4-gan", results / "figure4-ebgan-pt"])
    assert [row.model for row in table.rows] == ["gan", "ebgan", "ebgan-pt"]
