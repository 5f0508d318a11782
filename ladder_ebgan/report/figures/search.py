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
from ladder_ebgan.search.space import Choices, Range, decoded
from ladder_ebgan.search.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LETTERS = 16  # of a choice
Points = dict[str, list[tuple[dict[str, Any], float]]]  # parameters of trials, what they came to, by their kind
CHOICE_FIGURE, PARAMETERS_FIGURE = "validation_size", "parameters"


def draw_search(summary: Summary) -> None:
    """Write the figures into the folder of the search."""
    folder = summary.search.folder / "figures"
    parameters_figure(summary, folder / PARAMETERS_FIGURE)
    choice_figure(summary.choices, summary.space.labels, folder / CHOICE_FIGURE)


def draw_gan_search(summary: GANSummary) -> None:
    """Write the figure of a search of GANs into its folder: the score; what diverged stands at 0."""
    points: Points = {"done": [], "diverged": []}
    for each in summary.outcomes:
        if each.score is not None:
            points[each.status].append((each.parameters, each.score))
    figure, first = _over_parameters("Modified inception score over the parameters", summary, points)
    figure.supylabel("modified inception score I'", fontsize=10)
    if not any(points.values()):
        say_nothing_yet(first)
    save(figure, summary.search.folder / "figures" / PARAMETERS_FIGURE)


def parameters_figure(summary: Summary, path: Path) -> None:
    """Write the validation error over the values of each parameter, one panel for each."""
    labels = {"done": "trained to the end", "given up": "given up on the way"}
    shown = [each for each in summary.outcomes if each.errors]
    points: Points = {label: [] for label in labels.values()}
    for each in shown:
        parameters = {key: decoded(value) for key, value in each.parameters.items()}
        points[labels[each.status]].append((parameters, each.mean))
    figure, first = _over_parameters("Validation error over the parameters", summary, points)
    figure.supylabel("validation error (%)", fontsize=10)
    if shown:
        logarithmic(first, [each.mean for each in shown])
    else:
        say_nothing_yet(first)
    save(figure, path)


def _over_parameters(title: str, summary: Summary | GANSummary, points: Points) -> tuple["Figure", "Axes"]:
    """Return a figure with a panel for each parameter, and its first axes; a legend if there are two kinds."""
    parameters = summary.space.parameters
    figure, stacks = stacks_of_panels(title, len(parameters), 1, 2.8, 2.6)
    for (axes,), (key, parameter) in zip(stacks, parameters.items(), strict=True):
        share, name = summary.importance.get(key), "\n".join(part.strip() for part in key.split(","))
        axes.set_title(name + ("" if share is None else f" ({100 * share:.0f} %)"), fontsize=8)
        for (label, mine), (marker, colour) in zip(points.items(), (("o", BLUE), ("x", VERMILION)), strict=True):
            if mine:
                places = [_place(parameter, of_trial[key]) for of_trial, _ in mine]
                heights = [height for _, height in mine]
                axes.plot(places, heights, linestyle="none", marker=marker, color=colour, ms=4, label=label)
        if isinstance(parameter, Range):
            _span(axes, parameter)
        else:
            _choice_ticks(axes, parameter.choices)
    first = stacks[0][0]
    if list(points.values())[1]:
        first.legend(fontsize=7)
    return figure, first


def _place(parameter: Choices | Range, value: Any) -> float:
    return parameter.choices.index(value) if isinstance(parameter, Choices) else float(value)


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
