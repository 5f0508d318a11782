"""From images of which few have a label, and none are apart for a test, to an error and predictions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import test_gan_run as gans
import tiny
from PIL import Image
from refusals import refused
from sklearn.datasets import load_digits

from ladder_ebgan.commands.run import request_of
from ladder_ebgan.data import load_dataset
from ladder_ebgan.report.figures.of_run import _of_all_seeds
from ladder_ebgan.search.validation import validation_split

N, N_LABELED = 60, 30


def digits(folder: Path) -> Path:
    """Write digits as PNG files: three of each class in a folder of their class, the others beside these."""
    data, taken = load_digits(), dict.fromkeys(range(10), 0)
    for i, (pixels, digit) in enumerate(zip(data.images[:N], data.target[:N], strict=True)):
        taken[digit] += 1
        path = folder / (f"{digit}/{i:03}.png" if taken[digit] <= 3 else f"{i:03}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype(np.uint8)).save(path)
    return folder


def command(data: Path, output: Path, *more: str) -> list[str]:
    return [
        "run",
        "--data",
        str(data),
        *tiny.settings(),
        "--no-compile",
        "--output",
        str(output),
        "--seeds",
        "2",
        *more,
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    outcome = tiny.done(*command(digits(folder / "mine"), folder / "run"), figures=True)
    (folder / "said").write_text(outcome.stdout + outcome.stderr)
    return folder / "run"


def test_what_is_said_of_the_data_and_the_error(run: Path) -> None:
    said = (run.parent / "said").read_text()
    assert f"mine, {N} images of 8 x 8 pixels, 30 with a label of 10 classes.\n" in said
    assert (
        "Each seed learns 24 of the labels and is tested on the other 6 images that have one; without label it "
        "sees all images.\n"
    ) in said
    assert "Error rates in % of the test images; " in said
    assert "Each seed is tested on labelled images that it does not learn, 6 of 30" in said
    assert "corrected for images that seeds share (Nadeau and Bengio 2003)" in said


def test_each_seed_is_tested_on_labelled_images_that_it_has_not_learned(run: Path) -> None:
    dataset = load_dataset(str(run.parent / "mine"))
    rows = list(csv.DictReader((run / "results.csv").read_text().splitlines()))
    assert [(row["model"], row["labels"], row["n_test"]) for row in rows] == [
        (model, "24", "6") for model in ("ladder", "ebgan-ladder") for _ in range(2)
    ]
    for row in rows:
        stored = np.load(run / "predictions" / f"{row['model']}-24-{row['seed']}.npz")
        learned, tested = stored["labeled_indices"], stored["test_indices"]
        assert sorted([*learned, *tested]) == dataset.labeled_rows.tolist()
        wrong = stored["probabilities"].argmax(axis=1) != dataset.train_labels[tested]
        assert float(row["test_error_percent"]) == pytest.approx(100 * wrong.mean())
    record = json.loads((run / "run.json").read_text())
    assert "n_test" not in record
    assert "columns" not in record


def test_the_same_command_goes_on_and_figures_are_of_the_images(run: Path) -> None:
    data = run.parent / "mine"
    assert "Everything asked for is already trained." in tiny.done(*command(data, run)).stderr
    figures = {path.name for path in (run / "figures").iterdir()}
    assert {"labeled_images_24.png", "worst_mistakes_ladder_24.png", "confusion_matrix_ladder_24.png"} <= figures, (
        figures
    )
    tiny.done("report", str(run))


def test_the_folder_can_be_predicted_with_its_labels(run: Path) -> None:
    asked = ("predict", str(run), str(run.parent / "mine"), "--model", "ladder", "--seed", "all")
    outcome = tiny.done(*asked, "--no-probabilities")
    rows = list(csv.DictReader(outcome.stdout.splitlines()))
    assert len(rows) == N
    assert sum(row["true_label"] != "" for row in rows) == N_LABELED
    assert f"of {N_LABELED} images" in outcome.stderr


def test_an_archive_without_a_test_set_is_the_same_data(run: Path, tmp_path: Path) -> None:
    dataset = load_dataset(str(run.parent / "mine"))
    labels = np.array([dataset.classes[label] if label >= 0 else "" for label in dataset.train_labels])
    np.savez(tmp_path / "mine.npz", x_train=dataset.train_images.reshape(-1, 8, 8), y_train=labels)
    assert load_dataset(str(tmp_path / "mine.npz")).fingerprint == dataset.fingerprint
    asked = (
        "predict",
        str(run),
        str(tmp_path / "mine.npz"),
        "--model",
        "ladder",
        "--seed",
        "0",
        "--no-probabilities",
    )
    rows = list(csv.DictReader(tiny.done(*asked).stdout.splitlines()))
    assert [row["true_label"] for row in rows] == labels.tolist()
    np.savez(tmp_path / "half.npz", x_train=dataset.train_images, y_train=labels, x_test=dataset.train_images)
    assert "lacks y_test; it must hold x_train, y_train (and" in refused(
        tmp_path, "data", "describe", str(tmp_path / "half.npz")
    )


def test_a_budget_leaves_something_to_test_on(run: Path) -> None:
    asked = command(run.parent / "mine", run.parent / "other", "--labels", "30")
    assert (
        "30 labels do not fit mine: there must be at least 10, one for each class, and at most 29 of its 30 "
        "labelled images: some must be left to test on; label more, or give a test set"
    ) in refused(run.parent, *asked)


def test_a_description_has_no_test_images(run: Path) -> None:
    said = json.loads(tiny.done("data", "describe", str(run.parent / "mine"), "--json").stdout)
    assert (said["n_train"], said["n_labeled"], said["n_test"]) == (N, N_LABELED, 0)
    assert {each["n_test"] for each in said["classes"]} == {0}


def test_fewer_labels_than_the_recipe_asks_for_are_all_learned(tmp_path: Path) -> None:
    """With a test set apart; `table2` asks for 100."""
    images, labels = np.zeros((40, 4)), np.arange(40) % 2
    known = np.where(np.arange(40) < 12, labels, -1)
    np.savez(
        tmp_path / "few.npz",
        x_train=images,
        y_train=np.where(known < 0, "", known.astype(str)),
        x_test=images,
        y_test=labels.astype(str),
    )
    request = request_of(**tiny.parameters_of_run("--data", str(tmp_path / "few.npz")))
    assert request.labels == (12,)
    gan = request_of(**tiny.parameters_of_run("--data", str(tmp_path / "few.npz"), "--recipe", "figure4-gan"))
    assert gan.labels == (0,)
    np.savez(
        tmp_path / "many.npz", x_train=np.zeros((120, 4)), y_train=np.arange(120) % 2, x_test=images, y_test=labels
    )
    assert request_of(**tiny.parameters_of_run("--data", str(tmp_path / "many.npz"))).labels == (100,)


def test_a_budget_that_was_set_is_kept(run: Path) -> None:
    asked = ("--data", str(run.parent / "mine"), "--set", "labels=[20]")
    assert request_of(**tiny.parameters_of_run(*asked)).labels == (20,)


def test_validation_images_of_data_without_a_test_set_are_a_test_set(run: Path) -> None:
    split = validation_split(load_dataset(str(run.parent / "mine")), 10)
    assert sorted(split.test_labels.tolist()) == list(range(10))
    assert split.tested(split.labeled_rows).tolist() == list(range(10))
    assert len(split.train_labels) == N - 10


def test_the_worst_mistakes_are_of_the_seeds_that_were_tested_on_an_image() -> None:
    """Image 3 was tested by both seeds, 0.2 and 0.6 for the first class; 1 and 4 by one of them."""
    probabilities = np.array([[[0.1, 0.9], [0.2, 0.8]], [[0.6, 0.4], [0.5, 0.5]]])
    rows, certain = _of_all_seeds(probabilities, np.array([[1, 3], [3, 4]]))
    assert rows.tolist() == [1, 3, 4]
    np.testing.assert_allclose(certain, [[0.1, 0.9], [0.4, 0.6], [0.5, 0.5]])


@pytest.mark.parametrize("as_archive", [False, True])
def test_a_gan_needs_no_labels(as_archive: bool, tmp_path: Path) -> None:
    path, images = tmp_path / "mine", load_digits().images[:30] / 16
    path.mkdir()
    for i, pixels in enumerate(images):
        Image.fromarray((pixels * 240).astype(np.uint8)).save(path / f"{i}.png")
    if as_archive:
        np.savez(path.with_suffix(".npz"), x_train=images)
        path = path.with_suffix(".npz")
    outcome = tiny.done(*gans.arguments(tmp_path / "run", "--data", str(path), "--seeds", "1"), figures=True)
    assert "mine, 30 images of 8 x 8 pixels.\n" in outcome.stderr
    tiny.done("report", str(tmp_path / "run"))
    tiny.done("sample", str(tmp_path / "run"), "--model", "ebgan", "--output", str(tmp_path / "made.png"))
    assert refused(tmp_path, "run", "--data", str(path)).endswith(
        "and holds 'x_train'" if as_archive else "no training image has a label"
    )
