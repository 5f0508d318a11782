import numpy as np
import pytest
import torch
from torch import Tensor

from ladder_ebgan.diversity import N_IMAGES, Diversity, mean_distance


def test_the_mean_over_pairs_worked_by_hand() -> None:
    """Corners (0, 0), (3, 0), (3, 4) of a triangle with sides 3, 4, 5; the second replica's is twice as large."""
    corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    assert mean_distance(torch.stack([corners, 2 * corners, corners[:1].expand(3, 2)])).tolist() == [4.0, 8.0, 0.0]


def test_a_small_difference_does_not_drown() -> None:
    """As it would in |a|^2 - 2ab + |b|^2, in float32."""
    images = torch.full((1, 40, 100), 10.0)
    images[0, 0, 0] += 1e-4
    expected = 2 * 39 * 1e-4 / (40 * 39)
    assert mean_distance(images).item() == pytest.approx(expected, rel=0.05)


def test_generated_images_are_measured_beside_evenly_spaced_real_ones() -> None:
    """Of 500 rows on a line, 100 from the first to the last: as far apart as the rows themselves."""
    line = torch.arange(1000.0)[:, None]
    rows = np.arange(500, 1000)
    diversity, asked = Diversity(line, rows), list[int]()

    def draw(n: int) -> Tensor:
        asked.append(n)
        drawn = torch.linspace(0, 499, n)[:, None]
        return torch.stack([drawn, drawn / 2, torch.zeros_like(drawn)])

    of = diversity.of(draw)
    assert of is not None
    assert asked == [N_IMAGES]
    assert diversity.real.min() == 500
    assert diversity.real.max() == 999
    torch.testing.assert_close(of, torch.tensor([1.0, 0.5, 0.0]), rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("n_rows", [0, 1])
def test_without_two_real_images_there_is_nothing_to_compare_with(n_rows: int) -> None:
    diversity = Diversity(torch.rand(5, 3), np.arange(n_rows))
    assert diversity.of(lambda n: torch.rand(2, n, 3)) is None


def test_few_real_images_are_compared_with_as_many() -> None:
    images = torch.rand(7, 3)
    of = Diversity(images, np.arange(7)).of(lambda n: images[None, :n])
    assert of is not None
    assert of.tolist() == [1.0]
