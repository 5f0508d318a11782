"""Figures of a search: the error over each parameter, and what a small validation set chooses."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ladder_ebgan.report.figures.drawing import (
    BLUE,
    VERMILION,
    logarithmic,
    save,
    say_nothing_yet,
    stacks_of_panels,
)
from ladder_ebgan.search.choice import Choice
from ladder_ebgan.search.gan_summary import GANSummary
from ladder_ebgan.search.outcomes import Outcome
from ladder_ebgan.search.space import Choices, Range
from ladder_ebgan.search.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LETTERS = 16  # of a choice
CHOICE_FIGURE, PARAMETERS_FIGURE = "validation_size", "parameters"


def draw_search(summary: Summary) -> None:
    """Write the figures into the folder of the search."""
    folder = summary.search.folder / "figures"
    parameters_figure(summary, folder / PARAMETERS_FIGURE)
    choice_figure(summary.choices, summary.space.labels, folder / CHOICE_FIGURE)


def draw_gan_search(summary: GANSummary) -> None:
    """Write the figure of a search of GANs into its folder."""
    gan_parameters_figure(summary, summary.search.folder / "figures" / PARAMETERS_FIGURE)


def gan_parameters_figure(summary: GANSummary, path: Path) -> None:
    """Write the score over the values of each parameter, one panel for each; what diverged stands at 0."""
    parameters = summary.space.parameters
    figure, stacks = stacks_of_panels("Modified inception score over the parameters", len(parameters), 1, 2.8, 2.6)
    for (axes,), (key, parameter) in zip(stacks, parameters.items(), strict=True):
        axes.set_title(_title(key, summary.importance.get(key)), fontsize=8)
        choices = parameter.choices if isinstance(parameter, Choices) else []
        for status, marker, colour in (("done", "o", BLUE), ("diverged", "x", VERMILION)):
            mine = [(each.parameters[key], each.score) for each in summary.outcomes if each.status == status]
            places = [(choices.index(value) if choices else value, score or 0.0) for value, score in mine]
            if places:
                axes.plot(
                    *zip(*places, strict=True), linestyle="none", marker=marker, color=colour, ms=4, label=status
                )
        if isinstance(parameter, Range):
            _span(axes, parameter)
        else:
            _choice_ticks(axes, choices)
    figure.supylabel("I'", fontsize=10)
    first = stacks[0][0]
    if any(each.status == "diverged" for each in summary.outcomes):
        first.legend(fontsize=7)
    elif not summary.best:
        say_nothing_yet(first)
    save(figure, path)


def _title(key: str, share: float | None) -> str:
    title = "\n".join(part.strip() for part in key.split(","))
    return title + ("" if share is None else f" ({100 * share:.0f} %)")


def parameters_figure(summary: Summary, path: Path) -> None:
    """Write the validation error over the values of each parameter, one panel for each."""
    space = summary.space
    figure, stacks = stacks_of_panels("Validation error over the parameters", len(space.parameters), 1, 2.8, 2.6)
    shown = [each for each in summary.outcomes if each.errors]
    for (axes,), (key, parameter) in zip(stacks, space.parameters.items(), strict=True):
        axes.set_title(_title(key, summary.importance.get(key)), fontsize=8)
        if isinstance(parameter, Range):
            _draw(axes, shown, [float(each.parameters[key]) for each in shown])
            _span(axes, parameter)
        else:
            _draw_choices(axes, shown, key, parameter)
    figure.supylabel("validation error (%)", fontsize=10)
    first = stacks[0][0]
    if shown:
        logarithmic(first, [each.mean for each in shown if each.mean > 0] or [1.0])
        if any(each.status == "given up" for each in shown):
            first.legend(fontsize=7)
    else:
        say_nothing_yet(first)
    save(figure, path)


def _draw(axes: "Axes", outcomes: Sequence[Outcome], places: Sequence[float]) -> None:
    for status, marker, colour in (("done", "o", BLUE), ("given up", "x", VERMILION)):
        mine = [(x, each.mean) for x, each in zip(places, outcomes, strict=True) if each.status == status]
        if mine:
            label = {"done": "trained to the end", "given up": "given up on the way"}[status]
            axes.plot(*zip(*mine, strict=True), linestyle="none", marker=marker, color=colour, ms=4, label=label)


def _span(axes: "Axes", parameter: Range) -> None:
    """Let the axis show the whole range, with a few plain numbers at it."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    room = 0.05
    if parameter.log:
        factor = (parameter.high / parameter.low) ** room
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(parameter.low / factor, parameter.high * factor)
    else:
        margin = (parameter.high - parameter.low) * room
        axes.set_xlim(parameter.low - margin, parameter.high + margin)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.tick_params(axis="x", labelsize=7)


def _draw_choices(axes: "Axes", outcomes: Sequence[Outcome], key: str, parameter: Choices) -> None:
    names: list[Any] = [json.dumps(choice) for choice in parameter.choices]
    _draw(axes, outcomes, [names.index(each.parameters[key]) for each in outcomes])
    _choice_ticks(axes, parameter.choices)


def _choice_ticks(axes: "Axes", choices: Sequence[Any]) -> None:
    names = [json.dumps(choice) for choice in choices]
    shown = [name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…" for name in names]
    axes.set_xticks(range(len(names)), shown, fontsize=7, rotation=30, ha="right")
    axes.set_xlim(-0.5, len(names) - 0.5)


def choice_figure(choices: Sequence[Choice], n_labels: int, path: Path) -> None:
    """Write the error of the setting that is chosen over the size of the validation set."""
    figure, ((axes,),) = stacks_of_panels("What a smaller validation set would choose", 1, 1, 5.0, 3.2)
    if choices:
        sizes = [choice.n_images for choice in choices]
        axes.plot(sizes, [choice.error_percent for choice in choices], marker="o", color=BLUE)
        axes.axvline(n_labels, color="0.4", linestyle=":")
        axes.annotate(
            "as many as labels", (n_labels, 1), (3, -9), xycoords=("data", "axes fraction"),
            textcoords="offset points", fontsize=7, color="0.3",
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(sizes, [str(size) for size in sizes], fontsize=7)
        axes.minorticks_off()
    else:
        say_nothing_yet(axes)
    axes.set_xlabel("validation images")
    axes.set_ylabel("error of the chosen setting (%)")
    save(figure, path)
