"""The figure of docs/theory.md: what one point costs a discriminator, with and without the hinge."""

from typing import TYPE_CHECKING

import numpy as np

from ladder_ebgan.report.figures.drawing import BLUE, VERMILION, stacks_of_panels
from ladder_ebgan.theory import best_energies, point_cost

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def lemma_1(p_data: list[float], p_generated: list[float], margin: float) -> "Figure":
    """Return phi of Lemma 1 over energies from 0 to twice the margin, a panel for each pair of probabilities."""
    title = "What one point costs the discriminator, by its energy"
    figure, stacks = stacks_of_panels(title, len(p_data), 1, width=2.9, height=2.3)
    energy = np.linspace(0, 2 * margin, 101)
    for (axes,), one, other in zip(stacks, p_data, p_generated, strict=True):
        a, b = np.array([one]), np.array([other])
        axes.axvline(margin, color="0.8", linewidth=1)
        axes.plot(energy, a * energy + b * (margin - energy), "--", color=VERMILION, label="without the hinge")
        axes.plot(energy, point_cost(energy, a, b, margin), color=BLUE, label="with the hinge")
        ends = np.minimum(np.concatenate(best_energies(a, b, margin)), 2 * margin)
        axes.plot(ends, point_cost(ends, a, b, margin), "o-", color=BLUE, linewidth=4, label="best energies")
        axes.set_title(f"p_data = {one:g}, p_G = {other:g}", fontsize=10)
        axes.set_xlabel("energy D")
        axes.set_xticks([0, margin, 2 * margin])
    stacks[0][0].set_ylabel("cost")
    figure.legend(*stacks[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
