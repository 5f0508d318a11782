"""How what a user has written is checked: types of values, names, and messages that name the wrong key."""

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from ladder_ebgan.errors import UsageError
from ladder_ebgan.overrides import apply_changes
from ladder_ebgan.recipe_files import suggestion

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
Model = TypeVar("Model", bound=BaseModel)


def check_variant_names(names: Iterable[str], models: Iterable[str]) -> None:
    """Check the names of variants of these models; ValueError says what is wrong with one."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > MAX_NAME:
            raise ValueError(
                f"'{name}' is no name of a variant: at most {MAX_NAME} lower-case letters and digits, "
                "with hyphens in between"
            )
        if name in models:
            raise ValueError(f"'{name}' is the name of a model: give the variant another one")


def changed(settings: Model, changes: Iterable[str], source: str) -> Model:
    """Return settings with changes such as `margin=8`, checked; `source` is named in messages."""
    tables = settings.model_dump()
    apply_changes(tables, changes, f"{source}: ", "learning_rate=0.001")
    return validated(type(settings), tables, source)


def validated(schema: type[Model], tables: dict[str, Any], source: str) -> Model:
    """Return what tables say as a schema has it; UsageError, beginning with `source`, names what is wrong first."""
    try:
        return schema.model_validate_json(json.dumps(tables))
    except ValidationError as error:
        raise UsageError(f"{source}: {first_problem(error, schema)}") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{source}: dates are not allowed in a recipe, nor numbers that long") from error
    except RecursionError as error:
        raise UsageError(f"{source}: {NESTED}") from error


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
