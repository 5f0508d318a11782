"""How much disk the folder of a run takes, counted from its recipe before anything is trained.

Figures and tables are left out: of MNIST one to three megabytes for each label budget, of larger images more.
"""

from dataclasses import dataclass
from itertools import pairwise

from ladder_ebgan.any_recipe import AnyRecipe
from ladder_ebgan.data import Dataset
from ladder_ebgan.floor import step_work
from ladder_ebgan.gan.frame import framed_size
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.gan.task import KEPT_IMAGES
from ladder_ebgan.ladder_task import GENERATED_IMAGES
from ladder_ebgan.training import adversarial_steps

BYTES = 4  # of a float32
STATES = 3  # numbers that a checkpoint has for each parameter: itself and Adam's two moments
CURVE_POINT_BYTES = 100  # of a line of history.csv, roughly
HISTOGRAM_BYTES = 250  # of a line of energies.csv, roughly


@dataclass(frozen=True)
class ReplicaBytes:
    """What one replica of a model takes in the folder."""

    model: int  # its file in models/
    predictions: int  # its file in predictions/, at most: it is compressed
    curve: int  # its lines in history.csv and energies.csv, roughly
    checkpoint: int  # its part of a checkpoint, which is removed when its group is finished

    @property
    def finished(self) -> int:
        """What stays of a finished replica."""
        return self.model + self.predictions + self.curve


def replica_bytes(recipe: AnyRecipe, model: str, n_labels: int, dataset: Dataset) -> ReplicaBytes:
    """Return what a replica of `model` with `n_labels` labelled images takes."""
    if isinstance(recipe, GANRecipe):
        return _gan_bytes(recipe, model, dataset)
    settings = recipe.settings(model)
    has_generator = settings.has_generator
    of_ladder, n_parameters = (
        step_work(recipe, model, adversarial, dataset.n_features, dataset.n_classes).n_parameters
        for adversarial in (False, has_generator)
    )
    n_averaged = of_ladder if recipe.training.averaging_decay else 0
    sizes = [dataset.n_features, *recipe.network.hidden_sizes, dataset.n_classes]
    decoded = [layer for layer, weight in enumerate(settings.denoising_weights) if weight > 0]
    n_units = sum(sizes[1:]) + sum(sizes[min(decoded, default=len(sizes)) :])  # normalised in encoder and decoder
    n_pixels = GENERATED_IMAGES * dataset.n_features if has_generator else 0  # a byte each
    return ReplicaBytes(
        model=BYTES * (n_parameters + 2 * n_units),  # a mean and a variance of each
        predictions=BYTES * len(dataset.test_labels) * dataset.n_classes + 8 * n_labels + n_pixels,
        curve=_curve_bytes(recipe, model),
        checkpoint=BYTES * (STATES * n_parameters + n_averaged),
    )


def _gan_bytes(recipe: GANRecipe, model: str, dataset: Dataset) -> ReplicaBytes:
    """Return what a replica of a GAN takes."""
    settings = recipe.settings(model)
    n_features = framed_size(dataset.image_shape, settings.padding)
    n_parameters = n_states = 0
    for part, units in (
        (settings.discriminator, settings.discriminator_sizes(n_features)),
        (settings.generator, settings.generator.sizes(n_features)),
    ):
        n_of_part = sum(n_in * n_out + n_out for n_in, n_out in pairwise(units))
        n_parameters += n_of_part
        n_states += n_of_part * (STATES if part.optimizer == "adam" else 1)
    return ReplicaBytes(
        model=BYTES * n_parameters,
        predictions=KEPT_IMAGES * dataset.n_features,
        curve=_curve_bytes(recipe, model),
        checkpoint=BYTES * n_states,
    )


def _curve_bytes(recipe: AnyRecipe, model: str) -> int:
    """Return what the points of a curve take, and the histograms of those that have a margin."""
    settings, every = recipe.settings(model), recipe.training.curve_every_steps
    n_points = -(-settings.n_steps // every)
    return CURVE_POINT_BYTES * n_points + HISTOGRAM_BYTES * (adversarial_steps(settings) // every)
