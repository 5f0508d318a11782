"""The recipe of an experiment: what a TOML file may say, how it is read, overridden, checked and written back."""

import json
import tomllib
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    field_validator,
    model_serializer,
    model_validator,
)

from ladder_ebgan.checking import (
    NonNegative,
    Positive,
    Rate,
    Share,
    Size,
    changed,
    check_variant_names,
    validated,
)
from ladder_ebgan.errors import UsageError
from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.recipe_files import recipe_text, seen_from

MODELS = ("ladder", "ladder-matched", "ebgan-ladder")
GAN_MODELS = ("gan", "ebgan")  # without labels, of recipes of their own
MAX_BASES = 10  # of a recipe, one below the other
Images = Literal["labeled", "unlabeled"]


class Section(BaseModel):
    """A table of the TOML file; unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    added: ClassVar[dict[str, Any]] = {}  # keys that earlier versions did not know, and what was done without them

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is as it was before there was a key for it: recipes, folders and models of then go on."""
        table: dict[str, Any] = serialize(self)
        return {key: value for key, value in table.items() if key not in self.added or value != self.added[key]}


class Network(Section):
    """The ladder."""

    hidden_sizes: list[Size] = Field(min_length=1, max_length=100)  # between the pixels and the classes
    input_noise: NonNegative  # standard deviations
    hidden_noise: float | list[float]  # of all layers above the input, or of each: the hidden ones, the classes
    combinator: Literal["gaussian", "vanilla", "amlp"] = "gaussian"  # the denoising function, see combinators.py
    softmax_gamma: bool  # a learned scale under the softmax: Rasmus et al. have it, Zhao et al. have not
    evaluation_statistics: Images  # that calibrate the normalisation
    added = {"combinator": "gaussian"}

    @property
    def noise_stds(self) -> tuple[float, ...]:
        """Standard deviation of the corruption of the layers 0..L."""
        above = self.hidden_noise
        return (self.input_noise, *(above if isinstance(above, list) else [above] * (len(self.hidden_sizes) + 1)))

    @field_validator("hidden_noise", mode="plain")
    @classmethod
    def _number_or_list(cls, value: Any) -> float | list[float]:
        """Check it as what it looks like: of a union, messages would name both."""
        kind: Any = list[NonNegative] if isinstance(value, list) else NonNegative
        checked: float | list[float] = TypeAdapter(kind, config=cls.model_config).validate_python(value)
        return checked

    @model_validator(mode="after")
    def _noise_of_each_layer(self) -> Self:
        n_above = len(self.hidden_sizes) + 1
        if isinstance(self.hidden_noise, list) and len(self.hidden_noise) != n_above:
            raise ValueError(
                f"hidden_noise has {len(self.hidden_noise)} numbers, but needs one for all layers above the input, "
                f"or {n_above}: for each of the {n_above - 1} hidden ones, and for the classes"
            )
        return self


class Training(Section):
    """What all models share."""

    batch_size: Annotated[int, Field(ge=2, le=10**6)]  # labelled, unlabelled and generated images a step, each
    adam_beta1: Share
    adam_beta2: Share
    adam_epsilon: Rate
    curve_every_steps: Positive  # distance of the points of the learning curves
    averaging_decay: Share = 0.0  # of the average of a ladder's weights that is evaluated in their place; 0: none
    added = {"averaging_decay": 0.0}


class Curve(Section):
    """A number that changes over the steps: a curve through points, constant after the last."""

    shape: Literal["linear", "cosine"] = "linear"
    steps: list[Annotated[int, Field(ge=0, le=10**9)]] = Field(min_length=1)
    values: list[NonNegative] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if len(self.steps) != len(self.values):
            raise ValueError(f"it has {len(self.steps)} steps and {len(self.values)} values, but needs as many")
        if sorted(set(self.steps)) != self.steps:
            raise ValueError(f"its steps must increase, but are {self.steps}")
        return self


class LadderSettings(Section):
    """How a ladder is trained, alone or as a discriminator."""

    n_steps: Positive
    learning_rate: Rate
    decay_start_step: Annotated[int, Field(ge=0)]  # from here the learning rate falls linearly to 0
    classification_weight: NonNegative = 1.0
    denoising_weights: list[NonNegative]  # layers 0..L, on the mean square over units and examples
    evaluation_statistics: Images | None = None  # in the place of the network's
    labeled_subset_seed: Annotated[int, Field(ge=0, le=10**9)] | None = None  # in the place of each replica's own
    pseudo_label_weight: Curve | None = None  # of what else unlabelled images can cost, see consistency.py
    vat_weight: NonNegative = 0.0
    vat_radius: Rate = 2.0
    added = {
        **dict.fromkeys(["evaluation_statistics", "labeled_subset_seed", "pseudo_label_weight"]),
        **{"vat_weight": 0.0, "vat_radius": 2.0},
    }

    @property
    def has_generator(self) -> bool:
        """Whether a network that draws images belongs to it."""
        return False

    @model_validator(mode="after")
    def _decay_within_run(self) -> Self:
        if self.decay_start_step >= self.n_steps:
            raise ValueError(
                f"decay_start_step is {self.decay_start_step}, but must be below n_steps ({self.n_steps})"
            )
        return self


