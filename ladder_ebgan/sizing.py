"""The settings of a table: network, batches and steps for its number of rows and of standardised features."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.recipe import Recipe, parse_recipe

AUTO = "auto"  # that such a recipe goes by
N_SEEDS = 5  # of a run, if nobody says

WIDEST = 1000  # units of the first hidden layer, as the paper has it for 784 pixels
NARROWEST = 64
SHORTEST, LONGEST = 2_000, 20_000  # steps
EPOCHS = 20  # over all rows, within these bounds
MARGIN_SHARE = 0.3  # for each feature, of variance 1 or less: the paper's 16 on MNIST, whose variances add up to 53


def settings_for(n_rows: int, n_features: int) -> dict[str, Any]:
    """Return the tables of a recipe with both models, but for its labels and seeds."""
    width = min(max(4 * n_features, NARROWEST), WIDEST)
    batch_size = min(100, max(2, n_rows))
    n_steps = min(max(EPOCHS * n_rows // batch_size, SHORTEST), LONGEST)
    adversarial_steps = n_steps // 5
    ladder = {
        "n_steps": n_steps,
        "learning_rate": 0.01,
        "decay_start_step": n_steps // 2,
        "denoising_weights": [5.0, 0.0, 0.0, 0.0, 0.0],
    }
    adversarial = {
        "adversarial_steps": adversarial_steps,
        "margin": {"steps": [0, adversarial_steps], "values": [MARGIN_SHARE * n_features, 0.0]},
        "generator": {
            **{"hidden_sizes": [width, width], "latent_size": min(100, max(2, n_features))},
            **{"weight_std": 0.02, "learning_rate": 0.001, "output": "linear"},
        },
    }
    return {
        "network": {
            "hidden_sizes": [width, width // 2, width // 4],
            **{"input_noise": 0.6, "hidden_noise": 0.3, "softmax_gamma": True},
            "evaluation_statistics": "unlabeled",
        },
        "training": {
            "batch_size": batch_size,
            **{"adam_beta1": 0.5, "adam_beta2": 0.999, "adam_epsilon": 1e-8},
            "curve_every_steps": 100,
        },
        "ladder": ladder,
        "ebgan-ladder": {**deepcopy(ladder), **adversarial},
    }


def sized_recipe(n_rows: int, n_features: int, n_labels: int, overrides: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a run on a table, with overrides such as `ladder.learning_rate=0.001`.

    Raises:
        UsageError: an override that no recipe may have.
    """
    tables = {"labels": [n_labels], "n_seeds": N_SEEDS, **settings_for(n_rows, n_features)}
    apply_changes(tables, overrides, "--set ", "ladder.learning_rate=0.001")
    return parse_recipe(tables, source=f"recipe '{AUTO}'")
