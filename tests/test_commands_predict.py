"""The commands for trained models: predict, sample, models."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import trained
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

MODELS = [("ladder", 9, 0), ("ladder", 9, 1), ("ebgan-ladder", 9, 0), ("ebgan-ladder", 9, 1)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.run_folder(tmp_path_factory.mktemp("commands") / "run", *MODELS)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images with labels."""
    path = tmp_path_factory.mktemp("images") / "mine.npz"
    np.savez(path, x=trained.images(6, seed=1), y=np.arange(6) % 3)
    return path


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def chosen(run: Path, model: str = "ladder", seed: str = "0") -> list[str]:
    return [str(run), "--model", model, "--seed", seed]


def predicted(run: Path, *more: Path | str, **choice: str) -> tiny.Outcome:
    return tiny.done("predict", *chosen(run, **choice), *map(str, more))


def refused(tmp_path: Path, *command: Path | str) -> str:
    before = tiny.content(tmp_path)
    message = tiny.refused(*map(str, command))
    assert tiny.content(tmp_path) == before
    return message


def test_images_without_a_label_are_predicted_and_not_scored(tmp_path: Path, run: Path) -> None:
    np.savez(tmp_path / "some.npz", x=trained.images(4, seed=1), y=np.array([0, -1, 1, -1]))
    outcome = predicted(run, tmp_path / "some.npz")
    assert [row["true_label"] for row in rows(outcome.stdout)] == ["0", "", "1", ""]
    assert " of 2 images" in outcome.stderr


def test_a_table_on_stdout_and_scores_on_stderr(run: Path, images: Path) -> None:
    outcome = predicted(run, images)
    table = rows(outcome.stdout)
    assert list(table[0]) == [
        *("image", "label", "probability", "energy", "true_label"),
        *("probability_0", "probability_1", "probability_2"),
    ]
    assert [row["image"] for row in table] == list("012345")
    assert [row["true_label"] for row in table] == list("012012")
    for row in table:
        probabilities = [float(row[f"probability_{label}"]) for label in range(3)]
        assert row["label"] == str(int(np.argmax(probabilities)))
        assert float(row["probability"]) == max(probabilities)
        assert float(row["energy"]) > 0
    wrong = sum(row["label"] != row["true_label"] for row in table)
    lines = outcome.stderr.splitlines()
    assert lines[0] == "ladder, 9 labels, seed 0"
    assert lines[1].startswith(f"error                {100 * wrong / 6:.2f} % ({wrong} of 6 images; standard error")


def test_the_test_set_by_name_has_the_error_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = tiny.finished_run(tmp_path_factory)
    results = rows((run / "results.csv").read_text())
    for row in results:
        outcome = predicted(run, "digits", "--json", model=row["model"], seed=row["seed"])
        record = json.loads(outcome.stdout)
        assert record["scores"]["error_percent"] == pytest.approx(float(row["test_error_percent"]))
        assert (record["n_images"], record["scores"]["n"]) == (500, 500)
        assert outcome.stderr == ""


def test_output_goes_to_a_file(run: Path, images: Path, tmp_path: Path) -> None:
    expected = predicted(run, images)
    outcome = predicted(run, images, "--output", tmp_path / "deep" / "p.csv")
    assert outcome.stdout == ""
    assert outcome.stderr == expected.stderr
    assert tiny.content(tmp_path) == {"deep/p.csv": expected.stdout.encode()}
    both = predicted(run, images, "--json", "--output", tmp_path / "deep" / "p.csv")
    assert json.loads(both.stdout)["n_images"] == 6
    assert tiny.content(tmp_path) == {"deep/p.csv": expected.stdout.encode()}


