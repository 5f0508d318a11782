"""Trained models loaded from their files, several seeds as one batched model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from ladder_ebgan.checkpoints import model_tensors
from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import first_difference
from ladder_ebgan.generator import Generator
from ladder_ebgan.ladder import Ladder, Statistics
from ladder_ebgan.machine import PRODUCT_DTYPES
from ladder_ebgan.model_files import Metadata, ModelFile, first_line, in_words
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe
from ladder_ebgan.scaling import SCALING, Scaling
from ladder_ebgan.tensor_files import read_tensors
from ladder_ebgan.training import initial_state

SHARED = {"format", "model", "labels", "data", "recipe", "precision", "classes", "image_shape"}  # by an ensemble
SHARED |= {"inputs", "scaled"}


@dataclass(frozen=True)
class TrainedModel:
    """Trained replicas of one model and number of labels, one for each seed, on a device."""

    name: str
    labels: int
    seeds: tuple[int, ...]
    ladder: Ladder
    statistics: Statistics
    generator: Generator | None
    classes: tuple[int | str, ...]
    image_shape: tuple[int, ...]
    recipe: Recipe
    metadata: Metadata  # what its file says, or the first of its files
    scaling: Scaling | None = None  # of its inputs

    @property
    def description(self) -> str:
        """The model in words."""
        return in_words(self.name, self.labels, self.seeds)

    @property
    def examples(self) -> str:
        """What its inputs are called."""
        return "images" if self.metadata.inputs == "pixels" else "rows"

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        device: torch.device = self.ladder.encoder[0].device
        return device

    @property
    def why_no_energy(self) -> str | None:
        """Why images have no energy, as a sentence; None where they have one."""
        if self.ladder.lowest_decoded > 0:
            return f"No energies: {self.description} has no decoder down to the pixels."
        if self.statistics.decoder is None:
            return "No energies: the model file is of an earlier version, without the statistics of its decoder."
        return None


def load(files: Sequence[ModelFile], device: torch.device) -> TrainedModel:
    """Load one file, or several seeds of one model as one batched model.

    Raises:
        UsageError: a file is damaged, contradicts its metadata, or was trained otherwise than the first.
    """
    _refuse_different_training(files)
    recipe = _recipe_of_classifier(files[0])
    tensors = [read_checked(file, _weight_shapes(file.metadata, recipe)) for file in files]
    metadata = files[0].metadata
    model = _blank(metadata, recipe, [seed for file in files for seed in file.metadata.replica_seeds], device)
    wanted = trained_tensors(model)
    for file, held in zip(files, tensors, strict=True):
        n_replicas = len(file.metadata.replica_seeds)
        _check_shapes(
            file.path,
            held,
            {
                name: tuple(tensor.shape) if name in SCALING else (n_replicas, *tensor.shape[1:])
                for name, tensor in wanted.items()
            },
        )
        if held.keys() > wanted.keys():
            extra = min(held.keys() - wanted.keys())
            raise UsageError(f"the model file '{file.path}' contradicts its metadata: it should have no {extra}")
    first = tensors[0]
    return _written(
        model, {n: first[n] if n in SCALING else torch.cat([held[n] for held in tensors]) for n in wanted}
    )


def assemble(
    metadata: Metadata, recipe: Recipe, tensors: Mapping[str, Tensor], device: torch.device
) -> TrainedModel:
    """Return the model of one file's metadata and tensors, without the file."""
    return _written(_blank(metadata, recipe, metadata.replica_seeds, device), tensors)


def trained_tensors(model: TrainedModel) -> dict[str, Tensor]:
    """Return all that the file of a model holds, by its name there; the networks are shared, not copied."""
    tensors = model_tensors(model.ladder, model.generator, model.statistics)
    if model.scaling is not None:
        tensors |= {name: torch.from_numpy(array) for name, array in model.scaling.arrays.items()}
    return tensors


@torch.no_grad()
def _written(model: TrainedModel, tensors: Mapping[str, Tensor]) -> TrainedModel:
    """Write tensors into a model."""
    for name, tensor in trained_tensors(model).items():
        tensor.requires_grad_(False).copy_(tensors[name])
    return model


