"""The files of benchmarks that grow by a row at a time."""

from pathlib import Path

from ladder_ebgan_benchmarks.rows import add_row, read_rows


def test_rows_come_back_in_order_as_text(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    assert read_rows(path) == []
    add_row(path, {"method": "ladder", "errors": "1.5 2.5", "seed": 0})
    add_row(path, {"method": "with, comma", "errors": "", "seed": 1})
    assert path.read_text().splitlines()[0] == "method,errors,seed"
    assert read_rows(path) == [
        {"method": "ladder", "errors": "1.5 2.5", "seed": "0"},
        {"method": "with, comma", "errors": "", "seed": "1"},
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["results.csv"]
