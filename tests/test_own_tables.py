"""From a table to an error estimate and predictions, by the commands."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
import trained
from pyarrow import parquet
from refusals import refused

from ladder_ebgan import LadderClassifier
from ladder_ebgan.commands.run import request_of
from ladder_ebgan.data import load_table, subset_order
from ladder_ebgan.estimators.trained import TrainedEstimator
from ladder_ebgan.experiment import open_experiment
from ladder_ebgan.model_files import find_models
from ladder_ebgan.report.announcement import what_to_do_if_long

N, N_LABELED = 40, 20
NAMES = ("length", "year")
STEPS = {
    "ladder.n_steps": "6",
    "ladder.decay_start_step": "3",
    "ebgan-ladder.n_steps": "6",
    "ebgan-ladder.decay_start_step": "3",
    "ebgan-ladder.adversarial_steps": "3",
    "ebgan-ladder.margin.steps": "[0, 3]",
    "training.curve_every_steps": "3",
}
SHORT = [part for key, value in STEPS.items() for part in ("--set", f"{key}={value}")]


def rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of two kinds, which lie apart; their year has digits that float32 does not hold beside its deviation."""
    random = np.random.default_rng(seed)
    kinds = ["elm", "oak"]
    return [
        {"id": i, "length": 10 * (i % 2) + random.normal(), "year": 2e6 + random.normal(), "kind": kinds[i % 2]}
        for i in range(n)
    ]


def write(path: Path, content: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(content[0]))
        writer.writeheader()
        writer.writerows(content)
    return path


def trees(path: Path, n: int = N, n_labeled: int = N_LABELED) -> Path:
    return write(path, [row | ({} if i < n_labeled else {"kind": ""}) for i, row in enumerate(rows(n))])


def command(path: Path, output: Path, *more: str) -> list[str]:
    options = ["--label-column", "kind", "--drop-column", "id", "--no-compile", "--processes", "1"]
    return ["run", "--data", str(path), *options, *SHORT, "--output", str(output), *more]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of both models with seeds 0 to 2, beside its table."""
    folder = tmp_path_factory.mktemp("trees")
    path = trees(folder / "trees.csv")
    models = ("--model", "ladder", "--model", "ebgan-ladder")
    tiny.done(*command(path, folder / "run", "--seeds", "3", *models), figures=True)
    return folder / "run"


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def results(folder: Path) -> list[dict[str, str]]:
    return read(folder / "results.csv")


# What a run leaves.


def test_errors_are_those_of_the_rows_that_a_seed_has_not_learned(run: Path) -> None:
    dataset = load_table(run.parent / "trees.csv", "kind", ["id"])
    assert [(r["model"], r["labels"], r["seed"]) for r in results(run)] == [
        (model, "16", str(seed)) for model in ("ladder", "ebgan-ladder") for seed in range(3)
    ]
    for row in results(run):
        stored = np.load(run / "predictions" / f"{row['model']}-16-{row['seed']}.npz")
        learned, tested = stored["labeled_indices"], stored["test_indices"]
        assert learned.tolist() == subset_order(dataset, int(row["seed"]))[:16].tolist()
        assert sorted([*learned, *tested]) == list(range(N_LABELED))
        wrong = stored["probabilities"].argmax(axis=1) != dataset.train_labels[tested]
        assert float(row["test_error_percent"]) == 100 * wrong.mean()
        assert row["n_test"] == "4"
        assert "generated_images" not in stored


def test_the_record_says_what_was_chosen(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["columns"] == ["length", "year"]
    assert "n_test" not in record
    assert record["starts"][0]["recipe_name"] == "auto"
    recipe = record["identity"]["recipe"]
    assert recipe["network"]["hidden_sizes"] == [64, 32, 16]
    assert recipe["training"]["batch_size"] == N
    assert recipe["ebgan-ladder"]["generator"]["output"] == "linear"


def test_the_table_says_on_how_many_rows(run: Path) -> None:
    """20 labelled rows, 4 of them a seed's test: 1 / (1 / 12 + (2/3) / 20) = 60 / 7 rows carry the mean."""
    text = tiny.done("table", str(run)).stdout
    assert "Error rates in % of the test rows;" in text
    assert "Each seed is tested on labelled rows that it does not learn, 4 of 20" in text
    content = json.loads((run / "table.json").read_text())
    assert content["n_test"] is None
    for row in content["rows"]:
        assert row["n_test"] == 4
        p = row["mean"] / 100
        expected = 100 * (p * (1 - p) * 7 / 60) ** 0.5
        assert row["sampling_error"] == (pytest.approx(expected) if 0 < p < 1 else None)
    (comparison,) = content["comparisons"]
    assert comparison["p_wilcoxon"] is None
    assert any("Nadeau and Bengio" in note for note in content["notes"])
    first = read(run / "table.csv")[0]
    assert first["n_test"] == "4"


