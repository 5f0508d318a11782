"""Checkpoints of a group and models of a replica, as safetensors bytes; no pickle anywhere."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.training import GANState
from ladder_ebgan.generator import Generator
from ladder_ebgan.ladder import Ladder, Statistics
from ladder_ebgan.model_files import RUN_FORMAT
from ladder_ebgan.replica_optimizers import ReplicaOptimizer
from ladder_ebgan.scaling import Scaling
from ladder_ebgan.tensor_files import read_tensors, tensor_bytes
from ladder_ebgan.training import State

CHECKPOINT_SECONDS = 60.0  # between checkpoints, or more where writing one takes long:
CHECKPOINT_WRITINGS = 30.0  # so many times as long


class Pace:
    """Says when the next checkpoint of a training is due."""

    def __init__(self) -> None:
        self.last, self.pause = time.monotonic(), CHECKPOINT_SECONDS

    def is_due(self) -> bool:
        """Return whether the last one is long enough ago."""
        return time.monotonic() - self.last > self.pause

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Time what writes one."""
        began = time.monotonic()
        yield
        self.last = time.monotonic()
        self.pause = max(CHECKPOINT_SECONDS, CHECKPOINT_WRITINGS * (self.last - began))


def checkpoint_bytes(state: State | GANState, identity: dict[str, Any]) -> bytes:
    """Return everything that training needs to go on from `state`, as the bytes of a safetensors file."""
    metadata = {"step": state.step, "seconds": state.seconds, "group": identity}
    return tensor_bytes(state_tensors(state), "checkpoint", metadata)


def restore(state: State | GANState, path: Path, identity: dict[str, Any]) -> None:
    """Set a freshly built `state` to what the checkpoint holds.

    Raises:
        UsageError: the file is damaged or not of this group.
    """
    wanted, checkpoint = state_tensors(state), _read(path, identity)
    if {name: tensor.shape for name, tensor in wanted.items()} != {
        name: tensor.shape for name, tensor in checkpoint.tensors.items()
    }:
        raise _damaged(path, "it is of other networks")
    for name, tensor in wanted.items():
        tensor.copy_(checkpoint.tensors[name])
    state.step, state.seconds = checkpoint.step, checkpoint.seconds


def check_checkpoint(path: Path, identity: dict[str, Any]) -> None:
    """Read a checkpoint, if there is one, so that what is wrong with it shows before anything is begun.

    Raises:
        UsageError: the file is damaged or not of this group.
    """
    if path.exists():
        _read(path, identity)


def checkpoint_identity(path: Path) -> dict[str, Any]:
    """Return what a checkpoint says of its replicas.

    Raises:
        UsageError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(json.loads((file.metadata() or {})["checkpoint"])["group"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error).partition("\n")[0]) from error


class _Checkpoint(NamedTuple):
    tensors: dict[str, Tensor]
    step: int
    seconds: float


def _read(path: Path, identity: dict[str, Any]) -> _Checkpoint:
    try:
        tensors, metadata = read_tensors(path, "checkpoint")
        group, step, seconds = metadata["group"], metadata["step"], float(metadata["seconds"])
        if not isinstance(step, int) or step < 0 or not 0 <= seconds < math.inf:
            raise ValueError(f"it is of step {step} after {seconds} seconds")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error).partition("\n")[0]) from error
    if group != identity:
        raise UsageError(f"the checkpoint {path} belongs to other replicas; remove it to train them anew")
    return _Checkpoint(tensors, step, seconds)


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(f"the checkpoint {path} is damaged ({why}); remove it to train its replicas anew")


def checkpoint_step(path: Path) -> int:
    """Return the number of steps done at a checkpoint; 0 if there is none that can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads((file.metadata() or {})["checkpoint"])["step"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return 0


@torch.no_grad()
def state_tensors(state: State | GANState) -> dict[str, Tensor]:
    """Return the tensors of a state by name; writing into them changes the state."""
    tensors = {"diverged_step": state.diverged_step}
    for name, module, optimizer in state.parts:
        for key, parameter in module.named_parameters():
            tensors[f"{name}.{key}"] = parameter.detach()
            if optimizer is None or isinstance(optimizer, torch.optim.SGD):  # without momentum it has no state
                continue
            if isinstance(optimizer, ReplicaOptimizer) and optimizer.adam is None:
                continue
            moments = optimizer.state[parameter]
            if not moments:  # before its first step Adam has none
                moments["step"] = torch.zeros((), device=parameter.device)
                moments["exp_avg"] = torch.zeros_like(parameter)
                moments["exp_avg_sq"] = torch.zeros_like(parameter)
            tensors |= {f"{name}_adam.{key}.{moment}": value for moment, value in moments.items()}
    return tensors


def model_bytes(
    state: State,
    statistics: Statistics,
    replica: int,
    metadata: dict[str, Any],
    scaling: Scaling | None = None,
) -> bytes:
    """Return one replica's networks with their evaluation statistics, as the bytes of a safetensors file.

    Weights are the averages, where there are any. Parameters keep the replica axis, of length 1. `metadata` says
    what the model is; the format is added. `scaling` is that of its inputs, if they were scaled.
    """
    tensors = {
        name: tensor[replica : replica + 1]
        for name, tensor in model_tensors(state.evaluated, state.generator, statistics).items()
    }
    if scaling is not None:
        tensors |= {name: torch.from_numpy(array) for name, array in scaling.arrays.items()}
    return tensor_bytes(tensors, "model", {"format": RUN_FORMAT, **metadata})


def model_tensors(ladder: Ladder, generator: Generator | None, statistics: Statistics) -> dict[str, Tensor]:
    """Return all that a model file holds by its name there, each with the replica axis in front."""
    tensors: dict[str, Tensor] = {f"ladder.{key}": value for key, value in ladder.named_parameters()}
    if generator is not None:
        tensors |= {f"generator.{key}": value for key, value in generator.named_parameters()}
    for layer, (mean, variance) in enumerate(zip(statistics.means, statistics.variances, strict=True), start=1):
        tensors[f"statistics.mean.{layer}"] = mean
        tensors[f"statistics.variance.{layer}"] = variance
    for layer, (mean, variance) in (statistics.decoder or {}).items():
        tensors[f"statistics.decoder_mean.{layer}"] = mean
        tensors[f"statistics.decoder_variance.{layer}"] = variance
    return tensors
