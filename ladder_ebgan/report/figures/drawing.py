"""What all figures share: colours and line styles of the models, panels, and how a figure is stored.

Colours are from the palette of Okabe and Ito, "Color universal design" (2008), which colour-blind readers can
tell apart; markers and line styles say the same in grey print. Matplotlib is used through its objects, never
through pyplot, which keeps figures and settings of the whole process.
"""

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeGuard

from ladder_ebgan.folders import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
Line = Literal["-", "--", "-.", ":"]
Style = tuple[str, str, Line]  # colour, marker, line
STYLES: dict[str, Style] = {
    "ladder": (BLUE, "o", "-"),
    "ladder-matched": (GREEN, "s", "--"),
    "ebgan-ladder": (VERMILION, "^", "-."),
}
OTHER_STYLES: list[Style] = [(PURPLE, "D", ":"), (ORANGE, "v", "--"), (SKY, "P", "-.")]
MORE_MARKERS = "X*<p>hd"  # of further models, which have the colours of the others, with another line each time
DPI = 150
MIN_WIDTH = 5.5  # inches
MAX_LETTERS = 14  # of the name of a class
MAX_COLUMNS_WIDTH = 9.0  # inches of panels side by side: on A4 the letters are then still two thirds of their size


def style_of(model: str, models: Sequence[str]) -> Style:
    """Return colour, marker and line style: always the same for the models we know."""
    others = [other for other in models if other not in STYLES]
    if model in STYLES:
        return STYLES[model]
    place = others.index(model)
    n_more, index = divmod(place, len(OTHER_STYLES))
    color, marker, _ = OTHER_STYLES[index]
    line = OTHER_STYLES[(index + n_more) % len(OTHER_STYLES)][2]
    return color, MORE_MARKERS[(place - len(OTHER_STYLES)) % len(MORE_MARKERS)] if n_more else marker, line


def is_number(value: float | None) -> TypeGuard[float]:
    """Return whether there is a value, and a finite one."""
    return value is not None and math.isfinite(value)


def counted(n: int, what: str) -> str:
    """Return a number with its noun: 1 seed, 2 seeds."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def printable(classes: Sequence[object]) -> list[str]:
    """Return the names of classes: short ones, and the number of a class whose letters the font does not have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    letters = get_font(findfont(FontProperties())).get_charmap()
    names = []
    for index, label in enumerate(classes):
        name = " ".join(str(label).split())
        known = name and all(ord(letter) in letters for letter in name)
        names.append(_shortened(name) if known else f"class {index}")
    return names


def _shortened(name: str) -> str:
    """Return a name without its middle if it is long: names often begin alike, or end alike."""
    return name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 6]}…{name[-5:]}"


def new_figure(title: str, width: float, height: float, layout: Literal["constrained"] | None) -> "Figure":
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(width, MIN_WIDTH), height), dpi=DPI, layout=layout)
    figure.suptitle(title, fontsize=12)
    return figure


def stacks_of_panels(
    title: str, n_stacks: int, n_panels: int, width: float, height: float, comparable: bool = True
) -> tuple["Figure", list[list["Axes"]]]:
    """Return a figure of stacks of panels, side by side and then below each other.

    Those of one stack share the horizontal axis.

    Args:
        title: of the figure.
        n_stacks: number of stacks; there is one even if it is 0, to say that there is nothing.
        n_panels: number of panels of a stack.
        width: of a panel, in inches.
        height: of a panel, in inches.
        comparable: whether panels in the same place of their stacks share the vertical axis.
    """
    n_stacks = max(1, n_stacks)
    n_blocks = math.ceil(n_stacks / max(1, int(MAX_COLUMNS_WIDTH / width)))
    n_columns = math.ceil(n_stacks / n_blocks)
    figure = new_figure(title, 0.8 + width * n_columns, 1.0 + height * n_panels * n_blocks, "constrained")
    grid = figure.add_gridspec(n_blocks * n_panels, n_columns)
    stacks: list[list[Axes]] = []
    for stack in range(n_stacks):
        block, column = divmod(stack, n_columns)
        first = stacks[0] if stacks and comparable else [None] * n_panels
        rows = range(block * n_panels, (block + 1) * n_panels)
        axes = [figure.add_subplot(grid[row, column], sharey=y) for row, y in zip(rows, first, strict=True)]
        for panel in axes[:-1]:
            panel.sharex(axes[-1])
            panel.tick_params(labelbottom=False)
        for panel in axes if column and comparable else ():
            panel.tick_params(labelleft=False)
        stacks.append(axes)
    return figure, stacks


def logarithmic(axes: "Axes", values: Sequence[float]) -> None:
    """Give axes, and those that share them, a logarithmic scale with a few plain numbers at it.

    Where one of the values is 0, which has no logarithm, the scale stays linear.
    """
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    if min(values) <= 0:
        return
    subs = (1, 2, 5) if max(values) > 10 * min(values) else (1, 1.5, 2, 3, 5, 7)
    axes.set_yscale("log", nonpositive="clip")
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def say_nothing_yet(axes: "Axes") -> None:
    """Write into empty axes that they are."""
    axes.text(0.5, 0.5, "nothing to show yet", transform=axes.transAxes, ha="center", va="center", color="0.3")


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as `<path>.png` and `<path>.svg`, each whole or not at all.

    The same figure gives the same bytes: no date, and identifiers hashed with a fixed salt. Letters in the SVG are
    outlines, since a viewer that lacks the font would set others, too wide or too narrow for their place.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # Not by savefig, which lays out a figure twice for each format: half of the time of drawing it.
    title, png, svg = {"Title": figure.get_suptitle()}, BytesIO(), BytesIO()
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "ladder-ebgan"}):
        FigureCanvasAgg(figure).print_png(png, metadata=title)  # type: ignore[no-untyped-call]
        figure.set_layout_engine("none")
        FigureCanvasSVG(figure).print_svg(svg, metadata=title | {"Date": None})  # type: ignore[no-untyped-call]
    for suffix, picture in (("png", png), ("svg", svg)):
        write_atomically(path.with_name(f"{path.name}.{suffix}"), picture.getvalue())
