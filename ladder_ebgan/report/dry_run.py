"""What `ladder-ebgan run --dry-run` prints: the plan of a run, as text or as one JSON object.

Keys of the JSON object:

    folder, folder_state     its path; "new", "goes on", or "started anew", which is with --fresh
    dataset, recipe, overrides (what --set has changed), models, labels, seeds
    settings                 of the recipe, by section: all that --set can change but labels and n_seeds
    device, precision, compiled, replicas_at_once, n_processes, n_threads
    measured                 what processes and threads were chosen by; empty where that was not measured
    plan: one entry a model
        model, n_steps       of each replica
        n_asked, n_finished  replicas; those asked for that are finished
        n_left, n_groups     to be trained, in so many groups
        replica_steps        of all of them together
    groups: as they begin    model, replicas [labels, seed], first_step, n_steps
    replica_steps, seconds   that are left, in total
    finished_bytes           of the folder when all is done, tables and figures left out
    checkpoint_bytes         more than that, at most, while it trains
    free_bytes               null where the system does not tell
    notes                    sentences
"""

import json
from collections.abc import Iterator
from dataclasses import asdict

from ladder_ebgan.dry_run import DryRun
from ladder_ebgan.processes import division, why_so_many_processes
from ladder_ebgan.report.announcement import kept_options, what_to_do_if_long
from ladder_ebgan.report.data_notes import chosen_settings, data_in_words, data_notes
from ladder_ebgan.report.lines import columns, hanging
from ladder_ebgan.report.phrases import duration, started_line
from ladder_ebgan.report.seeds import seed_list
from ladder_ebgan.sizing import AUTO

FOLDER_STATES = {
    "new": "for a new run",
    "goes on": "whose run goes on",
    "started anew": "whose run is started anew",
}
HEADING = "Dry run: nothing is written, nothing is trained."


def dry_run_json(plan: DryRun) -> str:
    """Return the JSON object."""
    request, resolved = plan.experiment.request, plan.experiment.resolved
    content = {
        "folder": str(plan.experiment.folder.path),
        "folder_state": plan.folder_state,
        "dataset": plan.experiment.dataset.name,
        "recipe": request.recipe_name,
        "settings": request.recipe.identity(),
        "overrides": request.overrides,
        "models": request.models,
        "labels": request.labels,
        "seeds": request.seeds,
        **{"device": resolved.device_name, "precision": resolved.precision, **resolved.stored()},
        "measured": [asdict(measured) for measured in resolved.measured],
        "plan": [asdict(model) for model in plan.models],
        "groups": [
            {**asdict(started.group), "first_step": started.first_step, "n_steps": started.n_steps}
            for started in plan.groups
        ],
        "replica_steps": plan.replica_steps,
        "seconds": round(plan.seconds, 1),
        "finished_bytes": plan.finished_bytes,
        "checkpoint_bytes": plan.checkpoint_bytes,
        "free_bytes": plan.free_bytes,
        "notes": list(_notes(plan)),
    }
    return json.dumps(content, indent=1) + "\n"


def dry_run_text(plan: DryRun, width: int | None) -> str:
    """Return the plan in lines of at most `width`, but for its table, or of any length."""
    facts = _facts(plan)
    indent = max(map(len, facts)) + 2
    order = [hanging("  ", started_line(started), width) for started in plan.groups]
    blocks = [
        [HEADING],
        [hanging(f"{name:{indent}}", text, width) for name, text in facts.items()],
        _table(plan),
        ["In this order:", *order] if order else [],
        [hanging("", note, width) for note in _notes(plan)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _facts(plan: DryRun) -> dict[str, str]:
    from rich.filesize import decimal

    experiment, request, resolved = plan.experiment, plan.experiment.request, plan.experiment.resolved
    dataset = experiment.dataset
    facts = {
        "folder": f"{experiment.folder.path}, {FOLDER_STATES[plan.folder_state]}",
        "data": data_in_words(dataset),
        "recipe": request.recipe_name + (", with changed settings" if request.overrides else ""),
        **({"settings": chosen_settings(request)} if request.recipe_name == AUTO else {}),
        "labels": ", ".join(str(labels or "none") for labels in request.labels),
        "seeds": seed_list(request.seeds),
        "device": f"{resolved.device_name} ({resolved.precision}, {'' if resolved.compiled else 'not '}compiled)",
        "processes": f"{division(resolved.n_processes, resolved.n_threads)}, "
        f"up to {resolved.replicas_at_once} replicas at once{' in each' if resolved.n_processes > 1 else ''}",
        "time": f"about {duration(plan.seconds)}, going by a few timed steps" if plan.groups else "none",
        "disk": f"about {decimal(plan.finished_bytes)} when it is finished",
    }
    if plan.groups:
        facts["disk"] += f", up to {decimal(plan.checkpoint_bytes)} more for checkpoints until then"
    if plan.free_bytes is not None:
        facts["disk"] += f"; {decimal(plan.free_bytes)} are free"
    return facts


def _table(plan: DryRun) -> list[str]:
    """Return the lines of a table of what is asked for, finished and left of each model."""
    headings = ("model", "asked for", "finished", "to train", "groups", "steps each", "replica-steps")
    return columns(
        headings,
        [
            (
                each.model,
                each.n_asked,
                each.n_finished,
                each.n_left,
                each.n_groups,
                each.n_steps,
                each.replica_steps,
            )
            for each in plan.models
        ],
    )


def _notes(plan: DryRun) -> Iterator[str]:
    """Yield what is to be said besides."""
    experiment = plan.experiment
    measured = experiment.resolved.measured
    if plan.folder_state == "started anew":
        yield f"--fresh will throw away what {experiment.folder.path} holds of a run."
    yield from data_notes(experiment)
    yield from kept_options(experiment)
    if measured and not experiment.folder.record["starts"]:
        yield f"Chosen by measurement, which the start repeats: {why_so_many_processes(measured)}."
    if not plan.groups:
        yield "Everything asked for is already trained."
    if (
        plan.free_bytes is not None
        and plan.free_bytes < plan.checkpoint_bytes + plan.finished_bytes - plan.replaced_bytes
    ):
        yield "The disk may be too small: make room, or name a folder on another one with --output."
    yield from what_to_do_if_long(experiment, plan.seconds)
