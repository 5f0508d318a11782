"""What evaluation statistics of labelled or of all training images do to the errors of a run's models, as trained.

python benchmarks/calibration.py RUN_FOLDER [--data DATA]

DATA is what the run was trained on, mnist if not said. Nothing is trained and nothing is written: it prints a table
in Markdown, paired over seeds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ladder_ebgan.data import load_dataset
from ladder_ebgan.evaluation import calibrate, class_probabilities, labeled_calibration, unlabeled_calibration
from ladder_ebgan.model_files import ModelFile, find_models
from ladder_ebgan.models import load
from ladder_ebgan.report.lines import plus_minus
from ladder_ebgan.runs import replica_name
from ladder_ebgan.statistics import compare_paired, mean, standard_deviation


def errors(folder: Path, file: ModelFile, images: Tensor, test_images: Tensor, test_labels: Tensor) -> list[float]:
    """Return the test errors of a model in percent: statistics of labelled images, of all training images."""
    model = load([file], torch.device("cpu"))
    batch_size = model.recipe.training.batch_size
    name = replica_name(model.name, model.labels, model.seeds[0])
    with np.load(folder / "predictions" / f"{name}.npz", allow_pickle=False) as arrays:
        labeled = arrays["labeled_indices"]
    found = []
    for calibration in (
        labeled_calibration([labeled], batch_size),
        unlabeled_calibration(len(images), model.seeds, batch_size, at_most=len(images)),
    ):
        statistics = calibrate(model.ladder, images, *calibration)
        predicted = class_probabilities(model.ladder, statistics, test_images)[0].argmax(dim=-1)
        found.append(100 * (predicted != test_labels).double().mean().item())
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default="mnist")
    given = parser.parse_args(arguments)
    dataset = load_dataset(given.data)
    arrays = dataset.train_images, dataset.test_images, dataset.test_labels
    found: dict[tuple[str, int], list[list[float]]] = {}
    print(
        "| model | labels | seed | labelled images, error % | all training images, error % |\n|:--|--:|--:|--:|--:|"
    )
    for file in find_models(given.folder):
        model, labels, seed = file.metadata.model, file.metadata.labels, file.metadata.seed
        pair = errors(given.folder, file, *map(torch.from_numpy, arrays))
        found.setdefault((model, labels), []).append(pair)
        print(f"| {model} | {labels} | {seed} | {pair[0]:.2f} | {pair[1]:.2f} |", flush=True)
    for (model, labels), pairs in found.items():
        columns = [list(column) for column in zip(*pairs, strict=True)]
        cells = " | ".join(plus_minus(mean(column), standard_deviation(column)) for column in columns)
        paired = compare_paired(*columns)
        interval = "" if paired.ci95 is None else f", 95 % {paired.ci95[0]:+.2f} to {paired.ci95[1]:+.2f}"
        print(f"| {model} | {labels} | all: {paired.mean_difference:+.2f} points{interval} | {cells} |")


if __name__ == "__main__":
    main()
