"""What this machine offers and how it is used: device, precision, grouping, compilation."""

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ladder_ebgan.capture import compiler_missing
from ladder_ebgan.errors import UsageError

COMPILING_PAYS_STEPS = 10_000  # of one model: compiling takes a minute or two and saves a quarter of a step

# On a GPU all replicas of a table fit and fill it; on a CPU more at once only delay the first results.
REPLICAS_AT_ONCE = {"cpu": 4, "cuda": 64}

PRODUCT_DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Resolved:
    """What was chosen for a run; stored with it and kept when it goes on."""

    device: torch.device
    device_name: str
    precision: str
    replicas_at_once: int
    compiled: bool
    n_threads: int

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
        }

    def kept(self, stored: dict[str, Any]) -> "Resolved":
        """Return this with what an earlier start of the same run has chosen."""
        resolved = replace(self, **stored)
        missing = compiler_missing(self.device) if resolved.compiled else None
        if missing:
            raise UsageError(
                f"this run began with a compiled step, but {missing}; install one, "
                "or start another folder with --no-compile --output DIR"
            )
        return resolved

    def overruled(self, replicas_at_once: int | None, compiled: bool | None) -> list[str]:
        """Return the options that were given with another value than this has."""
        wishes = (
            ("--replicas-at-once", replicas_at_once, self.replicas_at_once),
            ("--compile", compiled, self.compiled),
        )
        return [name for name, wish, value in wishes if wish is not None and wish != value]


def resolve(
    device_name: str, precision: str, replicas_at_once: int | None, compiled: bool | None, longest_steps: int
) -> Resolved:
    """Decide what the user left open; `longest_steps` is of the model that trains longest.

    Raises:
        UsageError: the device, the precision or compilation is not to be had here.
    """
    device = resolve_device(device_name)
    missing = compiler_missing(device)
    if compiled and missing:
        raise UsageError(f"--compile: {missing}; install one, or leave the option out")
    if compiled is None:
        compiled = missing is None and longest_steps >= COMPILING_PAYS_STEPS
    if replicas_at_once is None:
        replicas_at_once = REPLICAS_AT_ONCE[device.type]
    precision = resolve_precision(precision, device)
    return Resolved(device, name_of_device(device), precision, replicas_at_once, compiled, available_cores())


def resolve_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        UsageError: no such device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in {"cpu", "cuda"}:
        raise UsageError(f"unknown device '{name}': it is auto, cpu, cuda, or cuda:N for GPU number N")
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
    return "float32" if name == "auto" else name


def apply(resolved: Resolved) -> None:
    """Set the process up as resolved."""
    torch.set_num_threads(resolved.n_threads)
    torch.set_flush_denormal(True)  # Adam's averages of dead pixels decay into denormals, which are slow
    torch.backends.cuda.matmul.allow_tf32 = resolved.precision == "tf32"


def name_of_device(device: torch.device) -> str:
    """Return the name of the processor or GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    models = [line.partition(":")[2] for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    model = models[0].strip() if models else platform.processor() or platform.machine()
    n_cores = available_cores()
    return f"{model}, {n_cores} core{'s' if n_cores > 1 else ''}"


def available_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device has instructions for products of bfloat16 numbers."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any("avx512_bf16" in line or "amx_bf16" in line for line in _lines(Path("/proc/cpuinfo")))


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


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
