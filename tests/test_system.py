import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ladder_ebgan import system
from ladder_ebgan.system import Gpu, Memory, cpu_quota, free_bytes, memory, nearest, nvidia_gpus, output_of

MEMINFO = "MemTotal:       8000 kB\nMemFree:         100 kB\nMemAvailable:   5000 kB\nHugePages_Total:       0\n"


def root(tmp_path: Path, files: Mapping[str, str]) -> Path:
    """The root of a machine that has these files."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_memory_of_a_machine(tmp_path: Path) -> None:
    assert memory(root(tmp_path, {"proc/meminfo": MEMINFO})) == Memory(8_192_000, 5_120_000)


@pytest.mark.parametrize(
    ("membership", "file", "expected"),
    [
        ("0::/a/b\n", "a/b/memory.max", Memory(4096, 4096)),
        ("0::/a/b\n", "a/memory.max", Memory(4096, 4096)),
        ("0::/a/b\n", "memory.max", Memory(4096, 4096)),
        ("0::/a/b\n", "c/memory.max", Memory(8_192_000, 5_120_000)),
        ("3:cpu:/\n4:memory,net:/a\n", "memory/a/memory.limit_in_bytes", Memory(4096, 4096)),
        ("4:memory:/elsewhere\n", "memory/memory.limit_in_bytes", Memory(4096, 4096)),
        ("4:cpu:/\n", "memory/memory.limit_in_bytes", Memory(8_192_000, 5_120_000)),
    ],
)
def test_a_container_limits_memory(tmp_path: Path, membership: str, file: str, expected: Memory) -> None:
    files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": membership, f"sys/fs/cgroup/{file}": "4096\n"}
    assert memory(root(tmp_path, files)) == expected


def test_the_smallest_limit_counts(tmp_path: Path) -> None:
    files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/a\n"}
    files |= {"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "6144000\n"}
    assert memory(root(tmp_path, files)) == Memory(6_144_000, 5_120_000)


def test_memory_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}.__getitem__)
    assert memory(tmp_path) == Memory(40960, None)

    def unknown(_: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown)
    assert memory(tmp_path) == Memory(None, None)
    monkeypatch.delattr(os, "sysconf")
    assert memory(tmp_path) == Memory(None, None)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "100000 200000\n",
                "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu,cpuacct:/a\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
    ],
)
def test_the_quota_of_a_control_group(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    assert cpu_quota(root(tmp_path, files)) == expected


def test_the_nearest_folder_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nearest(tmp_path) == tmp_path
    assert nearest(tmp_path / "a" / "b") == tmp_path
    monkeypatch.chdir(tmp_path)
    assert nearest(Path("a/b")) == tmp_path
    (tmp_path / "file").touch()
    assert nearest(Path("file")) == Path("file")
    with pytest.raises(NotADirectoryError):
        nearest(tmp_path / "file" / "a")
    with pytest.raises(OSError, match="too long"):
        nearest(tmp_path / ("a" * 300))


def test_the_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Any:
        asked.append(path)
        return shutil._ntuple_diskusage(3, 1, 2)  # type: ignore[attr-defined]

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert free_bytes(tmp_path / "a" / "b") == 2
    assert asked == [tmp_path]
    assert free_bytes(tmp_path / ("a" * 300)) is None


def test_what_a_program_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert output_of(("sh", "-c", "echo one; echo two")) == "one\ntwo"
    assert output_of(("sh", "-c", "echo one; exit 3")) == ""
    assert output_of(("no-such-program",)) == ""
    assert output_of(("sh", "-c", "printf '\\377'")) == ""
    monkeypatch.setattr(system, "PATIENCE_SECONDS", 0.05)
    assert output_of(("sleep", "5")) == ""


def test_the_gpus_of_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100, 81559, 550.54'\necho 'Old One, [N/A], 550.54'\necho oops\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert nvidia_gpus() == [Gpu("NVIDIA H100", 81559 * 2**20, "550.54"), Gpu("Old One", None, "550.54")]
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate'\nexit 9\n")
    assert nvidia_gpus() == []


def test_a_machine_is_looked_at_without_complaint() -> None:
    """This one, whatever it is."""
    found = memory()
    assert found.total is None or found.total > 2**27
    quota = cpu_quota()
    assert quota is None or quota > 0
