"""The table of a search of GANs: the best settings by the score of their images, and what matters."""

from collections.abc import Iterable

from ladder_ebgan.report.search import (
    MOST_SETTINGS,
    Block,
    blocks_markdown,
    blocks_text,
    importance_block,
    short_names,
)
from ladder_ebgan.search.gan_summary import GANOutcome, GANSummary


def gan_search_text(summary: GANSummary) -> str:
    """Return the tables as text."""
    return blocks_text(_headline(summary), _blocks(summary))


def gan_search_markdown(summary: GANSummary) -> str:
    """Return the tables as Markdown."""
    return blocks_markdown(_headline(summary), _blocks(summary))


def _headline(summary: GANSummary) -> str:
    search = summary.search
    counts = ", ".join(f"{n} {status}" for status, n in summary.counts().items()) or "none yet"
    return (
        f"Search {search.request.name}: {summary.space.model} on {search.task.dataset.name}, "
        f"{search.study.n_wanted} settings asked for. Trials: {counts}."
    )


def _blocks(summary: GANSummary) -> Iterable[Block]:
    keys = list(summary.space.parameters)
    if summary.best:
        rows = [_row(each, keys) for each in summary.best[:MOST_SETTINGS]]
        title = "Best settings, by the modified inception score I' (one run each)"
        yield title, ["trial", "I'", "precision", "recall", "digits", *short_names(keys)], rows
    if summary.importance:
        yield importance_block(summary.importance, "variance of I' over the runs (0 where one has diverged)")


def _row(outcome: GANOutcome, keys: list[str]) -> list[str]:
    scores = outcome.scores
    return [
        str(outcome.trial),
        f"{outcome.score:.3f}",
        f"{scores['generated_precision']:.4f}",
        f"{scores['generated_recall']:.4f}",
        f"{scores['n_modes']:g}",
        *(_value(outcome.parameters[key]) for key in keys),
    ]


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
