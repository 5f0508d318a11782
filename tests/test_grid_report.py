"""The numbers and figures of a grid, as text, Markdown, JSON and histograms."""

import json
from pathlib import Path

import grids
import numpy as np
import pytest
from drawing import catch_figures, is_whole
from matplotlib.figure import Figure

from ladder_ebgan.report.figures import grid as figures
from ladder_ebgan.report.figures.grid import N_BINS, draw_grid
from ladder_ebgan.report.grid import grid_json, grid_markdown, grid_text
from ladder_ebgan.search.grid_comparison import compare_grids
from ladder_ebgan.statistics import holm


def test_the_text_says_what_there_is() -> None:
    lines = grid_text(grids.compared()).splitlines()
    assert lines[:3] == [
        "EBGAN: 3 of 32 settings, of 3 architectures, 0 diverged.",
        "GAN: 4 of 32 settings, of 2 architectures, 1 diverged, 2 unfinished and left out.",
        "A run of EBGAN has a higher I' than one of GAN with a probability of 0.92.",
    ]
    assert lines[4] == "Figure 2, by number of layers"
    assert lines[14] == "Figure 3, GANs by optimiser and learning rate, beside all EBGANs"
    assert lines[-1] == "The test images of MNIST have an I' of 8.00."


def test_a_panel_has_two_rows() -> None:
    """The column of p has other p-values in figure 3."""
    lines = [line for line in grid_markdown(grids.compared()).splitlines() if "|" in line]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert rows[0][1:] == [
        *("runs of", "n", "median I'", "I' >= 2.00", "I' >= 4.00", "I' >= 6.00", "all ten digits"),
        *("P(EBGAN > GAN)", "p"),
    ]
    assert rows[2][:6] == ["(a) all", "EBGAN", "3", "6.00", "100 %", "100 %"]
    assert rows[2][6:9] == ["67 %", "67 %", "0.92"]
    assert rows[3] == ["", "GAN", "4", "1.50", "50 %", "25 %", "0 %", "25 %", "", ""]
    assert rows[7] == ["", "GAN", "0", *[""] * 7]
    assert rows[8][-1] == "Holm p"


def test_six_architectures_on_both_sides_have_an_interval() -> None:
    ebgan, gan = (grids.grid(m, [grids.run(s, s) for s in range(1, 7)]) for m in ("ebgan", "gan"))
    low_high = compare_grids(ebgan, gan, 8.0).panels[0].comparison
    assert low_high is not None
    assert low_high.ci95 is not None
    low, high = low_high.ci95
    text = grid_text(compare_grids(ebgan, gan, 8.0))
    assert f"than one of GAN with a probability of 0.50 (95 %: {low:.2f} to {high:.2f}).\n" in text
    assert f"0.50 [{low:.2f}, {high:.2f}]" in text


def test_json_has_the_numbers() -> None:
    found = json.loads(grid_json(grids.compared((3,))))
    assert (found["real_score"], found["thresholds"]) == (8.0, [3])
    assert found["gan"] == {
        **{"folder": "gan", "model": "gan", "n_runs": 4, "n_architectures": 2},
        **{"n_diverged": 1, "n_unfinished": 2, "n_settings": 32, "covered": {}},
    }
    first, _, last = found["panels"][:3]
    assert (first["figure"], first["title"]) == ("figure2", "(a) all")
    assert (first["gan"]["n"], first["gan"]["median"], first["gan"]["median_ci95"]) == (4, 1.5, None)
    assert first["gan"]["above"] == [{"share": 0.25, "ci95": None}]
    assert first["gan"]["all_digits"] == {"share": 0.25, "ci95": None}
    assert first["comparison"]["probability"] == pytest.approx(11 / 12)
    assert 0 < first["comparison"]["p_mann_whitney"] < 1
    assert first["comparison"]["p_holm"] is None
    of_figure3 = [panel["comparison"] for panel in found["panels"] if panel["figure"] == "figure3"]
    assert [each["p_holm"] for each in of_figure3] == holm([each["p_mann_whitney"] for each in of_figure3])
    assert (last["gan"], last["comparison"]) == (None, None)


