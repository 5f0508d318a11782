import io
from dataclasses import replace
from itertools import pairwise

from rich.console import Console
from run_events import EBGAN, LADDER, Clock, finished, measured, planned, started, stepped, written

from ladder_ebgan.experiment import Event, Stopped
from ladder_ebgan.report.progress import Plain
from ladder_ebgan.report.tracker import Plan
from ladder_ebgan.runs import Group, Replica


def told(events: list[tuple[float, Event]], plan: Plan, verbose: bool = False) -> list[str]:
    """The lines that events at some seconds after the start lead to."""
    console, clock = Console(file=io.StringIO(), width=40), Clock()
    display = Plain(console, plan, verbose, clock)
    for seconds, event in events:
        clock.now = 100.0 + seconds
        display.show(event)
    display.close()
    return written(console).splitlines()


STORY: list[tuple[float, Event]] = [
    (0, started(EBGAN, first_step=500)),
    (1, stepped(EBGAN, 501)),
    (1, measured(EBGAN, 2, None, 3, 2, 3, None)),
    (51, stepped(EBGAN, 601)),
    (51.1, stepped(EBGAN, 602)),
    (82, stepped(EBGAN, 663, diverged=(0, 1, 2))),
    (90, finished(EBGAN, 1.234, None, 1, 1, 1, 1)),
    (90, Stopped("time limit")),
]


def test_plain_lines() -> None:
    """Going on from step 500, at two steps a second; costs are means over replicas 0 to 5, later over 3 to 5."""
    assert told(STORY, planned(EBGAN))[:5] == [
        "ebgan-ladder, 100, 200 labels, seeds 0-2: 1000 steps, going on from step 500",
        "  601/1000 steps, 2.0 a second, 3 min left, classification 3, denoising 30, unlabelled error 2.50 %",
        "  663/1000 steps, 2.0 a second, 3 min left, classification 4.5, denoising 45, unlabelled error 2.50 %"
        ", 3 diverged",
        "  ebgan-ladder, 100 labels, seed 0: test error 1.23 %",
        "  ebgan-ladder, 100 labels, seed 1: diverged at step 77",
    ]


def test_verbose_lines_have_the_curve_points_of_each_budget() -> None:
    said = "seeds 0-2, step 250: classification 0.5, denoising 10, unlabelled error 2.50 %"
    lines = [f"  ebgan-ladder, {labels} labels, {said}" for labels in (100, 200)]
    assert told(STORY, planned(EBGAN), verbose=True)[1:3] == lines
    adversarial: list[tuple[float, Event]] = [(0, started(LADDER)), (0, measured(LADDER, None, margin=3.0))]
    assert told(adversarial, planned(LADDER), verbose=True)[1:] == [
        "  ladder, 100 labels, seed 7, step 250: classification 0.5, denoising 10, energy 2 real 4 generated, "
        "margin 3, open hinges 25 %"
    ]


def test_a_plain_line_of_an_adversarial_step_without_any_speed() -> None:
    events: list[tuple[float, Event]] = [(0, stepped(EBGAN, 1)), (40, stepped(EBGAN, 9, 3.25))]
    assert told([(0, started(EBGAN)), *events], planned(EBGAN))[1:] == [
        "  9/1000 steps, classification 3, denoising 30, energy 4.5 real 6.5 generated, margin 3.25, "
        "open hinges 25 %"
    ]


def test_plain_lines_of_several_groups_name_theirs() -> None:
    """Two groups side by side write as many lines as one: each of them every minute, in turns.

    At 70 s both have 860 of 1000 steps left, 430 s, after one of which the third needs 500 s: 15.5 minutes.
    """
    waiting = Group("ladder", (Replica(100, 8),))
    plan = replace(planned(EBGAN, LADDER, waiting, adversarial_steps=0), n_processes=2)
    events: list[tuple[float, Event]] = [(0, started(EBGAN)), (0, started(LADDER))]
    for seconds in range(10, 190, 10):
        events += [(seconds, stepped(group, 2 * seconds)) for group in (EBGAN, LADDER)]
    events += [(190, finished(LADDER, 1.0)), (260, stepped(EBGAN, 900))]
    lines = [line.partition(", classification")[0] for line in told(events, plan)]
    this, other = "  ebgan-ladder, 100, 200 labels, seeds 0-2: ", "  ladder, 100 labels, seed 7: "
    assert lines[2:6] == [
        f"{this}140/1000 steps, 2.0 a second, 7 min left",
        f"{other}140/1000 steps, 2.0 a second, 7 min left (16 min for all)",
        f"{this}260/1000 steps, 2.0 a second, 6 min left (14 min for all)",
        f"{other}260/1000 steps, 2.0 a second, 6 min left (14 min for all)",
    ]
    assert lines[6] == "  ladder, 100 labels, seed 7: test error 1.00 %"
    assert lines[7].startswith("  900/1000 steps, ")


def test_the_log_of_a_day_stays_small() -> None:
    """A step each ten seconds: a line each half minute at first, each ten minutes in the end."""
    console, clock, times, length = Console(file=io.StringIO()), Clock(), list[int](), 0
    display, event = Plain(console, planned(LADDER), False, clock), stepped(LADDER, 1)
    display.show(started(LADDER))
    for seconds in range(0, 24 * 3600, 10):
        clock.now = 100.0 + seconds
        display.show(event)
        if len(written(console)) > length:
            times.append(seconds)
            length = len(written(console))
    pauses = [after - before for before, after in pairwise(times[1:])]
    assert times[:3] == [0, 30, 60]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 600
    assert 200 < len(times) < 350