class GeneratorSettings(Section):
    """The generator and its optimiser."""

    hidden_sizes: list[Size] = Field(min_length=1, max_length=100)
    latent_size: Size
    weight_std: Rate
    learning_rate: NonNegative  # 0: it stays as it is drawn
    output: Literal["sigmoid", "linear"] = "sigmoid"  # pixels in [0, 1], or any numbers
    source: Literal["network", "noise"] = "network"  # of the contrastive images; noise has the range of the output
    added = {"output": "sigmoid", "source": "network"}

    @property
    def is_trained(self) -> bool:
        """Whether its weights ever change."""
        return self.source == "network" and self.learning_rate > 0

    def sizes(self, n_features: int) -> list[int]:
        """Return the units of its layers, latents first; noise is latents without a layer."""
        if self.source == "noise":
            return [n_features]
        return [self.latent_size, *self.hidden_sizes, n_features]


class EBGANLadderSettings(LadderSettings):
    """EBGAN-LN: a ladder as discriminator, first against a generator, then alone."""

    adversarial_steps: Annotated[int, Field(ge=0)]  # from here on the generator is off
    margin: Curve  # m of Eq. (1)
    generator: GeneratorSettings
    energy_weighted: bool = True  # whether lambda_L2 weighs the hinge of Eq. (1) too
    hinge_weight: NonNegative = 1.0  # of the hinge, beside lambda_L2; Eq. (1) has none
    pulling_away_weight: NonNegative = 0.0  # of Eq. (14) in the generator's loss
    corrupt_generated: bool = True  # whether generated images pass the ladder with noise, as real ones do
    added = {
        **LadderSettings.added,
        **{"energy_weighted": True, "hinge_weight": 1.0, "pulling_away_weight": 0.0, "corrupt_generated": True},
    }

    @property
    def has_generator(self) -> bool:
        """Whether a network that draws images belongs to it."""
        return self.generator.source == "network"

    @model_validator(mode="after")
    def _adversarial_phase_within_run(self) -> Self:
        if self.adversarial_steps > self.n_steps:
            raise ValueError(
                f"adversarial_steps is {self.adversarial_steps}, but must not be above n_steps ({self.n_steps})"
            )
        if self.adversarial_steps and self.denoising_weights[:1] == [0]:
            raise ValueError(
                "denoising_weights[0] is 0, but the energy is the reconstruction of layer 0: make it positive"
            )
        return self


class Variant(Section):
    """A model trained with a few changes, to be compared with it."""

    of: Literal["ladder", "ladder-matched", "ebgan-ladder"]
    set: list[str] = Field(default_factory=list)  # changes of the model's own section, such as margin.values.0=8


