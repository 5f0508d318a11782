"""Small model files as a run leaves them, for the tests of everything that uses trained models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ladder_ebgan.checkpoints import model_bytes
from ladder_ebgan.evaluation import calibrate, labeled_calibration
from ladder_ebgan.recipe import Recipe, load_recipe
from ladder_ebgan.training import State, initial_state

CPU = torch.device("cpu")
SETTINGS = (
    *("network.hidden_sizes=[7, 6, 5, 4, 4]", "training.batch_size=6"),
    *("ebgan-ladder.generator.hidden_sizes=[8]", "ebgan-ladder.generator.latent_size=3"),
)
CLASSES = [0, 1, 2]
SHAPE = [2, 4]


def recipe(*overrides: str) -> Recipe:
    return load_recipe("table2", [*SETTINGS, *overrides])


def images(n: int, seed: int = 0) -> np.ndarray:
    """Images `[n, 8]` in [0, 1]."""
    return np.random.default_rng(seed).random((n, 8), dtype=np.float32)


def state_of(model: str, seed: int, *overrides: str) -> State:
    """One replica whose every parameter has a value of its own."""
    state = initial_state(recipe(*overrides), model, [seed], 8, 3, CPU)
    generator = torch.Generator().manual_seed(seed)
    for module in (state.ladder, state.generator):
        for parameter in () if module is None else module.parameters():
            parameter.data += 0.5 * torch.randn(parameter.shape, generator=generator)
    return state


def metadata_of(model: str, labels: int, seed: int, *overrides: str) -> dict[str, Any]:
    return {
        **{"model": model, "labels": labels, "seed": seed, "version": "0.1.0", "torch_version": "2.13.0"},
        "data": {"name": "mine", "fingerprint": "0"},
        "recipe": recipe(*overrides).identity(),
        "precision": "float32",
        "classes": CLASSES,
        "image_shape": SHAPE,
    }


def write_model(path: Path, model: str = "ladder", labels: int = 9, seed: int = 0, *overrides: str) -> State:
    """Write a model file, calibrated from nine images, and return what is in it."""
    state = state_of(model, seed, *overrides)
    index, weight = labeled_calibration([np.arange(9)], 6)
    statistics = calibrate(state.ladder, torch.from_numpy(images(9)), index, weight, with_decoder=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes(state, statistics, 0, metadata_of(model, labels, seed, *overrides)))
    return state


def run_folder(path: Path, *models: tuple[str, int, int]) -> Path:
    """Make the models of a run folder: model, labels and seed of each."""
    for model, labels, seed in models:
        write_model(path / "models" / f"{model}-{labels}-{seed}.safetensors", model, labels, seed)
    return path


def rewrite(path: Path, tensors: dict[str, Tensor | None] | None = None, **metadata: Any) -> Path:
    """Change tensors and metadata of a model file; None removes one."""
    with safe_open(path, framework="pt") as file:
        held = {name: file.get_tensor(name) for name in file.keys()} | (tensors or {})  # noqa: SIM118
        stored = json.loads(file.metadata()["model"]) | metadata
    kept = {name: tensor for name, tensor in held.items() if tensor is not None}
    described = {key: value for key, value in stored.items() if value is not None and key != "crc32"}
    path.write_bytes(save(kept, {"model": json.dumps(described)}))
    return path


def as_format_1(path: Path) -> Path:
    """Make a model file what version 0.1.0 wrote at first."""
    with safe_open(path, framework="pt") as file:
        later = {name: None for name in file.keys() if "decoder_mean" in name or "decoder_variance" in name}  # noqa: SIM118
    return rewrite(path, later, format=None)
