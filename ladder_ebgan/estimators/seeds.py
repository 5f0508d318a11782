"""The seeds of the replicas of a fit."""

import numbers
from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def replica_seeds(random_state: Any, n_replicas: int) -> tuple[int, ...]:
    """Return a seed for each replica: the first is an integer `random_state` itself, the others follow from it.

    More replicas have the seeds of fewer, and those of another `random_state` share none with them.
    """
    generator = check_random_state(random_state)
    whole = isinstance(random_state, numbers.Integral)
    first = int(random_state) if whole else int(generator.randint(2**31 - 1))
    others = np.random.SeedSequence(first).generate_state(n_replicas - 1)
    return (first, *others.tolist())
