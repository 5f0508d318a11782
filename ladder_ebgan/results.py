"""The rows of a run: a finished replica, a point of its learning curve, the energies of a step."""

from dataclasses import dataclass
from typing import ClassVar

from ladder_ebgan.energy_bins import histogram_of


@dataclass(frozen=True)
class Result:
    """What one replica (model, labels, seed) came to.

    `test_error_percent` is None when the replica diverged, and for a GAN without a classifier; `diverged_step` is
    None when it did not diverge. The columns from `modified_inception_score` on are of generated images, for GANs
    alone: `ladder_ebgan.quality` says what they are. A file without any such number does not have them.
    """

    model: str
    labels: int
    seed: int
    status: str  # "ok" or "diverged"
    test_error_percent: float | None
    diverged_step: int | None
    steps: int
    seconds: float  # wall-clock time of the group's training divided by its number of replicas
    device: str
    precision: str
    version: str  # of this package
    torch_version: str
    n_test: int | None = None  # rows that the error was measured on, where each seed holds out its own
    modified_inception_score: float | None = None
    inception_score: float | None = None
    generated_precision: float | None = None
    generated_recall: float | None = None
    n_modes: int | None = None
    class_kl: float | None = None

    GROWS: ClassVar[bool] = False  # its file is written whole


@dataclass(frozen=True)
class CurvePoint:
    """One row of `history.csv`: a replica at one step of its training. None where a quantity does not apply."""

    model: str
    labels: int
    seed: int
    step: int
    learning_rate: float
    classification_cost: float | None
    denoising_cost: float | None
    unlabeled_error_percent: float | None  # on training images whose labels the training never sees
    margin: float | None
    energy_real: float | None
    energy_generated: float | None
    open_hinges_percent: float | None  # share of generated images with energy below the margin
    generated_diversity: float | None = None  # see diversity.py; the files of an early version do not have it

    GROWS: ClassVar[bool] = True  # its file grows by lines


@dataclass(frozen=True)
class EnergyHistogram:
    """One row of `energies.csv`: a replica at one step of its training against a generator.

    Both histograms are of that step's minibatch, before its updates, as `energy_bins.histogram_text` writes them.
    """

    model: str
    labels: int
    seed: int
    step: int
    margin: float
    real: str
    generated: str

    GROWS: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what are no histograms: a ValueError."""
        histogram_of(self.real)
        histogram_of(self.generated)