def test_curves_look_at_no_row_of_a_test(run: Path) -> None:
    points = read(run / "history.csv")
    assert len(points) == 12
    assert {point["unlabeled_error_percent"] for point in points} == {""}
    figures = {path.stem for path in (run / "figures").glob("*.svg")}
    assert figures == {
        "error_by_seed",
        "energies",
        "energy_histograms_ebgan-ladder_16",
        "confusion_matrix_ladder_16",
        "confusion_matrix_ebgan-ladder_16",
    }


def test_the_page_speaks_of_rows(run: Path, tmp_path: Path) -> None:
    tiny.done("report", str(run), "--output", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert "Classifiers trained from 16 labelled rows and the rest of the training rows" in page
    assert "new.csv</code>" in page
    assert "--output generated.csv" in page
    assert "images" not in page.partition("<main>")[2].replace("labeled_images", "")


def test_the_same_command_goes_on(run: Path) -> None:
    before = tiny.content(run)
    models = ("--model", "ladder", "--model", "ebgan-ladder")
    outcome = tiny.done(*command(run.parent / "trees.csv", run, "--seeds", "3", *models))
    assert "Everything asked for is already trained." in outcome.stderr
    assert tiny.content(run) == before


# Predictions.


def predicted(run: Path, source: Path, *more: str) -> tuple[list[dict[str, str]], str]:
    outcome = tiny.done("predict", str(run), str(source), "--model", "ladder", *more)
    return list(csv.DictReader(outcome.stdout.splitlines())), outcome.stderr


def test_columns_are_found_by_name_and_seeds_averaged(run: Path, tmp_path: Path) -> None:
    new = rows(6, seed=1)
    moved = [{"year": row["year"], "more": "x", "length": row["length"]} for row in new]
    found, said = predicted(run, write(tmp_path / "new.csv", moved))
    assert list(found[0]) == [
        "row",
        "label",
        "probability",
        "energy",
        "agreement",
        "probability_elm",
        "probability_oak",
    ]
    assert [row["row"] for row in found] == list("012345")
    assert said == ""
    of_seeds = [predicted(run, tmp_path / "new.csv", "--seed", str(seed))[0] for seed in range(3)]
    for i, row in enumerate(found):
        mean = np.mean([float(seed[i]["probability_elm"]) for seed in of_seeds])
        assert float(row["probability_elm"]) == pytest.approx(mean, abs=1e-5)
    columns = {name: [row[name] for row in moved] for name in moved[0]}
    parquet.write_table(pa.table(columns), tmp_path / "new.parquet")
    assert predicted(run, tmp_path / "new.parquet")[0] == found
    np.save(tmp_path / "new.npy", [[row["length"], row["year"]] for row in new])
    assert predicted(run, tmp_path / "new.npy")[0] == found


def test_rows_with_a_label_are_scored(run: Path, tmp_path: Path) -> None:
    new = rows(6, seed=1)
    new[2]["kind"] = ""
    found, said = predicted(run, write(tmp_path / "new.csv", new))
    assert [row["true_label"] for row in found] == ["elm", "oak", "", "oak", "elm", "oak"]
    wrong = sum(row["label"] != row["true_label"] for row in found if row["true_label"])
    assert f"({wrong} of 5 rows" in said
    assert said.startswith("ladder, 16 labels, seeds 0-2\nerror   ")
    bare = write(tmp_path / "bare.csv", [row | {"kind": ""} for row in new])
    assert predicted(run, bare)[1] == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"length": 1}], "has no column 'year': it has 'length'"),
        ([{"length": 1, "year": ""}], "has cells without a value in 'year' (1)"),
        ([{"length": "long", "year": 1}], "has text in the column 'length' ('long' in row 0, counted from 0)"),
        ([{"length": 1, "year": 1, "kind": "fir"}], "labels that are no class of the model: 'fir'"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    run: Path, tmp_path: Path, content: list[dict[str, Any]], message: str
) -> None:
    new = write(tmp_path / "new.csv", content)
    output = str(tmp_path / "predictions.csv")
    assert message in refused(tmp_path, "predict", str(run), "--model", "ladder", str(new), "--output", output)


