"""The margin that is proposed, and why: in words, or as JSON.

recipe, model, data      what it is for; of the data the name
energy                   "norm", Eq. (13), or "squared error", of EBGAN-LN
n_held_out, seeds        what it was measured on
points                   [{step, energies, mean}, ...], energies by seed
settled                  whether fall_percent, while the number of steps doubles, is less than fall_limit_percent
settled_energy           {mean, std} of the last point
margin, search           the proposal, and the margins to search from it on
recipe_margin            what the recipe has, of a margin that decays what it begins with
set                      the change of the recipe, for --set
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ladder_ebgan.alone import Measured
from ladder_ebgan.margin import SETTLED_BELOW_PERCENT, Proposal, fall_percent
from ladder_ebgan.report.lines import columns, hanging, plus_minus
from ladder_ebgan.report.seeds import seeds_phrase
from ladder_ebgan.statistics import mean, standard_deviation

ROWS = 12  # of the table of energies, at most


@dataclass(frozen=True)
class Asked:
    """What the margin is for."""

    recipe: str
    model: str
    section: str  # of the recipe that the margin is in
    variant: Sequence[str] | None  # the changes of the section, if the model is a variant of it
    data: str
    squared: bool  # whether the energy is a squared error, and the margin a curve
    recipe_margin: float
    n_held_out: int
    seeds: Sequence[int]

    @property
    def energy(self) -> str:
        """What the energy is."""
        return "squared error" if self.squared else "norm"

    def setting(self, margin: float) -> str:
        """Return the change of the recipe that gives it a margin, as --set takes it."""
        change = f"margin{'.values.0' if self.squared else ''}={margin:g}"
        if self.variant is None:
            return f"{self.section}.{change}"
        return f"variants.{self.model}.set={json.dumps([*self.variant, change])}"  # the last one counts


def point_line(points: Sequence[Measured]) -> str:
    """Say what was measured last."""
    last, fall = points[-1], fall_percent(points)
    falls = "" if fall is None else f", {_fall(fall)} as the steps double"
    return f"  step {last.step}: energy {_energy(last)}{falls}"


def margin_text(asked: Asked, proposal: Proposal, width: int | None = None) -> str:
    """Return the energies, the margin that they suggest, and why."""
    lines = [
        f"Energy of {asked.n_held_out:,} training images of {asked.data} that {asked.model} of {asked.recipe}, "
        "trained alone, does not see",
        "",
        *columns(["step", "energy"], [(f"{point.step:,}", _energy(point)) for point in _shown(proposal.points)]),
        "",
        *_sentences(asked, proposal),
        "",
        f"Proposed margin: {proposal.margins[0]:g}; search {', '.join(f'{m:g}' for m in proposal.margins)}",
        "",
        f"    --set {shlex.quote(asked.setting(proposal.margins[0]))}",
    ]
    return "".join(f"{hanging('', line, width) if not line.startswith(' ') else line}\n" for line in lines)


def _sentences(asked: Asked, proposal: Proposal) -> Iterator[str]:
    last, energy = proposal.points[-1], proposal.energy
    if asked.squared:
        yield "Energy and margin are squared errors, summed over pixels, without lambda_L2 (appendix D)."
    else:
        yield "Energy and margin are norms, ||Dec(Enc(x)) - x|| of Eq. (13)."
    over = f"{seeds_phrase(asked.seeds)}"
    if proposal.settled:
        limit = f"less than {SETTLED_BELOW_PERCENT:g} %"
        yield f"It settles at {_energy(last)} ({over}): it changes by {limit} while the number of steps doubles."
    else:
        fall = fall_percent(proposal.points)
        falls = "" if fall is None else f" and {_fall(fall)} while the number of steps doubles"
        end = "smaller" if fall is None or fall >= 0 else "larger"
        yield (
            f"It has not settled in {last.step:,} steps, where it is {_energy(last)} ({over}){falls}. "
            f"The margin may be {end}; give more --max-steps."
        )
    yield (
        f"In Eq. (1) the first term goes from {proposal.start:.3g} to {energy:.3g}, and the second, "
        f"[m - D(G(z))]^+, lies between 0 and m: with m = {proposal.margins[0]:g} the two balance (appendix E)."
    )
    yield (
        "Below that a generated image as good as a real one has a closed hinge and teaches nothing, and modes are "
        "dropped; far above, the discriminator mostly pushes generated images away, and training is unstable."
        + (" Begin large, and let the margin decay to 0 (appendix D)." if asked.squared else "")
    )
    yield f"The recipe has {asked.recipe_margin:g}, {asked.recipe_margin / energy:.2g} times that energy."


def margin_json(asked: Asked, proposal: Proposal) -> str:
    """Return the same as JSON."""
    content = {
        "recipe": asked.recipe,
        "model": asked.model,
        "data": asked.data,
        "energy": asked.energy,
        "n_held_out": asked.n_held_out,
        "seeds": list(asked.seeds),
        "points": [
            {"step": point.step, "energies": list(point.energies), "mean": mean(point.energies)}
            for point in proposal.points
        ],
        "settled": proposal.settled,
        "fall_percent": fall_percent(proposal.points),
        "fall_limit_percent": SETTLED_BELOW_PERCENT,
        "settled_energy": {"mean": proposal.energy, "std": proposal.deviation},
        "margin": proposal.margins[0],
        "search": proposal.margins,
        "recipe_margin": asked.recipe_margin,
        "set": asked.setting(proposal.margins[0]),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _energy(point: Measured) -> str:
    return plus_minus(mean(point.energies), standard_deviation(point.energies), ".4g", ".2g")


def _fall(percent: float) -> str:
    return f"{'falls' if percent >= 0 else 'rises'} by {abs(percent):.1f} %"


def _shown(points: Sequence[Measured]) -> list[Measured]:
    """Return some of the points, evenly spaced, the last among them."""
    every = -(-(len(points) - 1) // (ROWS - 1)) or 1
    return [point for number, point in enumerate(points) if (len(points) - 1 - number) % every == 0]
