"""What the CPU of this machine is."""

import platform
import re
from functools import cache
from pathlib import Path


@cache
def description() -> dict[str, str]:
    """Return what Linux says of the first core in /proc/cpuinfo, by key; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def name() -> str:
    """Return the model's name; where that has no number, as on some virtual machines, also family and model."""
    known = description()
    model = known.get("model name") or platform.processor() or platform.machine()
    if re.search("[0-9]", model.partition("@")[0]) or not {"cpu family", "model"} <= known.keys():
        return model
    return f"{model} (family {known['cpu family']}, model {known['model']})"


def multiplies_bfloat16() -> bool:
    """Return whether there are instructions for products of bfloat16 numbers."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_words(description().get("flags", "")))


def has_avx512_beyond_mkl() -> bool:
    """Return whether there are vectors of 512 bits that MKL makes no use of: on processors that are not Intel's.

    False where the system does not tell, which is where it is not Linux.
    """
    known = description()
    return "avx512f" in _words(known.get("flags", "")) and known.get("vendor_id") != "GenuineIntel"


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())  # once: each product of a step asks
