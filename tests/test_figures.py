import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from ladder_ebgan.report import figures
from ladder_ebgan.report.figures import error_by_seed, generated_images, learning_curves
from ladder_ebgan.results import CurvePoint, Result

MODELS = ("ladder", "ladder-matched", "ebgan-ladder", "another")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would have been saved, to look at what they show."""
    seen: list[Figure] = []
    monkeypatch.setattr(figures, "_save", lambda figure, path: seen.append(figure))
    return seen


def result(model: str, labels: int, seed: int, error: float | None) -> Result:
    status = "diverged" if error is None else "ok"
    return Result(model, labels, seed, status, error, None, 100, 1.0, "cpu", "float32", "0.1.0", "2.13.0")


def point(model: str, step: int, error: float | None, seed: int = 0, labels: int = 100) -> CurvePoint:
    return CurvePoint(model, labels, seed, step, 0.001, 0.1, 0.2, error, None, None, None, None)


def adversarial(step: int, energies: tuple[float, float | None, float], seed: int = 0) -> CurvePoint:
    real, generated, margin = energies
    plain = point("ebgan-ladder", step, 5.0, seed)
    return replace(plain, energy_real=real, energy_generated=generated, margin=margin)


def is_whole_png(path: Path) -> bool:
    return imread(path).ndim == 3 and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("n_seeds", [1, 2, 15])
@pytest.mark.parametrize(("models", "budgets"), [(MODELS[:1], (100,)), (MODELS, (100, 200, 1000))])
def test_error_by_seed_draws(
    n_seeds: int, models: tuple[str, ...], budgets: tuple[int, ...], tmp_path: Path
) -> None:
    rows = [
        result(model, labels, seed, 1.0 + 0.1 * seed + place)
        for place, model in enumerate(models)
        for labels in budgets
        for seed in range(n_seeds)
    ]
    error_by_seed(rows, tmp_path / "errors.png")
    assert is_whole_png(tmp_path / "errors.png")


def test_error_by_seed_joins_a_seed_over_a_model_that_lacks_it(drawn: list[Figure], tmp_path: Path) -> None:
    """Seed 0 has all three models; seed 1 diverged in the middle one, its line goes from first to last."""
    rows = [
        result("ladder", 100, 0, 2.0),
        result("ladder-matched", 100, 0, 1.8),
        result("ebgan-ladder", 100, 0, 1.5),
    ]
    rows += [
        result("ladder", 100, 1, 3.0),
        result("ladder-matched", 100, 1, None),
        result("ebgan-ladder", 100, 1, 2.5),
    ]
    error_by_seed(rows, tmp_path / "errors.png")
    (axes,) = drawn[0].axes
    joined = [line.get_xydata().tolist() for line in axes.lines if line.get_color() == figures.GREY]
    assert joined == [[[0, 2.0], [1, 1.8], [2, 1.5]], [[0, 3.0], [2, 2.5]]]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "ladder\n2 seeds",
        "ladder-matched\n1 seed\n1 diverged",
        "ebgan-ladder\n2 seeds",
    ]
    assert axes.get_title() == "100 labels"
    assert axes.get_ylabel() == "test error (%)"


def test_error_by_seed_shows_mean_and_interval(drawn: list[Figure], tmp_path: Path) -> None:
    """1, 2, 3: mean 2, half width 2.484138 (worked by hand in the tests of the statistics)."""
    error_by_seed([result("ladder", 100, seed, seed + 1.0) for seed in range(3)], tmp_path / "errors.png")
    (container,) = drawn[0].axes[0].containers
    (bar,) = container.lines[2]
    low, high = bar.get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_two_seeds_have_a_mean_without_interval(drawn: list[Figure], tmp_path: Path) -> None:
    error_by_seed([result("ladder", 100, seed, seed + 1.0) for seed in range(2)], tmp_path / "errors.png")
    (container,) = drawn[0].axes[0].containers
    assert container.lines[0].get_ydata().tolist() == [1.5]
    assert container.lines[2] == ()


def test_panels_are_by_labels_and_share_the_error_axis(drawn: list[Figure], tmp_path: Path) -> None:
    error_by_seed([result("ladder", 1000, 0, 1.0), result("ladder", 100, 0, 9.0)], tmp_path / "errors.png")
    few, many = drawn[0].axes
    assert (few.get_title(), many.get_title()) == ("100 labels", "1000 labels")
    assert few.get_ylim() == many.get_ylim()


@pytest.mark.parametrize("rows", [[], [result("ladder", 100, 0, None)]])
def test_error_by_seed_without_a_finished_seed(rows: list[Result], tmp_path: Path) -> None:
    error_by_seed(rows, tmp_path / "errors.png")
    assert is_whole_png(tmp_path / "errors.png")


def test_learning_curves_are_mean_and_range_over_seeds(drawn: list[Figure], tmp_path: Path) -> None:
    """Step 10: 4 and 8, mean 6; step 20: seed 1 has no value, seed 0 has 2."""
    points = [point("ladder", 20, 2.0), point("ladder", 10, 4.0), point("ladder", 10, 8.0, seed=1)]
    learning_curves([*points, point("ladder", 20, None, seed=1)], tmp_path / "curves.png")
    (axes,) = drawn[0].axes
    assert axes.lines[0].get_xydata().tolist() == [[10, 6.0], [20, 2.0]]
    corners = set(map(tuple, axes.collections[0].get_paths()[0].vertices.tolist()))
    assert {(10.0, 4.0), (10.0, 8.0), (20.0, 2.0)} == corners
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "error on unlabelled images (%)"
    assert axes.get_xlabel() == "training step"


def test_a_generating_model_has_a_row_of_energies(drawn: list[Figure], tmp_path: Path) -> None:
    """Means over two seeds: (8 + 6) / 2 = 7, (14 + 12) / 2 = 13, margin 16; then no generated images."""
    points = [adversarial(0, (8.0, 14.0, 16.0)), adversarial(0, (6.0, 12.0, 16.0), seed=1)]
    points += [
        adversarial(500, (4.0, None, 0.0)),
        point("ladder", 0, 9.0),
        point("ladder", 500, 6.0, labels=200),
    ]
    learning_curves(points, tmp_path / "curves.png")
    upper, _, lower, beside = drawn[0].axes
    assert [line.get_xydata().tolist() for line in lower.lines] == [
        [[0, 7.0], [500, 4.0]],
        [[0, 13.0]],
        [[0, 16.0], [500, 0.0]],
    ]
    assert lower.get_ylabel() == "ebgan-ladder\nenergy per image"
    assert [text.get_text() for text in beside.get_legend().get_texts()] == [
        "energy of real images",
        "energy of generated images",
        "margin",
    ]
    assert [line.get_color() for line in upper.lines] == [figures.BLUE, figures.VERMILION]


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_learning_curves_draw(n_seeds: int, tmp_path: Path) -> None:
    points = [
        point(model, step, 50 / (1 + step / 500) + seed, seed, labels)
        for model in MODELS
        for labels in (100, 200, 1000)
        for seed in range(n_seeds)
        for step in range(0, 3000, 1000)
    ]
    learning_curves(iter([*points, adversarial(0, (1.0, 2.0, 3.0))]), tmp_path / "curves.png")
    assert is_whole_png(tmp_path / "curves.png")


def test_steps_are_counted_in_thousands(drawn: list[Figure], tmp_path: Path) -> None:
    learning_curves([point("ladder", step, 5.0) for step in (0, 120_000)], tmp_path / "curves.png")
    format_step = drawn[0].axes[0].xaxis.get_major_formatter()
    assert [format_step(0), format_step(500), format_step(120_000)] == ["0", "0.5k", "120k"]


@pytest.mark.parametrize("errors", [[], [None], [float("nan")], [0.0, 0.0], [3.0, 0.0]])
def test_learning_curves_without_a_logarithm(errors: list[float | None], tmp_path: Path) -> None:
    learning_curves([point("ladder", step, error) for step, error in enumerate(errors)], tmp_path / "curves.png")
    assert is_whole_png(tmp_path / "curves.png")


def test_unknown_models_have_styles_of_their_own() -> None:
    models = ["ladder", "first", "second"]
    assert len({figures._style(model, models) for model in models}) == 3


@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (2, 23, 8, 8), (15, 20, 28, 28), (3, 12, 6, 9), (1, 5, 64, 64)])
def test_generated_images_draw(shape: tuple[int, int, int, int], tmp_path: Path) -> None:
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    generated_images(images, tmp_path / "images.png", range(shape[0]))
    assert is_whole_png(tmp_path / "images.png")


def test_generated_images_stand_beside_their_seed(drawn: list[Figure], tmp_path: Path) -> None:
    """Two replicas of two 3 x 3 images, two pixels apart: image i of replica r is at row 5r, column 5i."""
    images = np.arange(4.0).reshape(2, 2, 1, 1) / 4 * np.ones((2, 2, 3, 3))
    generated_images(images, tmp_path / "images.png", [7, 12])
    (axes,) = drawn[0].axes
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    assert shown.shape == (8, 8)
    for replica in range(2):
        for number in range(2):
            tile = shown[5 * replica : 5 * replica + 3, 5 * number : 5 * number + 3]
            np.testing.assert_array_equal(tile, images[replica, number])
    assert np.isnan(shown[3:5]).all()
    assert np.isnan(shown[:, 3:5]).all()
    assert axes.get_yticks().tolist() == [1, 6]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["seed 7", "seed 12"]


def test_many_images_are_a_block_of_lines_in_order(drawn: list[Figure], tmp_path: Path) -> None:
    """23 images of one pixel: two lines of 12, the last place blank; pixels stand three apart."""
    generated_images(np.arange(23.0).reshape(1, 23, 1, 1) / 23, tmp_path / "images.png", [0])
    shown = np.ma.filled(drawn[0].axes[0].images[0].get_array(), np.nan)[::3, ::3]
    np.testing.assert_array_equal(shown.ravel(), [*(np.arange(23.0) / 23), np.nan])


def test_images_that_are_not_finite_are_named(drawn: list[Figure], tmp_path: Path) -> None:
    images = np.zeros((2, 3, 4, 4))
    images[1] = np.nan
    generated_images(images, tmp_path / "images.png", [0, 1])
    labels = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert labels == ["seed 0", "seed 1, not finite"]


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 1, 4, 4), (2, 0, 4, 4)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"are not \[2 seeds, n, height, width\]"):
        generated_images(np.zeros(shape), tmp_path / "images.png", [0, 1])


def test_a_figure_replaces_the_old_one_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "errors.png"
    path.write_bytes(b"old")

    def full_disk(_: int) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            error_by_seed([], path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    error_by_seed([], path)
    assert is_whole_png(path)


def test_neither_importing_loads_matplotlib_nor_drawing_pyplot(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from ladder_ebgan.report.figures import error_by_seed; "
        "assert 'matplotlib' not in sys.modules; "
        f"error_by_seed([], pathlib.Path({str(tmp_path / 'errors.png')!r})); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
