from dataclasses import replace
from pathlib import Path

import pytest
from drawing import MODELS, catch_figures, is_whole, result, words
from matplotlib.figure import Figure

from ladder_ebgan.report.figures import error_by_seed, errors
from ladder_ebgan.results import Result


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return catch_figures(monkeypatch, errors)


@pytest.mark.parametrize(
    ("models", "budgets", "n_seeds"), [(MODELS[:1], (100,), 1), (MODELS, (50, 100, 200, 1000), 15)]
)
def test_it_draws(models: tuple[str, ...], budgets: tuple[int, ...], n_seeds: int, tmp_path: Path) -> None:
    rows = [
        result(model, labels, seed, 1.0 + 0.1 * seed + place)
        for place, model in enumerate(models)
        for labels in budgets
        for seed in range(n_seeds)
    ]
    error_by_seed(iter(rows), tmp_path / "errors")
    assert is_whole(tmp_path / "errors")


def test_a_seed_is_joined_over_a_model_that_lacks_it(drawn: list[Figure], tmp_path: Path) -> None:
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
    error_by_seed(rows, tmp_path / "errors")
    (axes,) = drawn[0].axes
    joined = [line.get_xydata().tolist() for line in axes.lines if line.get_color() == errors.GREY]
    assert joined == [[[0, 2.0], [1, 1.8], [2, 1.5]], [[0, 3.0], [2, 2.5]]]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "ladder\n2 seeds",
        "ladder-matched\n1 seed\n1 diverged",
        "ebgan-ladder\n2 seeds",
    ]
    assert axes.get_title() == "100 labels"
    assert drawn[0].get_supylabel() == "test error (%)"


def test_mean_and_interval_are_shown(drawn: list[Figure], tmp_path: Path) -> None:
    """1, 2, 3: mean 2, half width 2.484138 (worked by hand in the tests of the statistics)."""
    error_by_seed([result("ladder", 100, seed, seed + 1.0) for seed in range(3)], tmp_path / "errors")
    (container,) = drawn[0].axes[0].containers
    (bar,) = container.lines[2]
    low, high = bar.get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_the_interval_is_wider_where_seeds_share_rows(drawn: list[Figure], tmp_path: Path) -> None:
    """As above, with the variance (1/3 + 25/100) instead of 1/3: 2.484138 sqrt(7/4)."""
    rows = [replace(result("ladder", 100, seed, seed + 1.0), n_test=25) for seed in range(3)]
    error_by_seed(rows, tmp_path / "errors")
    (bar,) = drawn[0].axes[0].containers[0].lines[2]
    assert bar.get_segments()[0][1, 1] == pytest.approx(2 + 2.484138 * 1.75**0.5, abs=1e-5)


def test_two_seeds_have_a_mean_without_interval(drawn: list[Figure], tmp_path: Path) -> None:
    error_by_seed([result("ladder", 100, seed, seed + 1.0) for seed in range(2)], tmp_path / "errors")
    (container,) = drawn[0].axes[0].containers
    assert container.lines[0].get_ydata().tolist() == [1.5]
    assert container.lines[2] == ()


@pytest.mark.parametrize(("highest", "shared"), [(4.0, True), (4.1, False)])
def test_panels_are_by_labels_and_share_the_axis_of_comparable_errors(
    highest: float, shared: bool, drawn: list[Figure], tmp_path: Path
) -> None:
    error_by_seed([result("ladder", 1000, 0, 1.0), result("ladder", 100, 0, highest)], tmp_path / "errors")
    few, many = drawn[0].axes
    assert (few.get_title(), many.get_title()) == ("100 labels", "1000 labels")
    assert (few.get_ylim() == many.get_ylim()) == shared


@pytest.mark.parametrize(("rows", "said"), [([], ["nothing to show yet"]), ([result("ladder", 100, 0, None)], [])])
def test_without_a_finished_seed(rows: list[Result], said: list[str], drawn: list[Figure], tmp_path: Path) -> None:
    error_by_seed(rows, tmp_path / "errors")
    assert words(drawn[0].axes[0]) == said
