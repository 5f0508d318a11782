from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ladder_ebgan.data.rows import read_rows
from ladder_ebgan.errors import UsageError

ROWS = np.array([[-3.5, 1e6, 255.0], [0.0, 1.0, 2.0]])


def test_features_are_taken_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    found = read_rows([str(tmp_path / "x.npy")], 3)
    assert_array_equal(found.pixels, ROWS)
    assert found.names == ("0", "1")
    assert found.labels is None


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("images", "labels"), ("x_test", "y_test")])
def test_labels_are_whole_numbers_or_text(tmp_path: Path, x: str, y: str) -> None:
    for labels in (np.array([3, 1]), np.array(["b", "a"])):
        np.savez(tmp_path / "x.npz", **{x: ROWS.astype(np.int32), y: labels})  # type: ignore[arg-type]
        found = read_rows([str(tmp_path / "x.npz")], 3)
        assert_array_equal(found.pixels, ROWS.astype(np.int32))
        assert_array_equal(found.labels, labels)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": ROWS[:, :2]}, "are of type float64 and shape [2, 2]; the model takes rows of 3 features"),
        ({"x": ROWS[0]}, "and shape [3]; the model takes rows of 3 features: give one .npy file"),
        ({"x": ROWS.astype(str)}, "are of type <U"),
        ({"x": ROWS[:0]}, "are none, or have values that are missing or infinite"),
        ({"x": ROWS * np.nan}, "are none, or have values that are missing or infinite: fill them in first"),
        ({"z": ROWS}, "holds 'z'; the model takes rows of 3 features"),
        ({"x": ROWS, "images": ROWS}, "holds 'images', 'x'; the model takes"),
        ({"x": ROWS, "y": np.zeros(3)}, "are 3 for 2 images"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UsageError) as caught:
        read_rows([str(tmp_path / "x.npz")], 3)
    assert message in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("1,2,3\n")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    for sources, message in (
        (["x.txt"], "is not an .npz archive, or not a whole one; the model takes rows of 3 features"),
        (["cut.npy"], "cannot be read: "),
        (["none.npz"], "cannot read .*none.npz: the model takes rows of 3 features"),
        (["x.txt", "cut.npy"], "cannot read .*x.txt .*cut.npy: the model takes"),
        ([""], "cannot read "),
    ):
        with pytest.raises(UsageError, match=message):
            read_rows([str(tmp_path / source) for source in sources], 3)


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", ROWS)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"^cannot read '.*x.npy': Permission denied$"):
        read_rows([str(tmp_path / "x.npy")], 3)
