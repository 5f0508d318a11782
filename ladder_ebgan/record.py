"""What `run.json` must hold for a run to go on from it, and for tables and pages to be made of it."""

import json
from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from ladder_ebgan.errors import UsageError
from ladder_ebgan.overrides import apply_changes

TAG = "of "  # what the names of the kinds of recipes begin with, which are no keys
FORMAT = 1  # of the folder; a later version reads it or refuses it


def _parses(parse: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


Count = Annotated[int, Field(gt=0, lt=2**53)]
Labels = Annotated[int, Field(ge=0, lt=2**53)]  # 0 of a GAN, which is trained without
Seed = Annotated[int, Field(ge=0, lt=2**53)]
Speed = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Time = Annotated[str, _parses(datetime.fromisoformat)]


class Part(BaseModel):
    """A part of the record; what a later version adds to it is left aside."""

    model_config = ConfigDict(strict=True, frozen=True)


class Data(Part):
    """The data set."""

    name: str
    fingerprint: str


class ModelSettings(Part):
    """A model's section of the recipe."""

    n_steps: Count


class VariantOfModel(Part):
    """A model with changes of its section."""

    of: Literal["ladder", "ladder-matched", "ebgan-ladder", "gan", "ebgan"]
    set: list[str]


class RecipeSections(Part):
    """The recipe that was trained, of either kind."""

    training: dict[str, Any]
    variants: dict[str, VariantOfModel] = {}

    @property
    @abstractmethod
    def sections(self) -> dict[str, ModelSettings | None]:
        """The sections of models, by the models that they are of."""

    @model_validator(mode="after")
    def _variants_can_be_made(self) -> Self:
        for name, variant in self.variants.items():
            section = self.sections.get(variant.of)
            if section is None:
                raise ValueError(f"variants.{name} is of {variant.of}, which has no section")
            tables: dict[str, Any] = section.model_dump()
            apply_changes(tables, variant.set, f"variants.{name}: ", "n_steps=1000")
            if type(tables["n_steps"]) is not int or tables["n_steps"] <= 0:
                raise ValueError(f"variants.{name} has no number of steps")
        return self


class LadderSections(RecipeSections):
    """A recipe of classifiers."""

    network: dict[str, Any]
    ladder: ModelSettings | None
    ebgan_ladder: ModelSettings | None = Field(alias="ebgan-ladder")

    @property
    def sections(self) -> dict[str, ModelSettings | None]:
        """The sections of models, by the models that they are of."""
        return {"ladder": self.ladder, "ladder-matched": self.ebgan_ladder, "ebgan-ladder": self.ebgan_ladder}


class GANSections(RecipeSections):
    """A recipe of GANs without labels."""

    gan: ModelSettings | None
    ebgan: ModelSettings | None

    @property
    def sections(self) -> dict[str, ModelSettings | None]:
        """The sections of models, by their names."""
        return {"gan": self.gan, "ebgan": self.ebgan}


def _kind(recipe: Any) -> str:
    return TAG + ("gans" if isinstance(recipe, dict) and {"gan", "ebgan"} <= recipe.keys() else "classifiers")


class Identity(Part):
    """What a result depends on."""

    data: Data
    recipe: Annotated[
        Annotated[LadderSections, Tag(TAG + "classifiers")] | Annotated[GANSections, Tag(TAG + "gans")],
        Discriminator(_kind),
    ]
    precision: str


class MeasuredDivision(Part):
    """How fast one division of the cores was."""

    model_config = ConfigDict(extra="forbid")

    n_processes: Count
    n_threads: Count
    n_replicas: Count
    replica_steps_per_second: Speed
    busy_share: Speed


class Choices(Part):
    """What was chosen for the run."""

    model_config = ConfigDict(extra="forbid")

    replicas_at_once: Count = 1
    compiled: bool = False
    n_threads: Count = 1
    n_processes: Count = 1
    measured: list[MeasuredDivision] = []


class GroupOfReplicas(Part):
    """Replicas, pairs of a label budget and a seed, that train together."""

    model: str
    replicas: list[tuple[Labels, Seed]] = Field(min_length=1)


class Start(Part):
    """One start of the run."""

    command: list[str]
    time: Time
    recipe_name: str
    overrides: list[str] = []
    device: str
    versions: dict[str, str]


class Record(Part):
    """The whole of `run.json`."""

    identity: Identity
    image_shape: list[Count] = Field(min_length=1)
    n_test: Count = 1
    columns: list[str] | None = None  # names of the features of a table
    resolved: Choices
    groups: list[GroupOfReplicas]
    starts: list[Start]

    @model_validator(mode="after")
    def _classifiers_have_labels(self) -> Self:
        without = isinstance(self.identity.recipe, GANSections)
        if any((labels == 0) is not without for group in self.groups for labels, _ in group.replicas):
            raise ValueError("groups have numbers of labels that do not go with the recipe")
        return self


def parse_record(text: str, path: Path) -> dict[str, Any]:
    """Return what the text of the `run.json` at `path` says, once it is checked.

    Raises:
        UsageError: it is damaged, or of a later version.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise _damaged(path, "it has no format")
    if record["format"] != FORMAT:
        raise UsageError(
            f"{path} has format {record['format']}, and this version of ladder-ebgan knows format {FORMAT}: "
            "install a later one"
        )
    try:
        Record.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"] if not str(part).startswith(TAG))
        raise _damaged(path, f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}") from error
    return record


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is damaged ({why}): restore it, or start anew with 'run --fresh'")
