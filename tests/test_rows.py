from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ladder_ebgan.errors import UsageError
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result
from ladder_ebgan.rows import is_current, read_rows, rows_text

RESULT = Result("ladder", 20, 0, "ok", 1.5, None, 5, 0.1, 'a "fast", one', "float32", "0.1", "2.13")
POINT = CurvePoint("ladder", 20, 0, 10, 0.1, -1e-8, None, 12.5, 3.4e38, None, None, None)

HISTOGRAM = EnergyHistogram("ebgan", 0, 3, 10, 8.5, "24:90 25:10", "")


def damage(tmp_path: Path, text: str | bytes, row_type: Any = Result) -> str:
    path = tmp_path / "rows.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError) as caught:
        read_rows(path, row_type)
    message = str(caught.value)
    assert message.startswith(f"{path} is damaged: ")
    assert message.endswith("; restore it, or start anew with --fresh")
    return message


@pytest.mark.parametrize("row", [RESULT, POINT, replace(POINT, generated_diversity=0.5), HISTOGRAM])
def test_rows_are_read_as_they_were_written(tmp_path: Path, row: Any) -> None:
    text = rows_text([row, row], type(row), header=True)
    assert text.count("\n") == 3
    assert text == rows_text([], type(row), header=True) + 2 * rows_text([row], type(row), header=False)
    (tmp_path / "rows.csv").write_text(text)
    assert read_rows(tmp_path / "rows.csv", type(row)) == [row, row]
    assert read_rows(tmp_path / "none.csv", type(row)) == []


NUMBERS = ["nan", "inf", "-inf", "1e400", "x", "9" * 400, "9" * 5000]
WRONG: dict[str, list[str]] = {
    "labels": ["", "-1", "x", "1.5", "9" * 30, "9" * 5000],
    "seed": ["", "-1", "x", "1.5", "9" * 30],
    "test_error_percent": ["-1", "100.1", *NUMBERS],
    "diverged_step": ["-1", "x", "1.5"],
    "steps": ["", "-1", "x"],
    "seconds": ["", *NUMBERS],
    "step": ["", "-1", "x", "9" * 30, "9" * 400],
    "learning_rate": ["", "3.6e38", "-3.6e38", *NUMBERS],
    "unlabeled_error_percent": ["-3", "101", *NUMBERS],
    "energy_real": ["1e308", "-1e308", *NUMBERS],
    "margin": ["1e308", *NUMBERS],
    "generated_diversity": ["1e308", *NUMBERS],
    "real": ["24", "24:1,", "x:1", "24:-1", "24: 1"],
}
CASES = [(name, text) for name, texts in WRONG.items() for text in texts]


@pytest.mark.parametrize(("name", "text"), CASES, ids=[f"{name} {text[:12]}" for name, text in CASES])
def test_a_number_that_is_never_written_is_refused(tmp_path: Path, name: str, text: str) -> None:
    every: list[Any] = [RESULT, POINT, HISTOGRAM]
    row = next(row for row in every if name in row.__dataclass_fields__)
    right = rows_text([row], type(row), header=True)
    wrong = rows_text([_with(row, name, text)], type(row), header=False)
    assert "row 2: " in damage(tmp_path, right + wrong, type(row))


def _with(row: Any, name: str, text: str) -> Any:
    changed = copy(row)
    object.__setattr__(changed, name, text)  # past the checks of its own
    return changed


TEXT = rows_text([RESULT], Result, header=True)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense\n1\n",
        bytes(range(256)),
        TEXT.encode("utf-16"),
        "\ufeff" + TEXT,
        TEXT.splitlines(keepends=True)[1] * 2,
        TEXT.replace(",", ";"),
        TEXT.replace("\n", ",x\n"),
        TEXT.replace("ladder,", '"ladder,'),
        TEXT.replace("ladder,20", "ladder"),
        TEXT + "\0\n",
        TEXT + "x" * 300_000 + "\n",
    ],
    ids=[
        *("other columns", "binary", "UTF-16", "a byte-order mark", "no header", "semicolons", "a column more"),
        *("an open quote", "a column less", "a zero byte", "a long line"),
    ],
)
def test_what_are_no_rows_is_refused(tmp_path: Path, text: str | bytes) -> None:
    damage(tmp_path, text)


def test_a_folder_or_an_endless_link_is_no_file_of_rows(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for name, why in (("folder", "Is a directory"), ("loop", "Too many levels of symbolic links")):
        with pytest.raises(UsageError, match=rf"^cannot read {tmp_path / name}.csv: {why}$"):
            read_rows(tmp_path / f"{name}.csv", Result)


@pytest.mark.parametrize("row", [POINT, HISTOGRAM])
@pytest.mark.parametrize("length", [0, 3, -5, -1])
def test_a_line_that_a_kill_cut_short_ends_the_rows(tmp_path: Path, row: Any, length: int) -> None:
    torn = rows_text([row], type(row), header=False)[:length]
    (tmp_path / "rows.csv").write_text(rows_text([row], type(row), header=True) + torn)
    assert read_rows(tmp_path / "rows.csv", type(row)) == [row]


def test_a_file_that_is_written_whole_has_no_torn_line(tmp_path: Path) -> None:
    """The end of the last line may be missing, nothing else."""
    (tmp_path / "rows.csv").write_text(TEXT.rstrip("\n"))
    assert read_rows(tmp_path / "rows.csv", Result) == [RESULT]
    damage(tmp_path, TEXT + "ladder,20,1,ok,1.5")


def test_a_column_with_a_default_is_written_if_some_row_has_a_value(tmp_path: Path) -> None:
    """So a file without such values is as it was before there was a column for them."""
    scored = replace(RESULT, test_error_percent=None, modified_inception_score=3.5, n_modes=9)
    assert "n_modes" not in rows_text([RESULT], Result, header=True)
    text = rows_text([RESULT, scored], Result, header=True)
    assert text.splitlines()[0].endswith(",torch_version,modified_inception_score,n_modes")
    (tmp_path / "rows.csv").write_text(text)
    assert read_rows(tmp_path / "rows.csv", Result) == [RESULT, scored]


def test_a_file_that_grows_has_all_columns_so_that_all_its_lines_have_the_same() -> None:
    plain, with_value = POINT, replace(POINT, generated_diversity=0.5)
    header, first, second = rows_text([plain, with_value], CurvePoint, header=True).splitlines()
    assert header.endswith(",open_hinges_percent,generated_diversity")
    assert first + "\n" == rows_text([plain], CurvePoint, header=False)
    assert first.endswith(",")
    assert second.endswith(",0.5")


def test_a_file_of_an_early_version_is_read_and_known_as_such(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    text = rows_text([POINT], CurvePoint, header=True)
    path.write_text(text)
    assert is_current(path, CurvePoint)
    path.write_text(text.replace(",generated_diversity", "").replace(",\n", "\n"))
    assert read_rows(path, CurvePoint) == [POINT]
    assert not is_current(path, CurvePoint)
    path.write_text(text + "lad")
    assert not is_current(path, CurvePoint)
