"""An alarm where it is seen: in the lines of a run, on a terminal, below the tables, on the page."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from run_events import EBGAN, LADDER, Clock, measured, planned, started, terminal, written
from test_progress import told

from ladder_ebgan.experiment import Event
from ladder_ebgan.group import CurveMeasured
from ladder_ebgan.interruption import StopRequest
from ladder_ebgan.report.live import Live
from ladder_ebgan.report.outputs import table_of, write_tables
from ladder_ebgan.report.page import report_page
from ladder_ebgan.report.tracker import Tracker
from ladder_ebgan.runs import RunFolder, read_record

COLLAPSED = (
    "  Alarm, ebgan-ladder, 100 labels, seed 1: mode collapse since step 1000, generated examples are only "
    "0.12 times as far apart as real ones"
)
CLOSED = (
    "  Alarm, ladder, 100 labels, seed 7: hinges closed since step 1000, every generated example has more energy "
    "than the margin"
)


def collapsing(step: int) -> CurveMeasured:
    """Of the second replica, which has 100 labels and seed 1, the images are alike."""
    event = measured(EBGAN, *[2.0] * 6, step=step, margin=3.0)
    points = [replace(p, generated_diversity=0.12 if i == 1 else 0.8) for i, p in enumerate(event.points)]
    return replace(event, points=points)


def closing(step: int) -> CurveMeasured:
    event = measured(LADDER, 2.0, step=step, margin=3.0)
    return replace(event, points=[replace(event.points[0], open_hinges_percent=0.0)])


def story(event: type[CurveMeasured] | object, *steps: int) -> list[tuple[float, Event]]:
    return [(0.0, started(EBGAN)), *((float(step), event(step)) for step in steps)]  # type: ignore[operator]


def test_a_plain_line_when_it_is_raised_and_no_more() -> None:
    lines = told(story(collapsing, 1000, 2000, 3000, 4000), planned(EBGAN))
    assert lines[1:] == [COLLAPSED]
    assert told(story(collapsing, 1000, 2000), planned(EBGAN))[1:] == []
    assert told(story(closing, 1000, 2000, 3000), planned(EBGAN, LADDER))[1:] == [CLOSED]


def test_verbose_lines_have_the_diversity_too() -> None:
    lines = told(story(collapsing, 1000), planned(EBGAN), verbose=True)
    assert lines[1].endswith("margin 3, open hinges 25 %, unlabelled error 2.00 %, diversity 0.57")
    assert lines[2].endswith("diversity 0.80")


@pytest.mark.parametrize("verbose", [False, True])
def test_a_line_above_the_display(verbose: bool) -> None:
    console = terminal(width=200)
    display = Live(console, planned(EBGAN), StopRequest(None), verbose, Clock())
    display.show(started(EBGAN))
    for step in (1000, 2000):
        display.show(collapsing(step))
    assert COLLAPSED not in written(console)
    display.show(collapsing(3000))
    display.close()
    assert written(console).count(COLLAPSED) == 1


def test_a_run_that_goes_on_remembers_the_points_before() -> None:
    before = [point for step in (1000, 2000) for point in collapsing(step).points]
    tracker = Tracker(replace(planned(EBGAN), points=tuple(before)), Clock())
    assert [alarm.step for alarm in tracker.take(collapsing(3000))] == [1000]
    assert Tracker(planned(EBGAN), Clock()).take(collapsing(3000)) == []
    assert EBGAN.has(before[0])
    assert not LADDER.has(before[0])
    assert not EBGAN.has(replace(before[0], labels=300))


NOTE = (
    "ebgan-ladder, 20 labels, seeds 0, 1: mode collapse since step 1000 or later, generated examples are less than "
)


def test_the_tables_and_the_page_say_what_lasted(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    folder = RunFolder(path, read_record(path))
    assert not any("collapse" in note for note in table_of([path]).notes)
    of_ebgan = [point for point in folder.history() if point.model == "ebgan-ladder"][:1]
    folder.append_history(
        replace(of_ebgan[0], seed=seed, step=step, generated_diversity=0.1)
        for seed, first in ((0, 1000), (1, 2000))
        for step in range(first, first + 3000, 1000)
    )
    write_tables(folder)
    (note,) = [note for note in json.loads((path / "table.json").read_text())["notes"] if "collapse" in note]
    assert note == f"{NOTE}0.3 times as far apart as real ones"
    assert note in (path / "table.md").read_text()
    assert note in tiny.done("table", str(path)).stdout
    assert note in report_page(path)


def test_closed_hinges_are_said_below_a_table(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    folder = RunFolder(path, read_record(path))
    first = next(point for point in folder.history() if point.margin is not None)
    closed = replace(first, margin=1e6, open_hinges_percent=0.0)
    folder.append_history(replace(closed, step=step) for step in (30, 40, 50))
    said = f"{first.model}, 20 labels, seed {first.seed}: hinges closed since step 30, every generated example had "
    assert f"{said}more energy than the margin" in table_of([path]).notes
