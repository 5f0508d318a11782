import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trained

from ladder_ebgan.data.images import Images
from ladder_ebgan.model_files import find_models
from ladder_ebgan.models import TrainedModel, load
from ladder_ebgan.prediction import Predictions
from ladder_ebgan.report.predictions import predictions_csv, scores_json, scores_text
from ladder_ebgan.scores import score

P = np.array([[[0.5, 0.25, 0.25], [0.0625, 0.875, 0.0625]], [[0.25, 0.5, 0.25], [0.0625, 0.875, 0.0625]]])
ENERGIES = np.array([[1.5, 2.0], [2.5, 4.0]], dtype=np.float32)
FOUND = Predictions(P.astype(np.float32), ENERGIES)
PIXELS = np.zeros((2, 8), dtype=np.float32)
LABELS = np.array([0, 2])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    run = trained.run_folder(tmp_path_factory.mktemp("predictions"), ("ladder", 9, 0), ("ladder", 9, 1))
    return replace(load(find_models(run), trained.CPU), classes=("a,b", "cat", "dog"))


def test_rows_of_an_ensemble(model: TrainedModel) -> None:
    """The means: 0.375, 0.375, 0.25, of which the first class is taken, and energies 2 and 3."""
    text = predictions_csv(Images(PIXELS, ("x/1.png", "2.png")), FOUND, model, True)
    assert text == (
        'image,label,probability,energy,agreement,"probability_a,b",probability_cat,probability_dog\n'
        'x/1.png,"a,b",0.375,2,0.5,0.375,0.375,0.25\n'
        "2.png,cat,0.875,3,1,0.0625,0.875,0.0625\n"
    )


def test_true_labels_stand_beside_and_probabilities_can_be_left_out(model: TrainedModel) -> None:
    images = Images(PIXELS, ("0", "1"), np.array(["a,b", "dog"]))
    rows = list(csv.DictReader(io.StringIO(predictions_csv(images, FOUND, model, False))))
    assert [list(row.values()) for row in rows] == [
        ["0", "a,b", "0.375", "2", "0.5", "a,b"],
        ["1", "cat", "0.875", "3", "1", "dog"],
    ]
    assert list(rows[0]) == ["image", "label", "probability", "energy", "agreement", "true_label"]


def test_an_energy_that_is_not_known_is_empty(model: TrainedModel) -> None:
    found = Predictions(FOUND.of_models, None)
    text = predictions_csv(Images(PIXELS, ("0", "1")), found, model, False)
    assert text.splitlines()[1] == '0,"a,b",0.375,,0.5'
    assert json.loads(scores_json(model, found, None, []))["mean_energy"] is None


def test_json_has_scores_only_with_labels(model: TrainedModel) -> None:
    record = json.loads(scores_json(model, FOUND, None, []))
    assert record == {
        **{"model": "ladder", "labels": 9, "seeds": [0, 1], "classes": ["a,b", "cat", "dog"]},
        **{"n_images": 2, "mean_energy": 2.5, "scores": None, "error_percent_of_seeds": []},
    }
    of_seeds = [score(p, LABELS) for p in FOUND.of_models]
    record = json.loads(scores_json(model, FOUND, score(FOUND.probabilities, LABELS), of_seeds))
    assert record["error_percent_of_seeds"] == [50.0, 100.0]
    assert record["scores"]["error_percent"] == 50.0
    assert record["scores"]["confusion"] == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert len(record["scores"]["bins"]) == 15


def test_scores_in_words(model: TrainedModel) -> None:
    """One of two is wrong: 50 ± 35.36 %. Likelihoods 3/8 and 1/16; Brier 0.59375 and 1.6484."""
    of_seeds = [score(p, LABELS) for p in FOUND.of_models]
    assert scores_text(model, score(FOUND.probabilities, LABELS), of_seeds) == (
        "ladder, 9 labels, seeds 0, 1\n"
        "error                50.00 % (1 of 2 images; standard error of sampling images 35.36)\n"
        "error of each seed   50.00, 100.00 %\n"
        "mean log-likelihood  -1.8767\n"
        "Brier score          1.1211 (0 is best, 2 worst)\n"
        "calibration error    75.00 % (expected calibration error, 15 bins)\n"
        "\n"
        "confidence    images  mean confidence  accuracy %\n"
        "0.33 to 0.40       1           0.3750      100.00\n"
        "0.87 to 0.93       1           0.8750        0.00\n"
        "\n"
        "            predicted label\n"
        "true label    a,b    cat    dog\n"
        "a,b             1      0      0\n"
        "cat             0      0      0\n"
        "dog             0      1      0\n"
    )


def test_scores_of_one_seed_with_everything_right(model: TrainedModel) -> None:
    scores = score(FOUND.of_models[0], np.array([0, 1]))
    lines = scores_text(model, scores, [scores]).splitlines()
    of_two = "0 of 2 images; the rate may still be as high as 78 %, 95 % confidence"  # 100 (1 - 0.05^(1/2))
    assert lines[1] == f"error                0.00 % ({of_two})"
    assert lines[2].startswith("mean log-likelihood")


def test_a_confusion_matrix_that_fits_no_screen_is_left_out(model: TrainedModel) -> None:
    many = replace(model, classes=tuple(range(21)))
    scores = score(np.eye(21), np.arange(21))
    assert scores_text(many, scores, [scores]).splitlines()[-1] == (
        "The confusion matrix of 21 classes is in the output of --json."
    )


def test_counts_wider_than_names_keep_the_columns_apart(tmp_path: Path, model: TrainedModel) -> None:
    two = replace(model, classes=(0, 1))
    scores = replace(score(np.eye(2), np.arange(2)), confusion=[[1234567, 0], [12, 7654321]])
    assert scores_text(two, scores, [scores]).splitlines()[-3:] == [
        "true label        0        1",
        "0           1234567        0",
        "1                12  7654321",
    ]
