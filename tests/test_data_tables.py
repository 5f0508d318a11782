"""Tables as files have them."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pyarrow import parquet
from refusals import examples

from ladder_ebgan.data.tables import features_of, is_table, labels_of, read_table, require_column
from ladder_ebgan.errors import MachineError, UsageError

CSV = "a,b,class\n1,2.5,cat\n-3e1,0,\n.5,7,dog\n"


def written(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_table(path)
    return str(caught.value).replace(str(path), "T")


def parquet_file(tmp_path: Path, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


@pytest.mark.parametrize("name", ["x.csv", "a/b.CSV", "x.tsv", "x.Parquet"])
def test_a_table_is_told_by_its_name(name: str) -> None:
    assert is_table(name)
    assert not is_table(f"{name}.npz")


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        CSV.replace("\n", "\r\n"),
        CSV.replace(",", " , "),
        "\ufeff" + CSV,
        "\n" + CSV.replace("\n", "\n\n"),
        'a,"b","class"\n"1",2.5,"cat"\n-3e1,0,\n.5,7,dog',
    ],
)
def test_the_ways_to_write_a_csv_file(tmp_path: Path, content: str) -> None:
    table = read_table(written(tmp_path, content))
    assert list(table.columns) == ["a", "b", "class"]
    assert table.n_rows == 3
    assert_array_equal(features_of(table, ["b", "a"], chosen=True), [[2.5, 1], [0, -30], [7, 0.5]])
    rows, labels = labels_of(table, "class")
    assert (rows.tolist(), labels.tolist()) == ([0, 2], ["cat", "dog"])


def test_a_parquet_file_has_numbers_and_words(tmp_path: Path) -> None:
    path = parquet_file(
        tmp_path,
        **{"a": [1.5, 2.5, 3.5], "n": pa.array([1, 2, 3], pa.int8()), "flag": [True, False, True]},
        **{"price": pa.array(["1.25", "2", "3"]), "y": ["u", None, "v"], "z": [7, None, 8]},
        **{"gaps": [True, None, False]},
        __index_level_0__=[5, 6, 7],
    )
    table = read_table(path)
    assert list(table.columns) == ["a", "n", "flag", "price", "y", "z", "gaps"]
    found = features_of(table, ["a", "n", "flag", "price"], chosen=True)
    assert_array_equal(found, [[1.5, 1, 1, 1.25], [2.5, 2, 0, 2], [3.5, 3, 1, 3]])
    for name, expected in {"y": ["u", "v"], "z": [7, 8], "gaps": [1, 0]}.items():
        rows, labels = labels_of(table, name)
        assert (rows.tolist(), labels.tolist()) == ([0, 2], expected)
    rows, labels = labels_of(table, "flag")
    assert (rows.tolist(), labels.tolist()) == ([0, 1, 2], [1, 0, 1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the table 'T' is empty: it must have a line with the names of the columns, then a line a row"),
        (b" \n\n", "the table 'T' is empty"),
        (b"a,b\n", "the table 'T' has no rows below the names of its columns"),
        (b"a,b\n1,2\n\xe9,3\n", "the table 'T' is not UTF-8 text (line 3): save it as UTF-8"),
        (CSV.encode("utf-16"), "is not UTF-8 text (line 1)"),
        (
            b"PK\x03\x04\x14\x00",
            "the table 'T' is a workbook or another zip archive, whatever its name says: save it",
        ),
        (b"a,b,a\n1,2,3\n", "the table 'T' has more than one column called 'a': give each a name of its own"),
        (
            b"5,0,0\n4,1,0\n",
            "has more than one column called '0': if the first line is a row already, put one with the names of ",
        ),
        (b"a,b\n1,2\n1,2,3\n", "has 3 cells in line 3, and 2 names of columns in the first"),
        (b'a,b\n1,"2\n', "is no CSV file: unexpected end of data (line 2)"),
    ],
)
def test_what_is_no_csv_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(written(tmp_path, content))


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(tmp_path / "none.csv") == "the table 'T' does not exist"
    (tmp_path / "folder.csv").mkdir()
    assert refusal(tmp_path / "folder.csv") == "the table 'T' is not a file"
    assert "the table 'T' cannot be read: " in refusal(written(tmp_path, b"PAR1", "cut.parquet"))
    path = written(tmp_path, CSV)
    monkeypatch.setattr(
        Path, "read_bytes", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    assert refusal(path) == "cannot read the table 'T': Permission denied"


def test_categories_of_a_parquet_file_have_missing_values(tmp_path: Path) -> None:
    kinds = pa.array(["oak", None, "elm", None, "oak"]).dictionary_encode()
    sizes = pa.array([1, None, 2, 2, 1]).dictionary_encode()
    table = read_table(parquet_file(tmp_path, kind=kinds, size=sizes))
    rows, known = labels_of(table, "kind")
    assert rows.tolist() == [0, 2, 4]
    assert known.tolist() == ["oak", "elm", "oak"]
    assert_array_equal(table.columns["size"], [1, np.nan, 2, 2, 1])


def test_all_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, CSV))
    with pytest.raises(UsageError, match=r" has no columns 'c', 'd': it has 'a', 'b', 'class'$"):
        features_of(table, ["a", "c", "d"], chosen=False)


def test_times_of_a_parquet_file_are_text(tmp_path: Path) -> None:
    """Those in nanoseconds are no numbers either; a missing one has no text."""
    times = pa.array([1_577_836_800_000_000_000, None], pa.timestamp("ns"))
    path = parquet_file(tmp_path, at=times, lasting=pa.array([5, 6], pa.duration("ns")))
    table = read_table(path)
    assert_array_equal(table.columns["at"], ["2020-01-01T00:00:00.000000000", ""])
    for name in table.columns:
        with pytest.raises(UsageError, match=f"has text in the column '{name}'"):
            features_of(table, [name], chosen=True)


def test_long_texts_take_little_room_and_are_no_labels(tmp_path: Path) -> None:
    """An array has the room of its longest text in each row."""
    rows = "".join(f"{i},short\n" for i in range(100))
    table = read_table(written(tmp_path, f"a,note\n{rows}100,{'long ' * 2000}\n"))
    assert table.columns["note"].nbytes == 101 * 200 * 4
    assert_array_equal(features_of(table, ["a"], chosen=True)[:, 0], range(101))
    with pytest.raises(UsageError, match="are texts of 200 characters or more: labels are whole"):
        labels_of(table, "note")


def test_a_table_too_large_for_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> bytes:
        raise MemoryError

    path = written(tmp_path, b"a,b\n1,2\n")
    monkeypatch.setattr(Path, "read_bytes", full)
    with pytest.raises(MachineError, match="does not fit into the memory: leave out columns or rows"):
        read_table(path)
    path = parquet_file(tmp_path, a=[1])
    monkeypatch.setattr(parquet, "read_table", full)
    with pytest.raises(MachineError, match="does not fit into the memory"):
        read_table(path)


def test_a_parquet_file_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet_file(tmp_path, a=[1])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refusal(path) == "the table 'T' needs the package pyarrow: pip install pyarrow, or save it as CSV"
    assert parquet_file(tmp_path, a=[1]).exists()


def test_a_parquet_file_without_columns_or_rows_is_refused(tmp_path: Path) -> None:
    assert refusal(parquet_file(tmp_path)) == "the table 'T' has no rows"
    assert "has no rows below" in refusal(parquet_file(tmp_path, a=pa.array([], pa.float64())))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            ["red", "1"],
            "has text in the column 'x' ('red' in row 0, counted from 0): encode it as numbers, or leave ",
        ),
        (
            ["1", "2 m"],
            "('2 m' in row 1, counted from 0): encode it as numbers, or leave it out with --drop-column x",
        ),
        (["1", "2,5"], "('2,5' in row 1, counted from 0): write it with a point, 2.5, or leave"),
        (["", " "], "in 'x' (2): fill them in, or leave out those rows, or leave it out with --drop-column x"),
        (["1", "nan"], "has cells without a value in 'x' (1)"),
        (["1", " N/A"], "has cells without a value in 'x' (1)"),
        (
            ["1", "inf"],
            "has inf in the column 'x' (row 1, counted from 0): features must be finite numbers of 32 bits",
        ),
        (["-1e39", "1"], "has -1e+39 in the column 'x' (row 0, counted from 0)"),
    ],
)
def test_cells_that_are_no_numbers_are_refused(tmp_path: Path, column: list[str], message: str) -> None:
    table = read_table(written(tmp_path, "x;y\n" + "".join(f"{cell};1\n" for cell in column)))
    with pytest.raises(UsageError) as caught:
        features_of(table, ["y", "x"], chosen=True)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a,b c,n,y\n1,x,2,u\nred,{},3,v\n",
            "the columns 'a' ('red' in row 1), 'b c' ('x' in row 0), 'y' ('u' in row 0), rows counted from 0: "
            "encode it as numbers, or leave them out with --drop-column a --drop-column 'b c' --drop-column y",
        ),
        ("a;b\n1,5;2,5\n", "rows counted from 0: write it with a point, 1.5, or leave them out with"),
        ("a,b\n1,\n,2\n", "in 'a' (1), 'b' (1): fill them in, or leave out those rows, or leave them out with"),
    ],
)
def test_all_columns_that_are_no_features_are_named_at_once(tmp_path: Path, content: str, message: str) -> None:
    table = read_table(written(tmp_path, content))
    with pytest.raises(UsageError) as caught:
        features_of(table, list(table.columns), chosen=True)
    assert message in str(caught.value)
    with pytest.raises(UsageError) as caught:
        features_of(table, list(table.columns), chosen=False)
    assert "--drop-column" not in str(caught.value)


def test_of_many_columns_of_text_the_first_are_shown(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a,b,c,d,e,f,g\n" + "x," * 6 + "x\n"))
    with pytest.raises(UsageError, match=r"'e' \('x' in row 0\) and 2 more columns, rows .*--drop-column g$"):
        features_of(table, list(table.columns), chosen=True)


def test_a_new_table_has_nothing_to_leave_out(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "x,y\nred,1\n"))
    with pytest.raises(UsageError, match=r"encode it as numbers$"):
        features_of(table, ["x"], chosen=False)


def test_missing_values_are_counted_by_column(tmp_path: Path) -> None:
    names = "abcdefg"
    rows = [",".join(names), ",".join("1" * 7), "," * 6, *["," * 6] * 2]
    table = read_table(written(tmp_path, "\n".join(rows)))
    with pytest.raises(
        UsageError, match=r"in 'a' \(3\), 'b' \(3\), 'c' \(3\), 'd' \(3\), 'e' \(3\) and 2 more columns"
    ):
        features_of(table, names, chosen=True)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "Species,width\na,1\n"))
    for name, hint in {
        "species": " (did you mean 'Species'?)",
        "SPECIES": " (did you mean 'Species'?)",
        "q": "",
    }.items():
        with pytest.raises(UsageError) as caught:
            require_column(table, name)
        assert str(caught.value).endswith(f"has no column {name!r}{hint}: it has 'Species', 'width'")
    without_names = read_table(written(tmp_path, "5.1,3.5,setosa\n4.9,3.0,setosa\n"))
    expected = r"has no column '2': it has '5\.1', '3\.5', 'setosa' \(if the first line is a row already, put one "
    with pytest.raises(UsageError, match=expected):
        require_column(without_names, "2")
    with pytest.raises(
        UsageError, match=r" has no columns 'a', 'b': .*'setosa' \(if the first line is a row already, "
    ):
        features_of(without_names, ["a", "b"], chosen=False)
    many = read_table(written(tmp_path, ",".join(f"c{i}" for i in range(30)) + "\n" + ",".join("1" * 30)))
    with pytest.raises(UsageError, match=r"'c19', \.\.\.$"):
        features_of(many, ["x"], chosen=False)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["3", "1", "3.0"], [3, 1, 3]),
        (["3", "one", "1.5"], ["3", "one", "1.5"]),
        (["007", "1", "2"], ["007", "1", "2"]),
        (["1e3", "1", "2"], ["1e3", "1", "2"]),
        ([" x ", "y", "z"], ["x", "y", "z"]),
    ],
)
def test_labels_are_whole_numbers_or_words(tmp_path: Path, cells: list[str], expected: list[object]) -> None:
    column = [cells[0], "", cells[1], "NaN", cells[2]]
    table = read_table(written(tmp_path, "x,y\n" + "".join(f"0,{cell}\n" for cell in column)))
    rows, labels = labels_of(table, "y")
    assert rows.tolist() == [0, 2, 4]
    assert labels.tolist() == expected


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1", "1.5"], "are numbers with a fraction, such as 1.5: labels are classes, whole numbers or words"),
        (
            ["1", "-1"],
            "have -1, which may be a class or mean that a row has no label: leave the cells of such rows",
        ),
        (["a", "-1"], "have -1, which may be a class"),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path: Path, cells: list[str], message: str) -> None:
    table = read_table(written(tmp_path, "x,y\n" + "".join(f"0,{cell}\n" for cell in cells)))
    with pytest.raises(UsageError) as caught:
        labels_of(table, "y")
    assert f"the labels of {table.source} (column 'y') {message}" in str(caught.value)


def test_no_labels_are_no_rows(tmp_path: Path) -> None:
    rows, labels = labels_of(read_table(written(tmp_path, "x,y\n1,\n2,nan\n")), "y")
    assert (rows.tolist(), labels.tolist()) == ([], [])


@examples
@given(numbers=st.lists(st.lists(st.floats(-1e38, 1e38), min_size=2, max_size=2), min_size=1, max_size=6))
def test_numbers_are_read_as_they_were_written(tmp_path: Path, numbers: list[list[float]]) -> None:
    text = "a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in numbers)
    assert_array_equal(features_of(read_table(written(tmp_path, text)), ["a", "b"], chosen=True), np.array(numbers))


@examples
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_are_a_table_or_one_line(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, content)
    with suppress(UsageError):  # which is one line, see errors.py
        table = read_table(path)
        assert features_of(table, list(table.columns)[:1], chosen=True).shape == (table.n_rows, 1)
        rows, labels = labels_of(table, list(table.columns)[-1])
        assert len(rows) == len(labels) <= table.n_rows
