from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_events import AGAINST, ALONE, EBGAN, LADDER, Clock, finished, measured, planned, result, started, stepped

from ladder_ebgan.experiment import Stopped
from ladder_ebgan.report.screen import screen_lines
from ladder_ebgan.report.tracker import Plan, Planned, Tracker
from ladder_ebgan.runs import Group, Replica


def shown(tracker: Tracker, width: int = 150, height: int = 30, stop_reason: str | None = None) -> list[str]:
    return [line.plain for line in screen_lines(tracker, stop_reason, width, height)]


def words(line: str) -> list[str]:
    return line.split()


@pytest.fixture
def halfway() -> Tracker:
    """A ladder done in ten seconds, and then 100 of 400 adversarial steps in another ten."""
    clock = Clock()
    tracker = Tracker(replace(planned(LADDER, EBGAN), step_seconds={(6, ALONE): 0.05, (1, ALONE): 0.02}), clock)
    tracker.take(started(LADDER))
    tracker.take(measured(LADDER, 6.5))
    clock.now += 10
    tracker.take(finished(LADDER, 5.5))
    tracker.take(started(EBGAN))
    tracker.look(stepped(EBGAN, 1, margin=16.0))
    tracker.take(measured(EBGAN, 8, 9, 10, 4, 5, 6))
    clock.now += 10
    tracker.look(stepped(EBGAN, 101, margin=12.0, diverged=(4,)))
    return tracker


def test_before_the_start_all_groups_wait() -> None:
    assert shown(Tracker(planned(LADDER, EBGAN), Clock())) == [
        "model         labels  seeds  progress",
        "ladder           100      7  waiting",
        "ebgan-ladder     100    0-2  waiting",
        "ebgan-ladder     200    0-2  waiting",
        "0 of 2 groups done in 0 s; 2 waiting",
    ]


@pytest.mark.parametrize(
    ("seeds", "listed"),
    [([0, 2], "0, 2"), (range(100, 200), "100-199"), ([1, 4, 7, 9], "1, 4, 7, 9"), ([1, 4, 7, 9, 12], "5 seeds")],
)
def test_seeds_are_listed_or_counted(seeds: Sequence[int], listed: str) -> None:
    tracker = Tracker(planned(Group("ladder", tuple(Replica(100, seed) for seed in seeds))), Clock())
    assert words(shown(tracker)[1]) == ["ladder", "100", *words(listed), "waiting"]


def test_a_group_that_starts_has_no_numbers_yet() -> None:
    tracker = Tracker(planned(LADDER), Clock())
    tracker.take(started(LADDER, first_step=600))
    assert words(shown(tracker)[1]) == ["ladder", "100", "7", "starting"]
    assert shown(tracker)[-1] == "0 of 1 groups done in 0 s; 1 training"


def test_a_line_for_each_model_and_budget(halfway: Tracker) -> None:
    """300 steps with a generator of 0.1 s and 600 without of 0.05 s are left."""
    header, ladder, *ebgan = shown(halfway)[:4]
    assert words(header) == words(f"{MOST} classif. denois. margin energy generated open %")
    assert words(ladder) == ["ladder", "100", "7", "done", "6.50"]
    bar = "━━" + "─" * 20
    left = ["10", "%", "60", "s"]
    first = ["ebgan-ladder", "100", "0-2", bar, *left, "9.00", "10.0", "1.5", "15", "12", "3", "5", "25"]
    second = ["ebgan-ladder", "200", "0-2", bar, *left, "5.00", "10.0", "1", "4.5", "45", "12", "6", "8", "25"]
    assert [words(line) for line in ebgan] == [first, second]
    assert len({line.rindex("25") for line in ebgan} | {header.rindex("n %") + 1}) == 1  # right under its header


def test_results_with_mean_and_deviation(halfway: Tracker) -> None:
    """Errors 1 and 3 have mean 2 and standard deviation sqrt(2)."""
    halfway.take(finished(EBGAN, 1.0, None, 3.0, None, None, None))
    assert shown(halfway)[4:] == [
        "",
        "model         labels  test error %     by seed",
        "ladder           100  5.50 (1)         7: 5.50",
        "ebgan-ladder     100  2.00 ± 1.41 (2)  0: 1.00  1: diverged at step 77  2: 3.00",
        "ebgan-ladder     200  none             " + "  ".join(f"{seed}: diverged at step 77" for seed in range(3)),
        "2 of 2 groups done in 20 s",
    ]
    assert shown(halfway, width=70)[-3:-1] == [
        "ebgan-ladder     100  2.00 ± 1.41 (2)  …  2: 3.00",
        "ebgan-ladder     200  none             …  2: diverged at step 77",
    ]
    assert shown(halfway, width=60)[-2] == "ebgan-ladder     200  none"
    assert shown(halfway, width=39)[-5] == "model         labels  test error %"


def test_seeds_are_in_order_whichever_was_first(halfway: Tracker) -> None:
    halfway.results = {("ladder", 100): [result("ladder", 100, seed, 10.0 + seed) for seed in (10, 2, 0)]}
    assert shown(halfway)[-2] == "ladder     100  14.00 ± 5.29 (3)  0: 10.00  2: 12.00  10: 20.00"


