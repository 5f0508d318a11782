import re
import signal
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise

import pytest
from rich.console import Console
from run_events import EBGAN, LADDER, Clock, finished, measured, planned, started, stepped, terminal, written

from ladder_ebgan.experiment import Event, Stopped
from ladder_ebgan.interruption import NOTICE, StopRequest, stop_request
from ladder_ebgan.report import live
from ladder_ebgan.report.live import Live
from ladder_ebgan.report.tracker import Tracker

HIDE, SHOW, ERASE, UP = "\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\x1b[1A"


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def live_display(console: Console, clock: Clock, verbose: bool = False, stop: StopRequest | None = None) -> Live:
    return Live(console, planned(LADDER, EBGAN), stop or StopRequest(None), verbose, clock)


def drawn(console: Console, act: Callable[[], None]) -> str:
    """What something writes to the console."""
    before = len(written(console))
    act()
    return written(console)[before:]


def test_it_begins_with_the_groups_and_ends_with_the_last_state() -> None:
    console, clock = terminal(), Clock()
    display = live_display(console, clock)
    assert written(console).startswith(HIDE)
    assert "ebgan-ladder     200    0-2  waiting" in plain(written(console))
    events: list[Event] = [started(LADDER), stepped(LADDER, 1), measured(LADDER, 4.0), stepped(LADDER, 501)]
    for event in events:
        clock.now += 10
        display.show(event)
    assert re.search(r"ladder +100 +7 +━+─+  50 % +20 s +4.00 +25.0 +0.5 +5\n", plain(written(console)))
    display.show(finished(LADDER, 3.5))
    display.show(Stopped("time limit"))
    end = drawn(console, display.close)
    assert plain(end).replace("\r", "").splitlines() == [
        "model         labels  seeds  progress                        error %",
        "ladder           100      7  done                               4.00",
        "ebgan-ladder     100    0-2  waiting",
        "ebgan-ladder     200    0-2  waiting",
        "",
        "model   labels  test error %  by seed",
        "ladder     100  3.50 (1)      7: 3.50",
        "1 of 2 groups done in 40 s; 1 waiting",
    ]
    assert end.endswith("\n" + SHOW)


def test_it_draws_in_place() -> None:
    """Five lines: the cursor goes up four of them, each of which is erased."""
    console, clock = terminal(), Clock()
    display = live_display(console, clock)
    text = drawn(console, lambda: display.show(started(LADDER)))
    assert text.startswith(f"\r{ERASE}" + 4 * f"{UP}{ERASE}")
    assert text.count("\n") == 4
    display.close()


