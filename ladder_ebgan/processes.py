"""How many processes share the cores of a CPU, and with how many threads each: chosen by measurement."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ladder_ebgan.any_recipe import AnyRecipe
from ladder_ebgan.machine import Measured, Resolved
from ladder_ebgan.planning import total_seconds
from ladder_ebgan.runs import Group
from ladder_ebgan.timing import Phase, phase_of
from ladder_ebgan.training import adversarial_steps

MEASURING_PAYS_REPLICA_STEPS = 20_000  # of all replicas together: minutes of training, for seconds of measuring
ROUNDS = 3  # measurements of each division of the cores, in turns; the median counts

# (processes, threads of each, replicas of each, which steps) -> seconds of a step in each process
Measure = Callable[[int, int, int, Phase], list[float]]


def process_counts(resolved: Resolved, n_replicas: int) -> list[int]:
    """Return the numbers of processes worth measuring: powers of two that divide the cores, and all cores.

    None is larger than the number of replicas, since each process needs one to train. On a GPU there is one.
    """
    n_cores = resolved.n_threads if resolved.device.type == "cpu" else 1
    powers = [2**power for power in range(n_cores.bit_length()) if n_cores % 2**power == 0]
    return [count for count in sorted({*powers, n_cores}) if count <= n_replicas]


def replica_steps(recipe: AnyRecipe, groups: Sequence[Group]) -> int:
    """Return the number of steps of all replicas together."""
    return sum(len(group.replicas) * recipe.settings(group.model).n_steps for group in groups)


def fastest_division(
    resolved: Resolved, plans: Mapping[int, Sequence[Group]], recipe: AnyRecipe, measure: Measure
) -> Resolved:
    """Return `resolved` with the processes and threads that train the most replica-steps a second.

    Args:
        resolved: with one process and a thread for each core.
        plans: the groups to train for each number of processes that comes into question.
        recipe: of the run.
        measure: times steps in several processes at once.
    """
    divisions = [(n_processes, resolved.n_threads // n_processes) for n_processes in plans]
    phase = _longest_phase(recipe, plans[1])

    def rate(n_processes: int, n_threads: int) -> float:
        n_replicas = _largest(plans[n_processes])
        return sum(n_replicas / seconds for seconds in measure(n_processes, n_threads, n_replicas, phase))

    rounds = [[rate(*division) for division in divisions] for _ in range(ROUNDS)]
    measured = tuple(
        Measured(
            n_processes,
            n_threads,
            n_replicas=_largest(plans[n_processes]),
            replica_steps_per_second=round(float(np.median(rates)), 2),
            busy_share=round(_busy_share(recipe, plans[n_processes], n_processes), 4),
        )
        for (n_processes, n_threads), rates in zip(divisions, zip(*rounds, strict=True), strict=True)
    )
    best = max(measured, key=lambda one: one.speed)
    return replace(resolved, n_processes=best.n_processes, n_threads=best.n_threads, measured=measured)


def division(n_processes: int, n_threads: int) -> str:
    """Return a division of the cores in words."""
    threads = "1 thread" if n_threads == 1 else f"{n_threads} threads"
    return f"one process with {threads}" if n_processes == 1 else f"{n_processes} processes with {threads} each"


def why_so_many_processes(measured: Sequence[Measured]) -> str:
    """Return in one line what the division of the cores was chosen by."""
    best, *others = sorted(measured, key=lambda one: -one.speed)
    against = " and ".join(
        f"{other.speed:.3g} in {division(other.n_processes, other.n_threads)}" for other in others
    )
    return (
        f"{division(best.n_processes, best.n_threads)}: {best.speed:.3g} replica-steps a second, against {against}"
    )


def _longest_phase(recipe: AnyRecipe, groups: Sequence[Group]) -> Phase:
    """Return the phase that most steps are in, the first one of several."""
    n_steps: Counter[Phase] = Counter()
    for group in groups:
        settings = recipe.settings(group.model)
        adversarial = adversarial_steps(settings)
        for n, kind in ((settings.n_steps - adversarial, False), (adversarial, True)):
            if n:
                n_steps[phase_of(recipe, group.model, kind)] += n * len(group.replicas)
    return max(n_steps, key=lambda phase: n_steps[phase])


def _largest(groups: Sequence[Group]) -> int:
    return max(len(group.replicas) for group in groups)


def _busy_share(recipe: AnyRecipe, groups: Sequence[Group], n_processes: int) -> float:
    """Return which share of the run the processes train, if a group takes as long as it has replica-steps."""
    work = [replica_steps(recipe, [group]) for group in groups]
    return sum(work) / (n_processes * total_seconds(work, n_processes))
