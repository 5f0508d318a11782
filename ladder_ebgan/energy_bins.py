"""Histograms of energies as text: eight bins an octave, fixed in advance, so that those of all runs go together.

Bin k has the energies from 2^(k/8) to 2^((k+1)/8), so each is 9 % wider than the one below it, whatever the unit: a
norm of a few, or a sum of squares of hundreds.
"""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

BINS_PER_OCTAVE = 8
LOWEST = -80  # has what is below it as well: less than a thousandth is as good as nothing
COUNTS = re.compile(r"(-?\d{1,4}:\d{1,9}( -?\d{1,4}:\d{1,9})*)?")


def histogram_text(energies: NDArray[np.floating]) -> str:
    """Return how many energies are in which bins, such as `24:3 25:7`; what is not finite is in none."""
    finite = energies[np.isfinite(energies)].astype(np.float64)
    with np.errstate(divide="ignore"):
        numbers = np.floor(BINS_PER_OCTAVE * np.log2(finite))
    bins, counts = np.unique(np.maximum(numbers, LOWEST).astype(int), return_counts=True)
    return " ".join(f"{number}:{count}" for number, count in zip(bins, counts, strict=True))


def histogram_of(text: str) -> Mapping[int, int]:
    """Return the counts by bin that a text says.

    Raises:
        ValueError: it is not what `histogram_text` writes.
    """
    if not COUNTS.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no histogram, such as 24:3 25:7")
    pairs = (pair.split(":") for pair in text.split())
    return {int(number): int(count) for number, count in pairs}


def lower_edge(number: NDArray[np.integer] | int) -> NDArray[np.float64]:
    """Return the least energy of a bin."""
    return np.exp2(np.asarray(number) / BINS_PER_OCTAVE)
