"""Which replicas train together, and how long several processes need for the groups."""

import heapq
from collections.abc import Iterable, Sequence

from ladder_ebgan.runs import Group, Replica, RunFolder


def finished_replicas(folder: RunFolder) -> set[tuple[str, Replica]]:
    """Return the replicas that have a result, with their models."""
    return {(row.model, Replica(row.labels, row.seed)) for row in folder.results()}


def plan_groups(
    folder: RunFolder,
    models: Sequence[str],
    replicas: Sequence[Replica],
    replicas_at_once: int,
    n_processes: int = 1,
) -> list[Group]:
    """Return the unfinished groups that the request takes, in the order of the models.

    Groups recorded earlier stay as they are, so that their checkpoints and their rounding stay valid; a request for
    one replica of such a group trains the whole group. The other replicas form new groups.
    """
    finished = finished_replicas(folder)
    planned = []
    for model in models:
        recorded = [group for group in folder.groups if group.model == model]
        taken = {replica for group in recorded for replica in group.replicas}
        for group in recorded:
            unfinished = any((model, replica) not in finished for replica in group.replicas)
            if unfinished and set(group.replicas) & set(replicas):
                planned.append(group)
        new = [replica for replica in replicas if replica not in taken]
        start = 0
        for size in group_sizes(len(new), replicas_at_once, n_processes):
            planned.append(Group(model, tuple(new[start : start + size])))
            start += size
    return planned


def group_sizes(n_replicas: int, at_most: int, n_processes: int) -> list[int]:
    """Return the sizes of groups that keep all processes at work: nearly equal, and the same number for each."""
    n_rounds = -(-n_replicas // (at_most * n_processes))
    n_groups = min(n_replicas, n_rounds * n_processes)
    return [n_replicas // n_groups + (position < n_replicas % n_groups) for position in range(n_groups)]


def total_seconds(group_seconds: Iterable[float], n_processes: int) -> float:
    """Return when the last group ends if each process takes the next one from the queue as soon as it is free."""
    ends = [0.0] * n_processes
    for seconds in group_seconds:
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)
