"""Checkpoints of a group and models of a replica, as safetensors bytes; no pickle anywhere."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ladder_ebgan.errors import UsageError
from ladder_ebgan.ladder import Statistics
from ladder_ebgan.training import State


def checkpoint_bytes(state: State, identity: dict[str, Any]) -> bytes:
    """Return everything that training needs to go on from `state`, as the bytes of a safetensors file."""
    metadata = {"step": state.step, "seconds": state.seconds, "group": identity}
    return save(_state_tensors(state), {"checkpoint": json.dumps(metadata)})


def restore(state: State, path: Path, identity: dict[str, Any]) -> None:
    """Set a freshly built `state` to what the checkpoint holds.

    Raises:
        UsageError: the file is damaged or not of this group.
    """
    wanted = _state_tensors(state)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})["checkpoint"])
            if metadata["group"] != identity:
                raise UsageError(f"the checkpoint {path} belongs to other replicas; remove it to train them anew")
            for name, tensor in wanted.items():
                tensor.copy_(file.get_tensor(name))
            state.step, state.seconds = int(metadata["step"]), float(metadata["seconds"])
    except (SafetensorError, OSError, KeyError, TypeError, RuntimeError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"the checkpoint {path} is damaged ({reason}); remove it to train its replicas anew"
        ) from error


def checkpoint_step(path: Path) -> int:
    """Return the number of steps done at a checkpoint; 0 if there is none that can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads((file.metadata() or {})["checkpoint"])["step"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return 0


@torch.no_grad()
def _state_tensors(state: State) -> dict[str, Tensor]:
    """Return the tensors of a state by name; writing into them changes the state."""
    tensors = {"diverged_step": state.diverged_step}
    for name, module, optimizer in (
        ("ladder", state.ladder, state.ladder_optimizer),
        ("generator", state.generator, state.generator_optimizer),
    ):
        if module is None or optimizer is None:
            continue
        for key, parameter in module.named_parameters():
            moments = optimizer.state[parameter]
            if not moments:  # before its first step Adam has none
                moments["step"] = torch.zeros((), device=parameter.device)
                moments["exp_avg"] = torch.zeros_like(parameter)
                moments["exp_avg_sq"] = torch.zeros_like(parameter)
            tensors[f"{name}.{key}"] = parameter.detach()
            tensors |= {f"{name}_adam.{key}.{moment}": value for moment, value in moments.items()}
    return tensors


def model_bytes(state: State, statistics: Statistics, replica: int, metadata: dict[str, Any]) -> bytes:
    """Return one replica's networks with their evaluation statistics, as the bytes of a safetensors file.

    Parameters keep the replica axis, of length 1.
    """
    one = slice(replica, replica + 1)
    tensors = {f"ladder.{key}": parameter[one] for key, parameter in state.ladder.named_parameters()}
    if state.generator is not None:
        tensors |= {f"generator.{key}": value[one] for key, value in state.generator.named_parameters()}
    for layer, (mean, variance) in enumerate(zip(*statistics, strict=True), start=1):
        tensors[f"statistics.mean.{layer}"] = mean[one]
        tensors[f"statistics.variance.{layer}"] = variance[one]
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(tensors, {"model": json.dumps(metadata)})
