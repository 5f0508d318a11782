"""What the live display shows, as lines that fit a terminal: the groups, the results so far, the whole run."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.text import Text

from ladder_ebgan.interruption import AGAIN, STOPPING, TIME_LIMIT
from ladder_ebgan.report.lines import plus_minus
from ladder_ebgan.report.phrases import duration
from ladder_ebgan.report.seeds import seed_list
from ladder_ebgan.report.tracker import DONE, STOPPED, TRAINING, WAITING, GroupProgress, Tracker
from ladder_ebgan.results import Result
from ladder_ebgan.statistics import mean, standard_deviation

GAP = "  "  # between columns
MOST_ROWS = 12  # of groups; where there would be more, those that wait or are done are only counted
LEAST_BAR, LONGEST_BAR = 8, 24
SEEDS_WIDTH = 12  # of a list of them
PERCENTAGE = 6  # the width of " 100 %"
NARROW = 60  # columns; below there is no bar


class Column(NamedTuple):
    """A column of the table of groups."""

    header: str
    rank: int  # of the columns that do not fit, those of the highest rank are left out
    least_width: int = 0
    left: bool = False  # aligned left, not right


BAR = 3  # the column that has it
COLUMNS = (
    Column("model", 0, left=True),
    Column("labels", 2),
    Column("seeds", 7),
    Column("progress", 1, left=True),
    Column("left", 3, least_width=9),
    Column("error %", 4),
    Column("steps/s", 6),
    Column("diverged", 5),
    Column("classif.", 8),
    Column("denois.", 9),
    Column("margin", 10),
    Column("energy", 11),
    Column("generated", 12),
    Column("open %", 13),
)
STYLES = {DONE: "green", STOPPED: "yellow", WAITING: "dim"}


class Row(NamedTuple):
    """A line of the table of groups."""

    cells: list[str]  # one a column, empty where there is nothing to show
    share_done: float | None  # None without a bar
    style: str


def screen_lines(tracker: Tracker, stop_reason: str | None, width: int, height: int) -> list[Text]:
    """Return at most `height` lines, each of at most `width` columns or to be cut off there."""
    rows = _rows(tracker, height - 2)  # without a header and the footer
    lines = _group_lines(rows, width) if rows else []
    n_results = min(len(tracker.results), height - len(lines) - 3)  # after an empty line and a header
    if n_results > 0:
        lines += [Text(), *_result_lines(list(tracker.results.items())[-n_results:], width)]
    footer = _line([_footer(tracker, stop_reason)], "dim")
    footer.truncate(max(1, width - len("^C")), overflow="ellipsis")  # the cursor stays behind it, where it shows
    return [*lines, footer]


def _line(cells: Iterable[str | Text], style: str = "") -> Text:
    line = Text(GAP, style, no_wrap=True, overflow="ellipsis").join(map(_text, cells))
    line.rstrip()
    return line


def _text(cell: str | Text) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def _rows(tracker: Tracker, room: int) -> list[Row]:
    """Return a row for each budget of each group; without room for all, only of those under way."""
    shown = list(tracker.groups.values())
    if sum(len(progress.budgets()) for progress in shown) > min(room, MOST_ROWS):
        shown = [progress for progress in shown if progress.status not in {WAITING, DONE}]
    rows = [_row(tracker, progress, labels) for progress in shown for labels in progress.budgets()]
    return rows[: max(0, room)]


def _row(tracker: Tracker, progress: GroupProgress, labels: int) -> Row:
    seeds = [replica.seed for replica in progress.group.replicas if replica.labels == labels]
    listed = seed_list(seeds)
    trains = progress.status == TRAINING
    share_done = progress.step / progress.n_steps
    percentage = f"{100 * share_done:.0f} %"
    cells = [
        progress.group.model,
        str(labels or ""),
        listed if len(listed) <= SEEDS_WIDTH else f"{len(seeds)} seeds",
        {TRAINING: percentage, STOPPED: f"{STOPPED} {percentage}"}.get(progress.status, progress.status),
        _left(tracker.seconds_left(progress)) if trains else "",
        _number(progress.unlabeled_error(labels), ".2f"),
        *(_step_cells(progress, labels) if trains else [""] * 8),
    ]
    return Row(cells, share_done if trains else None, STYLES.get(progress.status, ""))


def _step_cells(progress: GroupProgress, labels: int) -> list[str]:
    """Return what is known of the last step that was looked at."""
    speed, costs = progress.steps_per_second, progress.mean_costs(labels)
    return [
        _number(speed, ",.1f" if speed is not None and speed < 100 else ",.0f"),
        str(progress.n_diverged(labels) or ""),
        _number(costs.classification),
        _number(costs.denoising),
        _number(progress.margin),
        _number(costs.energy_real),
        _number(costs.energy_generated),
        _number(costs.open_hinges_percent, ".0f"),
    ]


def _number(value: float | None, layout: str = ".3g") -> str:
    return "" if value is None else format(value, layout)


def _left(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _group_lines(rows: list[Row], width: int) -> list[Text]:
    """Return the header and the rows, with the columns that fit; the bar takes the rest of the width."""
    widths = [
        max(len(column.header), column.least_width, *map(len, texts)) if any(texts) else 0
        for column, texts in zip(COLUMNS, zip(*(row.cells for row in rows), strict=True), strict=True)
    ]
    if width >= NARROW:
        widths[BAR] = LEAST_BAR + PERCENTAGE
    kept, room = set[int](), width + len(GAP)
    for i in sorted((i for i, most in enumerate(widths) if most), key=lambda i: COLUMNS[i].rank):
        if widths[i] + len(GAP) > room:
            break
        kept.add(i)
        room -= widths[i] + len(GAP)
    if width >= NARROW:
        widths[BAR] = min(widths[BAR] + room, LONGEST_BAR + PERCENTAGE)
    header = Row([column.header for column in COLUMNS], None, "dim")
    return [_group_line(row, kept, widths) for row in [header, *rows]]


def _group_line(row: Row, kept: set[int], widths: list[int]) -> Text:
    cells: list[str | Text] = [
        _aligned(cell, width, column.left) for column, cell, width in zip(COLUMNS, row.cells, widths, strict=True)
    ]
    bar_width = widths[BAR] - PERCENTAGE
    if row.share_done is not None and bar_width >= LEAST_BAR:
        cells[BAR] = _bar(row.share_done, bar_width).append(row.cells[BAR].rjust(PERCENTAGE))
    return _line([cell for i, cell in enumerate(cells) if i in kept], row.style)


def _aligned(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)


def _bar(share_done: float, width: int) -> Text:
    n_done = int(width * share_done)
    return Text.assemble(("━" * n_done, "cyan"), ("─" * (width - n_done), "dim"))


def _result_lines(results: list[tuple[tuple[str, int], list[Result]]], width: int) -> list[Text]:
    """Return a header, and of each model and budget mean and deviation and as many of its seeds as fit."""
    with_labels = any(labels for (_, labels), _ in results)
    cells = [("model", "labels", "test error %") if with_labels else ("model", "", "modified inception score")]
    cells += [(model, str(labels or ""), _mean_text(cell)) for (model, labels), cell in results]
    widths = [max(map(len, texts)) for texts in zip(*cells, strict=True)]
    room = width - sum(widths) - len(widths) * len(GAP)
    seeds = ["by seed" if room > 0 else "", *(_seeds_text(cell, room) for _, cell in results)]
    styles = ["dim", *[""] * len(results)]
    return [
        _line([model.ljust(widths[0]), labels.rjust(widths[1]), error.ljust(widths[2]), by_seed], style)
        for (model, labels, error), by_seed, style in zip(cells, seeds, styles, strict=True)
    ]


def _mean_text(cell: list[Result]) -> str:
    numbers = [number for number in map(_outcome, cell) if number is not None]
    if not numbers:
        return "none"
    return f"{plus_minus(mean(numbers), standard_deviation(numbers))} ({len(numbers)})"


def _outcome(result: Result) -> float | None:
    """Return the test error, or of a GAN the score of its images."""
    return result.modified_inception_score if result.test_error_percent is None else result.test_error_percent


def _seeds_text(cell: list[Result], room: int) -> str:
    """Return the error of each seed, or of the last ones that fit, behind an ellipsis."""
    entries = [f"{result.seed}: {_outcome_text(result)}" for result in sorted(cell, key=lambda result: result.seed)]
    texts = [GAP.join(["…"] * (start > 0) + entries[start:]) for start in range(len(entries))]
    return next((text for text in texts if len(text) <= room), "")


def _outcome_text(result: Result) -> str:
    number = _outcome(result)
    if number is not None:
        return f"{number:.2f}"
    return "done" if result.status == "ok" else f"diverged at step {result.diverged_step}"


def _footer(tracker: Tracker, stop_reason: str | None) -> str:
    """Return why the run is about to stop, or how far all groups together are."""
    n_active, n_waiting, n_stopped = len(tracker.active()), tracker.count(WAITING), tracker.count(STOPPED)
    if stop_reason is not None and n_active:
        return f"{STOPPING} ({TIME_LIMIT})." if stop_reason == TIME_LIMIT else f"{STOPPING}{AGAIN}"
    left = tracker.run_seconds_left() if n_active else None
    counts = ((n_active, "training"), (n_waiting, WAITING), (n_stopped, STOPPED))
    others = ", ".join(f"{count} {status}" for count, status in counts if count)
    return (
        f"{tracker.count(DONE)} of {len(tracker.groups)} groups done in {duration(tracker.clock() - tracker.began)}"
        + (f", {duration(left)} left" if left is not None else "")
        + (f"; {others}" if others else "")
    )
