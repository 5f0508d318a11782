"""The benchmark of confusions: the most frequent mistake of each network, and its picture."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import tiny
from ladder_ebgan_benchmarks import confusions
from PIL import Image

from ladder_ebgan.data import load_dataset
from ladder_ebgan.report.mosaic import GAP


def test_the_most_frequent_mistake_is_found_and_shown() -> None:
    """Three eights taken for ones and two fours for nines; in the picture the labelled eights, then those three."""
    data = load_dataset("digits")
    labels = np.asarray(data.test_labels)
    predicted = labels.copy()
    eights, fours = np.flatnonzero(labels == 8)[[0, 2, 5]], np.flatnonzero(labels == 4)[:2]
    predicted[eights], predicted[fours] = 1, 9
    labeled = np.flatnonzero(np.isin(data.train_labels, [3, 8]))[:20]
    stored = {"probabilities": np.eye(10)[predicted], "labeled_indices": labeled}
    mistakes = confusions.Mistakes(stored, data)
    assert (mistakes.true, mistakes.taken_for, mistakes.images.tolist()) == (8, 1, eights.tolist())
    assert mistakes.share == 3 / (labels == 8).sum()
    assert mistakes.errors == (pytest.approx(500 / len(labels)), pytest.approx(200 / len(labels)))

    drawn = np.asarray(Image.open(io.BytesIO(mistakes.picture((8, 8)))).convert("L")) / 255
    scale = len(drawn) // (confusions.SIDE * (8 + GAP) - GAP)  # there is none behind the last image
    pixels = drawn[::scale, ::scale]
    known = data.train_images[labeled[data.train_labels[labeled] == 8]].reshape(-1, 8, 8)
    n_rows = -(-len(known) // confusions.SIDE)
    for place, image in [(0, 1 - known[0]), *((n_rows * confusions.SIDE + i, None) for i in range(3))]:
        row, column = (8 + GAP) * np.array(divmod(place, confusions.SIDE))
        shown = data.test_images[eights[place % confusions.SIDE]].reshape(8, 8) if image is None else image
        np.testing.assert_allclose(pixels[row : row + 8, column : column + 8], shown, atol=1 / 255)


def test_a_run_has_a_row_a_network(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their errors are those of its results; a picture is there for each whose mistake is frequent enough."""
    folder = tiny.finished_run(tmp_path_factory)
    monkeypatch.setattr(confusions, "SHARE", 0.0)
    confusions.main([str(folder), "--data", "digits", "--pictures", str(tmp_path / "pictures")])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    with (folder / "results.csv").open() as file:
        errors = {(row["model"], row["seed"]): float(row["test_error_percent"]) for row in csv.DictReader(file)}
    alone = {(row[0], row[2]): row for row in rows if "all" not in row[2]}
    assert {key: float(row[3]) for key, row in alone.items()} == {
        key: pytest.approx(error, abs=0.006) for key, error in errors.items()
    }
    assert all(0 <= float(row[5]) < float(row[3]) for row in alone.values())
    mean = sum(error for (model, _), error in errors.items() if model == "ladder") / 2
    assert next(row for row in rows if row[0] == "ladder" and row[2] == "all 2")[3].startswith(f"{mean:.2f} ± ")
    names = {f"{model}-{rows[0][1]}-{seed}.png" for model, seed in errors}
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == names
