"""Safetensors files with a checksum, since a flipped bit in a weight looks like any other number."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

CHECKSUM = "crc32"


def tensor_bytes(tensors: Mapping[str, Tensor], kind: str, metadata: dict[str, Any]) -> bytes:
    """Return tensors, and under `kind` the metadata as JSON, as the bytes of a safetensors file.

    The checksum is in the JSON: safetensors keeps several entries in an order that is never the same.
    """
    here = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(here, {kind: json.dumps({**metadata, CHECKSUM: _checksum(here, metadata)})})


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata of a file; one of an earlier version has no checksum.

    Raises:
        SafetensorError, OSError: it cannot be read.
        KeyError, TypeError, ValueError, RecursionError: it is not what was written.
    """
    with safe_open(path, framework="pt") as file:
        metadata = dict(json.loads((file.metadata() or {})[kind]))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    checksum = metadata.pop(CHECKSUM, None)
    if checksum is not None and checksum != _checksum(tensors, metadata):
        raise ValueError("its checksum is wrong")
    return tensors, metadata


def _checksum(tensors: Mapping[str, Tensor], metadata: dict[str, Any]) -> int:
    total = zlib.crc32(json.dumps(metadata).encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.numpy().data, total)
    return total
