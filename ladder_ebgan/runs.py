"""The folder of a run: what is stored in it, resumed from it, and refused.

    run.json        what the run is and how it was resolved
    results.csv     one row a finished replica
    history.csv     learning curves
    energies.csv    histograms of energies, where generators train
    predictions/    one npz a replica: labelled indices, class probabilities of the test images, generated images
    models/         one safetensors file a replica
    checkpoints/    one safetensors file an unfinished group of replicas

Whole files are written to a temporary name, synchronised and renamed, so that a reader never sees half a file and
a kill at any moment loses at most the steps since the last checkpoint. One process at a time holds the folder.
"""

import errno
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import (
    first_difference,
    locked_folder,
    refuse_strangers,
    refusing,
    remove_files,
    write_atomically,
)
from ladder_ebgan.record import FORMAT, parse_record
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result
from ladder_ebgan.rows import Row, is_current, read_rows, rows_text
from ladder_ebgan.system import nearest

TRAINED_FILES = ["results.csv", "history.csv", "energies.csv", "predictions", "models"]
RUN_FILES = [  # all but run.json
    *[*TRAINED_FILES, "checkpoints", "figures"],
    *["table.json", "table.md", "table.csv", "table.tex", "report.html"],
]
RECORD = "run.json"
Curve = TypeVar("Curve", CurvePoint, EnergyHistogram)  # a row of a file that grows
FOLDERS = ("predictions", "models", "checkpoints", "figures")


class Replica(NamedTuple):
    """A training run: its label budget and its seed."""

    labels: int
    seed: int


@dataclass(frozen=True)
class Group:
    """Replicas of one model that train as one batch; fixed once made, since rounding depends on it."""

    model: str
    replicas: tuple[Replica, ...]

    @property
    def name(self) -> str:
        """Name of the group's checkpoint: its model and its first replica, which is in no other group."""
        first = self.replicas[0]
        return replica_name(self.model, first.labels, first.seed)

    @property
    def identity(self) -> dict[str, Any]:
        """What `run.json` and the group's checkpoint say of it."""
        return {"model": self.model, "replicas": [list(replica) for replica in self.replicas]}

    def has(self, row: CurvePoint | EnergyHistogram) -> bool:
        """Return whether a row is of one of its replicas."""
        return row.model == self.model and (row.labels, row.seed) in self.replicas


def replica_name(model: str, labels: int, seed: int) -> str:
    """Return the name of a replica's files."""
    return f"{model}-{labels}-{seed}"


