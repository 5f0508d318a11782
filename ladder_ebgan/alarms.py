"""What learning curves warn of while generators train: collapsed generators, and discriminators that have won.

Both show without labels, and both must show at several points of the curves in a row, since one is one minibatch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ladder_ebgan.results import CurvePoint

COLLAPSED_BELOW = 0.3  # of `CurvePoint.generated_diversity`; docs/gan.md has what it was chosen by
YOUNG_STEPS = 1000  # up to here a generator may draw images that are alike because it has just begun
POINTS = 3  # in a row

Kind = Literal["collapse", "closed hinges"]


@dataclass(frozen=True)
class Alarm:
    """Something is wrong with a replica since `step`."""

    kind: Kind
    model: str
    labels: int
    seed: int
    step: int  # of the first of the points in a row
    diversity: float | None  # at the point that raised it


class Watch:
    """Follows learning curves, point by point."""

    def __init__(self) -> None:
        self.in_a_row: dict[tuple[str, int, int, Kind], list[CurvePoint]] = {}
        self.raised: dict[tuple[str, int, int, Kind], Alarm] = {}  # and not over yet

    def take(self, points: Iterable[CurvePoint]) -> list[Alarm]:
        """Take note of points, and return the alarms that they raise, each once until it is over."""
        alarms = []
        for point in points:
            for kind, is_wrong in _signs(point).items():
                key = (point.model, point.labels, point.seed, kind)
                row = self.in_a_row.setdefault(key, [])
                if not is_wrong:
                    row.clear()
                    self.raised.pop(key, None)
                    continue
                row.append(point)
                if len(row) == POINTS:
                    self.raised[key] = Alarm(kind, *key[:3], row[0].step, point.generated_diversity)
                    alarms.append(self.raised[key])
        return alarms


def lasting_alarms(points: Iterable[CurvePoint]) -> list[Alarm]:
    """Return the alarms that were not over when the generators last trained, in the order of their replicas."""
    watch = Watch()
    watch.take(points)
    return list(watch.raised.values())


def _signs(point: CurvePoint) -> dict[Kind, bool]:
    """Return whether a point has the sign of each kind; a point without a generator has none.

    Collapse: generated images are much more alike than real ones.

    Closed hinges: every generated image has more energy than the margin, so the discriminator learns nothing from
    any, though the margin is above what real images have. Below that no hinge stays open, as when a margin decays.
    """
    signs: dict[Kind, bool] = {}
    if point.generated_diversity is not None and point.step >= YOUNG_STEPS:
        signs["collapse"] = point.generated_diversity < COLLAPSED_BELOW
    if point.margin is not None and point.energy_real is not None and point.open_hinges_percent is not None:
        signs["closed hinges"] = point.open_hinges_percent == 0 and point.margin > point.energy_real
    return signs
