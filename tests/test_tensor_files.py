import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save

from ladder_ebgan.tensor_files import read_tensors, tensor_bytes

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "step": torch.tensor(3.0),
    "steps": torch.tensor([2**40, -1]),
    "flipped": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
}
METADATA = {"step": 3, "seconds": 0.1, "group": {"model": "ladder", "replicas": [[20, 0]]}}
CONTENT = tensor_bytes(TENSORS, "checkpoint", METADATA)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    tensors, metadata = read_tensors(tmp_path / "x", "checkpoint")
    assert metadata == METADATA
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, TENSORS[name], rtol=0, atol=0)


def test_the_same_content_has_the_same_bytes() -> None:
    assert {tensor_bytes(TENSORS, "checkpoint", METADATA) for _ in range(20)} == {CONTENT}


@given(st.integers(0, 8 * len(CONTENT) - 1))
def test_a_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, bit: int) -> None:
    """In a tensor, in its name, type or shape, in the metadata: all but the spaces that fill up the header."""
    damaged = bytearray(CONTENT)
    damaged[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    path.write_bytes(damaged)
    try:
        tensors, metadata = read_tensors(path, "checkpoint")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError):
        return
    # Else the bit is in the name of the checksum itself, and all the rest is as it was.
    assert {key: metadata[key] for key in METADATA} == METADATA
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensor, TENSORS[name]) for name, tensor in tensors.items())


def test_a_file_of_an_earlier_version_has_no_checksum(tmp_path: Path) -> None:
    plain = {name: tensor.contiguous() for name, tensor in TENSORS.items()}
    (tmp_path / "x").write_bytes(save(plain, {"model": json.dumps({"seed": 1})}))
    assert read_tensors(tmp_path / "x", "model")[1] == {"seed": 1}
    with pytest.raises(KeyError):
        read_tensors(tmp_path / "x", "checkpoint")
