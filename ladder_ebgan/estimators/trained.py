"""What a fitted estimator says of rows, and how it is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ladder_ebgan.estimators.inference import said_of_rows
from ladder_ebgan.estimators.labels import labeled_rows
from ladder_ebgan.estimators.packing import Packed, pack, unpack
from ladder_ebgan.estimators.rows import as_float32, read_features
from ladder_ebgan.estimators.saving import Fitted, load_model, parameters_of, save_model, stored_parameters
from ladder_ebgan.evaluation import class_probabilities, clean_energies, clean_reconstructions, top_features
from ladder_ebgan.models import TrainedModel
from ladder_ebgan.prediction import refuse_far_rows

ESTIMATORS = {  # by the model that they are
    "ladder": "LadderClassifier",
    "ladder-matched": "LadderClassifier",
    "ebgan-ladder": "EBGANLadderClassifier",
}


class TrainedEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    """An estimator as it is after a fit, or once it is loaded."""

    _model: ClassVar[str]  # what it trains, in the words of a recipe

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row: the one with the highest probability."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes `[n_rows, n_classes]`: the mean over the replicas.

        Raises:
            ValueError: a row so far from those of the fit that 32-bit numbers do not reach it.
        """
        mean = self.predict_proba_replicas(X).mean(axis=0, dtype=np.float64)
        return np.asarray(mean / mean.sum(axis=1, keepdims=True))  # they add up to 1 in 32 bits only

    def predict_proba_replicas(self, X: Any) -> NDArray[np.float32]:
        """Return the probabilities of the classes by each replica `[replicas, n_rows, n_classes]`."""
        of_replicas = said_of_rows(self._trained(), class_probabilities, self._scaled(X))
        refuse_far_rows(np.asarray(np.isfinite(of_replicas).all(axis=(0, 2))))
        return of_replicas

    def disagreement(self, X: Any) -> NDArray[np.float64]:
        """Return which share of the replicas gives a row another class than all together do `[n_rows]`."""
        of_replicas = self.predict_proba_replicas(X)
        together = of_replicas.mean(axis=0, dtype=np.float64).argmax(axis=-1)
        return np.asarray((of_replicas.argmax(axis=-1) != together).mean(axis=0))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on the rows that have a label."""
        rows, known, n_rows = labeled_rows(y)
        predicted = self.predict(X)
        check_consistent_length(predicted, np.empty(n_rows), sample_weight)
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        return float(accuracy_score(known, predicted[rows], sample_weight=weights))

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the last hidden layer of each row `[n_rows, replicas * units]`, replica after replica."""
        of_replicas = said_of_rows(self._trained(), top_features, self._scaled(X))
        return np.asarray(of_replicas.swapaxes(0, 1).reshape(of_replicas.shape[1], -1))

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Return minus the energy of each row `[n_rows]`: the lower, the farther it lies from the data.

        The energy is the squared error with which a row without noise is reconstructed, summed over its features
        (in standard deviations, if they are standardised); the mean over the replicas. Infinite where 32 bits do
        not hold it.
        """
        energies = said_of_rows(self._with_energy(), clean_energies, self._scaled(X))
        energies = np.nan_to_num(energies, nan=np.inf, posinf=np.inf)  # infinities make NaN of each other
        return np.asarray(-energies.mean(axis=0, dtype=np.float64))

    def reconstruct(self, X: Any) -> NDArray[np.float64]:
        """Return the rows as the networks reconstruct them, in their own units; the mean over the replicas."""
        model = self._with_energy()
        mean = said_of_rows(model, clean_reconstructions, self._scaled(X)).mean(axis=0, dtype=np.float64)
        return np.asarray(mean if model.scaling is None else model.scaling.undo(mean))

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to a safetensors file, which `load` and `ladder-ebgan predict` read."""
        model = self._trained()
        names = getattr(self, "feature_names_in_", None)
        fitted = Fitted(
            parameters=stored_parameters(self.get_params(deep=False)),
            classes_dtype=self.classes_.dtype.str if self.classes_.dtype != object else "object",
            feature_names=None if names is None else names.tolist(),
            n_iter=self.n_iter_,
            best_steps=list(self.best_steps_),
            history=self.history_,
        )
        save_model(Path(path), model, fitted)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        model: str | None = None,
        labels: int | None = None,
        seeds: Sequence[int] | Literal["all"] = "all",
        device: str = "auto",
    ) -> Self:
        """Return the fitted estimator of a file that `save` has written, or of a run's models.

        Args:
            path: a file, or the folder of a run, whose seeds become the replicas of one estimator. It takes pixels
                in [0, 1], as the run did, or the columns of its table.
            model: of a run with `ladder` and `ladder-matched`, which.
            labels: of a run with several numbers of labels, which.
            seeds: of a run, which.
            device: where the networks are put.

        Raises:
            ValueError: there is no such model, or its file is damaged.
        """
        trained, fitted = load_model(Path(path), ESTIMATORS, cls.__name__, model, labels, seeds, device)
        estimator = cls(**parameters_of(fitted, set(cls._get_param_names())))
        estimator.classes_ = np.array(trained.classes, dtype=fitted.classes_dtype)
        estimator.n_features_in_ = int(np.prod(trained.image_shape))
        if fitted.feature_names is not None:
            estimator.feature_names_in_ = np.array(fitted.feature_names, dtype=object)
        estimator.n_iter_, estimator.best_steps_ = fitted.n_iter, tuple(fitted.best_steps)
        estimator.history_, estimator.seeds_ = fitted.history, trained.seeds
        estimator.recipe_, estimator.model_ = trained.recipe, trained
        return estimator

    def _scaled(self, X: Any) -> NDArray[np.float32]:
        return as_float32(self, read_features(self, X, reset=False), self._trained().scaling)

    def _trained(self) -> TrainedModel:
        check_is_fitted(self)
        model: TrainedModel = self.model_
        return model

    def _with_energy(self) -> TrainedModel:
        model = self._trained()
        if model.why_no_energy:
            raise ValueError(model.why_no_energy)
        return model

    @property
    def _n_features_out(self) -> int:
        model = self._trained()
        return len(model.seeds) * model.ladder.sizes[-2]

    def __sklearn_tags__(self) -> Tags:
        """Say what rows it takes: no sparse ones, no missing values; what it gives is float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Return its attributes with the networks as arrays, for pickle, joblib and copies."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = pack(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take attributes back, with the networks on the device they were on, or on the CPU."""
        packed = state.get("model_")
        super().__setstate__(state | ({"model_": unpack(packed)} if isinstance(packed, Packed) else {}))
