"""How the estimators are fitted."""

import hashlib
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length

from ladder_ebgan._version import __version__
from ladder_ebgan.checkpoints import model_tensors
from ladder_ebgan.data import Dataset
from ladder_ebgan.engine import Engine
from ladder_ebgan.estimators.fitting import Fit
from ladder_ebgan.estimators.labels import read_labels
from ladder_ebgan.estimators.progress import Progress
from ladder_ebgan.estimators.rows import as_float32, held_out_rows, read_features
from ladder_ebgan.estimators.saving import stored_classes
from ladder_ebgan.estimators.seeds import replica_seeds
from ladder_ebgan.estimators.settings import Sizes, make_recipe
from ladder_ebgan.estimators.trained import TrainedEstimator
from ladder_ebgan.ladder import Statistics
from ladder_ebgan.machine import Resolved, applied, resolve
from ladder_ebgan.model_files import MODEL_FORMAT, Metadata, TrainedOn
from ladder_ebgan.models import TrainedModel, assemble
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.scaling import Scaling

COMMON = {"recipe", "n_replicas", "standardize", "early_stopping", "validation_fraction", "n_iter_no_change"}
COMMON |= {"random_state", "device", "precision", "verbose"}  # parameters that are no settings of the recipe


class LadderEstimator(TrainedEstimator):
    """A classifier of a table's rows that learns from those without a label too."""

    recipe: Any
    n_replicas: Any
    standardize: Any
    early_stopping: Any
    validation_fraction: Any
    n_iter_no_change: Any
    random_state: Any
    device: Any
    precision: Any
    verbose: Any

    def fit(self, X: Any, y: Any) -> Self:
        """Train on rows `X` `[n_rows, features]`, of which `y` `[n_rows]` labels some.

        Raises:
            ValueError: rows, labels or parameters that nothing can be learned from, or a training that diverged;
                the estimator then is as it was before.
        """
        before = dict(vars(self))
        try:
            self._fit(X, y)
        except BaseException:  # an interrupt too
            self.__dict__ = before
            raise
        return self

    def _fit(self, X: Any, y: Any) -> None:
        table = read_features(self, X, y, reset=True)
        labels = read_labels(y)
        check_consistent_length(table, labels.of_row)
        standardized = self.recipe is None if self.standardize is None else bool(self.standardize)
        scaling = Scaling.of(table) if standardized else None
        labeled = np.flatnonzero(labels.of_row >= 0)
        recipe = self._recipe_for(Sizes(len(table), table.shape[1], len(labeled)), standardized)
        seeds = replica_seeds(self.random_state, recipe.n_seeds)
        held_out = self._held_out(labels.of_row, seeds[0])
        labeled = np.setdiff1d(labeled, held_out)
        features = as_float32(self, table, scaling)
        _check_range(features, recipe, self._model)
        fingerprint = hashlib.sha256(table.tobytes()).hexdigest()
        dataset = Dataset(
            *("table", "the rows of a fit", features, labels.of_row, features[held_out], labels.of_row[held_out]),
            *(tuple(stored_classes(labels.classes)), table.shape[1:], fingerprint),
        )
        n_steps = recipe.settings(self._model).n_steps
        resolved = _resolve(self.device, self.precision, n_steps)
        progress = Progress(type(self).__name__, n_steps, int(self.verbose))
        with applied(resolved):
            engine = Engine.prepare(recipe, dataset, resolved)
            fit = Fit(engine, self._model, seeds, labeled, self.n_iter_no_change, progress.show)
            model = self._finished(fit, fit.run(), scaling)
        self.classes_, self.n_iter_, self.best_steps_ = labels.classes, fit.state.step, fit.best_steps
        self.history_, self.seeds_, self.recipe_, self.model_ = fit.history, seeds, recipe, model

    def _recipe_for(self, sizes: Sizes, standardized: bool) -> Recipe:
        wishes = {name: value for name, value in self.get_params(deep=False).items() if name not in COMMON}
        return make_recipe(self._model, self.recipe, wishes, sizes, self.n_replicas, standardized)

    def _held_out(self, of_row: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        if not self.early_stopping:
            return np.zeros(0, dtype=np.int64)
        if self.n_iter_no_change < 1:
            raise ValueError(f"n_iter_no_change is {self.n_iter_no_change}, but must be 1 or more")
        return held_out_rows(of_row, self.validation_fraction, seed)

    def _finished(self, fit: Fit, statistics: Statistics, scaling: Scaling | None) -> TrainedModel:
        """Return the trained networks as they would be read from a file."""
        engine, dataset = fit.engine, fit.engine.dataset
        metadata = Metadata(
            format=MODEL_FORMAT,
            model=self._model,
            labels=len(fit.subsets[0]),
            seed=fit.seeds[0],
            version=__version__,
            torch_version=torch.__version__,
            data=TrainedOn(name=dataset.name, fingerprint=dataset.fingerprint),
            recipe=engine.recipe.identity(),
            precision=engine.resolved.precision,  # type: ignore[arg-type]
            classes=list(dataset.classes),
            image_shape=list(dataset.image_shape),
            seeds=list(fit.seeds),
            inputs="features",
            scaled=scaling is not None,
        )
        tensors = model_tensors(fit.state.evaluated, fit.state.generator, statistics)
        if scaling is not None:
            tensors |= {name: torch.from_numpy(array) for name, array in scaling.arrays.items()}
        return assemble(metadata, engine.recipe, tensors, engine.resolved.device)


def _resolve(device: str, precision: str, n_steps: int) -> Resolved:
    """Decide how to train, with no more threads than the caller lets PyTorch have."""
    resolved = resolve(device, precision, None, None, n_steps)
    return replace(resolved, n_threads=min(resolved.n_threads, torch.get_num_threads()))


def _check_range(features: NDArray[np.float32], recipe: Recipe, model: str) -> None:
    """Refuse features that a generator with a sigmoid cannot make."""
    settings = recipe.settings(model)
    sigmoid = isinstance(settings, EBGANLadderSettings) and settings.generator.output == "sigmoid"
    lowest, highest = features.min(), features.max()
    if sigmoid and (lowest < 0 or highest > 1):
        raise ValueError(
            f"X lies in [{lowest:g}, {highest:g}], but the recipe's generator makes pixels in [0, 1]: scale X to "
            "[0, 1], or give standardize=True"
        )
