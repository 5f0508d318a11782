"""Model files: what they say of themselves, found in a run folder and chosen from it; no PyTorch is needed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from safetensors import SafetensorError, safe_open

from ladder_ebgan.any_recipe import AnyRecipe, parse_any_recipe
from ladder_ebgan.errors import UsageError
from ladder_ebgan.recipe import GAN_MODELS

MODEL_FORMAT = 3  # of a model file: 1 had no number, and no statistics of the decoder; 3 is what estimators save
RUN_FORMAT = 2  # of those in a run folder, one replica each

Size = Annotated[int, Field(gt=0)]


class TrainedOn(BaseModel):
    """The data set of a training."""

    name: str
    fingerprint: str


class Metadata(BaseModel):
    """What a model file says of itself; what a later version adds within a format is left aside."""

    model_config = ConfigDict(strict=True, frozen=True)

    format: Size = 1
    model: str
    labels: Annotated[int, Field(ge=0)]  # 0 of a GAN, which is trained without
    seed: Annotated[int, Field(ge=0)]
    version: str
    torch_version: str
    data: TrainedOn
    recipe: dict[str, Any]
    precision: Literal["float32", "tf32", "bfloat16"]
    classes: list[int | str]  # none of a GAN whose images had no labels
    image_shape: list[Size] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = []  # of the replicas of a file with several
    inputs: Literal["pixels", "features"] = "pixels"  # in [0, 1], or any numbers
    scaled: bool = False  # whether it holds means and deviations that inputs are brought to 0 and 1 with
    columns: list[str] = []  # names of the features of a table
    label_column: str | None = None
    estimator: dict[str, Any] | None = None  # what the estimator that saved it knows beside

    @field_validator("classes")
    @classmethod
    def _enough(cls, classes: list[int | str], known: ValidationInfo) -> list[int | str]:
        if known.data.get("labels") and len(classes) < 2:
            raise ValueError("there must be two or more")
        return classes

    @property
    def replica_seeds(self) -> tuple[int, ...]:
        """The seed of each replica in the file."""
        return tuple(self.seeds) or (self.seed,)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, as far as a table or an estimator had them."""
        return tuple(self.columns or (self.estimator or {}).get("feature_names") or ())

    @property
    def kind(self) -> tuple[str, int]:
        """Model and number of labels, which all seeds of an ensemble have in common."""
        return self.model, self.labels


@dataclass(frozen=True)
class ModelFile:
    """A model file whose metadata was read and checked."""

    path: Path
    metadata: Metadata
    recipe: AnyRecipe

    @property
    def has_generator(self) -> bool:
        """Whether images can be drawn from it."""
        return self.recipe.settings(self.metadata.model).has_generator


def find_models(path: Path) -> list[ModelFile]:
    """Return the model file at `path`, or those of the run folder there, by model, labels and seed.

    Raises:
        UsageError: there is nothing, or a file that is damaged, of a later format, or no model.
    """
    try:
        there = path.exists()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
    if not there:
        raise UsageError(f"there is no model file or run folder '{path}'")
    if path.is_file():
        return [read_model_file(path)]
    paths = [*path.glob("models/*.safetensors")] or [*path.glob("*.safetensors")]
    if not paths:
        raise UsageError(
            f"the folder '{path}' holds no models: name a run folder with a finished seed, or a file of its models/"
        )
    files = [read_model_file(file) for file in paths]
    return sorted(files, key=lambda file: (*file.metadata.kind, file.metadata.seed, file.path))


