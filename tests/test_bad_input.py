"""Wrong use: exit code 2, one line that names what is wrong and what would be right, and nothing written."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from ladder_ebgan import data as data_package

RIGHT: dict[str, Any] = {
    "x_train": np.linspace(0, 1, 240, dtype=np.float32).reshape(30, 8),
    "y_train": np.arange(30) % 3,
    "x_test": np.full((6, 8), 0.5),
    "y_test": np.arange(6) % 3,
}


def refused_run(tmp_path: Path, *more: str) -> str:
    output = tmp_path / "deep" / "run"
    message = tiny.refused("run", "--output", str(output), *more)
    assert not output.parent.exists()
    return message


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--recipe", "tabel2"), "unknown recipe 'tabel2' (did you mean 'table2'?): the recipes are "),
        (("--recipe", "none.toml"), "cannot read the recipe none.toml: No such file or directory"),
        (("--set", "ladder.n_step=3"), "unknown key 'ladder.n_step' (did you mean 'n_steps'?)"),
        (("--set", "ladder.n_steps=0"), "ladder.n_steps is 0: input should be greater than 0"),
        (("--set", "ladder.n_steps"), "must be key=value"),
        (("--data", "minst"), "there is no data set or path 'minst'; names are mnist, digits"),
        (
            ("--data", "digits", "--model", "lader"),
            "the recipe has no model 'lader': it has ladder, ladder-matched",
        ),
        (("--data", "digits", "--device", "tpu"), "unknown device 'tpu': it is auto, cpu, cuda, or cuda:N"),
        (("--data", "digits", "--device", "cuda:99"), "device 'cuda:99' is not available: "),
        (("--precision", "half"), "'half' is not one of 'auto', 'float32', 'tf32', 'bfloat16'"),
        (("--data", "digits", "--device", "cpu", "--precision", "tf32"), "precision tf32 needs a CUDA GPU"),
        (("--data", "digits", "--labels", "1298"), "1298 labels do not fit digits: there must be at least 10"),
        (("--data", "digits", "--labels", "9"), "and at most 1297, the number of training images"),
        (("--labels", "many"), "Invalid value for '--labels': 'many' is not a whole number"),
        (("--labels", "10,-1"), "Invalid value for '--labels': '10,-1' has a negative number"),
        (("--labels", ""), "'' is not a whole number"),
        (("--seeds", "0"), "Invalid value for '--seeds': 0 is not in the range x>=1"),
        (("--seed-list", "1;2"), "Invalid value for '--seed-list': '1;2' is not a whole number"),
        (("--seeds", "2", "--seed-list", "1"), "--seeds and --seed-list exclude each other: give one of them"),
        (("--replicas-at-once", "0"), "--replicas-at-once 0: must be auto or a number above 0"),
        (("--replicas-at-once", "-1"), "--replicas-at-once -1: must be auto or a number above 0"),
        (("--replicas-at-once", "all"), "--replicas-at-once all: must be auto or a number above 0"),
        (("--time-limit", "0"), "Invalid value for '--time-limit'"),
        (("--time-limit", "soon"), "'soon' is not a valid float"),
        (("--sets", "x"), "No such option '--sets'"),
        (("extra",), "Got unexpected extra argument (extra)"),
    ],
)
def test_a_wrong_option_is_refused(tmp_path: Path, more: tuple[str, ...], expected: str) -> None:
    assert expected in refused_run(tmp_path, *more)


def test_a_wrong_value_in_the_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LADDER_EBGAN_RUN_LABELS", "many")
    assert "'--labels'" in refused_run(tmp_path)


def npz(path: Path, **changed: Any) -> str:
    arrays = {name: array for name, array in (RIGHT | changed).items() if array is not None}
    np.savez(path, allow_pickle=False, **arrays)
    return str(path)


def with_nan() -> np.ndarray:
    images: np.ndarray = RIGHT["x_train"].copy()
    images[2, 3] = np.nan
    return images


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"x_train": with_nan()},
            "the training images contain NaN or infinite pixels; every pixel must lie in [0, 1]",
        ),
        ({"x_test": np.full((6, 8), 2.0)}, "the test images are floats in [2.0, 2.0]; they must lie in [0, 1]"),
        ({"x_test": np.full((6, 9), 0.5)}, "a training image has shape [8] and a test image [9]"),
        ({"y_train": None}, "lacks y_train; it must hold x_train, y_train, x_test, y_test"),
        ({"y_train": np.arange(29) % 3}, "the training labels are 29 for 30 images"),
        ({"y_train": np.zeros(30, int)}, "every training label is 0; there must be two classes or more"),
        ({"y_test": np.array([0, 1, 2, 0, 1, 7])}, "test labels 7 never occur in training"),
    ],
)
def test_wrong_data_is_refused(tmp_path: Path, changed: dict[str, Any], expected: str) -> None:
    path = npz(tmp_path / "mine.npz", **changed)
    assert expected in refused_run(tmp_path, "--data", path, "--labels", "6")


def test_labels_that_do_not_fit_data_of_ones_own_are_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "mine.npz")
    for labels in ("2", "31"):
        assert "there must be at least 3, one for each class, and at most 30" in refused_run(
            tmp_path, "--data", path, "--labels", labels
        )


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = Path(npz(tmp_path / "mine.npz"))
    path.write_bytes(path.read_bytes()[:-100])
    assert "is not an .npz archive, or not a whole one" in refused_run(tmp_path, "--data", str(path))


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    packaged = Path(data_package.__file__).parent / "mnist"
    return Path(shutil.copytree(packaged, tmp_path / "mine"))


def test_a_missing_file_is_refused(tmp_path: Path, idx_folder: Path) -> None:
    for path in idx_folder.glob("t10k-labels*"):
        path.unlink()
    assert "lacks t10k-labels-idx1-ubyte; it must hold four IDX files" in refused_run(
        tmp_path, "--data", str(idx_folder)
    )


@pytest.mark.parametrize("damage", ["truncated", "corrupt", "other"])
def test_a_damaged_file_is_refused(tmp_path: Path, idx_folder: Path, damage: str) -> None:
    (path,) = idx_folder.glob("train-labels*")
    content = path.read_bytes()
    broken = {
        "truncated": content[: len(content) // 2],
        "corrupt": content[:5000] + b"\0" * 100 + content[5100:],
        "other": b"<html>not found</html>",
    }
    path.write_bytes(broken[damage])
    message = refused_run(tmp_path, "--data", str(idx_folder))
    assert str(path) in message
    assert ("is not an IDX file" if damage == "other" else "is damaged and cannot be decompressed") in message


def test_a_folder_that_cannot_be_the_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("precious")
    before = tiny.content(tmp_path)
    assert "is a file: name a folder" in tiny.refused(*tiny.arguments(tmp_path / "file"))
    assert "is not empty and not a run's" in tiny.refused(*tiny.arguments(tmp_path / "folder"))
    assert "is not empty and not a run's" in tiny.refused(*tiny.arguments(tmp_path / "folder", "--fresh"))
    assert tiny.content(tmp_path) == before


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("table",), "Missing argument 'FOLDERS...'"),
        (("table", "no/folder"), "no/folder is not a run folder: it has no run.json"),
        (("table", "--format", "xml", "x"), "'xml' is not one of 'text', 'markdown', "),
        (("recipes", "show", "demmo"), "unknown recipe 'demmo' (did you mean 'demo'?)"),
        (("recipes", "show"), "Missing argument 'NAME|FILE'"),
        (("data", "describe", "mnits"), "there is no data set or path 'mnits'"),
        (("trian",), "No such command 'trian'"),
    ],
)
def test_other_commands_refuse_in_one_line(command: tuple[str, ...], expected: str) -> None:
    assert expected in tiny.refused(*command)
