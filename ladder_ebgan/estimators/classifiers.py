"""The ladder network and EBGAN-LN as scikit-learn classifiers."""

from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from ladder_ebgan.estimators.base import LadderEstimator
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.sampling import sample


class LadderClassifier(LadderEstimator):
    """A ladder network: a classifier for tables of which few rows have a label.

        LadderClassifier().fit(X, y).predict(X)

    `y` says which rows have a label: the number -1 and missing values (None, NaN, pandas.NA) mark a row without
    one, and so does an empty text among labels of text. The text "-1" is refused, since it may be a class or a
    mark, and "nan" in an array of text, which NumPy makes of a missing value. Features are numbers without gaps;
    sparse matrices are refused.

    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672, with the reconstruction
    cost of the input alone, as in Zhao, Mathieu, LeCun 2017, arXiv 1609.03126, appendix D.

    Args:
        hidden_layer_sizes: units of the hidden layers. This and the next six are chosen by the size of the table
            where they are None, or are those of `recipe`.
        recipe: name or file of a recipe, or a `Recipe`: `"table2"` has the paper's settings, for pixels in [0, 1].
        n_steps: of the optimiser; what the schedules do, they do at the same share of it.
        batch_size: labelled and unlabelled rows a step, each.
        learning_rate: at the start; it falls linearly to 0 in the end.
        input_noise, hidden_noise: standard deviation of the corruption of the input, and of the other layers.
        denoising_weights: of the reconstruction of the input, a number, or of each layer from the input to the
            classes; 0 is a supervised network.
        standardize: whether features are brought to mean 0 and deviation 1 first, or less where values lie further
            out than five deviations (`scaling.py`), and back in what `reconstruct` and `sample` return. None: where
            there is no `recipe`.
        n_replicas: networks trained at once on the same labelled rows, with seeds of their own. Their
            probabilities are averaged.
        early_stopping: whether labelled rows are held out to stop by. Each replica keeps its best parameters.
        validation_fraction: of the labelled rows to hold out, at least one of each class.
        n_iter_no_change: looks, one at each point of `history_`, in which no replica becomes better, before it
            stops.
        random_state: the seed of the first replica, from which those of the others follow.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: of matrix products: `auto`, `float32`, `bfloat16`, or on a GPU `tf32`.
        verbose: 1 for a line on stderr every few seconds, 2 for one at each look.

    Attributes:
        classes_: the classes, sorted.
        n_features_in_, feature_names_in_: number of features, and their names if `X` was a frame.
        n_iter_: steps done.
        best_steps_: the step that each replica's parameters are of.
        history_: costs of the replicas by name, at the points of the learning curves: every hundred steps or as
            often as the recipe says, with a smaller `n_steps` nearer together by as much.
        seeds_: of the replicas.
        recipe_: all settings.
        model_: the trained networks.
    """

    _model: ClassVar[str] = "ladder"

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | None = None,
        *,
        recipe: str | Path | Recipe | None = None,
        n_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        input_noise: float | None = None,
        hidden_noise: float | None = None,
        denoising_weights: float | Sequence[float] | None = None,
        standardize: bool | None = None,
        n_replicas: int = 1,
        early_stopping: bool = False,
        validation_fraction: float = 0.2,
        n_iter_no_change: int = 10,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto",
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.recipe = recipe
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.input_noise = input_noise
        self.hidden_noise = hidden_noise
        self.denoising_weights = denoising_weights
        self.standardize = standardize
        self.n_replicas = n_replicas
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.verbose = verbose


class EBGANLadderClassifier(LadderEstimator):
    """EBGAN-LN: a ladder network that is the discriminator of an energy-based GAN whose margin decays to 0.

    Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, section 4.2.

    It is a `LadderClassifier` that can `sample` rows, with these parameters more, chosen by the size of the table
    or those of `recipe` where they are None:

    Args:
        margin: at the start, in the unit of the energy. It falls to 0 in the first fifth of the steps, or as
            `recipe` has it; after that the generator is off.
        generator_layer_sizes: units of the generator's hidden layers.
        latent_size: of its input.
        generator_learning_rate: at the start.
    """

    _model: ClassVar[str] = "ebgan-ladder"

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | None = None,
        *,
        recipe: str | Path | Recipe | None = None,
        n_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        input_noise: float | None = None,
        hidden_noise: float | None = None,
        denoising_weights: float | Sequence[float] | None = None,
        margin: float | None = None,
        generator_layer_sizes: Sequence[int] | None = None,
        latent_size: int | None = None,
        generator_learning_rate: float | None = None,
        standardize: bool | None = None,
        n_replicas: int = 1,
        early_stopping: bool = False,
        validation_fraction: float = 0.2,
        n_iter_no_change: int = 10,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto",
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.recipe = recipe
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.input_noise = input_noise
        self.hidden_noise = hidden_noise
        self.denoising_weights = denoising_weights
        self.margin = margin
        self.generator_layer_sizes = generator_layer_sizes
        self.latent_size = latent_size
        self.generator_learning_rate = generator_learning_rate
        self.standardize = standardize
        self.n_replicas = n_replicas
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.verbose = verbose

    def sample(self, n_samples: int = 1, random_state: Any = None) -> NDArray[Any]:
        """Draw rows `[n_samples, features]` from the generators in turn, in the features' own units.

        Raises:
            ValueError: `n_samples` is no whole number from 1 on.
        """
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples is {n_samples!r}, but must be a whole number, 1 or more")
        latent_seed = int(check_random_state(random_state).randint(2**31 - 1))
        rows = sample(self._trained(), n_samples, latent_seed).images
        return np.asarray(rows.reshape(n_samples, -1))
