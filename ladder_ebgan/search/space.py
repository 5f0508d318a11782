"""A search space: which recipe, which of its settings vary, and how settings are proposed."""

import json
import random
import tomllib
import zlib
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any, ClassVar, Literal, Self

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from ladder_ebgan.any_recipe import AnyRecipe, load_any_recipe
from ladder_ebgan.checking import Positive, first_problem
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.recipe import Recipe, Section, load_recipe
from ladder_ebgan.recipe_files import seen_from, space_text

DIGITS = 4  # of a number that is proposed

NOT_OF_RESULTS = {"n_trials", "recipe", "set", "together", "only"}  # of a space: `base` is what the recipe says

Number = int | float
Trials = Annotated[int, Field(gt=0, le=10**6)]
Proposal = Mapping[str, Any]  # what Optuna knows of a setting: a value by the key of the parameter


class Choices(Section):
    """One of a few values."""

    choices: list[Any] = Field(min_length=1, max_length=1000)

    def distribution(self) -> BaseDistribution:
        """Return it in Optuna's terms; choices are JSON there, since they may be lists."""
        return CategoricalDistribution([json.dumps(choice) for choice in self.choices])

    def samples(self) -> list[Any]:
        """Return values that must all be allowed."""
        return [json.dumps(choice) for choice in self.choices]


class Range(Section):
    """A number between two others; a whole one if both are."""

    low: Number
    high: Number
    log: bool = False  # whether it is proposed evenly in its logarithm

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low}, but must be below high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low}, but must be above 0 if log is true")
        return self

    def distribution(self) -> BaseDistribution:
        """Return it in Optuna's terms."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def samples(self) -> list[Any]:
        """Return values that must all be allowed."""
        return [self.low, self.high]


def _kind(parameter: Any) -> str:
    """Return which of the two a parameter is meant to be, so that messages speak of that one alone."""
    has_choices = isinstance(parameter, Choices) or (isinstance(parameter, dict) and "choices" in parameter)
    return "choices" if has_choices else "range"


Parameter = Annotated[
    Annotated[Choices, Tag("choices")] | Annotated[Range, Tag("range")],
    Discriminator(_kind),
]


class AnySpace(Section):
    """What a search varies and how. Keys of `parameters` are keys of the recipe; several are joined by commas."""

    recipe: str
    model: str
    n_startup_trials: Positive = 10  # proposed at random, and trained to the end, before results have a say
    sampler: Literal["grid", "random", "tpe"]
    together: list[str] = Field(default_factory=list)  # parameters of a grid: all their values follow each other
    only: dict[str, list[Any]] = Field(default_factory=dict)  # of a grid: the choices of a slice, by parameter
    set: list[str] = Field(default_factory=list)  # changes of the recipe that all settings share
    parameters: dict[str, Parameter] = Field(min_length=1)
    added: ClassVar[dict[str, Any]] = {"n_startup_trials": 10, "together": [], "only": {}}

    @model_validator(mode="after")
    def _grid_is_finite(self) -> Self:
        endless = [key for key, parameter in self.parameters.items() if isinstance(parameter, Range)]
        if self.sampler == "grid" and endless:
            raise ValueError(f"a grid has choices, but '{endless[0]}' is a range: use choices, or another sampler")
        if self.sampler != "grid" and (self.only or self.together):
            raise ValueError(f"only a grid has slices and an order, and the sampler is {self.sampler}")
        strangers = [key for key in (*self.together, *self.only) if key not in self.parameters]
        if strangers:
            raise ValueError(f"'{strangers[0]}' is no parameter: they are {'; '.join(self.parameters)}")
        return self

    def identity(self) -> dict[str, Any]:
        """Return what a result depends on, and what may not change while a study grows."""
        return {**self.model_dump(exclude=NOT_OF_RESULTS), "base": self.base().identity()}

    def base(self) -> AnyRecipe:
        """Return the recipe that all settings share but for the parameters."""
        return load_any_recipe(self.recipe, self.set)

    def recipe_of(self, proposal: Proposal) -> AnyRecipe:
        """Return the recipe of a setting.

        Raises:
            UsageError: it is none, such as a decay that starts after the last step.
        """
        return load_any_recipe(self.recipe, [*self.set, *overrides(proposal)])

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the parameters in Optuna's terms."""
        return {key: parameter.distribution() for key, parameter in self.parameters.items()}

    def grid(self) -> Iterator[Proposal]:
        """Yield the settings of a grid, or of its slice, in the order in which they are trained.

        That is a random one, so however much of it is trained is a sample of it: of the settings, or of what stands
        `together`, all of whose settings follow each other. The order of a slice is that of the whole grid.
        """
        outer = [key for key in self.parameters if key not in self.together]
        inner = [key for key in self.parameters if key in self.together]
        shuffled = list(self._products(outer))
        random.Random(0).shuffle(shuffled)
        for first in shuffled:
            for others in self._products(inner):
                proposal = {**first, **others}
                if self.holds(proposal):
                    yield {key: proposal[key] for key in self.parameters}

    def _products(self, keys: list[str]) -> Iterator[Proposal]:
        choices = [self.parameters[key].samples() for key in keys]
        return (dict(zip(keys, values, strict=True)) for values in product(*choices))

    def holds(self, proposal: Proposal) -> bool:
        """Return whether a setting is in the slice, if there is one."""
        return all(proposal[key] in map(json.dumps, choices) for key, choices in self.only.items())

    def stack_of(self, proposal: Proposal) -> tuple[Any, ...]:
        """Return the same for settings that stand together in a grid."""
        return tuple(value for key, value in proposal.items() if key not in self.together)