def test_after_the_last_step_it_tests(halfway: Tracker) -> None:
    halfway.look(stepped(EBGAN, 1000))
    assert words(shown(halfway)[2]) == ["ebgan-ladder", "100", "0-2", "testing", "9.00"]


def test_a_fast_speed_has_no_decimals(halfway: Tracker) -> None:
    halfway.step_seconds[6, ALONE] = 1 / 12345
    halfway.look(stepped(EBGAN, 500))
    assert "12,345" in words(shown(halfway)[2])


def test_what_was_stopped_says_where(halfway: Tracker) -> None:
    footer = "Stopping after the steps under way, with a checkpoint"
    assert shown(halfway, stop_reason="SIGINT")[-1] == f"{footer}; once more to stop at once."
    assert shown(halfway, stop_reason="time limit")[-1] == f"{footer} (time limit)."
    halfway.take(Stopped("SIGINT"))
    lines = shown(halfway, stop_reason="SIGINT")
    assert words(lines[2]) == ["ebgan-ladder", "100", "0-2", "stopped", "10", "%", "9.00"]
    assert lines[-1] == "1 of 2 groups done in 20 s; 1 stopped"


MOST = "model labels seeds progress left error % steps/s diverged"


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (136, f"{MOST} classif. denois. margin energy generated open %"),
        (135, f"{MOST} classif. denois. margin energy generated"),
        (100, f"{MOST} classif."),
        (80, "model labels progress left error % steps/s diverged"),
        (60, "model labels progress left error %"),
        (45, "model labels progress left"),
        (30, "model labels progress"),
        (24, "model progress"),
    ],
)
def test_columns_are_dropped_by_importance(halfway: Tracker, width: int, columns: str) -> None:
    lines = shown(halfway, width)
    assert words(lines[0]) == words(columns)
    assert max(map(len, lines[:4])) <= width
    assert ("─" in lines[2]) == (width >= 60)
    assert "10 %" in lines[2]


def test_behind_the_footer_there_is_room_for_the_echo_of_ctrl_c(halfway: Tracker) -> None:
    """Else it wraps, and the next drawing begins a line too low."""
    footer = "1 of 2 groups done in 20 s, 60 s left; 1 training"
    assert shown(halfway, width=len(footer) + 2)[-1] == footer
    assert shown(halfway, width=len(footer) + 1)[-1] == footer[:-2] + "…"
    assert shown(halfway, width=1)[-1] == "…"


def many(n_processes: int = 2) -> Tracker:
    """The paper's table with four replicas at once: 24 groups, of which two train and three are done."""
    replicas = [Replica(labels, seed) for labels in (100, 200, 1000) for seed in range(15)]
    groups = [
        Group(model, tuple(replicas[i : i + 4])) for model in ("ladder", "ebgan-ladder") for i in range(0, 45, 4)
    ]
    tracker = Tracker(
        Plan(tuple(Planned(group, 0, 100, 0, ALONE, AGAINST) for group in groups), (), n_processes), Clock()
    )
    for group in groups[:5]:
        tracker.take(started(group))
        tracker.look(stepped(group, 50))
    for group in groups[:3]:
        tracker.take(finished(group, *[1.0] * 4))
    return tracker


def test_of_many_groups_those_that_train_are_shown_and_the_others_counted() -> None:
    lines = shown(many(), height=24)
    rows = [["ladder", "100", "12-14"], ["ladder", "200", "0"], ["ladder", "200", "1-4"], []]
    assert [words(line)[:3] for line in lines[1:5]] == rows
    assert lines[-2].startswith("ladder     100  1.00 ± 0.00 (12)  0: 1.00  1: 1.00")
    assert lines[-1] == "3 of 24 groups done in 0 s; 2 training, 19 waiting"


def test_without_height_results_go_first_then_groups() -> None:
    tracker = many()
    tracker.results = {("ladder", labels): [result("ladder", labels, 0, 1.0)] for labels in (100, 200, 1000)}
    assert [words(line)[1] for line in shown(tracker, height=9)[-3:-1]] == ["200", "1000"]
    heights = {height: [line[:6] for line in shown(tracker, height=height)] for height in (8, 7, 6, 4, 3, 2, 1)}
    assert heights == {
        8: ["model ", *["ladder"] * 3, "", "model ", "ladder", "3 of 2"],
        7: ["model ", *["ladder"] * 3, "3 of 2"],
        6: ["model ", *["ladder"] * 3, "3 of 2"],
        4: ["model ", *["ladder"] * 2, "3 of 2"],
        3: ["model ", "ladder", "3 of 2"],
        2: ["3 of 2"],
        1: ["3 of 2"],
    }


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 60), n_processes=st.integers(1, 4))
def test_no_terminal_is_too_small(width: int, height: int, n_processes: int) -> None:
    tracker = many(n_processes)
    lines = screen_lines(tracker, None, width, height)
    assert len(lines) <= height
    assert all(line.no_wrap for line in lines if line.plain)