class RunFolder:
    """An open run folder; make one with `open_run_folder`."""

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self.record = record  # the content of run.json

    def save_record(self) -> None:
        """Write `run.json`."""
        write_atomically(self.path / "run.json", json.dumps(self.record, indent=1).encode() + b"\n")

    @property
    def groups(self) -> list[Group]:
        """Groups of replicas that were ever asked for, in order."""
        return [
            Group(group["model"], tuple(Replica(*replica) for replica in group["replicas"]))
            for group in self.record["groups"]
        ]

    def add_groups(self, groups: Iterable[Group]) -> None:
        """Record groups before the first of them begins: however a run is cut short, they stay as they are."""
        known = set(self.groups)
        self.record["groups"] += [group.identity for group in groups if group not in known]
        self.save_record()

    def results(self) -> list[Result]:
        """Return the finished replicas.

        Raises:
            UsageError: the file is damaged, or has two results of one replica.
        """
        by_replica: dict[tuple[str, int, int], Result] = {}
        for row in read_rows(self.path / "results.csv", Result):
            if by_replica.setdefault((row.model, row.labels, row.seed), row) != row:
                which = f"{row.model} with {row.labels} labels and seed {row.seed}"
                raise UsageError(f"{self.path / 'results.csv'} has two results of {which}: remove the wrong one")
        return list(by_replica.values())

    def add_results(self, results: Iterable[Result]) -> None:
        """Add finished replicas, all at once; of a replica that was trained again the later result counts."""
        by_replica = {(row.model, row.labels, row.seed): row for row in [*self.results(), *results]}
        _write_rows(self.path / "results.csv", by_replica.values(), Result)

    def history(self) -> list[CurvePoint]:
        """Return the learning curves."""
        return read_rows(self.path / "history.csv", CurvePoint)

    def energies(self) -> list[EnergyHistogram]:
        """Return the histograms of energies."""
        return read_rows(self.path / "energies.csv", EnergyHistogram)

    def sort_rows(self) -> None:
        """Put results, learning curves and energies in the order of the groups, whichever of them was faster."""
        order = {
            (group.model, *replica): position
            for position, group in enumerate(self.groups)
            for replica in group.replicas
        }
        _sort_rows(self.path / "results.csv", Result, order)
        _sort_rows(self.path / "history.csv", CurvePoint, order)
        _sort_rows(self.path / "energies.csv", EnergyHistogram, order)

    def repair_history(self) -> None:
        """Drop a last line that a kill cut short, so that the next line does not continue it.

        Columns that an earlier version did not know are added, so that the lines to come have no others.
        """
        _repair_rows(self.path / "history.csv", CurvePoint)
        _repair_rows(self.path / "energies.csv", EnergyHistogram)

    def append_history(self, points: Iterable[CurvePoint], histograms: Iterable[EnergyHistogram] = ()) -> None:
        """Append points of learning curves, and the energies of the same step."""
        _append_rows(self.path / "history.csv", list(points), CurvePoint)
        _append_rows(self.path / "energies.csv", list(histograms), EnergyHistogram)

    def cut_history(self, group: Group, step: int) -> None:
        """Drop what a group's curves and energies say after `step`: the steps to come will say it again."""
        _cut_rows(self.path / "history.csv", CurvePoint, group, step)
        _cut_rows(self.path / "energies.csv", EnergyHistogram, group, step)

    def checkpoint_path(self, group: Group) -> Path:
        """Return where the group's checkpoint is, or would be."""
        return self.path / "checkpoints" / f"{group.name}.safetensors"

    def save_checkpoint(self, group: Group, content: bytes) -> None:
        """Write the group's checkpoint."""
        write_atomically(self.checkpoint_path(group), content)

    def remove_checkpoint(self, group: Group) -> None:
        """Remove the checkpoint of a finished group, and the folder with the last one."""
        path = self.checkpoint_path(group)
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()

    def save_predictions(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write `predictions/<name>.npz`."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(self.path / "predictions" / f"{name}.npz", buffer.getvalue())

    def save_model(self, name: str, content: bytes) -> None:
        """Write `models/<name>.safetensors`."""
        write_atomically(self.path / "models" / f"{name}.safetensors", content)


@contextmanager
def open_run_folder(path: Path, description: dict[str, Any], fresh: bool) -> Iterator[RunFolder]:
    """Open a run folder, new or to be continued, and hold its lock.

    Args:
        path: of the folder; it is made if it does not exist.
        description: what `run.json` says of the run from its first start on. Under `identity` it has what a
            result depends on: another identity in the folder is refused.
        fresh: remove what an earlier run left there.

    Raises:
        UsageError: the folder is a file, another run's, not a run's, in use, or cannot be written.
    """
    with locked_folder(path, RECORD, FOLDERS):
        folder = RunFolder(path, _new_record(description) if fresh else _record(path, description))
        if fresh and os.path.lexists(path / RECORD):  # a kill at any time leaves a record, else it were no run's
            remove_files(path, RUN_FILES)
            folder.save_record()
        folder.repair_history()
        yield folder


def view_run_folder(path: Path, description: dict[str, Any], fresh: bool) -> RunFolder:
    """Return a run folder as `open_run_folder` would open it, without its lock and without writing anything.

    With `fresh` its record is that of a new run, though the old one's files are still there.

    Raises:
        UsageError: what `open_run_folder` raises, but for a folder in use.
    """
    with refusing(path):
        place = nearest(path)
        if not place.is_dir():
            raise FileExistsError
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if place == path:
            refuse_strangers(path, RECORD, FOLDERS)
    return RunFolder(path, _new_record(description) if fresh else _record(path, description))


def read_record(path: Path) -> dict[str, Any]:
    """Read `run.json` of a run folder.

    Raises:
        UsageError: it is missing, damaged, or of another version.
    """
    try:
        text = (path / "run.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path} is not a run folder: it has no run.json") from None
    except NotADirectoryError:
        raise UsageError(f"{path} is not a run folder, but a file: name the folder of a run") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read {path / 'run.json'}: {reason}") from error
    return parse_record(text, path / "run.json")


def _record(path: Path, description: dict[str, Any]) -> dict[str, Any]:
    if not os.path.lexists(path / "run.json"):
        return _new_record(description)
    record = read_record(path)
    here = _with_variants_of(record["identity"], description["identity"])
    record["identity"] = _with_variants_of(here, record["identity"])
    difference = _difference(record["identity"], here)
    if difference:
        raise UsageError(
            f"the folder {path} holds another run ({difference}): "
            "name another folder with --output, or give --fresh to replace it"
        )
    return record


def _new_record(description: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, **description, "groups": [], "starts": []}


def _with_variants_of(other: dict[str, Any], identity: dict[str, Any]) -> dict[str, Any]:
    """Return an identity with the variants of another beside its own: like seeds, they are added to a run."""
    recipe = identity["recipe"]
    variants = {**other["recipe"].get("variants", {}), **recipe.get("variants", {})}
    return {**identity, "recipe": {**recipe, "variants": variants}} if variants else identity


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    """Return where two identities differ; of the data the fingerprint counts, and the name tells it apart."""
    if there["data"]["fingerprint"] != here["data"]["fingerprint"]:
        if there["data"]["name"] == here["data"]["name"]:
            return f"the contents of its data, {here['data']['name']}, were others"
        return f"its data is {there['data']['name']}, not this {here['data']['name']}"
    return first_difference(there | {"data": None}, here | {"data": None})


def _sort_rows(path: Path, row_type: type[Row], order: dict[tuple[str, int, int], int]) -> None:
    rows = read_rows(path, row_type)
    ordered = sorted(rows, key=lambda row: order.get((row.model, row.labels, row.seed), len(order)))
    if ordered != rows:
        _write_rows(path, ordered, row_type)


def _write_rows(path: Path, rows: Iterable[Row], row_type: type[Row]) -> None:
    write_atomically(path, rows_text(rows, row_type, header=True).encode())


def _append_rows(path: Path, rows: list[Row], row_type: type[Row]) -> None:
    """Append rows to a file that is made with its header when there are the first of them."""
    if rows:
        text = rows_text(rows, row_type, header=not path.exists())
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)


def _repair_rows(path: Path, row_type: type[Row]) -> None:
    rows = read_rows(path, row_type)
    if path.exists() and not is_current(path, row_type):
        _write_rows(path, rows, row_type)


def _cut_rows(path: Path, row_type: type[Curve], group: Group, step: int) -> None:
    if path.exists():
        kept = [row for row in read_rows(path, row_type) if row.step <= step or not group.has(row)]
        _write_rows(path, kept, row_type)
