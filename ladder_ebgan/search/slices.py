"""Slices of a grid: some choices of some parameters alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ladder_ebgan.errors import UsageError
from ladder_ebgan.search.space import AnySpace, Choices, GANSpace, Space


def slices_of(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return slices that were written as `generator.size=400,800`.

    Raises:
        UsageError: one is written otherwise.
    """
    slices: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.strip() or not values.strip():
            raise UsageError(f"--only {text}: must be key=value,value..., for example generator.size=400,800")
        slices.setdefault(name.strip(), []).extend(value.strip() for value in values.split(","))
    return slices


def with_slice(space: Space | GANSpace, slices: Mapping[str, list[str]]) -> Space | GANSpace:
    """Return the slice of a grid with some choices of some parameters alone.

    Args:
        space: a grid.
        slices: choices as they are written in a recipe, by a parameter's key or the end of it, such as
            `generator.size`.

    Raises:
        UsageError: it is no grid, or there is no such parameter or choice.
    """
    only = dict(space.only)
    for name, texts in slices.items():
        key = _key_of(name, space)
        parameter = space.parameters[key]
        if space.sampler != "grid" or not isinstance(parameter, Choices):
            raise UsageError(f"--only {name}: only a grid has slices, and the sampler is {space.sampler}")
        known = {_text(choice): choice for choice in parameter.choices}
        wrong = [text for text in texts if text not in known]
        if wrong:
            raise UsageError(f"--only {name}={wrong[0]}: the choices are {', '.join(known)}")
        only[key] = [known[text] for text in texts]
    return space.model_copy(update={"only": only})


def _key_of(name: str, space: AnySpace) -> str:
    """Return the parameter that is meant by its key, one of its keys, or the end of one."""
    parts = {key: [part.strip() for part in key.split(",")] for key in space.parameters}
    exact = [key for key in parts if name == key or name in parts[key]]
    found = exact or [key for key in parts if any(part.endswith(f".{name}") for part in parts[key])]
    if len(found) != 1:
        what = f"is one of {'; '.join(found)}" if found else f"is no parameter: they are {'; '.join(parts)}"
        raise UsageError(f"--only {name}: '{name}' {what}")
    return found[0]


def _text(choice: Any) -> str:
    return choice if isinstance(choice, str) else json.dumps(choice)
