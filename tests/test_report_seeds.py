import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladder_ebgan.report.seeds import seed_list, seeds_phrase


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [([3], "3"), ([1, 0], "0, 1"), ([2, 0, 1], "0-2"), ([0, 1, 2, 7], "0-2, 7"), ([5, 5, 9, 8], "5, 8, 9")],
)
def test_seeds_in_a_row_are_their_ends(seeds: list[int], expected: str) -> None:
    assert seed_list(seeds) == expected
    assert seed_list(seeds, "–") == expected.replace("-", "–")


@given(st.sets(st.integers(0, 40), min_size=1))
def test_a_list_can_be_read_back(seeds: set[int]) -> None:
    ends = [[int(end) for end in part.split("-")] for part in seed_list(seeds).split(", ")]
    assert sorted(seeds) == [seed for part in ends for seed in range(part[0], part[-1] + 1)]


def test_a_phrase_counts_different_seeds() -> None:
    assert (seeds_phrase([4, 4]), seeds_phrase([4, 2])) == ("seed 4", "seeds 2, 4")
