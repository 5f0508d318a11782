"""What `ladder-ebgan search --dry-run` prints: what a grid of GANs would train, and for how long.

Keys of the JSON object:

    folder, device
    n_wanted, n_known, n_left            settings
    n_batches, n_steps                   what trains together; steps of each setting
    flops                                of the matrix products that are left
    training_seconds, scoring_seconds    of one process
    n_processes, seconds                 of all of them
    timed: one entry an architecture     name, and of a step of one setting flops, seconds, predicted (seconds)
"""

import json
from collections.abc import Iterator

from ladder_ebgan.report.lines import columns
from ladder_ebgan.report.phrases import duration
from ladder_ebgan.search.estimate import Estimate
from ladder_ebgan.search.trainer import Task


def estimate_json(found: Estimate, task: Task) -> str:
    """Return the JSON object."""
    content = {
        "folder": str(task.folder),
        "n_wanted": found.n_wanted,
        "n_known": found.n_known,
        "n_left": found.n_wanted - found.n_known,
        "n_batches": found.n_batches,
        "n_steps": found.n_steps,
        "flops": found.flops,
        "training_seconds": round(found.training_seconds, 1),
        "scoring_seconds": round(found.scoring_seconds, 1),
        "n_processes": found.n_processes,
        "seconds": round(found.seconds, 1),
        "device": task.resolved.device_name,
        "timed": [
            {"name": each.name, "flops": each.work.flops, "seconds": each.seconds, "predicted": predicted}
            for each, predicted in zip(found.timed, found.predicted, strict=True)
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def estimate_text(found: Estimate, task: Task) -> str:
    """Return the estimate in lines."""
    n_left = found.n_wanted - found.n_known
    known = f", {found.n_known} of them known" if found.n_known else ""
    lines = ["Dry run: nothing is written, nothing is trained.", "", f"folder    {task.folder}"]
    lines.append(f"settings  {found.n_wanted}{known}; {n_left} to train in {found.n_batches} batches")
    if n_left:
        processes = f"{found.n_processes} processes" if found.n_processes > 1 else "one process"
        lines += [
            f"steps     {found.n_steps} each; {found.flops:.2g} floating-point operations in matrix products",
            f"device    {task.resolved.device_name}, {processes}",
            f"time      about {duration(found.seconds)}: {duration(found.training_seconds)} of training and "
            f"{duration(found.scoring_seconds)} of scoring, if one process did it all",
            "",
            "Timed here, milliseconds of a step of one setting; the others follow from these by their arithmetic:",
            "",
            *columns(["architecture", "GFLOP", "measured", "by the fit"], _rows(found)),
        ]
    return "\n".join(lines) + "\n"


def _rows(found: Estimate) -> Iterator[list[str]]:
    for each, predicted in zip(found.timed, found.predicted, strict=True):
        yield [each.name, f"{each.work.flops / 1e9:.2f}", f"{1000 * each.seconds:.1f}", f"{1000 * predicted:.1f}"]
