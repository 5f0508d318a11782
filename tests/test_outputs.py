import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report import outputs
from ladder_ebgan.report.outputs import table_of, write_outputs
from ladder_ebgan.report.table import table_csv, table_json, table_markdown
from ladder_ebgan.runs import RunFolder, read_record


def opened(folder: Path, **changed: Any) -> RunFolder:
    return RunFolder(folder, read_record(folder) | changed)


def test_the_files_of_the_table_are_those_of_its_writers(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    before = tiny.content(folder)
    table = write_outputs(opened(folder))
    assert table == table_of([folder])
    assert (folder / "table.json").read_text() == table_json(table)
    assert (folder / "table.md").read_text() == table_markdown(table)
    assert (folder / "table.csv").read_text() == table_csv(table)
    after = tiny.content(folder)
    assert {name: after[name] for name in after if "figures" not in name} == {
        name: before[name] for name in before if "figures" not in name
    }


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], Path, list[int]]]:
    """The shape of the generated images that are drawn, where, and whose they are; no other figure is made."""
    seen: list[tuple[tuple[int, ...], Path, list[int]]] = []
    monkeypatch.setattr(outputs, "error_by_seed", lambda results, path: None)
    monkeypatch.setattr(outputs, "learning_curves", lambda history, path: None)
    monkeypatch.setattr(
        outputs, "generated_images", lambda images, path, seeds: seen.append((images.shape, path, seeds))
    )
    return seen


def test_generated_images_are_drawn_for_each_budget(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]
) -> None:
    run = opened(tiny.copied_run(tmp_path_factory, tmp_path / "run"))
    adversarial = [result for result in run.results() if result.model == "ebgan-ladder"]
    diverged = replace(adversarial[0], seed=9, status="diverged", test_error_percent=None, diverged_step=3)
    other = replace(adversarial[1], labels=30)
    images = np.full((20, 64), 255, np.uint8)
    run.save_predictions("ebgan-ladder-30-1", {"generated_images": images})
    run.add_results([diverged, other])
    write_outputs(run)
    figures = run.path / "figures"
    assert drawn == [
        ((2, 20, 8, 8), figures / "generated_images_20.png", [0, 1]),
        ((1, 20, 8, 8), figures / "generated_images_30.png", [1]),
    ]


def test_data_without_an_image_shape_has_no_pictures(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]
) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    for shape in ([64], [8, 4, 2]):
        write_outputs(opened(folder, image_shape=shape))
    assert drawn == []


def test_a_run_of_ladders_has_no_pictures(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]
) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    lines = (folder / "results.csv").read_text().splitlines(keepends=True)
    (folder / "results.csv").write_text("".join(line for line in lines if not line.startswith("ebgan")))
    write_outputs(opened(folder))
    assert drawn == []


def test_a_folder_without_results_has_an_empty_table(tmp_path: Path) -> None:
    record = {"identity": {"data": {"name": "digits", "fingerprint": "x"}}, "image_shape": [8, 8]}
    table = write_outputs(RunFolder(tmp_path, record))
    assert table.rows == ()
    assert json.loads((tmp_path / "table.json").read_text())["notes"] == ["no results yet"]


def test_a_table_needs_run_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a run folder: it has no run\.json$"):
        table_of([tmp_path])


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
