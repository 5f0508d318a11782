"""Which class each network of a run takes most often for which other one, and what the images of such mistakes are.

python benchmarks/confusions.py RUN_FOLDER [--data DATA] [--pictures FOLDER]

DATA is what the run was trained on, mnist if not said. It prints a table in Markdown, from the run's predictions of
the test images. FOLDER gets a picture for each network that takes a twentieth of a class or more for one other:
first its labelled images of that class, black on white, then those test images, up to twelve rows in all.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ladder_ebgan.data import Dataset, load_dataset
from ladder_ebgan.report.figures.confusion import mean_confusion
from ladder_ebgan.report.figures.sheet import pictures
from ladder_ebgan.report.figures.stored import Arrays, stored_predictions
from ladder_ebgan.report.lines import plus_minus
from ladder_ebgan.report.mosaic import mosaic_png
from ladder_ebgan.runs import RunFolder, read_record, replica_name
from ladder_ebgan.statistics import mean, standard_deviation

SHARE = 0.05  # of a class, taken for one other: from there on they have a picture
SIDE = 12  # images in a row of a picture, and rows


class Mistakes:
    """What one network gets wrong, and the most frequent kind of it: a class taken for another one."""

    def __init__(self, stored: Arrays, dataset: Dataset) -> None:
        self.stored, self.dataset = stored, dataset
        probabilities, labels = stored["probabilities"], np.asarray(dataset.test_labels)
        counts = mean_confusion(probabilities[None], labels)
        np.fill_diagonal(counts, 0)
        self.n_images, self.n_wrong = len(labels), int(counts.sum())
        self.true, self.taken_for = map(int, np.unravel_index(counts.argmax(), counts.shape))
        taken = (labels == self.true) & (probabilities.argmax(axis=1) == self.taken_for)
        self.images = np.flatnonzero(taken)
        self.share = len(self.images) / max(1, (labels == self.true).sum())  # of the class

    @property
    def errors(self) -> tuple[float, float]:
        """The error in percent, and without the most frequent kind."""
        return 100 * self.n_wrong / self.n_images, 100 * (self.n_wrong - len(self.images)) / self.n_images

    def picture(self, image_shape: Sequence[int]) -> bytes:
        """Return a PNG of the labelled images of the class, then from a new row on those taken for another one."""
        data, labeled = self.dataset, self.stored["labeled_indices"]
        known = pictures(data.train_images[labeled[data.train_labels[labeled] == self.true]], image_shape) / 255
        taken = pictures(data.test_images[self.images], image_shape) / 255
        tiles = np.full((SIDE**2, *taken.shape[1:]), 0.5)
        known = known[: SIDE * (SIDE - 1)]
        tiles[: len(known)] = 1 - known
        rest = tiles[-(-len(known) // SIDE) * SIDE :]
        rest[: len(taken)] = taken[: len(rest)]
        return mosaic_png(tiles)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args(arguments)
    dataset, folder = load_dataset(given.data), RunFolder(given.folder, read_record(given.folder))
    results, found = folder.results(), dict[tuple[str, int], list[tuple[float, float]]]()
    print("| model | labels | seed | error, % | most frequent mistake | all others, % |")
    print("|:--|--:|--:|--:|:--|--:|")
    for labels in sorted({result.labels for result in results}):
        of_budget = [result for result in results if result.labels == labels]
        for (model, seed), stored in stored_predictions(folder, of_budget, dataset).items():
            mistakes = Mistakes(stored, dataset)
            found.setdefault((model, labels), []).append(mistakes.errors)
            error, others = mistakes.errors
            names = f"{dataset.classes[mistakes.true]} taken for {dataset.classes[mistakes.taken_for]}"
            what = f"{names}: {len(mistakes.images)} images"
            print(f"| {model} | {labels} | {seed} | {error:.2f} | {what} | {others:.2f} |", flush=True)
            if given.pictures is not None and mistakes.share >= SHARE:
                given.pictures.mkdir(parents=True, exist_ok=True)
                png = mistakes.picture(folder.record["image_shape"])
                (given.pictures / f"{replica_name(model, labels, seed)}.png").write_bytes(png)
    for (model, labels), pairs in found.items():
        columns: list[list[Any]] = [list(column) for column in zip(*pairs, strict=True)]
        all_, others_ = (plus_minus(mean(column), standard_deviation(column)) for column in columns)
        print(f"| {model} | {labels} | all {len(pairs)} | {all_} | | {others_} |")


if __name__ == "__main__":
    main()
