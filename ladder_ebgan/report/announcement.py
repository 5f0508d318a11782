"""What a run says before it trains: on what, for how long, and what would be faster."""

import json
from collections.abc import Iterator

from ladder_ebgan.experiment import Experiment
from ladder_ebgan.machine import what_would_be_faster
from ladder_ebgan.processes import division, why_so_many_processes
from ladder_ebgan.report.progress import duration

LONG_SECONDS = 600  # a run is called long, and told what would be faster


def announcement(experiment: Experiment, verbose: bool) -> Iterator[str]:
    """Yield lines; the one on how long it will take comes after a few steps were timed."""
    request, resolved = experiment.request, experiment.resolved
    if verbose:
        yield f"Resolved: {resolved.device_name}, {json.dumps(resolved.stored())}, {resolved.precision}"
    for name in resolved.overruled(request.replicas_at_once, request.compiled, request.n_processes):
        yield f"{name} is kept as this folder's run began; another value needs another --output."
    if not experiment.groups:
        yield "Everything asked for is already trained."
        return
    if experiment.measured_now:
        yield f"Chosen by measurement: {why_so_many_processes(resolved.measured)}."
    n_replicas = sum(len(group.replicas) for group in experiment.groups)
    how = "compiled" if resolved.compiled else "not compiled"
    where = f", in {division(resolved.n_processes, resolved.n_threads)}" if resolved.n_processes > 1 else ""
    yield f"Training {n_replicas} replicas on {resolved.device_name} ({resolved.precision}, {how}){where}."
    if resolved.compiled and resolved.device.type == "cuda":
        yield "Compiling the step, which takes a minute or two the first time ..."
    seconds = experiment.estimated_seconds()
    yield f"This will take about {duration(seconds)}, going by a few timed steps."
    if seconds > LONG_SECONDS:
        shorter = [] if request.recipe_name == "demo" else ["--recipe demo, a shortened table"]
        advice = [*what_would_be_faster(resolved), *shorter]
        yield f"Faster may be, in a new folder (--output DIR): {'; '.join(advice)}."
