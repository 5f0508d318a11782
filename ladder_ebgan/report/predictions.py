"""Predictions as CSV, and their scores as text or JSON."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from ladder_ebgan.data.images import Images
from ladder_ebgan.models import TrainedModel
from ladder_ebgan.prediction import Predictions
from ladder_ebgan.scores import N_BINS, Scores

MAX_CLASSES_IN_TEXT = 20  # a confusion matrix of more does not fit on a screen


def predictions_csv(images: Images, predictions: Predictions, model: TrainedModel, with_probabilities: bool) -> str:
    """Return one line an image or row: name, label, probability of it, energy, what else is known or asked for."""
    probabilities, energies = predictions.probabilities, predictions.energies
    several = len(predictions.of_models) > 1
    header = [model.examples.removesuffix("s"), "label", "probability", "energy"]
    header += ["agreement"] if several else []
    header += ["true_label"] if images.labels is not None else []
    header += [f"probability_{label}" for label in model.classes] if with_probabilities else []
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for i, (name, row) in enumerate(zip(images.names, probabilities.tolist(), strict=True)):
        best = int(probabilities[i].argmax())
        cells = [name, model.classes[best], f"{row[best]:.6g}", "" if energies is None else f"{energies[i]:.6g}"]
        cells += [f"{predictions.agreement[i]:.3g}"] if several else []
        cells += [images.labels[i]] if images.labels is not None else []
        cells += [f"{p:.6g}" for p in row] if with_probabilities else []
        writer.writerow(cells)
    return buffer.getvalue()


def far_rows(far: NDArray[np.bool_], names: Sequence[str] | None) -> str | None:
    """Return how many rows have features `[n, features]` far outside those of the training; None if none has."""
    rows, of_features = int(far.any(axis=1).sum()), far.sum(axis=0)
    if not rows:
        return None
    worst = int(of_features.argmax())
    feature = repr(names[worst]) if names else f"feature {worst}"
    return (
        f"{rows} of {len(far)} rows lie far outside those of the training, {of_features[worst]} of them by "
        f"{feature}: what is said of them is hardly worth anything."
    )


def scores_json(
    model: TrainedModel, predictions: Predictions, scores: Scores | None, of_seeds: Sequence[Scores]
) -> str:
    """Return the scores and what was scored; numbers that are not known are null."""
    energies = predictions.energies
    mean_energy = None if energies is None or not np.isfinite(energies).all() else float(energies.mean())
    record = {
        "model": model.name,
        "labels": model.labels,
        "seeds": list(model.seeds),
        "classes": list(model.classes),
        "n_images": len(predictions.probabilities),
        "mean_energy": mean_energy,
        "scores": None if scores is None else asdict(scores),
        "error_percent_of_seeds": [one.error_percent for one in of_seeds],
    }
    return json.dumps(record, indent=1) + "\n"


def scores_text(model: TrainedModel, scores: Scores, of_seeds: Sequence[Scores]) -> str:
    """Return the scores for people: a line each, the bins of the calibration, the confusion matrix."""
    wrong = f"{scores.n_wrong} of {scores.n} {model.examples}"
    if scores.sampling_error is not None:
        wrong += f"; standard error of sampling {model.examples} {scores.sampling_error:.2f}"
    if scores.largest_error is not None:
        wrong += f"; the rate may still be as high as {scores.largest_error:.2g} %, 95 % confidence"
    calibration_error = f"{scores.calibration_error_percent:.2f} % (expected calibration error, {N_BINS} bins)"
    lines = [
        model.description,
        f"error                {scores.error_percent:.2f} % ({wrong})",
        f"mean log-likelihood  {scores.mean_log_likelihood:.4f}",
        f"Brier score          {scores.brier_score:.4f} (0 is best, 2 worst)",
        f"calibration error    {calibration_error}",
    ]
    if len(of_seeds) > 1:
        errors = ", ".join(f"{one.error_percent:.2f}" for one in of_seeds)
        lines.insert(2, f"error of each seed   {errors} %")
    return (
        "\n".join([*lines, "", *_bin_lines(scores, model.examples), "", *_confusion_lines(scores, model.classes)])
        + "\n"
    )


def _bin_lines(scores: Scores, examples: str) -> list[str]:
    lines = [f"confidence    {examples:>6}  mean confidence  accuracy %"]
    for one in scores.bins:
        if one.mean_confidence is not None and one.accuracy_percent is not None:
            span = f"{one.lower:.2f} to {one.upper:.2f}"
            lines.append(f"{span}  {one.n:6}  {one.mean_confidence:15.4f}  {one.accuracy_percent:10.2f}")
    return lines


def _confusion_lines(scores: Scores, classes: Sequence[int | str]) -> list[str]:
    if len(classes) > MAX_CLASSES_IN_TEXT:
        return [f"The confusion matrix of {len(classes)} classes is in the output of --json."]
    names = [str(label) for label in classes]
    width = max(5, *(len(str(count)) for row in scores.confusion for count in row), *map(len, names))
    rows = ["".join(f"  {count:{width}}" for count in row) for row in scores.confusion]
    first = max(len("true label"), *map(len, names))
    return [
        f"{'':{first}}  predicted label",
        f"{'true label':{first}}" + "".join(f"  {name:>{width}}" for name in names),
        *(f"{name:{first}}{row}" for name, row in zip(names, rows, strict=True)),
    ]
