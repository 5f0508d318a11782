import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ladder_ebgan.energy_bins import LOWEST, histogram_of, histogram_text, lower_edge

ENERGIES = arrays(np.float32, st.integers(0, 50), elements=st.floats(0, 2.0**127, width=32) | st.just(np.nan))


def text_of(*energies: float) -> str:
    return histogram_text(np.array(energies, np.float32))


def test_counts_worked_by_hand() -> None:
    """8 = 2^(24/8) begins bin 24; 2^(25/8) = 8.72, so 8.7 is in it and 8.8 in the next. 1 is the edge of bin 0."""
    assert text_of(8, 8.7, 8.8, 8) == "24:3 25:1"
    assert text_of(1, 0.99, 2, 3.99, 4) == "-1:1 0:1 8:1 15:1 16:1"
    assert text_of() == ""


def test_what_is_not_finite_is_in_no_bin_and_what_is_tiny_in_the_lowest() -> None:
    assert text_of(np.nan, np.inf, 8) == "24:1"
    assert text_of(0, 1e-30) == f"{LOWEST}:2"


def test_edges_are_eighths_of_an_octave() -> None:
    np.testing.assert_allclose(lower_edge(np.array([-8, 0, 4, 24, 28])), [0.5, 1, 2**0.5, 8, 8 * 2**0.5])
    assert lower_edge(25) / lower_edge(24) == pytest.approx(1.0905, abs=1e-4)


@given(ENERGIES)
def test_each_energy_is_counted_once_in_a_bin_that_has_it(energies: np.ndarray) -> None:
    counts = histogram_of(histogram_text(energies))
    finite = energies[np.isfinite(energies)].astype(np.float64)
    assert sum(counts.values()) == len(finite)
    assert list(counts) == sorted(counts)
    for number, count in counts.items():
        low = 0 if number == LOWEST else lower_edge(number)
        within = (finite >= low * (1 - 1e-12)) & (finite < lower_edge(number + 1) * (1 + 1e-12))
        assert within.sum() >= count > 0


@pytest.mark.parametrize(
    "text", ["x", "1", "1:", ":1", "1:2,3:4", "1:2  3:4", " 1:2", "1:-2", "1.5:2", "99999:1", "1:2 "]
)
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no histogram, such as 24:3 25:7"):
        histogram_of(text)
