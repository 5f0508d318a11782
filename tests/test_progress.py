import io
import re
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from ladder_ebgan.experiment import Event, Stopped
from ladder_ebgan.group import CurveMeasured, GroupFinished, GroupStarted, Stepped
from ladder_ebgan.report import progress
from ladder_ebgan.report.progress import Live, Plain, Quiet, Speed, duration, make_display
from ladder_ebgan.results import CurvePoint, Result
from ladder_ebgan.runs import Group, Replica
from ladder_ebgan.training import LadderCosts, Progress, StepCosts

GROUP = Group("ebgan-ladder", tuple(Replica(labels, seed) for labels in (100, 200) for seed in range(3)))
OTHER = Group("ladder", (Replica(100, 7),))


class Clock:
    """A clock that stands still until it is told the time."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    it = Clock()
    monkeypatch.setattr(progress, "time", it)
    return it


def stepped(step: int, margin: float | None = 3.25) -> Stepped:
    classification, energy = torch.tensor([0.25, 0.75]), torch.tensor([10.0, 14.0])
    costs = LadderCosts(classification, classification, energy, energy)
    return Stepped(GROUP, Progress(step, 0.1, margin, StepCosts(costs, None, None)))


def measured(*errors: float | None) -> CurveMeasured:
    points = [CurvePoint("ladder", 100, 0, 1, 0.1, None, None, error, None, None, None, None) for error in errors]
    return CurveMeasured(GROUP, points)


def finished() -> GroupFinished:
    def result(seed: int, error: float | None, step: int | None) -> Result:
        return Result("ebgan-ladder", 100, seed, "ok", error, step, 1000, 1.0, "cpu", "float32", "0", "0")

    return GroupFinished(GROUP, [result(0, 1.234, None), result(1, None, 77)])


def story(clock: Clock, display: progress.Display) -> None:
    """Steps 500 to 600 of 1000 in 50 seconds, errors of 2 and 3 %, then the end."""
    events: list[tuple[float, Event]] = [
        (0, GroupStarted(GROUP, 500, 1000)),
        (0, measured(2.0, None, 3.0)),
        (50, stepped(600)),
        (50.1, stepped(601)),
        (60, finished()),
        (60, Stopped("time limit")),
    ]
    for seconds, event in events:
        clock.now = 100.0 + seconds
        display.show(event)
    display.close()


def test_plain_lines(clock: Clock) -> None:
    console = Console(file=io.StringIO(), width=40)
    story(clock, Plain(console))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "ebgan-ladder, 100, 200 labels, seeds 0-2: 1000 steps, going on from step 500",
        "  600/1000 steps, 2.0 a second, 200 s left".replace("200 s", "3 min")
        + ", classification 0.5, energy 12, margin 3.25, unlabelled error 2.50 %",
        "  ebgan-ladder, 100 labels, seed 0: test error 1.23 %",
        "  ebgan-ladder, 100 labels, seed 1: diverged at step 77",
    ]


def test_a_plain_line_without_speed_margin_or_error(clock: Clock) -> None:
    console = Console(file=io.StringIO())
    display = Plain(console)
    clock.now = -100.0
    display.show(GroupStarted(GROUP, 0, 1000))
    display.training[GROUP].next_look = clock.now
    display.show(measured(None))
    display.show(stepped(1, margin=None))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "ebgan-ladder, 100, 200 labels, seeds 0-2: 1000 steps",
        "  1/1000 steps, 0.0 a second, unknown time left, classification 0.5, energy 12",
    ]


def with_group(event: Event, group: Group) -> Event:
    assert not isinstance(event, Stopped)
    return replace(event, group=group)


def test_plain_lines_of_several_groups_name_theirs(clock: Clock) -> None:
    """Two groups side by side write as many lines as one: each of them every minute, in turns."""
    console = Console(file=io.StringIO())
    display = Plain(console)
    for group in (GROUP, OTHER):
        display.show(with_group(GroupStarted(GROUP, 0, 1000), group))
    display.show(with_group(measured(1.0), GROUP))
    display.show(with_group(measured(2.0), OTHER))
    for seconds in range(10, 150, 10):
        clock.now = 100.0 + seconds
        for group in (GROUP, OTHER):
            display.show(with_group(stepped(2 * seconds, margin=None), group))
    display.show(with_group(finished(), OTHER))
    clock.now += 60
    display.show(stepped(900))
    assert isinstance(console.file, io.StringIO)
    lines = [line.partition(", classification")[0] for line in console.file.getvalue().splitlines()]
    this, other = "  ebgan-ladder, 100, 200 labels, seeds 0-2: ", "  ladder, 100 labels, seed 7: "
    assert lines[2:6] == [
        f"{this}60/1000 steps, 2.0 a second, 8 min left",
        f"{other}120/1000 steps, 2.0 a second, 7 min left",
        f"{this}180/1000 steps, 2.0 a second, 7 min left",
        f"{other}240/1000 steps, 2.0 a second, 6 min left",
    ]
    assert lines[-1].startswith("  900/1000 steps, ")
    assert "energy 12, unlabelled error 1.00 %" in console.file.getvalue().splitlines()[2]
    assert "energy 12, unlabelled error 2.00 %" in console.file.getvalue().splitlines()[3]


def test_several_groups_have_a_bar_each(clock: Clock) -> None:
    display = Live(Console(force_terminal=True, file=io.StringIO(), width=250, _environ={}))
    for group in (GROUP, OTHER):
        display.show(with_group(GroupStarted(GROUP, 0, 1000), group))
    display.show(with_group(stepped(100), GROUP))
    display.show(with_group(stepped(300), OTHER))
    clock.now += 10
    display.show(with_group(stepped(120), GROUP))
    display.show(with_group(finished(), OTHER))
    display.close()
    first, second = display.progress.tasks
    assert (first.description, first.completed) == ("ebgan-ladder, 100, 200 labels, seeds 0-2", 120)
    assert first.fields["state"].startswith("2.0 steps/s, ")
    assert (second.description, second.completed) == ("ladder, 100 labels, seed 7", 1000)
    assert second.fields["state"] == "done"


def test_live_bars(clock: Clock) -> None:
    console = Console(force_terminal=True, file=io.StringIO(), width=250, _environ={})
    display = Live(console)
    seen = []
    for seconds, event in ((0, GroupStarted(GROUP, 500, 1000)), (0, measured(2.0, 3.0)), (1, stepped(502))):
        clock.now = 100.0 + seconds
        display.show(event)
    clock.now += 10
    display.show(stepped(522))
    display.show(stepped(999))  # too soon after the last one to be drawn
    (task,) = display.progress.tasks
    seen.append(task.fields["state"])
    assert task.description == "ebgan-ladder, 100, 200 labels, seeds 0-2"
    assert (task.completed, task.total) == (522, 1000)
    assert seen == ["2.0 steps/s, classification 0.5, energy 12, margin 3.25, unlabelled error 2.50 %"]
    display.progress.refresh()
    display.show(finished())
    display.show(Stopped("time limit"))
    display.close()
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    for expected in (
        "ebgan-ladder, 100, 200 labels, seeds 0-2",
        "2.0 steps/s",
        "energy 12",
        "margin 3.25",
        " 52 %",
    ):
        assert expected in text
    assert "  ebgan-ladder, 100 labels, seed 0: test error 1.23 %" in text
    assert "  ebgan-ladder, 100 labels, seed 1: diverged at step 77" in text
    assert "100 %" in text
    assert "done" in text


def test_quiet_shows_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    story(clock, Quiet())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("terminal", "environment", "quiet", "kind"),
    [
        (True, {}, False, Live),
        (True, {"NO_COLOR": "1"}, False, Plain),
        (True, {"TERM": "dumb"}, False, Plain),
        (False, {}, False, Plain),
        (True, {}, True, Quiet),
    ],
)
def test_the_display_fits_the_terminal(
    terminal: bool, environment: dict[str, str], quiet: bool, kind: type
) -> None:
    console = Console(force_terminal=terminal, file=io.StringIO(), _environ=environment)
    display = make_display(console, quiet)
    display.close()
    assert isinstance(display, kind)


def test_the_speed_is_that_of_the_last_readings(clock: Clock) -> None:
    speed = Speed()
    assert speed.read(0) is None
    clock.now += 10
    assert speed.read(1000) == 100
    for _ in range(progress.SPEED_WINDOW):
        clock.now += 1
        latest = speed.read(speed.readings[-1][1] + 3)
    assert latest == 3


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
def test_seeds_are_listed_or_summed_up(clock: Clock, seeds: list[int], said: str) -> None:
    console = Console(file=io.StringIO())
    Plain(console).show(GroupStarted(Group("ladder", tuple(Replica(100, seed) for seed in seeds)), 0, 9))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"ladder, 100 labels, {said}: 9 steps\n"