def test_what_of_the_grid_the_runs_cover_is_said() -> None:
    ebgan = grids.grid("ebgan", [grids.run(6, 1)], covered={"generator.size": [400, 800], "dropout": [0.0]})
    text = grid_text(compare_grids(ebgan, grids.grid("gan", [grids.run(2, 1)]), 8.0))
    first = (
        "EBGAN: 1 of 32 settings, of 1 architectures, 0 diverged. Only with generator.size 400, 800; dropout 0.0.\n"
    )
    assert text.startswith(f"{first}GAN: 1 of 32 settings, of 1 architectures, 0 diverged.\n")


def test_without_a_run_there_is_nothing_to_say() -> None:
    found = compare_grids(grids.grid("ebgan", []), grids.grid("gan", []), 8.0)
    text = grid_text(found)
    assert text.startswith("EBGAN: 0 of 32 settings, of 0 architectures, 0 diverged.\nGAN: 0 of 32")
    assert "probability" not in text
    assert "Figure 3" not in text
    assert json.loads(grid_json(found))["panels"][0]["ebgan"] is None


# The figures.


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return catch_figures(monkeypatch, figures)


def test_histograms_are_shares_of_the_runs(drawn: list[Figure], tmp_path: Path) -> None:
    """Bins of 0.34 reach from 0 to a little above 8, the score of real images: 4 is in bin 11, 6 in 17, 7 in 20."""
    draw_grid(grids.compared(), tmp_path)
    axes = drawn[0].axes[0]
    ebgan, gan = (patch.get_path().vertices for patch in axes.patches)
    assert np.asarray(ebgan)[:, 0].max() == pytest.approx(8 * 1.02)
    heights = {round(x / (8 * 1.02 / N_BINS)): y for x, y in np.asarray(ebgan) if y > 0}
    assert set(heights) == {11, 12, 17, 18, 20, 21}
    assert list(heights.values()) == [pytest.approx(100 / 3)] * 6
    assert np.asarray(gan)[:, 1].max() == pytest.approx(25)


def test_panels_say_whose_they_are(drawn: list[Figure], tmp_path: Path) -> None:
    draw_grid(grids.compared((3,)), tmp_path)
    second, third = drawn
    assert second.get_suptitle() == "Modified inception score I' over the grid"
    titles = [axes.get_title() for axes in second.axes]
    assert titles[0] == "(a) all\nEBGAN 3 runs, median 6.00\nGAN 4 runs, median 1.50"
    assert titles[2] == "(c) at most 3 layers\nEBGAN 1 run, median 6.00"
    assert [axes.axison for axes in third.axes] == [True, True, False]
    assert third.axes[1].get_title().splitlines()[0] == "D sgd, G adam, 0.01"
    lines = [line.get_xdata()[0] for line in second.axes[0].lines]  # type: ignore[index]
    assert lines == [3, 8]
    (legend,) = second.legends
    assert [text.get_text() for text in legend.get_texts()] == ["EBGAN", "GAN", "thresholds", "real images"]
    assert all(axes.get_legend() is None for axes in second.axes)


def test_the_lowest_panels_have_the_axis(drawn: list[Figure], tmp_path: Path) -> None:
    """Of four panels in rows of three, the fourth and those above an empty place."""
    gans = [grids.run(2, 1, optimizers=grids.ADAM._replace(generator_rate=rate)) for rate in (1, 2, 3, 4)]
    draw_grid(compare_grids(grids.grid("ebgan", [grids.run(9, 1)]), grids.grid("gan", gans), 8.0), tmp_path)
    axes = drawn[1].axes
    assert [each.get_xlabel() for each in axes] == ["", "I'", "I'", "I'", "", ""]
    shown = [each.xaxis.get_tick_params()["labelbottom"] for each in axes[:4]]
    assert shown == [False, True, True, True]
    assert axes[0].get_xlim()[1] > 9


def test_without_a_run_a_figure_says_so(drawn: list[Figure], tmp_path: Path) -> None:
    draw_grid(compare_grids(grids.grid("ebgan", []), grids.grid("gan", []), 8.0), tmp_path)
    assert [text.get_text() for text in drawn[1].axes[0].texts] == ["nothing to show yet"]
    assert drawn[1].legends == []


def test_it_is_stored_in_both_formats(tmp_path: Path) -> None:
    found = grids.compared()
    figures.histograms(found, found.of_figure("figure2"), "Title", tmp_path / "figure2")
    assert is_whole(tmp_path / "figure2")
