import math

import pytest

from ladder_ebgan.schedules import Shape, interpolated, learning_rate_factor


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 1.0),
        (79_999, 1.0),
        (80_000, 1.0),
        (90_000, 0.75),
        (100_000, 0.5),
        (119_999, 1 / 40_000),
        (120_000, 0.0),
        (200_000, 0.0),
    ],
)
def test_the_learning_rate_is_constant_to_two_thirds_then_linear_to_zero(step: int, factor: float) -> None:
    assert learning_rate_factor(step, 80_000, 120_000) == pytest.approx(factor, abs=1e-12)


def test_a_learning_rate_may_fall_from_the_first_step_on() -> None:
    assert [learning_rate_factor(step, 0, 4) for step in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


@pytest.mark.parametrize(
    ("step", "margin"),
    [(0, 16.0), (1, 16 - 16 / 60_000), (15_000, 12.0), (30_000, 8.0), (60_000, 0.0), (60_001, 0.0), (10**6, 0.0)],
)
def test_the_margin_falls_linearly_to_zero_and_stays_there(step: int, margin: float) -> None:
    assert interpolated(step, [0, 60_000], [16.0, 0.0]) == pytest.approx(margin, abs=1e-12)


@pytest.mark.parametrize(
    ("step", "margin"),
    [(0, 16.0), (15, 16 * (1 + math.sqrt(0.5)) / 2), (30, 8.0), (40, 4.0), (60, 0.0), (61, 0.0)],
)
def test_the_margin_as_half_a_cosine(step: int, margin: float) -> None:
    """16 (1 + cos(pi s / 60)) / 2: cos 45 degrees = sqrt(1/2), cos 120 degrees = -1/2."""
    assert interpolated(step, [0, 60], [16.0, 0.0], "cosine") == pytest.approx(margin, abs=1e-12)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_a_curve_passes_through_all_its_points_and_is_constant_outside(shape: Shape) -> None:
    steps, values = [10, 20, 40, 100], [1.0, 5.0, 5.0, 2.0]
    assert [interpolated(step, steps, values, shape) for step in steps] == values
    assert interpolated(0, steps, values, shape) == 1.0
    assert interpolated(101, steps, values, shape) == 2.0
    assert interpolated(15, steps, values, shape) == pytest.approx(3.0)
    assert interpolated(33, steps, values, shape) == 5.0
    assert interpolated(70, steps, values, shape) == pytest.approx(3.5)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("step", [0, 7, 8, 100])
def test_a_single_point_is_a_constant(step: int, shape: Shape) -> None:
    assert interpolated(step, [7], [16.0], shape) == 16.0
