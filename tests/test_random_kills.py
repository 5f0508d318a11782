"""A few of the kills that `random_kills.py` can be asked for by the hundred."""

from pathlib import Path

import random_kills
import tiny


def test_runs_killed_at_random_end_with_the_bits_of_an_undisturbed_one(server: tiny.Server, tmp_path: Path) -> None:
    tally = random_kills.kill_at_random(server, tmp_path, n_kills=3, seed=1)
    assert tally.n_kills >= 3
    assert tally.n_rounds >= 1
    assert sum(tally.found.values()) == tally.n_kills
