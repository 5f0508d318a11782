import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from run_events import EBGAN, LADDER, Terminal, finished, measured, planned, started, stepped, terminal, written

from ladder_ebgan.experiment import Event, Stopped
from ladder_ebgan.interruption import StopRequest
from ladder_ebgan.report import display as displays
from ladder_ebgan.report.display import Quiet, make_display
from ladder_ebgan.report.live import Live
from ladder_ebgan.report.progress import Plain


def experiment(*groups: object) -> Any:
    return SimpleNamespace(groups=list(groups))


@pytest.fixture(autouse=True)
def plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(displays, "plan_of", lambda _: planned(LADDER, EBGAN))


@pytest.mark.parametrize(
    ("environment", "kind"),
    [({}, Live), ({"NO_COLOR": "1"}, Plain), ({"TERM": "dumb"}, Plain), ({"TERM": "unknown"}, Plain)],
)
def test_the_display_fits_the_terminal(environment: dict[str, str], kind: type) -> None:
    display = make_display(terminal(**environment), experiment(LADDER), StopRequest(None))
    display.close()
    assert isinstance(display, kind)


def test_a_terminal_without_unicode_has_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "encoding", "iso8859-1")
    assert isinstance(make_display(terminal(), experiment(LADDER), StopRequest(None)), Plain)


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
def test_a_file_has_plain_lines_whatever_the_environment_says(environment: dict[str, str]) -> None:
    console = Console(file=io.StringIO(), _environ=environment)
    display = make_display(console, experiment(LADDER), StopRequest(None), verbose=True)
    assert isinstance(display, Plain)
    for event in (started(EBGAN), measured(EBGAN, *[1.0] * 6), finished(EBGAN, *[1.0] * 6)):
        display.show(event)
    assert written(console).count("step 250") == 2
    assert "\x1b" not in written(console)


@pytest.mark.parametrize(("groups", "quiet"), [((LADDER,), True), ((), False)])
def test_quiet_or_without_work_nothing_is_shown(groups: tuple[object, ...], quiet: bool) -> None:
    console = terminal()
    display = make_display(console, experiment(*groups), StopRequest(None), quiet)
    events: list[Event] = [started(LADDER), stepped(LADDER, 1000), finished(LADDER, 1.0), Stopped("SIGINT")]
    for event in events:
        display.show(event)
    display.close()
    assert isinstance(display, Quiet)
    assert written(console) == ""


def test_a_verbose_display_is_verbose() -> None:
    console = terminal()
    display = make_display(console, experiment(LADDER), StopRequest(None), verbose=True)
    display.show(measured(LADDER, 1.0))
    display.close()
    assert "step 250" in written(console)
