"""What is written of a replica: its learning curve, its result, and what its model file says of it."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ladder_ebgan._version import __version__
from ladder_ebgan.data import Dataset
from ladder_ebgan.energy_bins import histogram_text
from ladder_ebgan.machine import Resolved
from ladder_ebgan.recipe import identity_of_model
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result
from ladder_ebgan.runs import Group, Replica


class Trained(Protocol):
    """The state of a group whose training has ended."""

    step: int
    seconds: float
    diverged_step: Tensor


def result_of(
    group: Group, r: int, state: Trained, resolved: Resolved, failed: bool, values: dict[str, Any]
) -> Result:
    """Return the row of a replica.

    Args:
        group: of the replica.
        r: its place in the group.
        state: of the group.
        resolved: how it was trained.
        failed: whether it turned out at the end that the replica has no number to show.
        values: what it came to, by the columns of `Result`; left out where the replica diverged.
    """
    diverged_step, replica = int(state.diverged_step[r]), group.replicas[r]
    if diverged_step < 0 and failed:
        diverged_step = state.step
    ok = diverged_step < 0
    return Result(
        model=group.model,
        labels=replica.labels,
        seed=replica.seed,
        status="ok" if ok else "diverged",
        diverged_step=None if ok else diverged_step,
        steps=state.step,
        seconds=round(state.seconds / len(group.replicas), 1),
        device=resolved.device_name,
        precision=resolved.precision,
        version=__version__,
        torch_version=torch.__version__,
        **({"test_error_percent": None} | (values if ok else {})),
    )


def model_metadata(identity: dict[str, Any], model: str, replica: Replica, dataset: Dataset) -> dict[str, Any]:
    """Return what the model file of a replica says of it; `identity` is that of the run."""
    columns, of_table = dataset.columns, dict[str, Any]()
    if columns is not None:
        of_table = {"inputs": "features", "scaled": True}
        of_table |= {"columns": list(columns.features), "label_column": columns.label}
    return {
        "model": model,
        "labels": replica.labels,
        "seed": replica.seed,
        "version": __version__,
        "torch_version": torch.__version__,
        **identity,
        "recipe": identity_of_model(identity["recipe"], model),
        "classes": list(dataset.classes),
        "image_shape": list(dataset.image_shape),
        **of_table,
    }


def curve_points(
    group: Group, step: int, learning_rate: float, margin: float | None, measured: Mapping[str, Tensor | None]
) -> list[CurvePoint]:
    """Return a point of the learning curve of each replica.

    Args:
        group: of the replicas.
        step, learning_rate, margin: of all of them.
        measured: by column of `CurvePoint`, `[replicas]`; None where a quantity does not apply.
    """
    values = {name: None if column is None else _rounded(column) for name, column in measured.items()}
    return [
        CurvePoint(
            model=group.model,
            labels=replica.labels,
            seed=replica.seed,
            step=step,
            learning_rate=learning_rate,
            margin=margin,
            **{name: None if column is None else column[r] for name, column in values.items()},
        )
        for r, replica in enumerate(group.replicas)
    ]


def energy_histograms(
    group: Group, step: int, margin: float | None, real: Tensor | None, generated: Tensor | None
) -> list[EnergyHistogram]:
    """Return the energies of a step's minibatch `[replicas, batch]`, one row a replica; none where one is None."""
    if margin is None or real is None or generated is None:
        return []
    of_real, of_generated = (map(histogram_text, each.float().cpu().numpy()) for each in (real, generated))
    return [
        EnergyHistogram(group.model, *replica, step, margin, *texts)
        for replica, *texts in zip(group.replicas, of_real, of_generated, strict=True)
    ]


def _rounded(values: Tensor) -> list[float | None]:
    """Return the values of the replicas, to 6 digits; None where one is not finite."""
    return [float(f"{value:.6g}") if abs(value) < float("inf") else None for value in values.tolist()]
