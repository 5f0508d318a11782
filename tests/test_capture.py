from pathlib import Path

import pytest
import torch

from ladder_ebgan import kernels, layers
from ladder_ebgan.capture import CapturedStep, captured, compiler_missing, layer_functions, prepared
from ladder_ebgan.costs import (
    Functions,
    discriminator_costs,
    generated_energy,
    generated_energy_and_code,
    ladder_costs,
)
from ladder_ebgan.generator import Generator
from ladder_ebgan.kernels.library import compiler
from ladder_ebgan.layers import LayerFunctions
from ladder_ebgan.philox import philox_normal

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
NEEDS_COMPILER = pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the kernels")
PURE = (
    ladder_costs,
    generated_energy,
    Generator.forward,
    philox_normal,
    generated_energy_and_code,
    discriminator_costs,
)


def pure_functions(functions: Functions) -> tuple[object, ...]:
    of_networks = functions.ladder_costs, functions.generated_energy, functions.generate
    return (*of_networks, functions.normal, functions.generated_energy_and_code, functions.discriminator_costs)


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_uncompiled_functions_are_the_functions_themselves(device: torch.device) -> None:
    functions = Functions.prepare(compiled=False, device=device)
    assert prepared(len, False, device) is len
    assert pure_functions(functions) == pure_functions(Functions()) == PURE
    assert functions.layers == LayerFunctions(layers.noisy_layer, layers.denoise) == LayerFunctions()


@NEEDS_COMPILER
def test_on_a_cpu_the_element_wise_parts_and_the_noise_become_kernels() -> None:
    functions = Functions.prepare(compiled=True, device=CPU)
    assert functions.layers == LayerFunctions(kernels.noisy_layer, kernels.denoise)
    assert pure_functions(functions) == (*PURE[:3], kernels.philox_normal, *PURE[4:])


def test_on_a_gpu_whole_functions_are_compiled_for_each_number_of_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, dict[str, bool]]] = []

    def compile_nothing(function: object, **options: bool) -> object:
        asked.append((function, options))
        return function

    monkeypatch.setattr(torch, "compile", compile_nothing)
    limits = {"recompile_limit": 8, "accumulated_recompile_limit": 256}
    with torch._dynamo.config.patch(limits):  # and back: monkeypatch would hide it from all that follow
        functions = Functions.prepare(compiled=True, device=CUDA)
        assert torch._dynamo.config.recompile_limit == torch._dynamo.config.accumulated_recompile_limit == 1024
    assert asked == [(function, {"dynamic": False, "fullgraph": True}) for function in PURE]
    assert functions.layers == LayerFunctions()


def test_only_a_cpu_that_compiles_has_kernels() -> None:
    assert layer_functions(False, CPU) == layer_functions(True, CUDA) == LayerFunctions()


def test_a_missing_compiler_is_named_where_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.load_library.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert compiler_missing(CPU) == "no C++ compiler was found (g++, or the one that CXX names)"
    monkeypatch.setattr("ladder_ebgan.capture.has_triton", lambda: True)
    assert compiler_missing(CUDA) is None


@NEEDS_COMPILER
def test_nothing_is_missing_where_the_kernels_are_built() -> None:
    kernels.load_library.cache_clear()
    assert compiler_missing(CPU) is None
    assert kernels.is_built()


def test_a_compiler_that_fails_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it said is the reason, so that a run can tell it or go without."""
    kernels.load_library.cache_clear()
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho out of luck >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CXX", str(failing))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiler_missing(CPU) == f"the kernels could not be compiled by {failing} (out of luck)"


def test_on_a_cpu_a_captured_step_is_the_step_itself() -> None:
    def step() -> int:
        return 3

    assert captured(step, CPU) is step


def test_a_gpu_that_cannot_record_can_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LADDER_EBGAN_NO_GRAPH", raising=False)
    assert isinstance(captured(lambda: 3, CUDA), CapturedStep)
    monkeypatch.setenv("LADDER_EBGAN_NO_GRAPH", "0")
    assert isinstance(captured(lambda: 3, CUDA), CapturedStep)
    monkeypatch.setenv("LADDER_EBGAN_NO_GRAPH", "1")
    assert captured(lambda: 3, CUDA)() == 3