def test_without_labels_there_are_no_scores(run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", trained.images(2))
    outcome = predicted(run, tmp_path / "a.npy", "--no-probabilities")
    assert list(rows(outcome.stdout)[0]) == ["image", "label", "probability", "energy"]
    assert outcome.stderr == ""
    record = json.loads(predicted(run, tmp_path / "a.npy", "--json").stdout)
    assert record["scores"] is None
    assert record["error_percent_of_seeds"] == []


def test_labels_from_another_file(run: Path, images: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", trained.images(6, seed=1))
    np.save(tmp_path / "y.npy", np.arange(6) % 3)
    outcome = predicted(run, tmp_path / "x.npy", "--labels-from", tmp_path / "y.npy")
    assert outcome == predicted(run, images)


@pytest.mark.parametrize("seeds", ["all", "1,0", "0,1,1"])
def test_an_ensemble(run: Path, images: Path, seeds: str) -> None:
    record = json.loads(predicted(run, images, "--json", seed=seeds).stdout)
    assert record["seeds"] == [0, 1]
    tables = [rows(predicted(run, images, seed=seed).stdout) for seed in ("0", "1", seeds)]
    for column in ("energy", "probability_2"):
        one, other, both = ([float(row[column]) for row in table] for table in tables)
        assert_allclose(both, np.mean([one, other], axis=0), rtol=1e-4)
    errors = [np.mean([row["label"] != row["true_label"] for row in table]) for table in tables]
    assert_allclose(record["error_percent_of_seeds"], np.multiply(errors[:2], 100))
    assert record["scores"]["error_percent"] == pytest.approx(100 * errors[2])
    assert "\nerror of each seed   " in predicted(run, images, seed=seeds).stderr


def test_a_model_file_needs_no_choice(run: Path, images: Path) -> None:
    path = run / "models" / "ladder-9-1.safetensors"
    assert tiny.done("predict", str(path), str(images)) == predicted(run, images, seed="1")


def test_several_png_files_and_what_was_done_to_them(run: Path, tmp_path: Path) -> None:
    levels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    for name, pixels in (("a", levels), ("b", levels[..., 0])):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    outcome = predicted(run, *paths)
    assert [row["image"] for row in rows(outcome.stdout)] == list(map(str, paths))
    assert outcome.stderr == "Images with colours, which were turned into grey (ITU-R BT.601): 1 of 2.\n"


def test_an_earlier_file_has_no_energies(tmp_path: Path, images: Path) -> None:
    run = trained.run_folder(tmp_path, ("ebgan-ladder", 9, 0))
    trained.as_format_1(run / "models" / "ebgan-ladder-9-0.safetensors")
    outcome = tiny.done("predict", str(run), str(images))
    assert {row["energy"] for row in rows(outcome.stdout)} == {""}
    notice = "No energies: the model file is of an earlier version, without the statistics of its decoder.\n"
    assert outcome.stderr.startswith(notice)
    drawn = tiny.done("sample", str(run), "--n", "3", "--output", str(tmp_path / "s.npz"))
    assert drawn.stderr.startswith(notice)
    with np.load(tmp_path / "s.npz", allow_pickle=False) as archive:
        assert archive.files == ["images"]
    assert "No energies" not in tiny.done("sample", str(run), "--output", str(tmp_path / "s.png")).stderr


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            ["{images}"],
            "has ebgan-ladder, 9 labels, seeds 0, 1; ladder, 9 labels, seeds 0, 1: choose with --model and",
        ),
        (["{images}", "--seed", "some"], "Invalid value for '--seed': 'some' is not a whole number, or several"),
        (["{images}", "--seed", "-1"], "Invalid value for '--seed': '-1' has a negative number"),
        (["{images}", "--seed", "0"], "choose with --model"),
        (["{images}", "--labels", "0"], "Invalid value for '--labels'"),
        (["{images}", "--model", "ladder", "--seed", "7"], "has no model with model ladder, seed 7; it has "),
        (["digits", "--model", "ladder", "--seed", "0"], "have shape [8, 8]; the model takes [2, 4]"),
        (
            ["{bad}", "--model", "ladder", "--seed", "0"],
            "labels that are no class of the model: '3'; its classes are",
        ),
        (["{images}", "--model", "ladder", "--seed", "0", "--device", "tpu"], "unknown device 'tpu'"),
        (["{images}", "--output", "{run}"], "Invalid value for '--output': File"),
        (
            ["{images}", "--labels-from", "none", "--model", "ladder", "--seed", "0"],
            "the labels file 'none' is not needed",
        ),
        ([], "Missing argument 'INPUT...'"),
    ],
)
def test_wrong_use_of_predict(run: Path, images: Path, tmp_path: Path, more: Sequence[str], expected: str) -> None:
    np.savez(tmp_path / "bad.npz", x=trained.images(4), y=np.arange(4))
    places = {"images": images, "run": run, "bad": tmp_path / "bad.npz"}
    command = ["predict", run, "--output", tmp_path / "p.csv", *(word.format(**places) for word in more)]
    assert expected in refused(tmp_path, *command)


