"""How seeds are listed wherever people read them."""

from collections.abc import Iterable
from itertools import groupby


def seed_list(seeds: Iterable[int], dash: str = "-") -> str:
    """Return each seed once, in order, three or more in a row as their ends: `0-2, 7`."""
    groups = groupby(enumerate(sorted(set(seeds))), key=lambda pair: pair[1] - pair[0])
    runs = [[seed for _, seed in group] for _, group in groups]
    return ", ".join(f"{run[0]}{dash}{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def seeds_phrase(seeds: Iterable[int]) -> str:
    """Return `seed 3`, or `seeds` and their list."""
    different = set(seeds)
    return f"seed{'s' if len(different) > 1 else ''} {seed_list(different)}"
