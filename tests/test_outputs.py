import json
from pathlib import Path
from typing import Any

import pytest
import tiny

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.latex import table_latex
from ladder_ebgan.report.outputs import table_of, write_tables
from ladder_ebgan.report.table_formats import table_csv, table_json, table_markdown
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


def test_one_model_trained_in_two_ways_has_no_common_table(
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
        UsageError, match=r"^ladder was trained differently in .*a and .*b \(ladder.n_steps is .*\): "
    ):
        table_of([first, second])
