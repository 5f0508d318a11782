"""What `bench` times, each a call that is repeated: matrix products, copies, random numbers; and peak memory."""

import ctypes
import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ladder_ebgan import capture
from ladder_ebgan.batches import NormalStream
from ladder_ebgan.costs import Functions
from ladder_ebgan.floor import Product
from ladder_ebgan.machine import Resolved
from ladder_ebgan.products import onednn_matmul, takes_onednn
from ladder_ebgan.streams import Stream
from ladder_ebgan.timing import seconds_per_call

SAMPLE_SECONDS = 0.002  # a sample has as many calls as fill this
WARM_UP_CALLS = {"cpu": 1, "cuda": capture.WARM_UP_STEPS + 1}  # of a graph: before it is recorded, and then
COPIED_FLOATS = 2**26  # 256 MiB, more than caches hold
PRODUCTS_A_GRAPH = 20


@dataclass(frozen=True)
class Probe:
    """Something to be timed: calling it does `units` of what is measured."""

    call: Callable[[], object]
    device: torch.device
    units: int
    n_calls: int

    @classmethod
    def of(
        cls,
        call: Callable[[], object],
        device: torch.device,
        units: int = 1,
        sample_seconds: float = SAMPLE_SECONDS,
    ) -> "Probe":
        """Warm up, and choose how many calls make a sample."""
        for _ in range(WARM_UP_CALLS[device.type]):
            call()
        n_calls = math.ceil(sample_seconds / seconds_per_call(call, 1, device))
        return cls(call, device, units, max(1, n_calls))

    def sample(self) -> float:
        """Return the seconds a unit takes, after a call that brings its data back into the caches."""
        self.call()
        return seconds_per_call(self.call, self.n_calls, self.device) / self.units


class Operands:
    """Random matrices for products, cut from one piece of memory."""

    def __init__(
        self, products: Sequence[Product], replicas: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        sizes = [size for p in products for size in (p.m * p.k, p.k * p.n, p.m * p.n)]
        n = replicas * max(sizes)
        self.left, self.right, self.result = (torch.randn(n, device=device).to(dtype) for _ in range(3))

    def of(self, product: Product, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return both factors and room for the result, each `[n, ., .]`; what is transposed lies as in a layer."""
        m, k, columns = product.m, product.k, product.n
        left, right = self.left[: n * m * k], self.right[: n * k * columns]
        return (
            left.view(n, k, m).mT if product.kind == "weight gradient" else left.view(n, m, k),
            right.view(n, columns, k).mT if product.kind == "input gradient" else right.view(n, k, columns),
            self.result[: n * m * columns].view(n, m, columns),
        )


def product_probe(operands: Operands, product: Product, n_replicas: int, device: torch.device) -> Probe:
    """Time a product by the library that the engine takes: of one replica a plain one, of more a batched one.

    oneDNN multiplies one replica after the other, and makes room for each product itself. On a GPU many are
    captured in a graph, since a launch takes longer than a small product.
    """
    left, right, result = operands.of(product, n_replicas)
    if takes_onednn(left):
        multiply: Callable[[], object] = partial(_multiply_each, left, right)
    elif n_replicas == 1:
        multiply = partial(torch.mm, left[0], right[0], out=result[0])
    else:
        multiply = partial(torch.bmm, left, right, out=result)
    units = 1 if device.type == "cpu" else PRODUCTS_A_GRAPH

    def multiply_all() -> None:
        for _ in range(units):
            multiply()

    return Probe.of(capture.captured(multiply_all, device), device, units)


def _multiply_each(left: Tensor, right: Tensor) -> None:
    for factors in zip(left, right, strict=True):
        onednn_matmul(*factors)


def copy_probe(device: torch.device) -> Probe:
    """Time a byte of a large copy, which reads and writes each."""
    source, target = torch.randn(COPIED_FLOATS, device=device), torch.empty(COPIED_FLOATS, device=device)
    return Probe.of(partial(target.copy_, source), device, 2 * source.nbytes)


def normals_probe(shape: tuple[int, int], n_replicas: int, resolved: Resolved, functions: Functions) -> Probe:
    """Time a random number as `batches.py` draws them, `shape` for each replica."""
    device = resolved.device
    normals = NormalStream(range(n_replicas), Stream.CORRUPTION_NOISE, shape, device, functions.normal)
    step = torch.zeros((), dtype=torch.int64, device=device)
    draw = capture.captured(partial(normals.at, step), device)
    return Probe.of(draw, device, n_replicas * math.prod(shape))


def in_float32(step: Callable[[], object]) -> Callable[[], None]:
    """Return `step` with products of float32 numbers as such, whatever the engine's precision is."""

    def exact_step() -> None:
        matmul = torch.backends.cuda.matmul
        chosen, matmul.allow_tf32 = matmul.allow_tf32, False
        step()
        matmul.allow_tf32 = chosen

    return exact_step


def peak_bytes(make: Callable[[], object], device: torch.device) -> int | None:
    """Return the most memory in use while `make` runs: the GPU's, or on Linux all that the process has.

    It is None where the system does not tell.
    """
    gc.collect()
    status = Path("/proc/self/status")
    try:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            ctypes.CDLL(None).malloc_trim(0)  # what is free, but not yet given back, would count
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # 5: forget the peak, see proc(5)
        make()
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device)
        peak = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return 1024 * int(peak.split()[1])  # in kB
    except (OSError, AttributeError, StopIteration):
        return None
