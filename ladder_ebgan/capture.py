"""How a step is run: as it is, with compiled functions, or captured as a CUDA graph.

A step takes everything that changes from device tensors and branches on no data. So on a GPU it can be recorded
once and replayed: one launch instead of several hundred.
"""

import os
from collections.abc import Callable, Sequence
from typing import Generic, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._triton import has_triton

from ladder_ebgan import kernels
from ladder_ebgan.errors import UsageError
from ladder_ebgan.layers import LayerFunctions
from ladder_ebgan.philox import philox_normal

MAX_SHAPES = 1024  # a function is compiled anew for each architecture and number of replicas; torch stops at 8
WARM_UP_STEPS = 3  # before a step is recorded: it compiles, and the optimiser makes its moments

P = ParamSpec("P")
R = TypeVar("R")


def compiler_missing(device: torch.device) -> str | None:
    """Return why functions cannot be compiled for `device` on this machine, or None if they can."""
    if device.type != "cpu":
        return None if has_triton() else "PyTorch finds no Triton, with which it compiles for a GPU"
    try:
        kernels.load_library()
    except UsageError as reason:
        return str(reason)
    return None


def layer_functions(compiled: bool, device: torch.device) -> LayerFunctions:
    """Return the element-wise parts of a network: on a CPU as kernels of their own, if compiled."""
    if not compiled or device.type != "cpu":
        return LayerFunctions()
    return LayerFunctions(kernels.noisy_layer, kernels.denoise)


def normal_function(compiled: bool, device: torch.device) -> Callable[[Tensor, Tensor, Sequence[int]], Tensor]:
    """Return `philox_normal`, or what draws the same numbers, up to rounding, faster."""
    if compiled and device.type == "cpu":
        return kernels.philox_normal
    return prepared(philox_normal, compiled, device)


def prepared(function: Callable[P, R], compiled: bool, device: torch.device) -> Callable[P, R]:
    """Return `function`, on a GPU compiled if asked to; it then gives the same values up to rounding."""
    if not compiled or device.type == "cpu":
        return function
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = MAX_SHAPES
    return torch.compile(function, dynamic=False, fullgraph=True)


def captured(step: Callable[[], R], device: torch.device) -> Callable[[], R]:
    """Return a function that does what `step` does: on a CPU `step` itself, on a GPU a graph of it.

    With LADDER_EBGAN_NO_GRAPH=1 in the environment it is `step` there too, for a GPU that cannot record it.
    """
    as_it_is = device.type == "cpu" or os.environ.get("LADDER_EBGAN_NO_GRAPH") == "1"
    return step if as_it_is else CapturedStep(step)


class CapturedStep(Generic[R]):
    """A step that is recorded after a few ordinary ones, all of them real steps, and replayed from then on.

    Args:
        step: works on device tensors alone: it takes what changes from them and moves them on itself. What it
            returns is overwritten by the next call.
    """

    def __init__(self, step: Callable[[], R]) -> None:
        self.step = step
        self.n_ordinary = 0
        self.stream: torch.cuda.Stream | None = None  # beside the default one, as CUDA wants it for a recording
        self.recording: tuple[torch.cuda.CUDAGraph, R] | None = None

    def __call__(self) -> R:
        """Make one step."""
        if self.recording is None:
            if self.n_ordinary < WARM_UP_STEPS:
                self.n_ordinary += 1
                return self._ordinary()
            self.recording = self._record()
        graph, result = self.recording
        graph.replay()
        return result

    def _ordinary(self) -> R:
        """Step on the stream that will be recorded."""
        stream = self.stream = self.stream or torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self.step()
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def _record(self) -> tuple[torch.cuda.CUDAGraph, R]:
        """Record the step's operations without executing them."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            result = self.step()
        return graph, result
