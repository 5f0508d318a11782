"""Which settings of a search can train together, as replicas of one batched model."""

import json
from typing import Any

from ladder_ebgan.any_recipe import AnyRecipe
from ladder_ebgan.gan.recipe import EBGANSettings, GANRecipe
from ladder_ebgan.recipe import Recipe


def stackable(recipe: AnyRecipe, model: str) -> str:
    """Return a text that is the same for recipes whose replicas can train in one batched model."""
    of_kind = _of_gan(recipe, model) if isinstance(recipe, GANRecipe) else _of_ladder(recipe, model)
    training = recipe.training.model_dump(exclude={"averaging_decay"})
    return json.dumps([*of_kind, training, recipe.training.averaging_decay > 0], sort_keys=True)


def _of_ladder(recipe: Recipe, model: str) -> list[Any]:
    settings = recipe.settings(model)
    own: dict[str, Any] = settings.model_dump(
        exclude={"learning_rate": True, "decay_start_step": True, "classification_weight": True, "margin": True}
        | {
            "hinge_weight": True,
            "pseudo_label_weight": True,
            "vat_weight": True,
            "vat_radius": True,
            "generator": {"learning_rate"},
        }
    )
    own["consistency"] = [settings.pseudo_label_weight is not None, settings.vat_weight > 0]
    own["denoising_weights"] = [weight > 0 for weight in settings.denoising_weights]
    return [own, recipe.network.model_dump(exclude={"input_noise", "hidden_noise"})]


def _of_gan(recipe: GANRecipe, model: str) -> list[Any]:
    settings, of_optimizer = recipe.settings(model), {"optimizer", "learning_rate"}
    own: dict[str, Any] = settings.model_dump(
        exclude={"margin": True, "pulling_away_weight": True}
        | {"discriminator": of_optimizer, "generator": of_optimizer}
    )
    own["frozen"] = settings.generator.learning_rate == 0
    own["pulling_away"] = isinstance(settings, EBGANSettings) and settings.pulling_away_weight > 0
    return [own]
