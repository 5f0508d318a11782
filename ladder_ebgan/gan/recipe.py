"""The recipe of GANs without labels: what its TOML file may say. It has neither ladders nor label budgets.

Zhao, Mathieu, LeCun 2017, "Energy-based Generative Adversarial Network", arXiv 1609.03126, section 4.1, appendix C.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ladder_ebgan.checking import (
    NonNegative,
    Positive,
    Rate,
    Share,
    Size,
    changed,
    check_variant_names,
)
from ladder_ebgan.errors import UsageError
from ladder_ebgan.recipe import GAN_MODELS, Section, Training

Layers = Annotated[int, Field(ge=2, le=100)]  # weight layers, the output layer among them
Optimizer = Literal["adam", "sgd"]  # sgd: without momentum


class DiscriminatorSettings(Section):
    """The discriminator and its optimiser."""

    n_layers: Layers  # of an auto-encoder those of encoder and decoder together; its decoder has one
    size: Size  # units of each hidden layer
    dropout: Share = 0.0  # share of the hidden units that is left out
    weight_std: Rate
    optimizer: Optimizer
    learning_rate: Rate


class GANGeneratorSettings(Section):
    """The generator and its optimiser."""

    n_layers: Layers
    size: Size
    latent_size: Size
    weight_std: Rate
    optimizer: Optimizer
    learning_rate: NonNegative  # 0: it stays as it is drawn

    def sizes(self, n_features: int) -> list[int]:
        """Return the units of its layers, latents first."""
        return [self.latent_size, *[self.size] * (self.n_layers - 1), n_features]


class GANSettings(Section):
    """The ordinary GAN: a logistic discriminator, a generator with the non-saturating loss."""

    n_steps: Positive
    padding: Annotated[int, Field(ge=0, le=1000)] = 0  # pixels of zeros that images get on each side
    discriminator: DiscriminatorSettings
    generator: GANGeneratorSettings

    @property
    def has_generator(self) -> bool:
        """Whether a network that draws images belongs to it."""
        return True

    @property
    def margin_steps(self) -> int:
        """For how many steps there is a margin."""
        return 0

    def discriminator_sizes(self, n_features: int) -> list[int]:
        """Return the units of the discriminator's layers, features first; a logit comes out."""
        return [n_features, *[self.discriminator.size] * (self.discriminator.n_layers - 1), 1]


class EBGANSettings(GANSettings):
    """EBGAN: an auto-encoder as discriminator; EBGAN-PT where its generator has the pulling-away term."""

    margin: NonNegative  # m of Eq. (1), in the unit of Eq. (13)
    pulling_away_weight: NonNegative = 0.0  # of Eq. (14) in the generator's loss

    @property
    def margin_steps(self) -> int:
        """For how many steps there is a margin."""
        return self.n_steps

    def discriminator_sizes(self, n_features: int) -> list[int]:
        """Return the units of the discriminator's layers, features first; a reconstruction comes out."""
        return [*super().discriminator_sizes(n_features)[:-1], n_features]


class GANVariant(Section):
    """A model trained with a few changes, to be compared with it."""

    of: Literal["gan", "ebgan"]
    set: list[str] = Field(default_factory=list)  # changes of the model's own section, such as margin=8


class GANRecipe(Section):
    """An experiment with GANs. `n_seeds` is what is trained when the command line does not say."""

    n_seeds: Annotated[int, Field(gt=0, le=10_000)]
    training: Training
    gan: GANSettings | None = None
    ebgan: EBGANSettings | None = None
    variants: dict[str, GANVariant] = Field(default_factory=dict)
    added: ClassVar[dict[str, Any]] = {"variants": {}}

    @field_validator("variants")
    @classmethod
    def _variants_have_names(cls, variants: dict[str, GANVariant]) -> dict[str, GANVariant]:
        check_variant_names(variants, GAN_MODELS)
        return variants

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        if self.training.averaging_decay:
            raise ValueError("training.averaging_decay is for ladders: leave it out")
        for name in self.variants:
            self.settings(name)
        return self

    @property
    def labels(self) -> list[int]:
        """The label budgets: no labels are used."""
        return [0]

    @property
    def models(self) -> list[str]:
        """Models that can be trained from this recipe, then their variants."""
        sections = {"gan": self.gan, "ebgan": self.ebgan}
        return [name for name, section in sections.items() if section is not None] + list(self.variants)

    @property
    def compared(self) -> list[str]:
        """Models that are trained when nobody says which: all of them, the variants with what they are of."""
        return self.models

    def settings(self, model: str) -> GANSettings:
        """Return how `model` is trained."""
        if model in self.variants:
            variant, source = self.variants[model], f"variants.{model}"
            if variant.of not in self.models:
                raise UsageError(f'{source}.of is "{variant.of}", but the recipe has no section [{variant.of}]')
            return changed(self.settings(variant.of), variant.set, source)
        settings = {"gan": self.gan, "ebgan": self.ebgan}.get(model)
        if settings is None:
            raise UsageError(f"the recipe has no model '{model}': it has {', '.join(self.models)}")
        return settings

    def identity(self) -> dict[str, Any]:
        """Return everything that a result depends on: all but which seeds are trained."""
        return self.model_dump(exclude={"n_seeds"})
