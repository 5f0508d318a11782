"""What this machine offers and how it is used: device, precision, grouping, compilation, processes."""

import ctypes
import math
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ladder_ebgan import processor
from ladder_ebgan._version import __version__
from ladder_ebgan.capture import compiler_missing
from ladder_ebgan.errors import UsageError
from ladder_ebgan.system import cpu_quota

# On a GPU compiling takes a minute or two, each time; on a CPU some seconds, once.
COMPILING_PAYS_STEPS = {"cpu": 0, "cuda": 10_000}  # of one model

# On a GPU all replicas of a table fit and fill it; on a CPU more at once only delay the first results.
REPLICAS_AT_ONCE = {"cpu": 4, "cuda": 64}

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT_BYTES = 2**25  # the most that glibc allows

PRODUCT_DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Measured:
    """How fast one division of the cores into processes and threads was."""

    n_processes: int
    n_threads: int  # of each process
    n_replicas: int  # that each process trained at once
    replica_steps_per_second: float  # of all processes together, while all have work
    busy_share: float  # of the run, in (0, 1]: processes out of work wait for the last group to end

    @property
    def speed(self) -> float:
        """Replica-steps a second over the whole run, waiting included."""
        return self.busy_share * self.replica_steps_per_second


@dataclass(frozen=True)
class Resolved:
    """What was chosen for a run; stored with it and kept when it goes on."""

    device: torch.device
    device_name: str
    precision: str
    replicas_at_once: int
    compiled: bool
    n_threads: int  # of each process
    n_processes: int = 1  # that train groups at the same time
    measured: tuple[Measured, ...] = ()  # what processes and threads were chosen by; empty if it was not measured

    @property
    def product_dtype(self) -> torch.dtype:
        """Precision of matrix products."""
        return PRODUCT_DTYPES[self.precision]

    def stored(self) -> dict[str, Any]:
        """Return what `run.json` keeps."""
        return {
            "replicas_at_once": self.replicas_at_once,
            "compiled": self.compiled,
            "n_threads": self.n_threads,
            "n_processes": self.n_processes,
            **({"measured": [asdict(measured) for measured in self.measured]} if self.measured else {}),
        }

    def kept(self, stored: dict[str, Any]) -> "Resolved":
        """Return this with what an earlier start of the same run has chosen; a GPU has one process whatever it was.

        Raises:
            UsageError: the run began with a compiled step, which is not to be had here.
        """
        measured = tuple(Measured(**values) for values in stored.get("measured", []))
        resolved = replace(self, **{"n_processes": 1} | stored | {"measured": measured})
        if self.device.type == "cuda":
            resolved = replace(resolved, n_processes=1)
        n_cores = available_cores()  # which may be fewer than at first
        n_processes = min(resolved.n_processes, n_cores)
        n_threads = min(resolved.n_threads, n_cores // n_processes)
        resolved = replace(resolved, n_processes=n_processes, n_threads=n_threads)
        missing = compiler_missing(self.device) if resolved.compiled else None
        if missing:
            raise UsageError(
                f"this run began with a compiled step, but {missing}; put that right, "
                "or start another folder with --no-compile --output DIR"
            )
        return resolved

    def overruled(
        self, replicas_at_once: int | None, compiled: bool | None, n_processes: int | None = None
    ) -> list[str]:
        """Return the options that were given with another value than this has."""
        wishes = (
            ("--replicas-at-once", replicas_at_once, self.replicas_at_once),
            ("--compile", compiled, self.compiled),
            ("--processes", n_processes, self.n_processes),
        )
        return [name for name, wish, value in wishes if wish is not None and wish != value]


def resolve(
    device_name: str,
    precision: str,
    replicas_at_once: int | None,
    compiled: bool | None,
    longest_steps: int,
    n_processes: int | None = None,
) -> Resolved:
    """Decide what the user left open; `longest_steps` is of the model that trains longest.

    Left open, the processes are one with a thread for each core, until a measurement shows what is faster.

    Raises:
        UsageError: the device, the precision, compilation or so many processes are not to be had here.
    """
    device = resolve_device(device_name)
    missing = compiler_missing(device)
    if compiled and missing:
        raise UsageError(f"--compile: {missing}; put that right, or leave the option out")
    if compiled is None:
        compiled = missing is None and longest_steps >= COMPILING_PAYS_STEPS[device.type]
    if replicas_at_once is None:
        replicas_at_once = REPLICAS_AT_ONCE[device.type]
    precision = resolve_precision(precision, device)
    n_processes = resolve_processes(n_processes, device)
    n_threads = available_cores() // n_processes
    return Resolved(device, name_of_device(device), precision, replicas_at_once, compiled, n_threads, n_processes)


def resolve_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        UsageError: no such device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch("cpu|cuda(:[0-9]{1,2})?", name):
        raise UsageError(f"unknown device '{name}': it is auto, cpu, cuda, or cuda:N for GPU number N")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise UsageError(f"device '{name}' is not available: PyTorch sees no CUDA GPU here; use --device cpu")
        if (device.index or 0) >= count:
            raise UsageError(f"device '{name}' is not available: the GPUs here are cuda:0 to cuda:{count - 1}")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """Return the precision for `auto`, which is float32 until another one is shown to give the same errors."""
    if name == "tf32" and device.type != "cuda":
        raise UsageError("precision tf32 needs a CUDA GPU; on a CPU it is float32 or bfloat16")
    if name not in {"auto", *PRODUCT_DTYPES}:
        raise UsageError(f"there is no precision '{name}': it is auto, {', '.join(PRODUCT_DTYPES)}")
    return "float32" if name == "auto" else name


def resolve_processes(n_processes: int | None, device: torch.device) -> int:
    """Return how many processes train: one if it was left open.

    Raises:
        UsageError: more than there are cores, or several on a GPU.
    """
    if n_processes is None:
        return 1
    n_cores = available_cores()
    if device.type == "cuda" and n_processes > 1:
        raise UsageError(f"--processes {n_processes}: on a GPU one process trains all replicas; leave it out")
    if n_processes > n_cores:
        there = "there is 1 core" if n_cores == 1 else f"there are {n_cores} cores"
        raise UsageError(f"--processes {n_processes}: {there} here; give at most that many, or auto")
    return n_processes


def apply(resolved: Resolved) -> None:
    """Set the process up as resolved."""
    _set_up_torch(resolved)
    if resolved.device.type == "cuda":
        torch.cuda.set_device(resolved.device.index or 0)
    _keep_freed_memory()


@contextmanager
def applied(resolved: Resolved) -> Iterator[None]:
    """Set PyTorch up as resolved inside somebody else's process, and leave it as it was."""
    products = torch.backends.cuda.matmul
    n_threads, tf32 = torch.get_num_threads(), products.allow_tf32
    bf16, flushes = products.allow_bf16_reduced_precision_reduction, _flushes_denormals()
    _set_up_torch(resolved)
    try:
        with torch.cuda.device(resolved.device) if resolved.device.type == "cuda" else nullcontext():
            yield
    finally:
        torch.set_num_threads(n_threads)
        torch.set_flush_denormal(flushes)
        products.allow_tf32, products.allow_bf16_reduced_precision_reduction = tf32, bf16


def _set_up_torch(resolved: Resolved) -> None:
    torch.set_num_threads(resolved.n_threads)
    torch.set_flush_denormal(True)  # Adam's averages of dead pixels decay into denormals, which are slow
    torch.backends.cuda.matmul.allow_tf32 = resolved.precision == "tf32"
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False  # sums run in float32


def _flushes_denormals() -> bool:
    """Return whether this thread takes denormal numbers for 0, which PyTorch sets and does not tell."""
    return not torch.tensor([1e-40]).mul(1).any()


def _keep_freed_memory() -> None:
    """Have the C library keep large pieces of memory that are freed, where it can be told to.

    By default each goes back to the system, and the next step's tensors are mapped and cleared again page by page.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def name_of_device(device: torch.device) -> str:
    """Return the name of the processor or GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    n_cores = available_cores()
    return f"{processor.name()}, {n_cores} core{'s' if n_cores > 1 else ''}"


def available_cores() -> int:
    """Return how many processor cores this process may use: those of a container's share of time, rounded up."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return n_cores if quota is None else min(n_cores, math.ceil(quota))


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "ladder_ebgan": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device has instructions for products of bfloat16 numbers."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return processor.multiplies_bfloat16()


def what_would_be_faster(resolved: Resolved) -> list[str]:
    """Return what would make a run on this machine faster, as phrases for a sentence."""
    advice = []
    if resolved.device.type == "cpu":
        advice.append("--device cuda, since there is a GPU" if torch.cuda.is_available() else "a CUDA GPU")
        missing = compiler_missing(resolved.device)
        if missing and not resolved.compiled:
            advice.append(f"a compiled step ({missing})")
    if resolved.precision == "float32" and multiplies_bfloat16(resolved.device):
        advice.append("--precision bfloat16, for which this machine has instructions")
    return advice
