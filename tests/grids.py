"""Grids of EBGANs and GANs for tests, without a search."""

from pathlib import Path
from typing import Any

from ladder_ebgan.search.grid import Architecture, Grid, GridRun, Optimizers
from ladder_ebgan.search.grid_comparison import GridComparison, compare_grids

ADAM = Optimizers("adam", "adam", 0.001, 0.001)
SGD = Optimizers("sgd", "adam", 0.01, 0.01)
SHARED = {"data": {"name": "mnist"}, "n_steps": 30000}


def run(score: float, size: int, most_layers: int = 2, optimizers: Optimizers = ADAM, n_modes: int = 10) -> GridRun:
    """A run that has diverged if its score is 0."""
    return GridRun(score, score == 0, n_modes, Architecture(most_layers, size, 2, 128, 0.5), optimizers)


def grid(model: str, runs: list[GridRun], **changed: Any) -> Grid:
    """A grid of these runs, of 32 settings in all."""
    given = {"folder": Path(model), "n_unfinished": 0, "n_settings": 32, "covered": {}, "shared": SHARED}
    return Grid(**{"has_energy": model == "ebgan", **given, **changed, "model": model, "runs": runs})


def compared(thresholds: tuple[float, ...] = ()) -> GridComparison:
    """Three EBGANs and four GANs: figure 2 (c) has no GAN, figure 3 two panels, and real images have 8."""
    ebgans = [run(6, 1), run(4, 2, most_layers=4), run(7, 3, most_layers=5, n_modes=9)]
    gans = [
        *(run(1, 1, 4, SGD), run(5, 1, 4, ADAM, n_modes=3)),
        *(run(0, 2, 5, SGD, n_modes=0), run(2, 2, 5, ADAM, n_modes=9)),
    ]
    return compare_grids(grid("ebgan", ebgans), grid("gan", gans, n_unfinished=2), 8.0, thresholds)