def test_samples_as_an_archive_that_predict_reads(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    outcome = tiny.done("sample", *chosen(run, "ebgan-ladder", "1"), "--n", "9", "--output", str(path))
    assert outcome == tiny.Outcome(0, "", f"Wrote 9 images of ebgan-ladder, 9 labels, seed 1 to {path}\n")
    with np.load(path, allow_pickle=False) as archive:
        images, energies = archive["images"], archive["energies"]
    assert images.shape == (9, 2, 4)
    assert energies.shape == (9,)
    table = rows(predicted(run, path, model="ebgan-ladder", seed="1").stdout)
    assert_allclose([float(row["energy"]) for row in table], energies, rtol=1e-5)


def test_samples_are_fixed_by_the_latent_seed(run: Path, tmp_path: Path) -> None:
    drawn = {}
    for name, n, more in (("a", 8, []), ("b", 3, []), ("c", 3, ["--latent-seed", "4"])):
        path = tmp_path / f"{name}.npz"
        tiny.done("sample", *chosen(run, "ebgan-ladder"), "--n", str(n), *more, "--output", str(path))
        with np.load(path, allow_pickle=False) as archive:
            drawn[name] = archive["images"]
    assert_array_equal(drawn["a"][:3], drawn["b"])
    assert not np.isclose(drawn["b"], drawn["c"]).all(axis=(1, 2)).any()


def test_samples_as_a_picture(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.png"
    tiny.done("sample", str(run / "models" / "ebgan-ladder-9-0.safetensors"), "--n", "4", "--output", str(path))
    with Image.open(path) as image:
        assert image.size == (6 * (4 + 2 + 4), 6 * (2 + 2 + 2))
        assert image.mode == "L"


def test_only_models_with_a_generator_are_to_be_chosen_from(tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path / "run", ("ladder", 9, 0), ("ladder", 9, 1), ("ebgan-ladder", 9, 1))
    outcome = tiny.done("sample", str(run), "--output", str(tmp_path / "s.png"))
    assert "Wrote 64 images of ebgan-ladder, 9 labels, seed 1 to " in outcome.stderr


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], "Missing option '--output'"),
        (["--output", "s.gif"], "--output s.gif: must end in .png or .npz"),
        (["--output", "s.png"], "has ebgan-ladder, 9 labels, seeds 0, 1: choose with --seed"),
        (["--output", "s.png", "--seed", "all"], "Invalid value for '--seed': 'all' is not a valid integer range"),
        (["--output", "s.png", "--n", "0"], "Invalid value for '--n'"),
        (
            ["--output", "s.png", "--model", "ladder", "--seed", "1"],
            "ladder, 9 labels, seed 1: it has no generator to draw images with; ebgan-ladder has one",
        ),
    ],
)
def test_wrong_use_of_sample(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Sequence[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in refused(tmp_path, "sample", run, *more)


def test_images_without_a_height_are_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    trained.write_model(path, "ebgan-ladder")
    trained.rewrite(path, image_shape=[8])
    message = refused(tmp_path, "sample", path, "--output", tmp_path / "s.png")
    assert message == f"--output {tmp_path / 's.png'}: the model's images cannot be shown; write an .npz file"
    tiny.done("sample", str(path), "--n", "2", "--output", str(tmp_path / "s.npz"))
    with np.load(tmp_path / "s.npz", allow_pickle=False) as archive:
        assert archive["images"].shape == (2, 8)


def test_models_are_listed(run: Path) -> None:
    lines = tiny.done("models", str(run)).stdout.splitlines()
    assert lines[0].split() == [
        "model",
        "labels",
        "seed",
        "data",
        "inputs",
        "classes",
        "generator",
        "version",
        "file",
    ]
    assert [line.split()[:3] for line in lines[1:]] == [[m, str(n), str(s)] for m, n, s in sorted(MODELS)]
    assert lines[1].split()[3:] == [
        *("mine", "2", "x", "4", "3", "yes", "0.1.0"),
        str(run / "models" / "ebgan-ladder-9-0.safetensors"),
    ]
    assert lines[4].split()[8] == "no"
    of_file = tiny.done("models", str(run / "models" / "ladder-9-0.safetensors")).stdout.splitlines()
    assert of_file[1].split() == lines[3].split()
    assert len(of_file) == 2


def test_models_as_json(run: Path) -> None:
    records: list[dict[str, Any]] = json.loads(tiny.done("models", str(run), "--json").stdout)
    expected = trained.metadata_of("ladder", 9, 1) | {
        "format": 2,
        "file": str(run / "models" / "ladder-9-1.safetensors"),
    }
    assert records[3] == json.loads(json.dumps(expected))


def test_models_that_are_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path, "models", tmp_path / "none").startswith("there is no model file or run folder ")