def test_a_file_that_is_no_table_is_refused(run: Path, tmp_path: Path) -> None:
    message = refused(tmp_path, "predict", str(run), "--model", "ladder", "mnist")
    assert (
        "give a CSV or Parquet file with the columns 'length', 'year', one .npy file with an array [n, 2]"
        in message
    )


def test_an_estimator_of_a_run_knows_names_and_units(run: Path, tmp_path: Path) -> None:
    new = rows(6, seed=1)
    found, _ = predicted(run, write(tmp_path / "new.csv", new))
    estimator: TrainedEstimator = LadderClassifier.load(run)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        labels = estimator.predict(np.array([[row["length"], row["year"]] for row in new]))
    assert labels.tolist() == [row["label"] for row in found]
    assert estimator.feature_names_in_.tolist() == ["length", "year"]
    estimator.save(tmp_path / "saved.safetensors")
    outcome = tiny.done("predict", str(tmp_path / "saved.safetensors"), str(tmp_path / "new.csv"))
    assert [row["label"] for row in csv.DictReader(outcome.stdout.splitlines())] == labels.tolist()


def test_rows_may_be_named_by_a_column(run: Path, tmp_path: Path) -> None:
    new = [row | {"key": f"tree {i}"} for i, row in enumerate(rows(3))]
    path = str(write(tmp_path / "new.csv", new))
    outcome = tiny.done("predict", str(run), path, "--model", "ladder", "--id-column", "key")
    table = list(csv.DictReader(outcome.stdout.splitlines()))
    assert [row["row"] for row in table] == ["tree 0", "tree 1", "tree 2"]
    asked = ("predict", str(run), path, "--model", "ladder", "--id-column")
    assert "has no column 'keys' (did you mean 'key'?)" in refused(tmp_path, *asked, "keys")
    write(tmp_path / "new.csv", [row | {"key": "x" * 300} for row in new])
    assert "has names of 200 characters or more in the column 'key'" in refused(tmp_path, *asked, "key")


@pytest.mark.parametrize(
    ("keys", "named"), [([7.0, 8.0], ["7", "8"]), ([0.5, 8.0], ["0.5", "8.0"]), ([7, 2**60], None)]
)
def test_numbers_that_name_rows_stay_as_they_are(
    keys: list[float], named: list[str] | None, run: Path, tmp_path: Path
) -> None:
    columns = {name: [row[name] for row in rows(2)] for name in NAMES} | {"key": keys}
    parquet.write_table(pa.table(columns), tmp_path / "new.parquet")
    asked = ("predict", str(run), str(tmp_path / "new.parquet"), "--model", "ladder", "--id-column", "key")
    found = [row["row"] for row in csv.DictReader(tiny.done(*asked).stdout.splitlines())]
    assert found == (named or ["7", str(2**60)])
    parquet.write_table(pa.table(columns | {"key": [1, None]}), tmp_path / "new.parquet")
    assert "has rows without a name in the column 'key': fill them in" in refused(tmp_path, *asked)


