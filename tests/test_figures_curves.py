from dataclasses import replace
from pathlib import Path

import pytest
from drawing import MODELS, catch_figures, is_whole, point, words
from matplotlib.figure import Figure

from ladder_ebgan.report.figures import curves, energies, learning_curves
from ladder_ebgan.report.figures.drawing import BLUE, VERMILION
from ladder_ebgan.results import CurvePoint


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return catch_figures(monkeypatch, curves)


def adversarial(
    step: int,
    measured: tuple[float, float | None, float, float | None],
    seed: int = 0,
    labels: int = 100,
    model: str = "ebgan-ladder",
) -> CurvePoint:
    real, generated, margin, hinges = measured
    plain = point(model, step, 5.0, seed, labels)
    return replace(plain, energy_real=real, energy_generated=generated, margin=margin, open_hinges_percent=hinges)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_curve_is_mean_and_range_over_seeds(drawn: list[Figure], tmp_path: Path) -> None:
    """Step 10: 4 and 8, mean 6; step 20: seed 1 has no value, seed 0 has 2."""
    points = [point("ladder", 20, 2.0), point("ladder", 10, 4.0), point("ladder", 10, 8.0, seed=1)]
    learning_curves([*points, point("ladder", 20, None, seed=1)], tmp_path / "curves")
    (axes,) = drawn[0].axes
    assert axes.lines[0].get_xydata().tolist() == [[10, 6.0], [20, 2.0]]
    corners = set(map(tuple, axes.collections[0].get_paths()[0].vertices.tolist()))
    assert {(10.0, 4.0), (10.0, 8.0), (20.0, 2.0)} == corners
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "training step"
    assert drawn[0].get_supylabel() == "error on unlabelled images (%)"
    assert drawn[0].legends[0].get_title().get_text() == curves.BANDS


def test_models_have_their_colours_and_markers(drawn: list[Figure], tmp_path: Path) -> None:
    points = [point(model, step, 5.0) for model in ("ebgan-ladder", "ladder") for step in range(32)]
    learning_curves(points, tmp_path / "curves")
    (axes,) = drawn[0].axes
    assert [(line.get_color(), line.get_marker()) for line in axes.lines] == [(BLUE, "o"), (VERMILION, "^")]
    assert {line.get_markevery() for line in axes.lines} == {4}
    assert legend(drawn[0]) == ["ladder", "ebgan-ladder"]
    assert drawn[0].legends[0].get_title().get_text() == ""  # a single seed has no band


def test_budgets_have_panels_on_one_scale(drawn: list[Figure], tmp_path: Path) -> None:
    learning_curves([point("ladder", 0, 90.0, labels=20), point("ladder", 0, 1.0, labels=100)], tmp_path / "curves")
    few, many = drawn[0].axes
    assert (few.get_title(), many.get_title()) == ("20 labels", "100 labels")
    assert few.get_ylim() == many.get_ylim()
    assert many.get_yscale() == "log"


def test_they_draw(tmp_path: Path) -> None:
    points = [
        replace(point(model, step, 50 / (1 + step / 500) + seed, seed, labels), energy_real=3.0)
        for model in MODELS
        for labels in (50, 100, 200, 1000)
        for seed in range(3)
        for step in range(0, 3000, 1000)
    ]
    points += [adversarial(0, (1.0, 2.0, 3.0, 50.0), labels=labels) for labels in (50, 100, 200, 1000)]
    for draw in (learning_curves, energies):
        draw(iter(points), tmp_path / draw.__name__ / "figure")
        assert is_whole(tmp_path / draw.__name__ / "figure")


def test_many_steps_are_counted_in_thousands(drawn: list[Figure], tmp_path: Path) -> None:
    learning_curves([point("ladder", step, 5.0) for step in (0, 120_000)], tmp_path / "curves")
    format_step = drawn[0].axes[0].xaxis.get_major_formatter()
    assert [format_step(0), format_step(500), format_step(120_000)] == ["0", "0.5k", "120k"]
    learning_curves([point("ladder", step, 5.0) for step in (0, 999)], tmp_path / "curves")
    drawn[1].draw_without_rendering()
    assert "800" in [label.get_text() for label in drawn[1].axes[0].get_xticklabels()]


