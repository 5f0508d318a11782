"""Which margin to begin with: that of appendix E, from where the energy of a discriminator settles alone.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, appendix E.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ladder_ebgan.alone import Measured
from ladder_ebgan.statistics import mean, standard_deviation

SETTLED_BELOW_PERCENT = 10.0  # that the energy changes by while the number of steps doubles
FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0)  # of the energy: the margins to search
DIGITS = 2  # of a proposed margin


@dataclass(frozen=True)
class Proposal:
    """A margin to begin with, and what it was found by."""

    points: tuple[Measured, ...]
    settled: bool  # else the training was too short, and the energy still falls or rises

    @property
    def start(self) -> float:
        """The mean energy before the first step."""
        return mean(self.points[0].energies)

    @property
    def energy(self) -> float:
        """Where the mean energy has gone."""
        return mean(self.points[-1].energies)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of that over seeds; None for a single one."""
        return standard_deviation(self.points[-1].energies)

    @property
    def margins(self) -> list[float]:
        """Margins to search from the first on."""
        return [float(f"{factor * self.energy:.{DIGITS}g}") for factor in FACTORS]


def fall_percent(points: Sequence[Measured]) -> float | None:
    """Return by how much percent the energy falls while the number of steps doubles; None where it is not known.

    Of t steps, what was measured after t/2 is compared with what was between t/4 and t/2, each in the mean, since
    single measurements go up and down.
    """
    steps = points[-1].step
    earlier = [mean(point.energies) for point in points if steps / 4 < point.step <= steps / 2]
    later = [mean(point.energies) for point in points if steps / 2 < point.step]
    return 100 * (1 - mean(later) / mean(earlier)) if earlier and later else None


def has_settled(points: Sequence[Measured], least_steps: int) -> bool:
    """Return whether the energy changes by less than SETTLED_BELOW_PERCENT while the number of steps doubles.

    Not before `least_steps`: a training may begin on a plateau.
    """
    fall = fall_percent(points)
    return points[-1].step >= least_steps and fall is not None and abs(fall) < SETTLED_BELOW_PERCENT


def followed(measurements: Iterable[Measured], least_steps: int) -> Iterator[Proposal]:
    """Yield what is known after each measurement, until the energy has settled or there are no more."""
    points: tuple[Measured, ...] = ()
    for point in measurements:
        points = (*points, point)
        settled = has_settled(points, least_steps)
        yield Proposal(points, settled)
        if settled:
            return
