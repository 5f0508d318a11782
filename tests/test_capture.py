from pathlib import Path

import pytest
import reference
import torch
from torch import Tensor

from ladder_ebgan.capture import compiler_missing, prepared
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.training import Functions, ladder_costs

CPU = torch.device("cpu")


def ladder_and_batch() -> tuple[Ladder, tuple[Tensor, Tensor, Tensor]]:
    """Two layers: compiling their few operations takes long enough."""
    ladder = Ladder([0, 1], [4, 3], [20.0, 3.0], 0.3, 0.5)
    reference.randomize(ladder)
    return ladder, (torch.rand(2, 6, 4), torch.randint(0, 3, (2, 3)), torch.randn(2, 6, 7))


def test_uncompiled_functions_are_the_functions_themselves() -> None:
    assert prepared(ladder_costs, compiled=False) is ladder_costs
    assert Functions.prepare(compiled=False).ladder_costs is ladder_costs


def test_a_missing_compiler_is_named_where_one_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    reason = compiler_missing(CPU)
    assert reason is not None
    assert "no C++ compiler" in reason
    assert compiler_missing(torch.device("cuda")) is None
    monkeypatch.setenv("CXX", "true")  # a program that every machine has
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert "headers of Python" in str(compiler_missing(CPU))
    (tmp_path / "Python.h").touch()
    assert compiler_missing(CPU) is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own, when it compiles
@pytest.mark.skipif(compiler_missing(CPU) is not None, reason="no C++ compiler")
def test_compiled_costs_equal_eager_ones() -> None:
    ladder, batch = ladder_and_batch()
    results = []
    for compiled in (False, True):
        ladder.zero_grad()
        costs = Functions.prepare(compiled).ladder_costs(ladder, *batch, 0.7)
        costs.total.sum().backward()
        results.append([*costs, *(p.grad for p in ladder.parameters())])
    torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    ladder, batch = ladder_and_batch()
    results = []
    for device in (CPU, torch.device("cuda")):
        ladder.to(device).zero_grad()
        images, labels, noise = (tensor.to(device) for tensor in batch)
        costs = ladder_costs(ladder, images, labels, noise, 0.7)
        costs.total.sum().backward()
        gradients = [p.grad for p in ladder.parameters() if p.grad is not None]
        results.append([tensor.detach().cpu() for tensor in (*costs, *gradients)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-4)
