"""A group of GANs without labels: its training, its learning curves, the images and networks that are kept."""

from collections.abc import Iterator

from torch import Tensor

from ladder_ebgan.diversity import Diversity
from ladder_ebgan.drawing import as_bytes
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.models import gan_model_bytes
from ladder_ebgan.gan.scores import SCORED_IMAGES, Scores, drawn_images
from ladder_ebgan.gan.training import GANProgress, train_gan
from ladder_ebgan.outcome import curve_points, energy_histograms, model_metadata, result_of
from ladder_ebgan.results import CurvePoint, EnergyHistogram, Result
from ladder_ebgan.runs import Group, RunFolder, replica_name

KEPT_IMAGES = 100  # of each replica's generator


class GANTask:
    """The training of one group of GANs, and what is kept of it."""

    def __init__(self, group: Group, engine: GANEngine) -> None:
        self.group, self.engine = group, engine
        self.settings = engine.recipe.settings(group.model)
        self.n_steps = self.settings.n_steps
        self.curve_every_steps = engine.recipe.training.curve_every_steps
        self.seeds = [replica.seed for replica in group.replicas]
        self.state = engine.initial_state(group.model, self.seeds)
        self.diversity = Diversity(engine.images, engine.dataset.watched_rows)

    def train(self) -> Iterator[GANProgress]:
        """Train from the state's step to the end."""
        engine = self.engine
        batches = engine.batches(self.group.model, self.state, self.seeds)
        return train_gan(self.state, batches, self.settings, engine.functions, self.curve_every_steps)

    def curve_points(self, progress: GANProgress) -> list[CurvePoint]:
        """Return points of the learning curves, one a replica; costs are those of this step's minibatch."""
        costs = progress.costs
        measured = {
            "classification_cost": costs.classification,
            "denoising_cost": None,
            "unlabeled_error_percent": None,
            "energy_real": costs.energy_real,
            "energy_generated": costs.energy_generated,
            "open_hinges_percent": None if costs.open_hinges is None else 100 * costs.open_hinges,
            "generated_diversity": self.diversity.of(self._drawn_images),
        }
        return curve_points(self.group, progress.step, progress.learning_rate, progress.margin, measured)

    def energy_histograms(self, progress: GANProgress) -> list[EnergyHistogram]:
        """Return the energies of that step, one row a replica; none of an ordinary GAN."""
        return energy_histograms(self.group, progress.step, progress.margin, *progress.costs.energies)

    def finish(self, folder: RunFolder) -> list[Result]:
        """Draw images, score them if they are digits, and store some of them and the networks."""
        scores = Scores(self.engine.dataset, self.engine.resolved.device)
        n_images = SCORED_IMAGES if scores.apply else KEPT_IMAGES
        images = self._drawn_images(n_images)
        failed = (~images.isfinite()).flatten(1).any(dim=1).tolist()
        kept = as_bytes(images[:, :KEPT_IMAGES])
        results = []
        for r, replica in enumerate(self.group.replicas):
            diverged = failed[r] or int(self.state.diverged_step[r]) >= 0
            values = {} if diverged else scores.of(images[r])
            result = result_of(self.group, r, self.state, self.engine.resolved, failed[r], values)
            results.append(result)
            if result.status == "diverged":
                continue
            name = replica_name(self.group.model, *replica)
            folder.save_predictions(name, {"generated_images": kept[r]})
            metadata = model_metadata(folder.record["identity"], self.group.model, replica, self.engine.dataset)
            folder.save_model(name, gan_model_bytes(self.state, r, metadata))
        return results

    def _drawn_images(self, n: int) -> Tensor:
        return drawn_images(self.engine, self.group.model, self.state, self.seeds, n)