@pytest.mark.parametrize(
    ("errors", "scale", "said"),
    [
        ([], "linear", ["nothing to show yet"]),
        ([None], "linear", ["nothing to show yet"]),
        ([float("nan")], "linear", ["nothing to show yet"]),
        ([0.0, 0.0], "linear", []),
        ([3.0, 0.0], "linear", []),
        ([3.0, 0.5], "log", []),
    ],
)
def test_curves_without_a_logarithm(
    errors: list[float | None], scale: str, said: list[str], drawn: list[Figure], tmp_path: Path
) -> None:
    learning_curves([point("ladder", step, error) for step, error in enumerate(errors)], tmp_path / "curves")
    (axes,) = drawn[0].axes
    assert (axes.get_yscale(), words(axes)) == (scale, said)


def test_energies_stand_over_the_open_hinges(drawn: list[Figure], tmp_path: Path) -> None:
    """Means over two seeds: (8 + 6) / 2 = 7, (14 + 12) / 2 = 13, margin 16, hinges 30; later nothing generated."""
    points = [adversarial(0, (8.0, 14.0, 16.0, 20.0)), adversarial(0, (6.0, 12.0, 16.0, 40.0), seed=1)]
    points += [adversarial(500, (4.0, None, 0.0, None)), point("ladder", 0, 9.0, labels=200)]
    energies(points, tmp_path / "energies")
    above, below = drawn[0].axes
    assert [line.get_xydata().tolist() for line in above.lines] == [
        [[0, 7.0], [500, 4.0]],
        [[0, 13.0]],
        [[0, 16.0], [500, 0.0]],
    ]
    assert [line.get_xydata().tolist() for line in below.lines] == [[[0, 30.0]]]
    assert (above.get_ylabel(), below.get_ylabel()) == ("energy per image", "open hinges (%)")
    assert (above.get_title(), below.get_xlabel()) == ("100 labels", "training step")
    assert legend(drawn[0]) == ["energy of real images", "energy of generated images", "margin"]
    assert drawn[0].get_suptitle() == "Energies of ebgan-ladder"


def test_two_generating_models_have_panels_of_their_own(drawn: list[Figure], tmp_path: Path) -> None:
    points = [
        adversarial(0, (8.0, 14.0, 16.0, 20.0), labels=labels, model=model)
        for model in ("other", "ebgan-ladder")
        for labels in (50, 100)
    ]
    points[0] = replace(points[0], energy_real=800.0)
    energies(points, tmp_path / "energies")
    above, below = drawn[0].axes[::2], drawn[0].axes[1::2]
    assert [axes.get_title() for axes in above] == [
        f"{model}\n{labels} labels" for model in ("ebgan-ladder", "other") for labels in (50, 100)
    ]
    assert [axes.get_ylabel() for axes in above] == ["energy per image", "", "", ""]
    assert [axes.get_ylabel() for axes in below] == ["open hinges (%)", "", "", ""]
    assert above[0].get_ylim()[1] < 20  # each has a scale of its own
    assert above[2].get_ylim()[1] > 700
    assert drawn[0].get_suptitle() == "Energies"


def test_many_models_have_panels_on_a_page_that_is_no_column(drawn: list[Figure], tmp_path: Path) -> None:
    points = [adversarial(0, (8.0, 14.0, 16.0, 20.0), model=f"margin-{number}") for number in range(6)]
    energies(points, tmp_path / "energies")
    width, height = drawn[0].get_size_inches()
    assert height < 1.5 * width


def test_a_run_without_a_generator_has_no_energies(tmp_path: Path) -> None:
    energies([replace(point("ladder", 0, 9.0), energy_real=3.0)], tmp_path / "energies")
    assert list(tmp_path.iterdir()) == []
