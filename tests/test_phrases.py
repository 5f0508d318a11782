import pytest
from run_events import result

from ladder_ebgan.report.phrases import cost_phrases, duration, group_name, result_line
from ladder_ebgan.report.tracker import mean_costs
from ladder_ebgan.runs import Group, Replica


def test_costs_that_are_not_there_are_not_named() -> None:
    assert list(cost_phrases(mean_costs([]), None, None)) == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (59 * 60, "59 min"),
        (59.6 * 60, "1 h 0 min"),
        (5000, "1 h 23 min"),
        (47.9 * 3600, "47 h 54 min"),
        (48 * 3600, "2 days"),
        (10 * 86400, "10 days"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seeds", "said"),
    [([0], "seed 0"), ([0, 1], "seeds 0, 1"), ([2, 3, 4], "seeds 2-4"), ([7, 3, 0], "seeds 0, 3, 7")],
)
def test_seeds_are_listed_or_summed_up(seeds: list[int], said: str) -> None:
    assert group_name(Group("ladder", tuple(Replica(100, seed) for seed in seeds))) == f"ladder, 100 labels, {said}"


def test_results_are_said_in_a_line() -> None:
    assert result_line(result("ladder", 50, 3, 1.005)) == "  ladder, 50 labels, seed 3: test error 1.00 %"
