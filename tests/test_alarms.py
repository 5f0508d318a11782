from dataclasses import replace

import pytest
from drawing import point

from ladder_ebgan.alarms import COLLAPSED_BELOW, POINTS, YOUNG_STEPS, Alarm, Watch, lasting_alarms
from ladder_ebgan.results import CurvePoint

ALIKE, APART = COLLAPSED_BELOW - 0.01, COLLAPSED_BELOW


def diverse(step: int, diversity: float | None, seed: int = 0) -> CurvePoint:
    return replace(point("ebgan", step, None, seed, 0), generated_diversity=diversity)


def hinged(step: int, open_percent: float, margin: float | None = 10.0, real: float | None = 4.0) -> CurvePoint:
    return replace(
        point("ebgan-ladder", step, None), open_hinges_percent=open_percent, margin=margin, energy_real=real
    )


def raised(points: list[CurvePoint]) -> list[tuple[int, list[Alarm]]]:
    """What each point raises, if anything."""
    watch = Watch()
    return [(each.step, alarms) for each in points if (alarms := watch.take([each]))]


def test_three_points_in_a_row_raise_an_alarm_once() -> None:
    points = [diverse(1000 * step, ALIKE) for step in range(1, 7)]
    assert raised(points) == [(3000, [Alarm("collapse", "ebgan", 0, 0, 1000, ALIKE)])]
    assert lasting_alarms(points) == [Alarm("collapse", "ebgan", 0, 0, 1000, ALIKE)]
    assert lasting_alarms(points[: POINTS - 1]) == []


def test_at_the_threshold_nothing_is_raised() -> None:
    assert raised([diverse(1000 * step, APART) for step in range(1, 7)]) == []


def test_a_point_that_is_better_ends_a_row_and_an_alarm() -> None:
    """Then it may be raised again."""
    values = [ALIKE, ALIKE, APART, ALIKE, ALIKE, ALIKE, APART, ALIKE, ALIKE, ALIKE]
    points = [diverse(1000 * (i + 1), value) for i, value in enumerate(values)]
    assert [(step, alarm.step) for step, (alarm,) in raised(points)] == [(6000, 4000), (10_000, 8000)]
    assert lasting_alarms(points[:7]) == []
    assert [alarm.step for alarm in lasting_alarms(points)] == [8000]


def test_a_young_generator_raises_none() -> None:
    young = [diverse(YOUNG_STEPS - 4 + step, ALIKE) for step in range(4)]
    assert raised(young) == []
    assert raised([*young, *(diverse(YOUNG_STEPS + step, ALIKE) for step in range(3))])[0][0] == YOUNG_STEPS + 2


def test_without_a_generator_an_alarm_stays_as_it_was() -> None:
    points = [diverse(1000 * step, ALIKE) for step in range(1, 4)]
    later = [diverse(1000 * step, None) for step in range(4, 9)]
    assert [alarm.step for alarm in lasting_alarms([*points, *later])] == [1000]
    assert lasting_alarms([*points[:2], *later]) == []


def test_replicas_have_alarms_of_their_own() -> None:
    points = [diverse(1000 * step, ALIKE if seed else APART, seed) for step in range(1, 4) for seed in (0, 1)]
    assert [alarm.seed for alarm in lasting_alarms(points)] == [1]


def test_closed_hinges() -> None:
    """All of them, at three points, whatever the step."""
    assert raised([hinged(step, 0) for step in (10, 20, 30)]) == [
        (30, [Alarm("closed hinges", "ebgan-ladder", 100, 0, 10, None)])
    ]
    assert raised([hinged(step, 1) for step in (10, 20, 30)]) == []


@pytest.mark.parametrize(("margin", "real"), [(4.0, 4.0), (1.0, 4.0), (0.0, 4.0), (None, 4.0), (10.0, None)])
def test_closed_hinges_are_none_where_no_hinge_can_stay_open(margin: float | None, real: float | None) -> None:
    """At a margin no higher than the energy of real images, or without one."""
    assert raised([hinged(step, 0, margin, real) for step in (10, 20, 30)]) == []