def test_arrays_and_images_have_no_column_of_names(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    LadderClassifier(n_steps=2).fit(x, np.arange(20) % 2).save(tmp_path / "m.safetensors")
    np.save(tmp_path / "new.npy", x)
    features = ("predict", str(tmp_path / "m.safetensors"), str(tmp_path / "new.npy"), "--id-column", "key")
    assert refused(tmp_path, *features).startswith("--id-column is for tables, .csv, .tsv or .parquet files, and")
    images = trained.run_folder(tmp_path, ("ladder", 9, 0))
    assert refused(tmp_path, "predict", str(images), "x.npy", "--id-column", "key").startswith(
        "--id-column is for the"
    )


def test_an_estimator_without_names_cannot_be_given_a_table(run: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    LadderClassifier(n_steps=2).fit(x, np.arange(20) % 2).save(tmp_path / "m.safetensors")
    new = write(tmp_path / "new.csv", rows(2))
    message = refused(tmp_path, "predict", str(tmp_path / "m.safetensors"), str(new))
    assert message.startswith("the model knows its 2 features by their order and not by name, so that the table")


# Generated rows.


def test_generated_rows_are_in_the_units_of_their_columns(run: Path, tmp_path: Path) -> None:
    choice = [str(run), "--seed", "1", "--n", "5", "--output"]
    outcome = tiny.done("sample", *choice, str(tmp_path / "s.csv"))
    assert outcome.stderr == f"Wrote 5 rows of ebgan-ladder, 16 labels, seed 1 to {tmp_path / 's.csv'}\n"
    drawn = read(tmp_path / "s.csv")
    assert [list(row) for row in drawn] == [["length", "year"]] * 5
    tiny.done("sample", *choice, str(tmp_path / "s.npz"))
    stored = np.load(tmp_path / "s.npz")["images"]
    for row, other in zip(drawn, stored, strict=True):
        assert [float(row[name]) for name in NAMES] == pytest.approx(other.tolist(), rel=1e-5)
        assert abs(float(row["year"]) - 2e6) < 100
    assert "of images" not in refused(tmp_path, "sample", *choice, "s.png")


def test_images_are_no_rows_of_a_csv_file(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    digits = tiny.finished_run(tmp_path_factory)
    message = refused(tmp_path, "sample", str(digits), "--seed", "0", "--output", "s.csv")
    assert message == "--output s.csv: the model is of images or of columns without names; write an .npz file"


# How a run on a table is asked for.


def plan(path: Path, *more: str) -> dict[str, Any]:
    outcome = tiny.done(*command(path, path.parent / "planned", "--dry-run", "--json", *more))
    return dict(json.loads(outcome.stdout))


def test_a_dry_run_says_what_was_chosen(tmp_path: Path) -> None:
    path = trees(tmp_path / "trees.csv")
    text = tiny.done(*command(path, tmp_path / "planned", "--dry-run")).stdout
    assert "trees, 40 rows of 2 features, 20 with a label of 2 classes\n" in text
    assert "hidden layers of 64, 32, 16 units, batches of 40 rows; all of them with --json\n" in text
    assert "Each seed learns 16 of the labels and is tested on the other 4 rows that have one;" in text
    chosen = plan(path)
    assert chosen["settings"]["network"]["hidden_sizes"] == [64, 32, 16]
    assert (chosen["recipe"], chosen["models"], chosen["labels"], chosen["seeds"]) == (
        *("auto", ["ladder"], [16]),
        [0, 1, 2, 3, 4],
    )


def test_what_looks_like_a_mistake_in_a_table_is_told(tmp_path: Path) -> None:
    """The number of a row, in order or not; a label that people write where there is none."""
    path, shuffled = tmp_path / "trees.csv", np.random.default_rng(0).permutation(N)
    content = [
        row | {"id": 7 * i * i, "number": shuffled[i] + 1000, "kind": "NA" if i % 4 == 0 else row["kind"]}
        for i, row in enumerate(rows(N))
    ]
    write(path, content)
    options = ["run", "--data", str(path), "--label-column", "kind", "--dry-run"]
    text = tiny.done(*options).stdout
    seems = "seems to number the rows, which says nothing of other rows: leave it out with --drop-column"
    assert f"The column 'id' {seems} id.\n" in text
    assert f"The column 'number' {seems} number.\n" in text
    assert text.count("seems to number") == 2
    assert "'NA' is taken for a class, with 10 labelled rows: a row without a label has an empty cell.\n" in text
    assert "first line" not in text
    text = tiny.done(*options, "--drop-column", "id", "--drop-column", "number").stdout
    assert "seems to number" not in text
    write(path, [{"-0.7" if name == "length" else name: value for name, value in row.items()} for row in content])
    text = tiny.done(*options).stdout
    assert "There are columns with names such as '-0.7': if the first line is a row already, put one with" in text


def test_predictions_of_rows_far_outside_are_noted(run: Path, tmp_path: Path) -> None:
    new = rows(5)
    new[0]["year"] = new[1]["year"] = 3e6
    said = tiny.done("predict", str(run), str(write(tmp_path / "new.csv", new)), "--model", "ladder").stderr
    assert "2 of 5 rows lie far outside those of the training, 2 of them by 'year': what is said" in said
    scores = json.loads(
        tiny.done("predict", str(run), str(tmp_path / "new.csv"), "--model", "ladder", "--json").stdout
    )
    assert scores["mean_energy"] is None  # infinite
    said = tiny.done("predict", str(run), str(write(tmp_path / "near.csv", rows(5))), "--model", "ladder").stderr
    assert "far outside" not in said


def test_far_rows_of_features_without_names_are_noted_by_number(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    LadderClassifier(n_steps=5, hidden_layer_sizes=[4], random_state=0).fit(x, np.arange(20) % 2).save(
        tmp_path / "m"
    )
    x[3, 2] = 1e6
    np.savez(tmp_path / "new.npz", x=x)
    said = tiny.done("predict", str(tmp_path / "m"), str(tmp_path / "new.npz")).stderr
    assert "1 of 20 rows lie far outside those of the training, 1 of them by feature 2: what is said" in said


def test_a_long_run_is_told_what_a_table_can_do_without(tmp_path: Path) -> None:
    options = command(trees(tmp_path / "trees.csv"), tmp_path / "planned")
    with open_experiment(request_of(**tiny.parameters_of_run(*options[1:])), dry_run=True) as opened:
        (line,) = what_to_do_if_long(opened, 1000)
    assert line.endswith("fewer --seeds.")
    assert "demo" not in line


def test_what_is_given_is_taken(tmp_path: Path) -> None:
    path = trees(tmp_path / "trees.csv")
    chosen = plan(path, "--labels", "10,12", "--seeds", "2", "--set", 'variants.slow.of="ladder"')
    assert (chosen["labels"], chosen["seeds"], chosen["models"]) == ([10, 12], [0, 1], ["ladder", "slow"])
    assert len(chosen["notes"]) == 2
    small = ["--set", "network.hidden_sizes=[5]", "--set", "ladder.denoising_weights=[1,0,0]"]
    small += ["--set", "ebgan-ladder.denoising_weights=[1,0,0]"]
    chosen = plan(path, "--recipe", "table2", *small)
    assert (chosen["recipe"], chosen["models"], chosen["labels"]) == ("table2", ["ladder", "ebgan-ladder"], [16])
    said = " ".join(chosen["notes"])
    assert "A batch has 100 rows and there are 40" in said
    assert "The generator of ebgan-ladder ends in a sigmoid" in said


def test_all_rows_may_have_a_label(tmp_path: Path) -> None:
    chosen = plan(trees(tmp_path / "trees.csv", n_labeled=N))
    assert chosen["labels"] == [32]
    assert "All rows have a label: a seed trains on those that it does not learn as" in " ".join(chosen["notes"])


def test_a_class_with_a_single_row_is_named(tmp_path: Path) -> None:
    few = [row | ({} if i < 3 else {"kind": ""}) for i, row in enumerate(rows(9))]
    said = plan(write(tmp_path / "few.csv", few))["notes"]
    assert (
        "'oak' is a class with a single labelled row, which every seed learns: the error says nothing of it."
        in said
    )
    few[3]["kind"], few[0]["kind"], few[5]["kind"] = "fir", "fig", "oak"
    said = plan(write(tmp_path / "few.csv", few))["notes"]
    assert any(note.startswith("'elm', 'fig', 'fir' are classes with a single labelled row") for note in said)


def test_test_data_apart(tmp_path: Path) -> None:
    """Every label can be learned then, the test set is shared, and curves show labels that are not learned."""
    path, test = trees(tmp_path / "trees.csv"), write(tmp_path / "test.csv", rows(30, seed=2))
    more = ["--seeds", "1", "--test-data", str(test)]
    assert plan(path, *more)["labels"] == [N_LABELED]
    outcome = tiny.done(*command(path, tmp_path / "run", *more, "--labels", "10"))
    assert "trees, 40 rows of 2 features, 20 with a label of 2 classes; 30 test rows." in outcome.stderr
    assert "the 30 test rows, which all seeds share" in outcome.stdout
    assert json.loads((tmp_path / "run" / "run.json").read_text())["n_test"] == 30
    assert "n_test" not in results(tmp_path / "run")[0]
    points = read(tmp_path / "run" / "history.csv")
    assert all(float(point["unlabeled_error_percent"]) % 10 == 0 for point in points)
    tiny.done("predict", str(tmp_path / "run"), str(test))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--data", "trees.csv"],
            "which column of the table 'trees.csv' has the labels? Say it with --label-column",
        ),
        (["--data", "trees.csv", "--label-column", "kinds"], "has no column 'kinds' (did you mean 'kind'?)"),
        (["--data", "trees.csv", "--label-column", "kind", "--labels", "20"], "20 labels do not fit trees"),
        (["--data", "none.csv", "--label-column", "kind"], "the table 'none.csv' does not exist"),
        (
            ["--data", "digits", "--label-column", "kind"],
            "--label-column is for tables, .csv, .tsv or .parquet files",
        ),
        (
            ["--data", "trees.csv", "--label-column", "kind", "--set", "ladder.steps=3"],
            "recipe 'auto': unknown key",
        ),
        (["--data", "digits", "--recipe", "auto"], "unknown recipe 'auto'"),
    ],
)
def test_wrong_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    trees(tmp_path / "trees.csv")
    assert message in refused(tmp_path, "run", *options)


def test_a_search_takes_no_table(tmp_path: Path) -> None:
    path = trees(tmp_path / "trees.csv")
    message = refused(
        tmp_path, "search", "--space", "baseline", "--data", str(path), "--output", str(tmp_path / "s")
    )
    assert message.endswith(
        "is a table, which has no images: 'ladder-ebgan run' and 'data describe' take it, with --label-column NAME"
    )


def test_a_table_is_described(tmp_path: Path) -> None:
    path = trees(tmp_path / "trees.csv")
    options = [str(path), "--label-column", "kind", "--drop-column", "id"]
    text = tiny.done("data", "describe", *options).stdout
    assert text.endswith("label         rows\nelm             10\noak             10\n")
    content = json.loads(tiny.done("data", "describe", *options, "--json").stdout)
    assert content["fingerprint"] == load_table(path, "kind", ["id"]).fingerprint


def test_models_know_their_columns(run: Path) -> None:
    for file in find_models(run):
        assert file.metadata.feature_names == ("length", "year")
        assert (file.metadata.label_column, file.metadata.inputs, file.metadata.scaled) == (
            "kind",
            "features",
            True,
        )


def test_small_networks_train_side_by_side(tmp_path: Path) -> None:
    path = trees(tmp_path / "trees.csv")
    options = command(path, tmp_path / "run", "--processes", "auto", "--dry-run", "--json")
    outcome = tiny.invoke(*options, n_cores=2)
    assert outcome.code == 0, outcome.stderr
    chosen = json.loads(outcome.stdout)
    assert (chosen["n_processes"], chosen["n_threads"]) == (2, 1)
    assert [len(group["replicas"]) for group in chosen["groups"]] == [3, 2]
