"""Estimators in one safetensors file each, and what the files of a run are as estimators; no pickle."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from ladder_ebgan.errors import UsageError
from ladder_ebgan.estimators.settings import plain
from ladder_ebgan.folders import write_atomically
from ladder_ebgan.machine import resolve_device
from ladder_ebgan.model_files import MODEL_FORMAT, ModelFile, choose, find_models
from ladder_ebgan.models import TrainedModel, load, trained_tensors
from ladder_ebgan.recipe import Recipe, parse_recipe
from ladder_ebgan.tensor_files import tensor_bytes


class Fitted(BaseModel):
    """What an estimator knows beside its networks."""

    model_config = ConfigDict(strict=True, frozen=True)

    parameters: dict[str, Any]  # as JSON has them
    classes_dtype: str
    feature_names: list[str] | None
    n_iter: int
    best_steps: list[int]
    history: list[dict[str, Any]]


def save_model(path: Path, model: TrainedModel, fitted: Fitted) -> None:
    """Write a trained model and what else an estimator knows."""
    format_number = MODEL_FORMAT if model.metadata.format > 1 else 1  # 1: without the decoder's statistics
    update = {"format": format_number, "seeds": list(model.seeds), "estimator": fitted.model_dump()}
    metadata = model.metadata.model_copy(update=update)
    write_atomically(path, tensor_bytes(trained_tensors(model), "model", metadata.model_dump()))


def load_model(
    path: Path,
    models: Mapping[str, str],
    wanted: str,
    name: str | None,
    labels: int | None,
    seeds: Sequence[int] | Literal["all"],
    device: str,
) -> tuple[TrainedModel, Fitted]:
    """Read a trained model and what else an estimator knows, or would know if it had trained a run's model.

    Args:
        path: a file, or the folder of a run.
        models: by the name of a model, the estimator that it is.
        wanted: the estimator.
        name: of the model, where several are this estimator.
        labels: how many the model was trained with, where there are several.
        seeds: which of a run's, averaged.
        device: where the networks are put.

    Raises:
        UsageError: there is no such model, or its file is damaged.
    """
    files = find_models(path)
    fit = [file for file in files if models.get(file.metadata.model) == wanted]
    if not fit:
        other = files[0].metadata.model
        which = f": load it with {models[other]}" if other in models else ", which no estimator loads"
        raise UsageError(f"'{path}' has a model {other}{which}")
    try:
        chosen = choose(fit, path, name, labels, seeds)
    except UsageError as error:
        raise UsageError(re.sub("--(model|labels)", r"\1", str(error))) from error
    model = load(chosen, resolve_device(device))
    if any(file.metadata.estimator is None for file in chosen):
        return model, _fitted_by_run(chosen[0], model)
    first, *others = map(_fitted, chosen)
    if not others:
        return model, first
    together = {
        "parameters": first.parameters | {"n_replicas": len(model.seeds)},
        "n_iter": max(fitted.n_iter for fitted in (first, *others)),
        "best_steps": [step for fitted in (first, *others) for step in fitted.best_steps],
        "history": [],
    }
    return model, first.model_copy(update=together)


def _fitted(file: ModelFile) -> Fitted:
    """Return what the estimator of a file knows."""
    try:
        return Fitted.model_validate(file.metadata.estimator)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        message = f"the metadata of '{file.path}' is wrong: estimator.{where}: {problem['msg'].lower()}"
        raise UsageError(message) from error


def _fitted_by_run(file: ModelFile, model: TrainedModel) -> Fitted:
    """Return what an estimator would know that had trained a run's model."""
    settings, recipe = model.recipe.settings(model.name), model.recipe.model_dump(by_alias=True)
    if model.name == "ladder-matched":  # to an estimator it is a ladder
        recipe["ladder"] = settings.model_dump(by_alias=True)
    parameters = {"recipe": recipe, "standardize": file.metadata.scaled}
    return Fitted(
        parameters=parameters | {"n_replicas": len(model.seeds), "random_state": model.seeds[0]},
        classes_dtype="object" if any(isinstance(each, str) for each in model.classes) else "int64",
        feature_names=list(file.metadata.columns) or None,
        n_iter=settings.n_steps,
        best_steps=[settings.n_steps] * len(model.seeds),
        history=[],
    )


def stored_classes(classes: NDArray[Any]) -> list[int | str]:
    """Return classes as a model file has them: text, or whole numbers."""
    return [value if isinstance(value, str) else int(value) for value in classes.tolist()]


def stored_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an estimator as JSON has them; a random state other than a number is forgotten."""
    return {name: _stored(value) for name, value in parameters.items()}


def _stored(value: Any) -> Any:
    if isinstance(value, Recipe):
        return value.model_dump(by_alias=True)
    known = plain(str(value) if isinstance(value, Path) else value)
    return known if isinstance(known, bool | int | float | str | list) else None


def parameters_of(fitted: Fitted, known: set[str]) -> dict[str, Any]:
    """Return the parameters that an estimator was made with, as far as they are known here."""
    parameters = {name: value for name, value in fitted.parameters.items() if name in known}
    if isinstance(parameters.get("recipe"), dict):
        parameters["recipe"] = parse_recipe(parameters["recipe"], source="the recipe of the estimator")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}