class Recipe(Section):
    """An experiment. `labels` and `n_seeds` are what is trained when the command line does not say."""

    labels: list[Positive] = Field(min_length=1)
    n_seeds: Annotated[int, Field(gt=0, le=10_000)]
    network: Network
    training: Training
    ladder: LadderSettings | None = None
    ebgan_ladder: EBGANLadderSettings | None = Field(None, alias="ebgan-ladder")
    variants: dict[str, Variant] = Field(default_factory=dict)
    added = {"variants": {}}

    @field_validator("variants")
    @classmethod
    def _variants_have_names(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        check_variant_names(variants, MODELS)
        return variants

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        if self.ladder is None and self.ebgan_ladder is None:
            raise ValueError("no model: needs a section [ladder] or [ebgan-ladder]")
        every = {"ladder": self.ladder, "ebgan-ladder": self.ebgan_ladder} | {
            f"variants.{name}": self._varied(name) for name in self.variants
        }
        n_layers = len(self.network.hidden_sizes) + 2
        for name, settings in every.items():
            if settings is not None and len(settings.denoising_weights) != n_layers:
                raise ValueError(
                    f"{name}.denoising_weights has {len(settings.denoising_weights)} numbers, but the network "
                    f"has {n_layers} layers: the input, {n_layers - 2} hidden ones and the classes"
                )
        return self

    @property
    def models(self) -> list[str]:
        """Models that can be trained from this recipe, then their variants."""
        adversarial = ["ladder-matched", "ebgan-ladder"] if self.ebgan_ladder else []
        return (["ladder"] if self.ladder else []) + adversarial + list(self.variants)

    @property
    def compared(self) -> list[str]:
        """Models that are trained when nobody says which: the variants with what they are of, if there are any."""
        bases = {variant.of for variant in self.variants.values()} or {"ladder", "ebgan-ladder"}
        return [model for model in self.models if model in bases or model in self.variants]

    def settings(self, model: str) -> LadderSettings:
        """Return how `model` is trained; `ladder-matched` is `ebgan-ladder` without what makes it adversarial."""
        if model in self.variants:
            return self._varied(model)
        settings = self.ladder if model == "ladder" else self.ebgan_ladder
        if model not in self.models or settings is None:
            raise UsageError(f"the recipe has no model '{model}': it has {', '.join(self.models)}")
        if model == "ladder-matched":
            return LadderSettings(**settings.model_dump(include=set(LadderSettings.model_fields)))
        return settings

    def _varied(self, name: str) -> LadderSettings:
        """Return the settings of a variant."""
        variant, source = self.variants[name], f"variants.{name}"
        if variant.of not in self.models:
            section = section_name(variant.of)
            raise UsageError(f'{source}.of is "{variant.of}", but the recipe has no section [{section}]')
        return changed(self.settings(variant.of), variant.set, source)

    def evaluation_statistics(self, model: str) -> Images:
        """Return which images calibrate the normalisation of `model` when it is evaluated."""
        return self.settings(model).evaluation_statistics or self.network.evaluation_statistics

    def identity(self) -> dict[str, Any]:
        """Return everything that a result depends on: all but which budgets and seeds are trained."""
        return self.model_dump(by_alias=True, exclude={"labels", "n_seeds"})


def load_recipe(name_or_path: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe by name or path, apply overrides such as `ladder.learning_rate=0.001`, and check it all.

    Raises:
        UsageError: naming the first key that is wrong, and what would be right.
    """
    return parse_recipe(*recipe_tables(name_or_path, overrides))


def recipe_tables(name_or_path: str, overrides: Iterable[str]) -> tuple[dict[str, Any], str]:
    """Return the tables of a recipe, with overrides applied but not yet checked, and its name in messages."""
    own = _parsed(name_or_path, recipe_text(name_or_path))
    base = own.get("base")  # where what is wrong may stand as well
    try:
        tables = _with_base(name_or_path, own)
    except RecursionError as error:
        raise UsageError(f"the recipe {name_or_path} and its base are nested too deeply") from error
    apply_changes(tables, overrides, "--set ", "ladder.learning_rate=0.001")
    return tables, f"recipe '{name_or_path}'" + (f" (with its base '{base}')" if base else "")


def _parsed(name_or_path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # bad TOML, a number of thousands of digits, endless brackets
        raise UsageError(f"the recipe {name_or_path} is not valid TOML: {error}") from error


def _with_base(name_or_path: str, tables: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return the tables of a recipe over those of its `base`, which may have a base of its own."""
    if "base" not in tables:
        return tables
    base, its_base = tables.pop("base"), f"base of the recipe {name_or_path}"
    if not isinstance(base, str):
        raise UsageError(f"{its_base} must be the name or the file of a recipe, in quotes")
    if depth == MAX_BASES:
        raise UsageError(f"{its_base}: more than {MAX_BASES} recipes rest on each other; is one its own base?")
    base = seen_from(base, name_or_path)
    try:
        base_text = recipe_text(base)
    except UsageError as error:
        raise UsageError(f"{its_base}: {error}") from error
    return _merged(_with_base(base, _parsed(base, base_text), depth + 1), tables)


def _merged(below: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return nested tables of which `over` has the last word; lists are replaced as a whole."""
    tables = {
        key: _merged(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in over.items()
    }
    return below | tables


def parse_recipe(tables: dict[str, Any], source: str) -> Recipe:
    """Check the tables of a recipe of classifiers and return it; `source` is named in messages."""
    if not tables.keys().isdisjoint(GAN_MODELS):
        raise UsageError(f"{source} is of GANs without labels, which 'ladder-ebgan run' trains")
    return validated(Recipe, tables, source)


def section_name(model: str) -> str:
    """Return the section that a model which is no variant is trained by; `ladder-matched` has that of EBGAN-LN."""
    return "ebgan-ladder" if model == "ladder-matched" else model


def identity_of_model(identity: dict[str, Any], model: str) -> dict[str, Any]:
    """Return what `Recipe.identity` is of a recipe that has no variants beside `model`."""
    kept = {name: variant for name, variant in identity.get("variants", {}).items() if name == model}
    rest = {key: value for key, value in identity.items() if key != "variants"}
    return rest | ({"variants": kept} if kept else {})


def recipe_of_model(tables: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the tables of a recipe without what other models than this one are trained by."""
    kept = identity_of_model(tables, model)
    variant = kept.get("variants", {}).get(model)
    section = section_name(model if variant is None else variant["of"])
    return {key: value for key, value in kept.items() if key not in {*MODELS, *GAN_MODELS} - {section}}


def recipe_toml(tables: dict[str, Any], section: str = "") -> str:
    """Return tables, such as those of `Recipe.identity`, as the TOML text that reads as them; None is left out."""
    plain = {key: value for key, value in tables.items() if not isinstance(value, dict | None)}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in plain.items()]
    for key, value in tables.items():
        if isinstance(value, dict):
            lines += [f"\n[{section}{key}]\n", recipe_toml(value, f"{section}{key}.")]
    return "".join(lines)