def test_costs_are_read_no_more_often_than_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of a step each 20 ms, every other one of another group: a drawing and two looks each half second."""
    console, clock, looks, drawings = terminal(), Clock(), list[tuple[str, float]](), list[float]()
    look, lines = Tracker.look, live.screen_lines

    def counted_look(self: Tracker, event: object) -> None:
        looks.append((event.group.model, clock.now))  # type: ignore[attr-defined]
        look(self, event)  # type: ignore[arg-type]

    def counted_lines(*arguments: object) -> object:
        drawings.append(clock.now)
        return lines(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Tracker, "look", counted_look)
    monkeypatch.setattr(live, "screen_lines", counted_lines)
    display = live_display(console, clock)
    for group in (LADDER, EBGAN):
        display.show(started(group))
    drawings.clear()
    events = [stepped(LADDER, 5), stepped(EBGAN, 5, margin=1.0)]
    for tick in range(3_000):
        clock.now = 100.0 + tick / 50
        display.show(events[tick % 2])
    assert len(drawings) == pytest.approx(120, abs=4)
    for model in ("ladder", "ebgan-ladder"):
        times = [time for name, time in looks if name == model]
        assert len(drawings) - 2 <= len(times) <= len(drawings) + 2
        assert min(after - before for before, after in pairwise(times)) > 0.45
    display.close()


def test_slow_drawing_is_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing takes 50 ms, so the next one comes 10 seconds later."""
    console, clock, times = terminal(), Clock(), list[float]()
    lines = live.screen_lines

    def slow_lines(*arguments: object) -> object:
        times.append(clock.now)
        clock.now += 0.05
        return lines(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(live, "screen_lines", slow_lines)
    display = live_display(console, clock)
    display.show(started(LADDER))
    times.clear()
    for _ in range(1000):
        clock.now += 0.05
        display.show(stepped(LADDER, 7))
    pauses = [after - before for before, after in pairwise(times)]
    assert len(pauses) in {3, 4, 5}
    assert min(pauses) > 9.99
    display.close()


def test_the_last_step_is_drawn_at_once() -> None:
    console, clock = terminal(), Clock()
    display = live_display(console, clock)
    display.show(started(LADDER))
    display.show(stepped(LADDER, 998))
    assert drawn(console, lambda: display.show(stepped(LADDER, 999))) == ""
    assert drawn(console, lambda: display.show(measured(LADDER, 1.0))) == ""
    assert "testing" in drawn(console, lambda: display.show(stepped(LADDER, 1000)))
    display.close()


def test_verbose_has_lines_above() -> None:
    console, clock = terminal(), Clock()
    display = live_display(console, clock, verbose=True)
    text = plain(drawn(console, lambda: display.show(measured(LADDER, 4.0))))
    assert text.lstrip("\r").startswith(
        "  ladder, 100 labels, seed 7, step 250: classification 0.5, denoising 10, unlabelled error 4.00 %\nmodel "
    )
    text = plain(drawn(console, lambda: display.show(finished(LADDER, None))))
    assert text.lstrip("\r").startswith("  ladder, 100 labels, seed 7: diverged at step 77\nmodel ")
    display.close()


@pytest.mark.parametrize("verbose", [False, True])
def test_a_narrower_terminal_has_wrapped_the_last_drawing(verbose: bool) -> None:
    """A line of 37 columns and four of 36 take 3 and 2 rows on a terminal of 18 columns: six more."""
    console, clock = terminal(), Clock()
    display = live_display(console, clock, verbose)
    assert display.line_widths == [37, 36, 36, 36, 36]
    console.width = 18
    event: Event = measured(LADDER, 4.0) if verbose else started(LADDER)
    text = drawn(console, lambda: display.show(event))
    assert text.startswith((ERASE + UP) * 6 + f"\r{ERASE}" + 4 * f"{UP}{ERASE}")
    assert max(display.line_widths) <= 18
    console.width = 100
    assert drawn(console, lambda: display.show(started(EBGAN))).startswith(f"\r{ERASE}" + 4 * f"{UP}{ERASE}")
    display.close()


def test_asked_to_stop_it_says_so_in_place(capfd: pytest.CaptureFixture[str]) -> None:
    """Without moving the cursor to another line, and at the next event with the other lines."""
    console, clock = terminal(), Clock()
    with stop_request(None) as stop:
        display = live_display(console, clock, stop=stop)
        display.show(started(LADDER))
        signal.raise_signal(signal.SIGTERM)
        said = "Stopping after the steps under way, with a checkpoint; once more to stop at once."
        assert capfd.readouterr().err == f"\r{ERASE}\x1b[?7l{said}\x1b[?7h"
        clock.now += 1
        assert plain(drawn(console, lambda: display.show(stepped(LADDER, 1)))).endswith(f"\n{said}")
        display.close()
        assert stop.notice == NOTICE


def test_a_second_ctrl_c_leaves_the_cursor_visible() -> None:
    console = terminal()
    with pytest.raises(KeyboardInterrupt), closing(live_display(console, Clock())):
        raise KeyboardInterrupt
    assert written(console).endswith("0 of 2 groups done in 0 s; 2 waiting\x1b[0m\n" + SHOW)


def test_if_the_first_drawing_fails_the_cursor_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(live, "screen_lines", fail)
    console = terminal()
    with pytest.raises(ValueError):  # noqa: PT011
        live_display(console, Clock())
    assert written(console).endswith(SHOW)