def read_model_file(path: Path) -> ModelFile:
    """Read what a model file says of itself, and check it.

    Raises:
        UsageError: it is damaged, of a later format, or no model.
    """
    try:
        with safe_open(path, framework="np") as file:
            stored = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UsageError(f"'{path}' is no model file, or a damaged one ({first_line(error)})") from error
    if "checkpoint" in stored:
        raise UsageError(f"'{path}' is the checkpoint of a training; the run's models/ has models when it is done")
    try:
        metadata = json.loads(stored["model"])
        later = metadata.get("format", 1) > MODEL_FORMAT
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"'{path}' does not say what it is: it is no model of ladder-ebgan, or damaged") from error
    if later:
        raise UsageError(
            f"the model file '{path}' has format {metadata['format']}, and this version of ladder-ebgan knows "
            f"formats up to {MODEL_FORMAT}: install a later one"
        )
    try:
        checked = Metadata.model_validate_json(stored["model"])
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise UsageError(f"the metadata of '{path}' is wrong: {where}: {problem['msg'].lower()}") from error
    budgets = {"labels": [checked.labels]} if checked.recipe.keys().isdisjoint(GAN_MODELS) else {}
    recipe = parse_any_recipe(budgets | {"n_seeds": 1, **checked.recipe}, source=f"the recipe in '{path}'")
    recipe.settings(checked.model)
    return ModelFile(path, checked, recipe)


def choose(
    files: Sequence[ModelFile],
    source: Path,
    model: str | None = None,
    labels: int | None = None,
    seeds: Sequence[int] | Literal["all"] | None = None,
    averages: bool = True,
) -> list[ModelFile]:
    """Return the files that were asked for: one, or several seeds of one model and number of labels.

    Args:
        files: to choose from, found at `source`.
        source: named in messages.
        model, labels: None where there is only one.
        seeds: several, or all, make an ensemble; None where there is only one.
        averages: whether the caller can do with several seeds.

    Raises:
        UsageError: none was asked for, or more than that.
    """
    of_kind = [
        file for file in files if model in {None, file.metadata.model} and labels in {None, file.metadata.labels}
    ]
    wanted = {file.metadata.seed for file in of_kind} if seeds is None or seeds == "all" else set(seeds)
    chosen = [file for file in of_kind if file.metadata.seed in wanted]
    missing = sorted(wanted - {file.metadata.seed for file in chosen})
    if not chosen or missing:
        asked = [f"model {model}"] if model else []
        asked += [f"{labels} labels"] if labels else []
        asked += [f"seed {missing[0]}"] if missing else []
        raise UsageError(f"'{source}' has no model with {', '.join(asked)}; it has {_listed(files)}")
    _refuse_ambiguity(chosen, source, seeds is not None, " (--seed all averages the seeds)" if averages else "")
    return chosen


def choose_generator(
    files: Sequence[ModelFile], source: Path, model: str | None, labels: int | None, seed: int | None
) -> list[ModelFile]:
    """Return the one file that was asked for, as `choose` does; where no model is named, one with a generator."""
    candidates = [file for file in files if file.has_generator or model is not None] or files
    return choose(candidates, source, model, labels, None if seed is None else [seed], averages=False)


def _refuse_ambiguity(files: Sequence[ModelFile], source: Path, several_seeds: bool, hint: str) -> None:
    models, budgets, seeds = (
        {getattr(file.metadata, name) for file in files} for name in ("model", "labels", "seed")
    )
    options = {"--model": len(models), "--labels": len(budgets), "--seed": 1 if several_seeds else len(seeds)}
    needed = [option for option, count in options.items() if count > 1]
    if needed:
        more = hint if "--seed" in needed else ""
        raise UsageError(f"'{source}' has {_listed(files)}: choose with {' and '.join(needed)}{more}")
    if len(seeds) < len(files):
        raise UsageError(f"'{source}' has several files of {_listed(files)}: name one of them")


def in_words(model: str, labels: int, seeds: Sequence[int]) -> str:
    """Return what a model is, in words."""
    in_a_row = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    numbers = f"{seeds[0]}-{seeds[-1]}" if in_a_row else ", ".join(map(str, seeds))
    budget = f", {labels} labels" if labels else ""
    return f"{model}{budget}, seed{'s' if len(seeds) > 1 else ''} {numbers}"


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return str(error).partition("\n")[0]


def _listed(files: Sequence[ModelFile]) -> str:
    kinds = groupby((file.metadata for file in files), key=lambda metadata: metadata.kind)
    return "; ".join(in_words(model, labels, [one.seed for one in group]) for (model, labels), group in kinds)
