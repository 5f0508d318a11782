import csv
import fcntl
import io
import json
import os
import re
import shutil
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from safetensors import safe_open

from ladder_ebgan.data import labeled_order, load_dataset
from ladder_ebgan.energy_bins import histogram_of, lower_edge
from ladder_ebgan.errors import UsageError
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result
from ladder_ebgan.runs import (
    FORMAT,
    Group,
    Replica,
    RunFolder,
    open_run_folder,
    read_record,
    read_rows,
    write_atomically,
)

DESCRIPTION: dict[str, Any] = {
    "identity": {
        "data": {"name": "digits", "fingerprint": "1f"},
        "recipe": {"ladder": {"n_steps": 5}, "ebgan-ladder": None, "network": {}, "training": {}},
        "precision": "float32",
    },
    "image_shape": [8, 8],
    "resolved": {},
}
GROUP = Group("ladder", (Replica(20, 0), Replica(30, 0)))


def point(step: int, model: str = "ladder", labels: int = 20, seed: int = 0) -> CurvePoint:
    return CurvePoint(model, labels, seed, step, 0.1, 0.5, None, 12.5, None, None, None, None)


def histogram(step: int, model: str = "ladder", labels: int = 20, seed: int = 0) -> EnergyHistogram:
    return EnergyHistogram(model, labels, seed, step, 8.0, "24:3", "25:1 26:2")


def result(seed: int, error: float | None = 1.5) -> Result:
    diverged = None if error is not None else 3
    return Result("ladder", 20, seed, "ok", error, diverged, 5, 0.1, 'a "fast", one', "float32", "0.1", "2.13")


def begun(path: Path) -> Path:
    with open_run_folder(path, DESCRIPTION, fresh=False) as folder:
        folder.add_groups([GROUP])
        folder.add_results([result(0)])
        folder.append_history([point(10)])
    return path


def refusal(path: Path, description: dict[str, Any] = DESCRIPTION, fresh: bool = False) -> str:
    before = tiny.content(path) if path.is_dir() else None
    with pytest.raises(UsageError) as caught, open_run_folder(path, description, fresh):
        pytest.fail("opened")
    assert (tiny.content(path) if path.is_dir() else None) == before
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# What a finished run leaves, as docs/design.md has it.


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_a_finished_run_leaves_its_files_and_no_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    names = [f"{model}-20-{seed}" for model in ("ebgan-ladder", "ladder") for seed in (0, 1)]
    expected = {".lock", "run.json", "results.csv", "history.csv", "energies.csv"}
    expected |= {f"table.{suffix}" for suffix in ("json", "md", "csv", "tex")}
    figures = ["error_by_seed", "learning_curves", "energies", "energy_histograms_ebgan-ladder_20"]
    figures += ["generated_images_20", "labeled_images_20"]
    for model in ("ebgan-ladder", "ladder"):
        figures += [f"confusion_matrix_{model}_20", f"worst_mistakes_{model}_20"]
    expected |= {f"figures/{name}.{suffix}" for name in figures for suffix in ("png", "svg")}
    expected.add("figures/drawn_from.sha256")
    expected |= {f"models/{name}.safetensors" for name in names} | {f"predictions/{name}.npz" for name in names}
    folder = tiny.finished_run(tmp_path_factory)
    assert set(tiny.content(folder)) == expected
    assert not (folder / "checkpoints").exists()


def test_no_file_has_a_word_for_a_missing_number(tmp_path_factory: pytest.TempPathFactory) -> None:
    for name, content in tiny.content(tiny.finished_run(tmp_path_factory)).items():
        if name.endswith((".csv", ".json", ".md")):
            assert not re.search(rb"\b(nan|inf|infinity|none)\b", content, re.IGNORECASE), name


def test_results_have_a_row_for_each_replica(tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = rows_of(tiny.finished_run(tmp_path_factory) / "results.csv")
    assert list(rows[0]) == [field.name for field in fields(Result) if field.default is MISSING]
    models = ["ladder", "ladder", "ebgan-ladder", "ebgan-ladder"]
    assert [(row["model"], row["labels"], row["seed"]) for row in rows] == [
        (model, "20", seed) for model, seed in zip(models, "0101", strict=True)
    ]
    assert [row["steps"] for row in rows] == ["20", "20", "24", "24"]
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["diverged_step"] for row in rows} == {""}


