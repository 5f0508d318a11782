"""Text for a terminal: wrapped lines, columns of numbers, colours."""

import io
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ladder_ebgan.statistics import ALPHA, DECIMALS

if TYPE_CHECKING:
    from rich.console import Console

SMALLEST_P = 0.0001  # that is written out
NARROWEST = 20  # what is left for a text is not squeezed below this


def draws_in_place(console: "Console") -> bool:
    """Return whether lines may move on it: a terminal that can, where nobody has asked for none of that."""
    terminal = console.is_interactive and console.file.isatty()  # the environment may call a file interactive
    return terminal and not console.no_color and not console.options.ascii_only


def hanging(head: str, body: str, width: int | None) -> str:
    """Return `head` and `body`, wrapped at `width` if one is given; later lines begin below the body."""
    if width is None:
        return f"{head}{body}".rstrip()
    room = max(width - len(head), NARROWEST)
    lines = textwrap.wrap(body, room, break_long_words=False, break_on_hyphens=False) or [""]
    return (head + f"\n{' ' * len(head)}".join(lines)).rstrip()


def columns(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table: the first column is aligned left, the others, of numbers, right."""
    lines = [list(map(str, row)) for row in (headings, *rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    aligned = ([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines)
    return ["  ".join(cells).rstrip() for cells in aligned]


def plus_minus(centre: float, deviation: float | None, form: str = ".2f", deviation_form: str | None = None) -> str:
    """Return a mean and its standard deviation, if there is one: `6.01 ± 0.48`.

    Args:
        centre, deviation: the numbers.
        form: how they are written.
        deviation_form: how the deviation is, if otherwise.
    """
    return f"{centre:{form}}" + ("" if deviation is None else f" ± {deviation:{deviation_form or form}}")


def p_value(p: float) -> str:
    """Return a p-value with two digits, or more where one below 0.05 would be 0.05, or that it is very small."""
    if p < SMALLEST_P:
        return f"< {SMALLEST_P:.4f}"
    digits = 2
    while float(f"{p:.{digits}g}") >= ALPHA > p:
        digits += 1
    return f"{p:.{digits}g}"


def signed(difference: float, digits: int = 2) -> str:
    """Return a difference with its sign and two digits behind the point, but `-0.001` where that would be 0."""
    text = f"{difference:+z.{digits}f}"
    return text if float(text) or abs(difference) < 10**-DECIMALS else f"{difference:+.1g}"


def text_console(color: bool = False) -> "Console":
    """Return a console whose text is captured: wide enough for all, and whatever the environment says."""
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        width=1000,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},
    )
