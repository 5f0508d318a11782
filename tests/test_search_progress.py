"""What a search shows on a terminal, and where there is none."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import search_run
from rich.console import Console
from run_events import Terminal

from ladder_ebgan import machine
from ladder_ebgan.report import search_progress
from ladder_ebgan.report.search_progress import SearchDisplay
from ladder_ebgan.search.events import Finished, Reported, Stepped
from ladder_ebgan.search.search import Search, SearchStopped, open_search
from ladder_ebgan.search.trainer import BatchBegun, BatchEnded, BatchTrained


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Search]:
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    wanted = search_run.request(tmp_path, search_run.write_space(tmp_path), n_trials=2)
    search_run.run(wanted)
    with open_search(wanted) as search:
        yield search


NAN = float("nan")
EVENTS = [
    BatchBegun(0, [0, 1], 3, 12),
    BatchTrained(0, Stepped(6)),
    BatchTrained(0, Reported(8, {0: [10.0, 20.0], 1: [NAN, 30.0]})),
    BatchTrained(0, Finished(12, {0: np.ones((2, 100), bool)}, {0: [5.0, 6.0]}, 1.0)),
    BatchEnded(0),
    SearchStopped("SIGTERM"),
]


def shown(search: Search, terminal: bool, quiet: bool = False) -> str:
    file = Terminal() if terminal else io.StringIO()
    display = SearchDisplay(
        Console(file=file, force_terminal=terminal, width=200, color_system=None), search, quiet
    )
    for event in EVENTS:
        display.show(event)
    display.close()
    return file.getvalue()


def test_lines_where_there_is_no_terminal(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_progress, "LINE_SECONDS", -1.0)
    lines = shown(search, terminal=False).splitlines()
    assert lines[0].startswith("2 settings, 2 of them begun earlier, each on 2 labelled subsets of 20 images; 2 at")
    assert lines[1] == "settings 0, 1: 12 steps, going on from step 3"
    assert re.fullmatch(r"  settings 0, 1: 6/12 steps, .* left", lines[2])
    assert lines[3:5] == [
        "  step 8, validation error of 0: 15.00 %, 1: diverged",
        "setting 0: validation error 5.50 %",
    ]
    assert lines[5].startswith("best so far: setting ")


def test_few_lines_about_steps(search: Search) -> None:
    assert "6/12" not in shown(search, terminal=False)


def test_bars_on_a_terminal(search: Search) -> None:
    text = shown(search, terminal=True)
    assert "settings 0, 1" in text
    assert "3/12" in text or "6/12" in text
    assert "setting 0: validation error 5.50 %" in text
    assert "validation error of" not in text


@pytest.mark.parametrize(("file", "no_color"), [(io.StringIO(), False), (Terminal(), True)])
def test_no_bars_in_a_file_and_where_nobody_wants_colours(
    search: Search, file: io.StringIO, no_color: bool
) -> None:
    """Such as with FORCE_COLOR, or with NO_COLOR."""
    console = Console(file=file, force_terminal=True, no_color=no_color, width=200)
    display = SearchDisplay(console, search, quiet=False)
    assert display.bars is None
    display.close()


def test_a_batch_that_has_ended_leaves_no_bar(search: Search) -> None:
    """However it ended: without a setting that goes on it never finishes."""
    display = SearchDisplay(Console(file=Terminal(), force_terminal=True, width=200), search, quiet=False)
    assert display.bars is not None
    for event in EVENTS[:3]:
        display.show(event)
    assert [task.description for task in display.bars.tasks] == ["settings 0, 1"]
    display.show(BatchEnded(0))
    assert not display.bars.tasks
    display.close()


def test_quiet_is_quiet(search: Search) -> None:
    assert shown(search, terminal=True, quiet=True) == shown(search, terminal=False, quiet=True) == ""