def test_history_has_increasing_steps_and_the_last_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = rows_of(tiny.finished_run(tmp_path_factory) / "history.csv")
    assert list(rows[0]) == [field.name for field in fields(CurvePoint)]
    for model, steps in (("ladder", [10, 20]), ("ebgan-ladder", [10, 20, 24])):
        for seed in "01":
            mine = [row for row in rows if (row["model"], row["seed"]) == (model, seed)]
            assert [int(row["step"]) for row in mine] == steps
            assert all(0 <= float(row["unlabeled_error_percent"]) <= 100 for row in mine)
            adversarial = [row["margin"] != "" for row in mine]
            assert adversarial == [model == "ebgan-ladder" and step <= 13 for step in steps]
            assert adversarial == [row["energy_generated"] != "" for row in mine]
            assert adversarial == [row["generated_diversity"] != "" for row in mine]


def test_energies_are_those_of_the_minibatches_of_the_curve_points(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Twenty real and twenty generated images; mean energy and open hinges are told from the bins as well."""
    folder = tiny.finished_run(tmp_path_factory)
    rows = rows_of(folder / "energies.csv")
    assert list(rows[0]) == [field.name for field in fields(EnergyHistogram)]
    points = {
        tuple(row[name] for name in ("model", "labels", "seed", "step")): row
        for row in rows_of(folder / "history.csv")
        if row["margin"]
    }
    assert [tuple(row.values())[:4] for row in rows] == [("ebgan-ladder", "20", seed, "10") for seed in "01"]
    for row in rows:
        point = points[row["model"], row["labels"], row["seed"], row["step"]]
        assert float(row["margin"]) == float(point["margin"])
        for name in ("real", "generated"):
            counts = histogram_of(row[name])
            assert sum(counts.values()) == 20
            low = sum(count * lower_edge(number) for number, count in counts.items()) / 20
            assert low <= float(point[f"energy_{name}"]) <= low * 2 ** (1 / 8)
        counts = histogram_of(row["generated"])
        least, most = (
            sum(count for number, count in counts.items() if lower_edge(number + up) <= float(row["margin"]))
            for up in (1, 0)
        )
        assert 5 * least <= float(point["open_hinges_percent"]) <= 5 * most


def test_predictions_give_the_error_of_the_results(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, dataset = tiny.finished_run(tmp_path_factory), load_dataset("digits")
    for row in read_rows(folder / "results.csv", Result):
        with np.load(folder / "predictions" / f"{row.model}-20-{row.seed}.npz", allow_pickle=False) as arrays:
            probabilities, indices = arrays["probabilities"], arrays["labeled_indices"]
            assert set(arrays) == {"probabilities", "labeled_indices"} | (
                {"generated_images"} if row.model == "ebgan-ladder" else set()
            )
            if row.model == "ebgan-ladder":
                assert arrays["generated_images"].shape == (20, 64)
                assert arrays["generated_images"].dtype == np.uint8
        assert probabilities.shape == (500, 10)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        wrong = int((probabilities.argmax(axis=1) != dataset.test_labels).sum())
        assert row.test_error_percent == 100 * wrong / 500
        np.testing.assert_array_equal(indices, labeled_order(dataset.train_labels, row.seed, 10)[:20])


def test_models_say_what_they_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.finished_run(tmp_path_factory)
    identity = json.loads((folder / "run.json").read_text())["identity"]
    for model in ("ladder", "ebgan-ladder"):
        with safe_open(folder / "models" / f"{model}-20-1.safetensors", framework="pt") as file:
            metadata = json.loads(file.metadata()["model"])
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        assert (metadata["model"], metadata["labels"], metadata["seed"]) == (model, 20, 1)
        assert {key: metadata[key] for key in identity} == identity
        assert metadata["classes"] == list(range(10))
        assert metadata["image_shape"] == [8, 8]
        assert shapes["ladder.encoder.0"] == (1, 64, 12)
        assert shapes["statistics.mean.6"] == shapes["statistics.variance.6"] == (1, 1, 10)
        assert any(name.startswith("generator.") for name in shapes) == (model == "ebgan-ladder")


def test_the_table_is_that_of_the_results(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.finished_run(tmp_path_factory)
    table = json.loads((folder / "table.json").read_text())
    results = read_rows(folder / "results.csv", Result)
    assert [row["model"] for row in table["rows"]] == ["ladder", "ebgan-ladder"]
    for row in table["rows"]:
        errors = [r.test_error_percent for r in results if r.model == row["model"] and r.test_error_percent]
        assert row["errors"] == errors
        assert row["n_seeds"] == 2
        assert row["mean"] == pytest.approx(np.mean(errors))
        assert row["std"] == pytest.approx(np.std(errors, ddof=1))
    assert table["comparisons"][0]["mean_difference"] == pytest.approx(
        table["rows"][1]["mean"] - table["rows"][0]["mean"]
    )


def test_the_record_says_what_ran(tmp_path_factory: pytest.TempPathFactory) -> None:
    record = read_record(tiny.finished_run(tmp_path_factory))
    assert record["identity"]["data"]["fingerprint"] == load_dataset("digits").fingerprint
    assert record["identity"]["recipe"]["ladder"]["n_steps"] == 20
    assert record["identity"]["precision"] == "float32"
    assert record["groups"] == [
        {"model": model, "replicas": [[20, 0], [20, 1]]} for model in ("ladder", "ebgan-ladder")
    ]
    assert len(record["starts"]) == 1
    assert set(record["starts"][0]) == {"command", "time", "recipe_name", "overrides", "device", "versions"}


def test_nothing_is_pickled(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.finished_run(tmp_path_factory)
    for path in (folder / "predictions").iterdir():
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays)
    sources = Path(__file__).parents[1].glob("ladder_ebgan/**/*.py")
    calls = re.compile(r"import pickle|torch\.(save|load)\(|allow_pickle=True|(import|from) joblib")
    assert [path.name for path in sources if calls.search(path.read_text(encoding="utf-8"))] == []


# The folder itself.


def test_a_folder_is_made_and_goes_on(tmp_path: Path) -> None:
    path = begun(tmp_path / "deep" / "run")
    with open_run_folder(path, DESCRIPTION, fresh=False) as folder:
        assert folder.groups == [GROUP]
        assert folder.results() == [result(0)]
        assert folder.history() == [point(10)]
        folder.add_results([result(1, None)])
        folder.append_history([point(20)])
        assert folder.results() == [result(0), result(1, None)]
        assert folder.history() == [point(10), point(20)]
    assert read_record(path)["format"] == FORMAT


def test_an_opened_folder_that_was_not_begun_has_nothing(tmp_path: Path) -> None:
    with open_run_folder(tmp_path, DESCRIPTION, fresh=False) as folder:
        assert (folder.groups, folder.results(), folder.history()) == ([], [], [])
        folder.cut_history(GROUP, 0)
        folder.remove_checkpoint(GROUP)
    assert list(tiny.content(tmp_path)) == [".lock"]


def test_history_is_cut_for_the_group_only(tmp_path: Path) -> None:
    with open_run_folder(tmp_path, DESCRIPTION, fresh=False) as folder:
        others = [point(30, "ebgan-ladder"), point(30, labels=40), point(30, seed=1)]
        kept = [histogram(10), histogram(20, "ebgan-ladder"), histogram(20, seed=1)]
        dropped = [histogram(20), histogram(20, labels=30)]
        folder.append_history([point(10), point(20), *others, point(20, labels=30)], [*kept, *dropped])
        folder.cut_history(GROUP, 10)
        assert folder.history() == [point(10), *others]
        assert folder.energies() == kept


@pytest.mark.parametrize("torn", ["", "mod", "model,labels", "ladder,20,0,2", "ladder,20,0,20,0.1,,,,,,,"])
def test_a_torn_line_is_dropped(tmp_path: Path, torn: str) -> None:
    path = begun(tmp_path)
    whole = (path / "history.csv").read_text() if torn.startswith("ladder") else ""
    (path / "history.csv").write_text(whole + torn)
    with open_run_folder(path, DESCRIPTION, fresh=False) as folder:
        folder.append_history([point(20)])
        assert folder.history() == ([point(10)] if whole else []) + [point(20)]


def test_checkpoints_are_removed_with_their_folder(tmp_path: Path) -> None:
    other = Group("ladder", (Replica(40, 3),))
    with open_run_folder(tmp_path, DESCRIPTION, fresh=False) as folder:
        for group in (GROUP, other):
            write_atomically(folder.checkpoint_path(group), b"x")
        assert folder.checkpoint_path(other).name == "ladder-40-3.safetensors"
        folder.remove_checkpoint(GROUP)
        assert folder.checkpoint_path(other).exists()
        folder.remove_checkpoint(other)
    assert not (tmp_path / "checkpoints").exists()


def test_the_same_data_under_another_name_goes_on(tmp_path: Path) -> None:
    path = begun(tmp_path)
    renamed = {"data": {"name": "copy", "fingerprint": "1f"}}
    other = DESCRIPTION | {"identity": DESCRIPTION["identity"] | renamed}
    with open_run_folder(path, other, fresh=False) as folder:
        assert folder.groups


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"precision": "bfloat16"}, 'precision is "float32" there, "bfloat16" here'),
        ({"data": {"name": "mnist", "fingerprint": "2f"}}, "its data is digits, not this mnist"),
        ({"data": {"name": "digits", "fingerprint": "2f"}}, "the contents of its data, digits, were others"),
        ({"recipe": {"ladder": {"n_steps": 6}}}, "recipe.ladder.n_steps is 5 there, 6 here"),
        ({"recipe": {"ladder": None}}, 'recipe.ladder is {"n_steps": 5} there, not set here'),
    ],
)
def test_another_identity_is_refused_and_replaced_when_fresh(
    tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    path = begun(tmp_path)
    other = DESCRIPTION | {"identity": DESCRIPTION["identity"] | changed}
    message = refusal(path, other)
    assert message == (
        f"the folder {path} holds another run ({named}): name another folder with --output, or give --fresh to "
        "replace it"
    )
    with open_run_folder(path, other, fresh=True) as folder:
        assert (folder.groups, folder.results(), folder.history()) == ([], [], [])
        assert list(tiny.content(path)) == [".lock", "run.json"]
    assert json.loads((path / "run.json").read_text()) == {"format": FORMAT, **other, "groups": [], "starts": []}


def test_fresh_removes_what_is_the_runs_and_nothing_else(tmp_path: Path) -> None:
    path = begun(tmp_path)
    for name in ("models/ladder-20-0.safetensors", "figures/x.png", "checkpoints/x", "notes/mine.txt", "notes.md"):
        write_atomically(path / name, b"x")
    with open_run_folder(path, DESCRIPTION, fresh=True):
        assert set(tiny.content(path)) == {".lock", "run.json", "notes/mine.txt", "notes.md"}
    with open_run_folder(path, DESCRIPTION, fresh=False) as folder:  # though it was ended before it began
        assert folder.groups == []


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_that_is_no_runs_is_refused_and_left_alone(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    message = refusal(tmp_path, fresh=fresh)
    assert message == (
        f"the folder {tmp_path} is not empty and not a run's (it has thesis.tex): name another with --output"
    )


def test_a_folder_that_a_kill_left_before_its_first_file_is_used(tmp_path: Path) -> None:
    for name in (".lock", ".run.json.tmp"):
        (tmp_path / name).touch()
    assert begun(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    assert refusal(tmp_path / "file") == f"--output {tmp_path / 'file'} is a file: name a folder"
    assert refusal(tmp_path / "file" / "run") == (
        f"cannot write to the folder {tmp_path / 'file' / 'run'}: Not a directory; name another with --output"
    )


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    path = begun(tmp_path)
    with (path / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refusal(path) == (
            f"the folder {path} is in use by another process: wait for it, or name another with --output"
        )
        refusal(path, fresh=True)
    begun(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Permission denied; name another with --output" in refusal(tmp_path / "run")


def test_an_unwritable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)
    assert refusal(tmp_path / "run").endswith("Permission denied; name another with --output")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "is not a run folder: it has no run.json"),
        (b"{", "run.json is damaged (Expecting property name"),
        (b"\xff", "cannot read "),
        (b"[]", "run.json is damaged (it has no format)"),
        (b"[" * 100_000, "run.json is damaged (maximum recursion depth exceeded"),
        (b'{"format": "1"}', "run.json is damaged (it has no format)"),
        (b'{"format": 2}', "run.json has format 2, and this version of ladder-ebgan knows format 1: install a "),
        (b'{"format": 1}', "run.json is damaged (identity: field required): restore it, or start anew with"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None, expected: str) -> None:
    if content is not None:
        (tmp_path / ".lock").touch()
        (tmp_path / "run.json").write_bytes(content)
        assert expected in refusal(tmp_path)
    with pytest.raises(UsageError) as caught:
        read_record(tmp_path)
    assert expected in str(caught.value)
    with open_run_folder(tmp_path, DESCRIPTION, fresh=True):
        assert (tmp_path / "run.json").exists() == (content is not None)


@pytest.mark.parametrize(
    "content",
    [
        b"wrong,header\n1,2\n",
        b"\xff\xfe\n",
        b"model,labels,seed\nladder,20\n",
        b"model,labels,seed\nladder,twenty,0\n",
        b"model,labels,seed\nladder,20,0,5\n",
        b'model\n"' + b"x" * 200_000 + b'"\n',
    ],
)
def test_damaged_rows_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"results\.csv is damaged: .*; restore it, or start anew with --fresh$"):
        read_rows(path, Result)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "file", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "file", b"new")
    assert tiny.content(tmp_path) == {"file": b"old"}


def test_predictions_are_compressed_arrays(tmp_path: Path) -> None:
    RunFolder(tmp_path, {}).save_predictions("x", {"probabilities": np.zeros((1000, 10), np.float32)})
    path = tmp_path / "predictions" / "x.npz"
    assert path.stat().st_size < 1000
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["probabilities"].shape == (1000, 10)


def test_rows_are_put_in_the_order_of_the_groups(tmp_path: Path) -> None:
    """Whichever group was faster; within a group they keep their order, and unknown replicas come last."""
    with open_run_folder(tmp_path, DESCRIPTION, fresh=False) as folder:
        folder.add_groups([GROUP, Group("ladder", (Replica(20, 1),))])
        folder.add_results([result(5), result(1), result(0)])
        folder.append_history([point(10, seed=1), point(20), point(20, labels=30), point(10), point(20, seed=1)])
        folder.sort_rows()
        assert folder.results() == [result(0), result(1), result(5)]
        assert folder.history() == [
            *[point(20), point(20, labels=30), point(10)],
            *[point(10, seed=1), point(20, seed=1)],
        ]


def test_groups_are_recorded_once(tmp_path: Path) -> None:
    other = Group("ebgan-ladder", (Replica(20, 0),))
    with open_run_folder(tmp_path, DESCRIPTION, fresh=False) as folder:
        folder.add_groups([GROUP])
        folder.add_groups([other, GROUP])
        assert folder.groups == [GROUP, other]


def test_a_copied_folder_goes_on_elsewhere(tmp_path: Path) -> None:
    path = begun(tmp_path / "here")
    moved = Path(shutil.move(path, tmp_path / "there"))
    with open_run_folder(moved, DESCRIPTION, fresh=False) as folder:
        assert folder.results() == [result(0)]


def test_the_last_result_counts_without_the_end_of_its_line(tmp_path: Path) -> None:
    """The file is written as a whole: what lacks there is what an editor has cut off."""
    path = begun(tmp_path / "run") / "results.csv"
    path.write_text(path.read_text().rstrip("\n"))
    assert read_rows(path, Result) == [result(0)]
