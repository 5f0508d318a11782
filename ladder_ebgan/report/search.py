"""The table of a search: the best settings, what matters, and what a small validation set would have chosen."""

from collections.abc import Iterable, Mapping, Sequence

from ladder_ebgan.report.lines import columns, plus_minus
from ladder_ebgan.search.outcomes import Outcome
from ladder_ebgan.search.summary import Summary
from ladder_ebgan.statistics import standard_deviation

MOST_SETTINGS = 10
Block = tuple[str, list[str], list[list[str]]]  # title, headings, rows


def search_text(summary: Summary) -> str:
    """Return the tables as text."""
    return blocks_text(_headline(summary), _blocks(summary))


def search_markdown(summary: Summary) -> str:
    """Return the tables as Markdown."""
    return blocks_markdown(_headline(summary), _blocks(summary))


def blocks_text(headline: str, blocks: Iterable[Block]) -> str:
    """Return tables under their titles as text."""
    parts = [f"{title}\n\n{_lines(headings, rows)}" for title, headings, rows in blocks]
    return "\n\n".join([headline, *parts]) + "\n"


def blocks_markdown(headline: str, blocks: Iterable[Block]) -> str:
    """Return tables under their titles as Markdown."""
    parts = [f"{title}\n\n{_markdown(headings, rows)}" for title, headings, rows in blocks]
    return "\n\n".join([headline, *parts]) + "\n"


def _headline(summary: Summary) -> str:
    search, space = summary.search, summary.space
    dataset = search.task.dataset
    counts = ", ".join(f"{n} {status}" for status, n in summary.counts().items()) or "none yet"
    return (
        f"Search {search.request.name}: {space.model}, {space.labels} labels of {dataset.name}, "
        f"{len(dataset.test_labels)} images held out of the training set. Trials: {counts}."
    )


def _blocks(summary: Summary) -> Iterable[Block]:
    space = summary.space
    if summary.best:
        title = f"Best settings, by the validation error in percent ({_over(space.n_subsets)})"
        names = short_names(list(space.parameters))
        rows = [_row(each, list(space.parameters)) for each in summary.best[:MOST_SETTINGS]]
        yield title, ["trial", "error", *names], rows
    if summary.importance:
        yield importance_block(summary.importance, "variance of a random forest's prediction over the space")
    if summary.choices:
        rows = [
            [str(choice.n_images), f"{choice.error_percent:.2f}", f"{choice.best_percent:.0f} %"]
            for choice in summary.choices
        ]
        title = "What a smaller validation set would choose, with the models of one subset (mean over random draws)"
        yield title, ["validation images", "error of the choice", "the best of all is chosen"], rows


def importance_block(importance: Mapping[str, float], of: str) -> Block:
    """Return the table of what matters: shares of what, by parameter."""
    rows = [[key, f"{100 * share:.0f} %"] for key, share in importance.items()]
    return f"What matters: share of the {of}", ["", "share"], rows


def _over(n_subsets: int) -> str:
    return "one labelled subset" if n_subsets == 1 else f"mean ± deviation over {n_subsets} labelled subsets"


def _row(outcome: Outcome, keys: Sequence[str]) -> list[str]:
    error = plus_minus(outcome.mean, standard_deviation(outcome.errors))
    return [str(outcome.trial), error, *(_value(outcome.parameters.get(key, "")) for key in keys)]


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def short_names(keys: Sequence[str]) -> list[str]:
    """Return the keys without their first parts, where what is left still tells them apart."""
    short = [key.split(",")[0].partition(".")[2] for key in keys]
    return [name if short.count(name) == 1 else key for name, key in zip(short, keys, strict=True)]


def _lines(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(columns(headings, rows))


def _markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] + ["---:"] * (len(headings) - 1), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