class Space(AnySpace):
    """A space of classifiers, which are compared by their error on images held out of the training set."""

    labels: Positive
    n_subsets: Annotated[int, Field(gt=0, le=1000)]  # labelled subsets that each setting is trained on
    first_seed: Annotated[int, Field(ge=0, le=10**9)] = 1000  # of the subsets: other ones than those of a table
    n_trials: Trials
    report_every_steps: Positive | None = None  # where hopeless settings stop; None: nowhere

    @property
    def seeds(self) -> range:
        """The seeds of the labelled subsets."""
        return range(self.first_seed, self.first_seed + self.n_subsets)

    def base(self) -> Recipe:
        """Return the recipe that all settings share but for the parameters."""
        return load_recipe(self.recipe, self.set)

    def recipe_of(self, proposal: Proposal) -> Recipe:
        """Return the recipe of a setting; raises UsageError as that of any space."""
        return load_recipe(self.recipe, [*self.set, *overrides(proposal)])


class GANSpace(AnySpace):
    """A space of GANs, which are compared by the score of the images that they generate, one run a setting."""

    n_trials: Trials | None = None  # None: the whole grid

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.sampler != "grid" and self.n_trials is None:
            raise ValueError(f"n_trials is missing: the sampler is {self.sampler}, and only a grid ends by itself")
        return self

    def base(self) -> GANRecipe:
        """Return the recipe that all settings share but for the parameters."""
        return _of_gans(super().base())

    def recipe_of(self, proposal: Proposal) -> GANRecipe:
        """Return the recipe of a setting; raises UsageError as that of any space."""
        return _of_gans(super().recipe_of(proposal))


def _of_gans(recipe: AnyRecipe) -> GANRecipe:
    assert isinstance(recipe, GANRecipe)
    return recipe


def decoded(value: Any) -> Any:
    """Return a value of a parameter for what Optuna knows of it, where choices are JSON."""
    return json.loads(value) if isinstance(value, str) else value


def seed_of(proposal: Proposal) -> int:
    """Return the seed of a setting that is trained once: its own, whatever else is in the grid or beside it."""
    return zlib.crc32("\n".join(sorted(overrides(proposal))).encode())


def overrides(proposal: Proposal) -> list[str]:
    """Return a setting as changes of a recipe, such as `ladder.learning_rate=0.001`: it is trained as written."""
    shown = {keys: as_trained(value) for keys, value in proposal.items()}
    return [f"{key.strip()}={value}" for keys, value in shown.items() for key in keys.split(",")]


def as_trained(value: Any) -> Any:
    """Return a value that Optuna has proposed as it is written and trained: numbers with a few digits."""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else value


def load_space(name_or_path: str, overrides: Mapping[str, Any] = {}) -> Space | GANSpace:
    """Read a search space by name or path, and check it and what its settings come to.

    Args:
        name_or_path: of a packaged space, or a file that ends in .toml; a recipe of one's own lies beside it.
        overrides: keys of the space that are given another value; those of `set` are added.

    Raises:
        UsageError: naming the first thing that is wrong.
    """
    source = f"search space '{name_or_path}'"
    try:
        tables = tomllib.loads(space_text(name_or_path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the {source} is not valid TOML: {error}") from error
    if isinstance(recipe := tables.get("recipe"), str):
        tables["recipe"] = seen_from(recipe, name_or_path)
    for key, value in overrides.items():
        tables[key] = [*tables.get("set", []), *value] if key == "set" else value
    schema = _schema(tables, source)
    try:
        space = schema.model_validate_json(json.dumps(tables))
    except ValidationError as error:
        raise UsageError(f"{source}: {first_problem(error, schema)}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{source}: dates are not allowed, nor numbers that long") from error
    _check_settings(space, source)
    return space


def _schema(tables: Mapping[str, Any], source: str) -> type[Space] | type[GANSpace]:
    """Return which kind a space is of: that of its recipe."""
    name = tables.get("recipe")
    if not isinstance(name, str):
        return Space
    try:
        recipe = load_any_recipe(name)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error
    if isinstance(recipe, Recipe):
        return Space
    of_classifiers = [key for key in ("labels", "n_subsets", "report_every_steps") if key in tables]
    if of_classifiers:
        raise UsageError(f"{source}: {of_classifiers[0]} is of classifiers, and the recipe '{name}' is of GANs")
    return GANSpace


def stored_space(tables: Mapping[str, Any]) -> Space | GANSpace:
    """Return the space that a search has recorded; raises pydantic's ValidationError where it is none."""
    schema = Space if "labels" in tables else GANSpace
    return schema.model_validate_json(json.dumps(tables))


def _check_settings(space: AnySpace, source: str) -> None:
    """Try each value of each parameter beside the first values of the others."""
    try:
        space.base().settings(space.model)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error
    first = {key: parameter.samples()[0] for key, parameter in space.parameters.items()}
    for key, parameter in space.parameters.items():
        for value in parameter.samples():
            try:
                recipe = space.recipe_of({**first, key: value})
            except UsageError as error:
                raise UsageError(f"{source}: with {key} = {value}: {error}") from error
            if isinstance(recipe, Recipe) and recipe.settings(space.model).labeled_subset_seed is not None:
                raise UsageError(
                    f"{source}: labeled_subset_seed cannot be set or searched: n_subsets and first_seed say which "
                    "images have labels"
                )
