"""What the tests of the figures share: a figure caught before it is stored, and rows to draw."""

from pathlib import Path
from types import ModuleType

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from ladder_ebgan.results import CurvePoint, Result

MODELS = ("ladder", "ladder-matched", "ebgan-ladder", "another")


def catch_figures(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[Figure]:
    """Return a list that fills with the figures that the module would have stored."""
    seen: list[Figure] = []
    monkeypatch.setattr(module, "save", lambda figure, path: seen.append(figure))
    return seen


def result(model: str, labels: int, seed: int, error: float | None) -> Result:
    status = "diverged" if error is None else "ok"
    return Result(model, labels, seed, status, error, None, 100, 1.0, "cpu", "float32", "0.1.0", "2.13.0")


def point(model: str, step: int, error: float | None, seed: int = 0, labels: int = 100) -> CurvePoint:
    return CurvePoint(model, labels, seed, step, 0.001, 0.1, 0.2, error, None, None, None, None)


def is_whole(path: Path) -> bool:
    """Whether a figure is there in both formats, and nothing else beside it."""
    png, svg = path.with_name(f"{path.name}.png"), path.with_name(f"{path.name}.svg")
    assert imread(png).ndim == 3
    assert svg.read_bytes().rstrip().endswith(b"</svg>")
    return sorted(path.parent.iterdir()) == [png, svg]


def words(axes: Axes) -> list[str]:
    """The words in axes, in the order in which they were written."""
    return [text.get_text() for text in axes.texts]
