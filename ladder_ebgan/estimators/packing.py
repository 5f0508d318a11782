"""A trained model as plain arrays, for pickle and copies."""

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from ladder_ebgan.model_files import Metadata
from ladder_ebgan.models import TrainedModel, assemble, trained_tensors
from ladder_ebgan.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Packed:
    """A trained model without its networks, functions and device."""

    metadata: dict[str, Any]
    seeds: tuple[int, ...]
    recipe: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    device: str


def pack(model: TrainedModel) -> Packed:
    """Return a model as arrays."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in trained_tensors(model).items()}
    recipe = model.recipe.model_dump(by_alias=True)
    return Packed(model.metadata.model_dump(), model.seeds, recipe, arrays, str(model.device))


def unpack(packed: Packed) -> TrainedModel:
    """Return the model on the device that it was on, or on the CPU where that device is not there."""
    device = torch.device(packed.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        device = torch.device("cpu")
    metadata = Metadata.model_validate({**packed.metadata, "seeds": list(packed.seeds)})
    tensors = {name: torch.tensor(array) for name, array in packed.arrays.items()}
    return assemble(metadata, Recipe.model_validate(packed.recipe), tensors, device)
