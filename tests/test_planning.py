import pytest

from ladder_ebgan.planning import group_sizes, total_seconds


@pytest.mark.parametrize(
    ("n_replicas", "at_most", "n_processes", "sizes"),
    [
        (0, 4, 2, []),
        (3, 4, 1, [3]),
        (5, 2, 1, [2, 2, 1]),
        (3, 4, 2, [2, 1]),
        (1, 4, 2, [1]),
        (10, 4, 2, [3, 3, 2, 2]),
        (15, 4, 2, [4, 4, 4, 3]),
        (9, 64, 4, [3, 2, 2, 2]),
        (3, 1, 2, [1, 1, 1]),
    ],
)
def test_groups_are_as_even_as_can_be(n_replicas: int, at_most: int, n_processes: int, sizes: list[int]) -> None:
    assert group_sizes(n_replicas, at_most, n_processes) == sizes
    assert sum(sizes) == n_replicas


def test_the_time_of_a_queue() -> None:
    """Of groups of 3, 1 and 4 seconds two processes take the first two; the second one is free first, at 1."""
    assert total_seconds([3.0, 1.0, 4.0], 1) == 8.0
    assert total_seconds([3.0, 1.0, 4.0], 2) == 5.0
    assert total_seconds([2.0, 2.0, 2.0], 2) == 4.0
    assert total_seconds([2.0], 8) == 2.0
    assert total_seconds([], 2) == 0.0
