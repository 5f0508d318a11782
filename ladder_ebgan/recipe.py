"""The recipe of an experiment: what a TOML file may say, how it is read, overridden, checked and written back."""

import json
import re
import tomllib
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ladder_ebgan.errors import UsageError
from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.recipe_files import recipe_text, suggestion

MODELS = ("ladder", "ladder-matched", "ebgan-ladder")
MAX_NAME = 40  # letters of a variant's name, which is part of the names of files
NESTED = "it is nested too deeply, or has text that is not Unicode"


def _a_float32(number: float) -> float:
    """Refuse what the arithmetic of a training turns into 0 or infinity."""
    if number and not 1e-30 <= abs(number) <= 1e30:
        raise PydanticCustomError("float32", "input should be between 1e-30 and 1e30")
    return number


Positive = Annotated[int, Field(gt=0, le=10**9)]
Size = Annotated[int, Field(gt=0, le=100_000)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False), AfterValidator(_a_float32)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), AfterValidator(_a_float32)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Images = Literal["labeled", "unlabeled"]
Model = TypeVar("Model", bound=BaseModel)


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
    energy_weighted: bool = True  # whether lambda_L2 weighs the hinge of Eq. (1) too; else its weight is 1
    added = {**LadderSettings.added, "energy_weighted": True}

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
        for name in variants:
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > MAX_NAME:
                raise ValueError(
                    f"'{name}' is no name of a variant: at most {MAX_NAME} lower-case letters and digits, "
                    "with hyphens in between"
                )
            if name in MODELS:
                raise ValueError(f"'{name}' is the name of a model: give the variant another one")
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
        base = self.settings(variant.of)
        tables = base.model_dump()
        apply_changes(tables, variant.set, f"{source}: ", "learning_rate=0.001")
        return _validated(type(base), tables, source)

    def evaluation_statistics(self, model: str) -> Images:
        """Return which images calibrate the normalisation of `model` when it is evaluated."""
        return self.settings(model).evaluation_statistics or self.network.evaluation_statistics

    def identity(self) -> dict[str, Any]:
        """Return everything that a result depends on: all but which budgets and seeds are trained."""
        return self.model_dump(by_alias=True, exclude={"labels", "n_seeds"})


def load_recipe(name_or_path: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe by name or path, apply overrides such as `ladder.n_steps=1000`, and check it all.

    Raises:
        UsageError: naming the first key that is wrong, and what would be right.
    """
    text = recipe_text(name_or_path)
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # bad TOML, a number of thousands of digits, endless brackets
        raise UsageError(f"the recipe {name_or_path} is not valid TOML: {error}") from error
    apply_changes(tables, overrides, "--set ", "ladder.n_steps=1000")
    return parse_recipe(tables, source=f"recipe '{name_or_path}'")


def parse_recipe(tables: dict[str, Any], source: str) -> Recipe:
    """Check the tables of a recipe and return it; `source` is named in messages."""
    return _validated(Recipe, tables, source)


def _validated(schema: type[Model], tables: dict[str, Any], source: str) -> Model:
    try:
        return schema.model_validate_json(json.dumps(tables))
    except ValidationError as error:
        raise UsageError(f"{source}: {first_problem(error, schema)}") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{source}: dates are not allowed in a recipe, nor numbers that long") from error
    except RecursionError as error:
        raise UsageError(f"{source}: {NESTED}") from error


def section_name(model: str) -> str:
    """Return the section that a model which is no variant is trained by; `ladder-matched` has that of EBGAN-LN."""
    return "ladder" if model == "ladder" else "ebgan-ladder"


def identity_of_model(identity: dict[str, Any], model: str) -> dict[str, Any]:
    """Return what `Recipe.identity` is of a recipe that has no variants beside `model`."""
    kept = {name: variant for name, variant in identity.get("variants", {}).items() if name == model}
    rest = {key: value for key, value in identity.items() if key != "variants"}
    return rest | ({"variants": kept} if kept else {})


def recipe_toml(tables: dict[str, Any], section: str = "") -> str:
    """Return tables, such as those of `Recipe.identity`, as the TOML text that reads as them; None is left out."""
    plain = {key: value for key, value in tables.items() if not isinstance(value, dict | None)}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in plain.items()]
    for key, value in tables.items():
        if isinstance(value, dict):
            lines += [f"\n[{section}{key}]\n", recipe_toml(value, f"{section}{key}.")]
    return "".join(lines)


def first_problem(error: ValidationError, schema: type[BaseModel]) -> str:
    """Return in words what is wrong first with what `schema` describes, such as a recipe."""
    # A key that is misspelt is also one that is missing, and its name tells more.
    problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "json_invalid":
        return NESTED
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1], schema)
        guess = suggestion(str(problem["loc"][-1]), known)
        return f"unknown key '{path}'{guess}" + (f": known there are {', '.join(known)}" if known else "")
    if problem["type"] == "missing":
        return f"the key '{path}' is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{path}: {message}" if path else message
    value = json.dumps(problem["input"], default=str)
    shown = value if len(value) <= 200 else f"{value[:200]} ..."
    return f"{path} is {shown}: {message[0].lower()}{message[1:]}"


def _known_keys(location: tuple[int | str, ...], of: type[BaseModel]) -> list[str]:
    """Return the keys of the section at a location; none where the keys above it are the user's own."""
    schema = of.model_json_schema(by_alias=True)
    node = schema
    for part in location:
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        references = [node, *node.get("anyOf", [])]
        name = next((reference["$ref"] for reference in references if "$ref" in reference), "")
        node = schema["$defs"].get(name.rpartition("/")[2], node)
    return list(node.get("properties", {}))
