"""Looks at what a run would choose here if nothing is said."""

from collections.abc import Iterator

from ladder_ebgan.doctor.finding import Finding

RECIPE = "table2"  # that `run` has by default


def choices() -> Iterator[Finding]:
    """Look at the choices of a run with default options, and at why."""
    import torch

    from ladder_ebgan.machine import multiplies_bfloat16, resolve
    from ladder_ebgan.processes import division, process_counts
    from ladder_ebgan.recipe import load_recipe

    recipe = load_recipe(RECIPE)
    longest_steps = max(recipe.settings(model).n_steps for model in recipe.models)
    resolved = resolve("auto", "auto", None, None, longest_steps)
    on_cpu = resolved.device.type == "cpu"
    why = "no CUDA GPU that PyTorch can use" if on_cpu else f"the first of {torch.cuda.device_count()} GPUs"
    yield Finding("device", "ok", f"{resolved.device_name}: {why}", values={"device": str(resolved.device)})

    how = "with" if multiplies_bfloat16(resolved.device) else "without"
    possible = {"float32": "", **({} if on_cpu else {"tf32": ""}), "bfloat16": f" ({how} instructions for it)"}
    others = [f"{name}{how}" for name, how in possible.items() if name != resolved.precision]
    why = "nothing faster is" if resolved.precision == "float32" else "it is"
    said = f"{resolved.precision}, since {why} shown to make as few errors; possible too: {', '.join(others)}"
    yield Finding("precision", "ok", said, values={"precision": resolved.precision, "possible": list(possible)})

    n_replicas = recipe.n_seeds * len(recipe.labels) * 2
    counts = process_counts(resolved, n_replicas)
    divisions = [division(count, resolved.n_threads // count) for count in counts]
    measured = ", whichever a long run measures to be faster at its start" if len(counts) > 1 else ""
    values = {"n_processes": counts, "n_threads": [resolved.n_threads // count for count in counts]}
    yield Finding("processes", "ok", " or ".join(divisions) + measured, values=values)

    said = f"{'' if resolved.compiled else 'not '}compiled, up to {resolved.replicas_at_once} replicas at once"
    yield Finding(
        "step", "ok", said, values={"compiled": resolved.compiled, "replicas_at_once": resolved.replicas_at_once}
    )
