"""Looks at the processor, its cores, the memory and the GPUs."""

import os
import warnings
from collections.abc import Iterator

from ladder_ebgan import processor as cpu
from ladder_ebgan import system
from ladder_ebgan.doctor.finding import Finding
from ladder_ebgan.doctor.packages import pip_install, requirement

FEATURES = {"AVX2": "avx2", "AVX-512": "avx512f", "AVX512-BF16": "avx512_bf16", "AMX": "amx_tile"}
NEEDED_MEMORY = 1_100_000_000  # four replicas of table2 at once against a generator: docs/performance.md


def processor() -> Iterator[Finding]:
    """Look at the processor and the instructions that matter."""
    flags = cpu.description().get("flags", "").split()
    there = {name: flag in flags for name, flag in FEATURES.items()}
    said = (
        ", ".join(name if there[name] else f"no {name}" for name in FEATURES) if flags else "x86 features not told"
    )
    yield Finding("processor", "ok", f"{cpu.name()}: {said}", values={"name": cpu.name(), "features": there})


def cores() -> Iterator[Finding]:
    """Look at how many cores this process may use, and how much of their time."""
    from ladder_ebgan.machine import available_cores

    n_cores, n_all, quota = available_cores(), os.cpu_count(), system.cpu_quota()
    values = {"available": n_cores, "machine": n_all, "quota": quota}
    said = f"{n_cores} of {n_all} may be used" if n_all is not None and n_cores < n_all else f"{n_cores}"
    if quota is not None and quota <= n_cores:
        said += f"; the control group allows the time of {quota:g}"
    yield Finding("cores", "ok", said, values=values)


def memory() -> Iterator[Finding]:
    """Look at the main memory."""
    found = system.memory()
    values = {"total_bytes": found.total, "available_bytes": found.available}
    total = "size not told here" if found.total is None else _gigabytes(found.total)
    said = total if found.available is None else f"{total}, of which {_gigabytes(found.available)} are available"
    least = found.total if found.available is None else found.available
    if least is None or least >= NEEDED_MEMORY:
        yield Finding("memory", "ok", said, values=values)
    else:
        needed = f"{said}; four replicas of table2 at once take {_gigabytes(NEEDED_MEMORY)}"
        yield Finding("memory", "note", needed, "ladder-ebgan run --replicas-at-once 1 ...", values=values)


def gpus() -> Iterator[Finding]:
    """Look at the GPUs, of the driver's and of PyTorch's list."""
    import torch

    from ladder_ebgan.capture import compiler_missing

    listed = system.nvidia_gpus()
    with warnings.catch_warnings(record=True) as caught:  # a driver that is too old is told so
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if not usable:
        yield _unused(listed, torch.version.cuda, [str(warning.message) for warning in caught])
        return
    driver = listed[0].driver if listed else "unknown"
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        values = {"name": properties.name, "memory_bytes": properties.total_memory, "driver": driver}
        said = (
            f"{properties.name}, {_gigabytes(properties.total_memory)}, driver {driver}, CUDA {torch.version.cuda}"
        )
        yield Finding(f"cuda:{number}", "ok", said, values={**values, "torch_cuda": torch.version.cuda})
    missing = compiler_missing(torch.device("cuda"))
    if missing:
        yield Finding("Triton", "missing", f"{missing}; steps are not compiled", pip_install("triton"))
    else:
        yield Finding("Triton", "ok", "compiles a step for the GPU")


def _unused(listed: list[system.Gpu], torch_cuda: str | None, warned: list[str]) -> Finding:
    """Say why PyTorch has no GPU."""
    values = {"gpus": [vars(gpu) for gpu in listed], "torch_cuda": torch_cuda}
    if not listed:
        return Finding("GPU", "note", "no NVIDIA GPU is known here; runs use the processor", values=values)
    first = listed[0]
    size = "" if first.memory_bytes is None else f", {_gigabytes(first.memory_bytes)}"
    there = f"{len(listed)} x {first.name}{size}, driver {first.driver}, but"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if torch_cuda is None:
        said = f"{there} this build of PyTorch has no CUDA"
        to_do = pip_install("--force-reinstall", "--index-url https://pypi.org/simple", requirement("torch"))
    elif hidden is not None:
        said, to_do = f"{there} CUDA_VISIBLE_DEVICES={hidden} hides it", "unset CUDA_VISIBLE_DEVICES"
    else:
        why = f" ({warned[0].splitlines()[0]})" if warned else ""
        said, to_do = f"{there} PyTorch's CUDA {torch_cuda} cannot use it{why}", "update the NVIDIA driver"
    return Finding("GPU", "missing", said, to_do, values=values)


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"
