"""The recipe of an experiment: what a TOML file may say, how it is read, overridden, checked and written back."""

import json
import tomllib
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

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
from ladder_ebgan.recipe_files import recipe_text, suggestion

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
    evaluation_statistics: Literal["labeled", "unlabeled"]  # images that calibrate the normalisation
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


class LadderSettings(Section):
    """How a ladder is trained, alone or as a discriminator."""

    n_steps: Positive
    learning_rate: Rate
    decay_start_step: Annotated[int, Field(ge=0)]  # from here the learning rate falls linearly to 0
    classification_weight: NonNegative = 1.0
    denoising_weights: list[NonNegative]  # layers 0..L, on the mean square over units and examples

    @model_validator(mode="after")
    def _decay_within_run(self) -> Self:
        if self.decay_start_step >= self.n_steps:
            raise ValueError(
                f"decay_start_step is {self.decay_start_step}, but must be below n_steps ({self.n_steps})"
            )
        return self


class Margin(Section):
    """The margin m of Eq. (1) over the steps: a curve through points, constant after the last."""

    shape: Literal["linear", "cosine"] = "linear"
    steps: list[Annotated[int, Field(ge=0, le=10**9)]] = Field(min_length=1)
    values: list[NonNegative] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if len(self.steps) != len(self.values):
            raise ValueError(f"margin has {len(self.steps)} steps and {len(self.values)} values, but needs as many")
        if sorted(set(self.steps)) != self.steps:
            raise ValueError(f"margin.steps must increase, but is {self.steps}")
        return self


class GeneratorSettings(Section):
    """The generator and its optimiser."""

    hidden_sizes: list[Size] = Field(min_length=1, max_length=100)
    latent_size: Size
    weight_std: Rate
    learning_rate: Rate
    output: Literal["sigmoid", "linear"] = "sigmoid"  # pixels in [0, 1], or any numbers
    added = {"output": "sigmoid"}


class EBGANLadderSettings(LadderSettings):
    """EBGAN-LN: a ladder as discriminator, first against a generator, then alone."""

    adversarial_steps: Annotated[int, Field(ge=0)]  # from here on the generator is off
    margin: Margin
    generator: GeneratorSettings

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


class Recipe(Section):
    """An experiment. `labels` and `n_seeds` are what is trained when the command line does not say."""

    labels: list[Positive] = Field(min_length=1)
    n_seeds: Annotated[int, Field(gt=0, le=10_000)]
    network: Network
    training: Training
    ladder: LadderSettings | None = None
    ebgan_ladder: EBGANLadderSettings | None = Field(None, alias="ebgan-ladder")

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        if self.ladder is None and self.ebgan_ladder is None:
            raise ValueError("no model: needs a section [ladder] or [ebgan-ladder]")
        n_layers = len(self.network.hidden_sizes) + 2
        for name, settings in (("ladder", self.ladder), ("ebgan-ladder", self.ebgan_ladder)):
            if settings is not None and len(settings.denoising_weights) != n_layers:
                raise ValueError(
                    f"{name}.denoising_weights has {len(settings.denoising_weights)} numbers, but the network "
                    f"has {n_layers} layers: the input, {n_layers - 2} hidden ones and the classes"
                )
        return self

    @property
    def models(self) -> list[str]:
        """Models that can be trained from this recipe."""
        adversarial = ["ladder-matched", "ebgan-ladder"] if self.ebgan_ladder else []
        return (["ladder"] if self.ladder else []) + adversarial

    def settings(self, model: str) -> LadderSettings:
        """Return how `model` is trained; `ladder-matched` is `ebgan-ladder` without what makes it adversarial."""
        settings = self.ladder if model == "ladder" else self.ebgan_ladder
        if model not in self.models or settings is None:
            raise UsageError(f"the recipe has no model '{model}': it has {', '.join(self.models)}")
        if model == "ladder-matched":
            return LadderSettings(**settings.model_dump(include=set(LadderSettings.model_fields)))
        return settings

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
    for override in overrides:
        _apply(tables, override)
    return parse_recipe(tables, source=f"recipe '{name_or_path}'")


def parse_recipe(tables: dict[str, Any], source: str) -> Recipe:
    """Check the tables of a recipe and return it; `source` is named in messages."""
    try:
        return Recipe.model_validate_json(json.dumps(tables))
    except ValidationError as error:
        raise UsageError(f"{source}: {first_problem(error)}") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{source}: dates are not allowed in a recipe, nor numbers that long") from error
    except RecursionError as error:
        raise UsageError(f"{source}: {NESTED}") from error


def recipe_toml(tables: dict[str, Any], section: str = "") -> str:
    """Return tables, such as those of `Recipe.identity`, as the TOML text that reads as them; None is left out."""
    plain = {key: value for key, value in tables.items() if not isinstance(value, dict | None)}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in plain.items()]
    for key, value in tables.items():
        if isinstance(value, dict):
            lines += [f"\n[{section}{key}]\n", recipe_toml(value, f"{section}{key}.")]
    return "".join(lines)


def _apply(tables: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {override}: must be key=value, for example ladder.n_steps=1000")
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {}
    value = parsed["value"] if parsed.keys() == {"value"} else text.strip()  # a bare word is a string
    *parents, last = key.strip().split(".")
    table: Any = tables
    for parent in parents:
        table = table[_index(parent, table, override)] if isinstance(table, list) else table.setdefault(parent, {})
        if not isinstance(table, dict | list):
            raise UsageError(f"--set {override}: '{parent}' is not a section of the recipe")
    table[_index(last, table, override) if isinstance(table, list) else last] = value


def _index(part: str, numbers: list[Any], override: str) -> int:
    """Return the place in a list that a part of a key names, counted from 0, as in `margin.values.0`."""
    if not part.isdecimal() or int(part) >= len(numbers):
        raise UsageError(f"--set {override}: '{part}' is no place in a list of {len(numbers)}, counted from 0")
    return int(part)


def first_problem(error: ValidationError, schema: type[BaseModel] | None = None) -> str:
    """Return in words what is wrong first with a recipe, or with what `schema` describes."""
    # A key that is misspelt is also one that is missing, and its name tells more.
    problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "json_invalid":
        return NESTED
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1], schema or Recipe)
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
        node = node.get("properties", {}).get(part, {})
        references = [node, *node.get("anyOf", [])]
        name = next((reference["$ref"] for reference in references if "$ref" in reference), "")
        node = schema["$defs"].get(name.rpartition("/")[2], {})
    return list(node.get("properties", {}))
