import re
from pathlib import Path

import numpy as np
import pytest
from drawing import catch_figures, is_whole
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from ladder_ebgan.energy_bins import lower_edge
from ladder_ebgan.report.figures import energy_histograms, histograms
from ladder_ebgan.results import EnergyHistogram


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return catch_figures(monkeypatch, histograms)


def row(step: int, real: str, generated: str, margin: float = 8.0, seed: int = 0) -> EnergyHistogram:
    return EnergyHistogram("ebgan", 0, seed, step, margin, real, generated)


def maps(figure: Figure) -> tuple[QuadMesh, QuadMesh]:
    real, generated = (axes.collections[0] for axes in figure.axes[:2])
    assert isinstance(real, QuadMesh)
    assert isinstance(generated, QuadMesh)
    return real, generated


def test_a_column_is_the_share_of_the_images_of_all_seeds(drawn: list[Figure], tmp_path: Path) -> None:
    """At step 10: of seed 0 three images in bin 22 and one in 24, of seed 1 four in 22: 7 of 8 and 1 of 8.

    The margin of 8 begins bin 24, and the highest bin is the 25 of a generated image.
    """
    rows = [row(20, "23:4", "25:4"), row(10, "22:3 24:1", "25:4"), row(10, "22:4", "22:1 25:3", seed=1)]
    energy_histograms(rows, tmp_path / "x", "Title")
    real, generated = maps(drawn[0])
    assert real.get_array().tolist() == [[87.5, 0], [0, 100], [12.5, 0], [0, 0]]  # type: ignore[union-attr]
    assert generated.get_array().tolist() == [[12.5, 0], [0, 0], [0, 0], [87.5, 100]]  # type: ignore[union-attr]
    corners = np.asarray(real.get_coordinates())
    assert corners[0, :, 0].tolist() == [5, 15, 25]
    np.testing.assert_allclose(corners[:, 0, 1], lower_edge(np.arange(22, 27)))


def test_the_margin_is_a_line_in_both(drawn: list[Figure], tmp_path: Path) -> None:
    """As long as it is above 0, where a logarithmic axis ends."""
    rows = [row(step, "24:1", "24:1", margin) for step, margin in ((0, 16.0), (500, 1.0), (1000, 0.0))]
    energy_histograms(rows, tmp_path / "x", "Energies", "rows")
    above, below = drawn[0].axes[:2]
    for axes in (above, below):
        assert [line.get_xydata().tolist() for line in axes.lines] == [[[0, 16.0], [500, 1.0]]]
        assert axes.get_yscale() == "log"
        assert axes.get_ylim() == pytest.approx((8, 16 * 2 ** (1 / 8)))
    assert (above.get_title(), below.get_title()) == ("real rows", "generated rows")
    assert below.get_ylabel() == "energy per row"
    assert below.get_xlabel() == "training step"
    assert below.xaxis.get_major_formatter()(500) == "0.5k"
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["margin"]
    assert drawn[0].get_suptitle() == "Energies"


def test_one_step_and_no_finite_energy(drawn: list[Figure], tmp_path: Path) -> None:
    energy_histograms([row(7, "", "", margin=0.0)], tmp_path / "x", "Title")
    real, _ = maps(drawn[0])
    assert real.get_array().tolist() == [[0.0]]  # type: ignore[union-attr]
    assert np.asarray(real.get_coordinates())[0, :, 0].tolist() == [6.5, 7.5]
    assert drawn[0].legends == []


def test_without_a_histogram_there_is_no_figure(tmp_path: Path) -> None:
    energy_histograms([], tmp_path / "x", "Title")
    assert list(tmp_path.iterdir()) == []


def test_it_draws_and_its_maps_are_pixels(tmp_path: Path) -> None:
    """As so many squares the SVG would be some megabytes."""
    rows = [row(10 * step, f"{40 - step // 10}:90 30:10", f"{10 + step // 5}:100") for step in range(1, 101)]
    energy_histograms(iter(rows), tmp_path / "a" / "x", "Title")
    assert is_whole(tmp_path / "a" / "x")
    svg = (tmp_path / "a" / "x.svg").read_text()
    assert len(re.findall("<image ", svg)) >= 2
    assert len(svg) < 300_000
    energy_histograms(rows, tmp_path / "b" / "x", "Title")
    assert (tmp_path / "b" / "x.svg").read_text() == svg
