"""Looks at the data that comes along, and at the place where a run writes."""

import os
from collections.abc import Iterator
from pathlib import Path

from ladder_ebgan import system
from ladder_ebgan.doctor.finding import Finding
from ladder_ebgan.errors import UsageError

OUTPUT = Path("runs")  # above the folders of runs that are not told where to write
NEEDED_DISK = 1_400_000_000  # 15 seeds of table2 with the checkpoints of two processes, as run --dry-run counts


def mnist() -> Iterator[Finding]:
    """Look at whether the packaged MNIST is as it was published."""
    from ladder_ebgan.data import load_dataset

    try:
        dataset = load_dataset("mnist")
    except UsageError as error:
        to_do = "install ladder-ebgan anew, or give other data to a run: --data digits"
        yield Finding("MNIST", "missing", str(error), to_do, True, {"intact": False})
        return
    said = f"{len(dataset.train_labels)} + {len(dataset.test_labels)} images, checksums right"
    yield Finding("MNIST", "ok", said, values={"intact": True, "fingerprint": dataset.fingerprint})


def output_folder() -> Iterator[Finding]:
    """Look at whether runs can write where they do by default."""
    folder = OUTPUT.absolute()
    place = system.nearest(folder)
    free = system.free_bytes(folder)
    values = {"folder": str(folder), "free_bytes": free}
    room = "" if free is None else f"; {free / 1e9:.1f} GB are free"
    elsewhere = "ladder-ebgan run --output DIR ..., with another folder"
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        yield Finding("output", "missing", f"{folder} cannot be written to", elsewhere, True, values)
    elif free is not None and free < NEEDED_DISK:
        said = f"{folder} can be written to{room}, where 15 seeds of table2 take {NEEDED_DISK / 1e9:.1f}"
        yield Finding("output", "note", said, elsewhere, values=values)
    else:
        yield Finding("output", "ok", f"{folder} can be written to{room}", values=values)
