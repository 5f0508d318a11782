"""What a run says before it trains: on what, for how long, and what would be faster."""

import json
from collections.abc import Iterator

from ladder_ebgan.experiment import Experiment
from ladder_ebgan.machine import what_would_be_faster
from ladder_ebgan.processes import division, why_so_many_processes
from ladder_ebgan.report.data_notes import data_in_words, data_notes
from ladder_ebgan.report.phrases import duration

LONG_SECONDS = 600  # a run is called long, and told what would be faster


def announcement(experiment: Experiment, verbose: bool) -> Iterator[str]:
    """Yield lines; the one on how long it will take comes after a few steps were timed."""
    resolved = experiment.resolved
    if verbose:
        yield f"Resolved: {resolved.device_name}, {json.dumps(resolved.stored())}, {resolved.precision}"
    dataset = experiment.dataset
    if not dataset.is_images_with_test or len(dataset.labeled_rows) < len(dataset.train_labels):
        yield f"{data_in_words(dataset)}."
    yield from data_notes(experiment)
    yield from kept_options(experiment)
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
    yield from what_to_do_if_long(experiment, seconds)


def kept_options(experiment: Experiment) -> Iterator[str]:
    """Yield a line for each option that was given with another value than the folder's run began with."""
    request = experiment.request
    for name in experiment.resolved.overruled(request.replicas_at_once, request.compiled, request.n_processes):
        yield f"{name} is kept as this folder's run began; another value needs another --output."


def what_to_do_if_long(experiment: Experiment, seconds: float) -> Iterator[str]:
    """Yield what would be faster if the run takes long."""
    if seconds > LONG_SECONDS:
        of_images = experiment.dataset.columns is None
        demo = of_images and experiment.request.recipe_name != "demo"
        shorter = ["--recipe demo, a shortened table"] if demo else [] if of_images else ["fewer --seeds"]
        advice = [*what_would_be_faster(experiment.resolved), *shorter]
        yield f"Faster may be, in a new folder (--output DIR): {'; '.join(advice)}."
