"""What the operating system tells of the machine: memory, limits of containers, disks, NVIDIA GPUs.

Where a system does not tell, the answer is None, or empty.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
MEMORY_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of control groups of version 2 and 1
PATIENCE_SECONDS = 30.0  # with a program; nvidia-smi may hang where the driver is broken


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes, as far as the system tells."""

    total: int | None
    available: int | None


@dataclass(frozen=True)
class Gpu:
    """A GPU as the NVIDIA driver knows it."""

    name: str
    memory_bytes: int | None
    driver: str


def memory(root: Path = ROOT) -> Memory:
    """Return the memory of the machine, or what a container may have of it."""
    told = {}
    for line in _text(root / "proc/meminfo").splitlines():
        key, _, value = line.partition(":")  # "MemTotal:  24684012 kB"
        with suppress(ValueError):
            told[key] = 1024 * int(value.removesuffix("kB"))
    total = told.get("MemTotal") or _physical_memory()
    limits = [_number(group / name) for group in _control_groups("memory", root) for name in MEMORY_LIMITS]
    limit = min((limit for limit in limits if limit is not None), default=None)
    return Memory(_smallest(total, limit), _smallest(told.get("MemAvailable"), limit))


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return how many cores' time the control groups allow the process; None without a limit."""
    quotas = []
    for group in _control_groups("cpu", root):
        version_1 = f"{_text(group / 'cpu.cfs_quota_us')} {_text(group / 'cpu.cfs_period_us')}"  # -1: no limit
        for text in (_text(group / "cpu.max"), version_1):  # "150000 100000", or "max 100000"
            with suppress(ValueError):
                quota, period = map(int, text.split())
                quotas.append(quota / period)
    return min((quota for quota in quotas if quota > 0), default=None)


def nearest(path: Path) -> Path:
    """Return the path itself, or the innermost folder above it that exists.

    Raises:
        OSError: there cannot be such a path: it goes through a file, is too long, or is not for this user.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return nearest(path.absolute().parent)
    return path


def free_bytes(path: Path) -> int | None:
    """Return the free space of the disk that the path is on, or would be on."""
    with suppress(OSError):
        return shutil.disk_usage(nearest(path)).free
    return None


def nvidia_gpus() -> list[Gpu]:
    """Return the GPUs that the NVIDIA driver lists."""
    rows = [[cell.strip() for cell in line.split(",")] for line in output_of(NVIDIA_SMI).splitlines()]
    return [
        Gpu(row[0], int(row[1]) * 2**20 if row[1].isdecimal() else None, row[2]) for row in rows if len(row) == 3
    ]


def output_of(command: tuple[str, ...]) -> str:
    """Return what a program prints; an empty string where it is not there or fails."""
    with suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS)
        return ran.stdout.strip()
    return ""


def _control_groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of the control groups that this process is in, and of those around them."""
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")  # "4:cpu,cpuacct:/a/b", "0::/a/b" of version 2
        if controllers == "" or controller in controllers.split(","):
            base = mounted / controller if controllers else mounted
            inner = base / path.lstrip("/")
            yield from (group for group in (inner, *inner.parents) if group.is_relative_to(base))


def _physical_memory() -> int | None:
    with suppress(AttributeError, OSError, ValueError):  # not on every system
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _smallest(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