def _blank(metadata: Metadata, recipe: Recipe, seeds: Sequence[int], device: torch.device) -> TrainedModel:
    """Return a model to be written into."""
    n_features, dtype = math.prod(metadata.image_shape), PRODUCT_DTYPES[metadata.precision]
    state = initial_state(recipe, metadata.model, seeds, n_features, len(metadata.classes), device, dtype)
    statistics = _blank_statistics(state.ladder, with_decoder=metadata.format > 1)
    has_generator = recipe.settings(metadata.model).has_generator
    return TrainedModel(
        metadata.model,
        metadata.labels,
        tuple(seeds),
        state.ladder,
        statistics,
        state.generator if has_generator else None,
        tuple(metadata.classes),
        tuple(metadata.image_shape),
        recipe,
        metadata,
        Scaling(np.zeros(n_features), np.ones(n_features)) if metadata.scaled else None,
    )


def _refuse_different_training(files: Sequence[ModelFile]) -> None:
    first = files[0]
    for file in files[1:]:
        there, here = (one.metadata.model_dump(include=SHARED) for one in (first, file))
        difference = first_difference(there, here)
        if difference:
            raise UsageError(f"'{first.path}' and '{file.path}' were trained differently: {difference}")


def _recipe_of_classifier(file: ModelFile) -> Recipe:
    if not isinstance(file.recipe, Recipe):
        raise UsageError(f"'{file.path}' is a GAN without a classifier: 'sample' draws images from it")
    return file.recipe


def read_checked(file: ModelFile, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read the tensors of a model file, and check what can be without building its networks.

    Args:
        file: to be read.
        shapes: of tensors that it must have, by name.

    Raises:
        UsageError: it is damaged, or contradicts its metadata.
    """
    try:
        tensors, _ = read_tensors(file.path, "model")
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(f"the model file '{file.path}' is damaged ({first_line(error)})") from error
    for name, tensor in tensors.items():
        if (
            tensor.dtype != (torch.float64 if name in SCALING else torch.float32)
            or not tensor.isfinite().all()
            or ("variance" in name and tensor.min() < 0)
        ):
            raise UsageError(f"the model file '{file.path}' is damaged: the numbers of {name} cannot be right")
    _check_shapes(file.path, tensors, shapes)
    return tensors


def _weight_shapes(metadata: Metadata, recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the large weights, so that no network is built that the file is too small for."""
    n_features, settings = math.prod(metadata.image_shape), recipe.settings(metadata.model)
    sizes = {"ladder.encoder": [n_features, *recipe.network.hidden_sizes, len(metadata.classes)]}
    if isinstance(settings, EBGANLadderSettings):
        sizes["generator.weight"] = settings.generator.sizes(n_features)
    n_replicas = len(metadata.replica_seeds)
    return {
        f"{name}.{layer}": (n_replicas, *pair)
        for name, units in sizes.items()
        for layer, pair in enumerate(pairwise(units))
    }


def _check_shapes(path: Path, tensors: dict[str, Tensor], wanted: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in wanted.items():
        if name not in tensors:
            raise UsageError(f"the model file '{path}' lacks {name}, which its metadata ask for")
        if tensors[name].shape != shape:
            raise UsageError(
                f"the model file '{path}' contradicts its metadata: {name} has shape {list(tensors[name].shape)}, "
                f"and should have {list(shape)}"
            )


def _blank_statistics(ladder: Ladder, with_decoder: bool) -> Statistics:
    """Return statistics to be written into."""
    replicas, device, n_layers = len(ladder.encoder[0]), ladder.encoder[0].device, len(ladder.sizes)

    def blank(layer: int) -> Tensor:
        return torch.zeros(replicas, 1, ladder.sizes[layer], device=device)

    means, variances = ([blank(layer) for layer in range(1, n_layers)] for _ in range(2))
    decoder = {layer: (blank(layer), blank(layer)) for layer in range(ladder.lowest_decoded, n_layers)}
    return Statistics(means, variances, decoder if with_decoder else None)
