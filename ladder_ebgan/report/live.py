"""Progress of a run on a terminal, drawn again and again in place.

It is drawn when an event comes and the last drawing is old enough, never from a thread of its own, and so rarely
that drawing takes less than a two-hundredth of the time. The costs of a step are read just before they are drawn.
"""

import time
from collections.abc import Callable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live as Region
from rich.segment import ControlType

from ladder_ebgan.experiment import Event
from ladder_ebgan.group import CurveMeasured, Stepped
from ladder_ebgan.interruption import NOTICE, NOTICE_IN_PLACE, StopRequest
from ladder_ebgan.report.phrases import alarm_line, event_lines
from ladder_ebgan.report.screen import screen_lines
from ladder_ebgan.report.tracker import Plan, Tracker

REFRESH_SECONDS = 0.5
DRAWING_SHARE = 0.005  # of the time, at most


class Live:
    """Draws a line for each model and budget that trains, and the results as they come."""

    def __init__(
        self,
        console: Console,
        plan: Plan,
        stop: StopRequest,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console, self.stop, self.verbose, self.clock = console, stop, verbose, clock
        self.tracker = Tracker(plan, clock)
        self.line_widths: list[int] = []  # of the last drawing
        self.next_drawing = 0.0
        self.region = Region(self, console=console, auto_refresh=False)
        self.region.start(refresh=True)
        self.stop.notice = NOTICE_IN_PLACE

    def show(self, event: Event) -> None:
        """Take note of an event, and draw where it is time to."""
        if isinstance(event, Stepped):
            progress, now = self.tracker.groups[event.group], self.clock()
            last = event.progress.step == progress.n_steps
            if now >= progress.next_look or last:
                self.tracker.look(event)
                if now >= self.next_drawing or last:
                    self._draw()
                progress.next_look = self.next_drawing
            return
        alarms = self.tracker.take(event)
        for line in (*(event_lines(event, True) if self.verbose else ()), *map(alarm_line, alarms)):
            with self.console:
                self._erase_wrapped()
                self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        if not isinstance(event, CurveMeasured):
            self._draw()

    def close(self) -> None:
        """Stop drawing; the last state stays, with the cursor below it."""
        self.region.stop()
        self.stop.notice = NOTICE

    def _draw(self) -> None:
        began = self.clock()
        with self.console:
            self._erase_wrapped()
            self.region.refresh()
        self.next_drawing = began + max(REFRESH_SECONDS, (self.clock() - began) / DRAWING_SHARE)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the lines as they are now."""
        width, height = console.size
        lines = screen_lines(self.tracker, self.stop(), width, height)
        self.line_widths = [min(line.cell_len, width) for line in lines]
        yield from lines

    def _erase_wrapped(self) -> None:
        """Erase the rows by which the last drawing has grown if the terminal has become narrower and wrapped it."""
        width = self.console.width
        n_rows = sum(max(0, line_width - 1) // width for line_width in self.line_widths)
        self.console.control(Control(*((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)) * n_rows))
