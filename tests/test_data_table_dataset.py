"""A data set from a table of which few rows have a label."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ladder_ebgan.data import Dataset, check_budget, default_budget, load_table, subset_order
from ladder_ebgan.data.table_dataset import dataset_of_table, describe_table
from ladder_ebgan.errors import UsageError

# Row by row: two features of means 3 and 20, and deviations 2 and sqrt(200).
CSV = "id,u,v,kind\n1,1,0,a\n2,5,40,b\n3,1,20,\n4,5,20,b\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "mine.csv").write_text(CSV)
    return tmp_path / "mine.csv"


def loaded(path: Path, text: str | None = None, test: Path | None = None, label: str = "kind") -> Dataset:
    if text is not None:
        path.write_text(text)
    return load_table(path, label, ["id"], test)


def test_features_are_standardised_over_all_rows(path: Path) -> None:
    data = loaded(path)
    columns = data.columns
    assert columns is not None
    assert (columns.features, columns.label) == (("u", "v"), "kind")
    assert_allclose(columns.scaling.mean, [3, 20])
    assert_allclose(columns.scaling.scale, [2, 200**0.5])
    assert_allclose(data.train_images, [[-1, -(2**0.5)], [1, 2**0.5], [-1, 0], [1, 0]], rtol=1e-6)
    assert data.train_images.dtype == np.float32
    assert_allclose(columns.scaling.undo(data.train_images), [[1, 0], [5, 40], [1, 20], [5, 20]], atol=1e-5)


def test_labelled_rows_are_the_test_of_who_has_not_learned_them(path: Path) -> None:
    data = loaded(path)
    assert (data.name, data.classes, data.image_shape, data.examples) == ("mine", ("a", "b"), (2,), "rows")
    assert_array_equal(data.train_labels, [0, 1, -1, 1])
    assert_array_equal(data.labeled_rows, [0, 1, 3])
    assert data.test_rows is not None
    assert_array_equal(data.test_rows, [0, 1, 3])
    assert_array_equal(data.test_images, data.train_images[[0, 1, 3]])
    assert_array_equal(data.test_labels, [0, 1, 1])
    assert_array_equal(data.tested(np.array([3, 0])), [1])
    assert data.watched_rows.size == 0


def test_another_table_may_be_the_test_set(path: Path, tmp_path: Path) -> None:
    """Its rows without a label are left out, its columns are found by name; features are scaled as in training."""
    other = tmp_path / "other.csv"
    other.write_text("kind,v,more,u\nb,0,9,5\n,1,9,1\na,40,9,3\n")
    data = loaded(path, test=other)
    assert data.test_rows is None
    assert_allclose(data.test_images, [[1, -(2**0.5)], [0, 2**0.5]], rtol=1e-6)
    assert_array_equal(data.test_labels, [1, 0])
    assert_array_equal(data.tested(np.array([0, 1])), [0, 1])
    assert_array_equal(data.watched_rows, [0, 1, 3])
    assert data.description == f"the table {str(path)!r}, tested on {str(other)!r}"


def test_the_fingerprint_is_of_the_content(path: Path, tmp_path: Path) -> None:
    first = loaded(path).fingerprint
    again = tmp_path / "again.csv"
    assert loaded(again, CSV.replace(",", ";").replace("40", "4e1")).fingerprint == first
    assert first == "b2bc8b5cdd0f1d901ffc8756fb02465af903c3d3837d3bddba2dd82f029ddefb"
    (tmp_path / "test.csv").write_text("u,v,kind\n1,1,a\n")
    others = {loaded(path, test=tmp_path / "test.csv").fingerprint}
    for old, new in (("40", "41"), ("u", "w"), ("3,1,20,", "3,1,20,a"), (",b", ",c"), ("kind", "sort")):
        others.add(loaded(path, CSV.replace(old, new), label="sort" if new == "sort" else "kind").fingerprint)
    assert len(others - {first}) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CSV.replace("b", "a"), ": every label is 'a'; there must be two classes or more"),
        ("id,u,kind\n1,2,\n2,3,\n", "has a label: write the class of some into the column 'kind'"),
        ("id,kind\n1,a\n2,b\n", "has no column of features: it has 'id', 'kind' (is the separator a comma?)"),
        ("id,,kind\n1,2,a\n2,3,b\n", "column 2 of the table"),
        ("id,,kind\n1,2,a\n2,3,b\n", "has no name, as when pandas writes its index: name it, or leave it out with"),
        ("id,u,kinds\n1,2,a\n", "has no column 'kind' (did you mean 'kinds'?): it has 'id', 'u', 'kinds'"),
        ("u,kind\n1,2,a\n", "has 3 cells in line 2"),
        ("u,kind\n1,a\n", "has no column 'id' (did you mean 'kind'?): it has 'u', 'kind'"),
    ],
)
def test_tables_that_nothing_can_be_learned_from(path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(path, text)
    assert message in str(caught.value)


def test_the_label_column_has_to_be_said(path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"has the labels\? Say it with --label-column; it has 'id', 'u', 'v', 'kind'$"
    ):
        load_table(path, None)
    with pytest.raises(UsageError, match=r"^the column 'kind' cannot both have the labels and be left out$"):
        load_table(path, "kind", ["kind"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u,kind\n1,a\n", "has no column 'v': it has 'u', 'kind'"),
        ("u,v,kind\n1,1,c\n", "test labels 'c' never occur in training"),
        ("u,v,kind\n1,1,\n", "has a label: write the class of some into the column 'kind'"),
        ("u,v,kind\nx,1,a\n", "has text in the column 'u' ('x' in row 0, counted from 0): encode it as numbers"),
    ],
)
def test_test_data_that_do_not_fit(path: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(UsageError) as caught:
        loaded(path, test=tmp_path / "other.csv")
    assert message in str(caught.value)


def test_test_labels_that_are_all_numbers_of_classes_that_are_not(path: Path, tmp_path: Path) -> None:
    path.write_text("id,u,v,kind\n0,1,2,1\n1,2,3,other\n2,3,4,2\n3,4,5,\n")
    (tmp_path / "other.csv").write_text("u,v,kind\n1,1,2\n2,2,1\n")
    data = loaded(path, test=tmp_path / "other.csv")
    assert data.classes == ("1", "2", "other")
    assert data.test_labels.tolist() == [1, 0]


def test_the_table_itself_is_no_test(path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--test-data is the table that is trained on: give other rows"):
        loaded(path, test=path)


def test_options_of_tables_are_refused_of_images(path: Path) -> None:
    assert dataset_of_table("mnist", None, ()) is None
    found = dataset_of_table(str(path), "kind", ("id",))
    assert found is not None
    assert found.fingerprint == loaded(path).fingerprint
    for option, given in {"--label-column": ("y", (), None), "--drop-column": (None, ("x",), None)}.items():
        with pytest.raises(
            UsageError, match=rf"^{option} is for tables, .csv, .tsv or .parquet files, and 'mnist' is"
        ):
            dataset_of_table("mnist", *given)
    with pytest.raises(UsageError, match=r"^--test-data is for tables"):
        dataset_of_table("mnist", None, (), path)


def test_what_is_told_of_a_table(path: Path) -> None:
    said = describe_table(loaded(path))
    assert said["classes"] == [{"label": "a", "n": 1}, {"label": "b", "n": 2}]
    assert (said["n_rows"], said["n_labeled"], said["label"], said["features"]) == (4, 3, "kind", ["u", "v"])


# Labelled subsets.


def many(path: Path, n_of_class: dict[str, int], n_more: int = 5) -> Dataset:
    """A table of so many rows of each class, and some without a label in between."""
    labels = [name for name, n in n_of_class.items() for _ in range(n)] + [""] * n_more
    order = np.random.default_rng(0).permutation(len(labels))
    return loaded(path, "id,u,kind\n" + "".join(f"0,{i},{labels[i]}\n" for i in order))


def test_subsets_and_what_is_left_have_the_classes_in_their_proportions(path: Path) -> None:
    """Of 40 + 10 rows, 40 labels are 32 and 8, and leave 8 and 2 to test on; rounding may move one."""
    data = many(path, {"a": 40, "b": 10})
    assert default_budget(data) == 40
    lefts = []
    for seed in range(50):
        order = subset_order(data, seed)
        assert sorted(order.tolist()) == data.labeled_rows.tolist()
        counts = np.bincount(data.train_labels[order[:40]])
        assert abs(counts[0] - 32) <= 1
        left = data.test_labels[data.tested(order[:40])]
        assert_array_equal(np.bincount(left, minlength=2) + counts, [40, 10])
        lefts.append(left.mean())
    assert np.mean(lefts) == pytest.approx(0.2, abs=0.01)


def test_every_class_is_learned_however_rare(path: Path) -> None:
    data = many(path, {"a": 90, "b": 1, "c": 3})
    for seed in range(20):
        assert set(data.train_labels[subset_order(data, seed)[:3]].tolist()) == {0, 1, 2}


def test_subsets_of_a_seed_are_nested_and_those_of_seeds_differ(path: Path) -> None:
    data = many(path, {"a": 20, "b": 20})
    assert_array_equal(subset_order(data, 3), subset_order(data, 3))
    assert subset_order(data, 3).tolist() != subset_order(data, 4).tolist()


def test_four_fifths_are_learned_unless_there_is_a_test_set(path: Path, tmp_path: Path) -> None:
    for n_of_class, expected in (({"a": 5, "b": 5}, 8), ({"a": 1, "b": 2}, 2), ({"a": 1, "b": 1}, 2)):
        assert default_budget(many(path, n_of_class)) == expected
    (tmp_path / "test.csv").write_text("u,kind\n1,a\n")
    data = load_table(path, "kind", ["id"], tmp_path / "test.csv")
    assert default_budget(data) == 2
    check_budget(2, data)
    with pytest.raises(
        UsageError, match=r"^3 labels do not fit mine: .* at least 2, .* most 2 of its 2 labelled rows$"
    ):
        check_budget(3, data)


def test_some_rows_must_be_left_to_test_on(path: Path) -> None:
    data = many(path, {"a": 3, "b": 3})
    check_budget(5, data)
    for budget in (1, 6):
        with pytest.raises(
            UsageError, match=rf"^{budget} labels do not fit mine: .* at most 5 of its 6 labelled rows: "
        ):
            check_budget(budget, data)
    with pytest.raises(
        UsageError, match=r"^mine has 2 labelled rows of 2 classes, and some must be left to test on;"
    ):
        check_budget(2, many(path, {"a": 1, "b": 1}))
