"""The doctor says what is there and what is not, on machines that this one is not."""

import builtins
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch

from ladder_ebgan import capture, kernels, machine, processor, system
from ladder_ebgan.cli import cli
from ladder_ebgan.commands import console
from ladder_ebgan.commands.doctor import option_variables
from ladder_ebgan.doctor import (
    Finding,
    environment,
    examine,
    files,
    finding,
    hardware,
    packages,
    software,
    start,
    works,
)
from ladder_ebgan.errors import UsageError
from ladder_ebgan.kernels import library
from ladder_ebgan.report.doctor import doctor_json, doctor_text
from ladder_ebgan.system import Gpu, Memory

ANSI = "\x1b["


def only(found: Iterator[Finding]) -> Finding:
    (one,) = found
    return one


def by_topic(found: Iterator[Finding]) -> dict[str, Finding]:
    return {one.topic: one for one in found}


# The command.


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name in environment.HARMLESS or name.startswith(environment.PREFIXES):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("plain_environment")
def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LADDER_EBGAN_RUN_LABEL", "3")
    outcome = tiny.done("doctor")
    assert ANSI not in outcome.stdout
    lines = outcome.stdout.splitlines()
    headings = ["Machine", "Installation", "Files", "Environment", "A run would use"]
    assert [line for line in lines if not line.startswith(" ")][:-1] == headings
    assert lines[-1].startswith("A run works here")
    assert all(re.match(r"  (ok|note|missing) +\S|  +-> \S", line) for line in lines[:-1] if line not in headings)
    assert re.search(rf"^  ok +processor +{re.escape(processor.name())}: ", outcome.stdout, re.MULTILINE)
    assert "  ok       MNIST   60000 + 10000 images, checksums right\n" in outcome.stdout
    assert f"  ok       output  {tmp_path / 'runs'} can be written to; " in outcome.stdout
    assert "'3': no option has this name; did you mean LADDER_EBGAN_RUN_LABELS?\n" in outcome.stdout
    assert f"  ok       torch         {torch.__version__} (" in outcome.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_same_as_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = json.loads(tiny.done("doctor", "--json").stdout)
    assert found["works"] is True
    entries = {entry["topic"]: entry for entry in found["findings"]}
    assert set(entries["MNIST"]) == {"section", "topic", "status", "says", "to_do", "necessary", "values"}
    assert entries["cores"]["section"] == "Machine"
    assert entries["cores"]["values"]["available"] == 1  # as `tiny` has it
    assert entries["output"]["values"]["folder"] == str(tmp_path / "runs")
    assert entries["precision"]["values"] == {"precision": "float32", "possible": ["float32", "bfloat16"]}


def test_what_is_broken_is_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("not a folder")
    outcome = tiny.invoke("doctor")
    assert outcome.code == 1
    assert outcome.stdout.splitlines()[-1] == "A run with default options does not work here: output."
    assert "-> ladder-ebgan run --output DIR ..., with another folder\n" in outcome.stdout


@pytest.mark.usefixtures("plain_environment")
def test_without_rich_it_is_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr("ladder_ebgan.doctor.examine", lambda *_: {"Machine": []})
    assert json.loads(tiny.done("doctor").stdout) == {"works": True, "findings": []}


def test_every_option_has_its_variable() -> None:
    found = dict(option_variables(cli, ["LADDER_EBGAN"]))
    assert found["LADDER_EBGAN_RUN_LABELS"] == "stands for run --labels"
    assert found["LADDER_EBGAN_RUN_MODEL"] == "stands for run --model"  # of a name of its own
    assert found["LADDER_EBGAN_DATA_DESCRIBE_JSON"] == "stands for data describe --json"
    assert "LADDER_EBGAN_RECIPES_SHOW_NAME" not in found  # an argument


def test_lines_are_wrapped_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert console.terminal_width() is None
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "77")
    assert console.terminal_width() == 77


# What is printed.

FOUND = {
    "Machine": [
        Finding("cores", "ok", "four"),
        Finding("GPU", "missing", "there is one that nobody can use", "install what is needed for it"),
    ],
    "Empty": [],
    "Files": [Finding("disk", "note", "small", values={"bytes": 3})],
}


def test_the_text_of_findings() -> None:
    assert doctor_text(FOUND, 40) == (
        "Machine\n"
        "  ok       cores  four\n"
        "  missing  GPU    there is one that\n"
        "                  nobody can use\n"
        "                  -> install what is needed for it\n"
        "Files\n"
        "  note     disk  small\n"
        "A run works here; 1 to note; 1 missing that it does without.\n"
    )
    assert "there is one that nobody can use\n" in doctor_text(FOUND, None)
    assert doctor_text({"Machine": FOUND["Machine"][:1]}, None).endswith("A run works here.\n")
    assert ANSI not in doctor_text(FOUND, 40)
    colored = doctor_text(FOUND, 40, color=True)
    assert f"{ANSI}32mok{ANSI}0m" in colored
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == doctor_text(FOUND, 40)


def test_only_what_is_necessary_must_be_there() -> None:
    broken = {**FOUND, "Necessary": [Finding("torch", "missing", "away", necessary=True)]}
    assert works(FOUND)
    assert not works(broken)
    assert doctor_text(broken, None).endswith("A run with default options does not work here: torch.\n")
    found = json.loads(doctor_json(broken))
    assert found["works"] is False
    assert found["findings"][2] == {
        **{"section": "Files", "topic": "disk", "status": "note", "says": "small", "to_do": ""},
        **{"necessary": False, "values": {"bytes": 3}},
    }


def test_a_probe_that_fails_is_a_finding() -> None:
    def broken(error: Exception) -> Iterator[Finding]:
        yield Finding("first", "ok", "there")
        raise error

    found = list(finding.guarded("cores", lambda: broken(OSError("no such\nthing"))))
    assert found == [
        Finding("first", "ok", "there"),
        Finding("cores", "note", "could not be looked at (OSError: no such)"),
    ]
    assert list(finding.guarded("x", lambda: broken(KeyError())))[1].says.endswith("(KeyError: no message)")


def test_a_machine_that_tells_nothing_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call of this package that a probe makes fails; each topic is a finding all the same."""

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("not on this machine")

    for module, names in (
        (processor, ("description", "name")),
        (machine, ("available_cores", "resolve")),
        (system, ("memory", "nvidia_gpus", "nearest")),
        (software, ("packages", "find_spec")),
        (library, ("compiler",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, fail)
    monkeypatch.setattr("ladder_ebgan.data.load_dataset", fail)
    found = examine({})
    topics = {one.topic for section in found.values() for one in section if one.status == "note"}
    assert {"processor", "cores", "memory", "GPU", "system", "packages", "C++", "MNIST", "output"} < topics
    assert works(found)
    assert "could not be looked at (RuntimeError: not on this machine)" in doctor_text(found, None)


# The machine.


def test_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "description", lambda: {"model name": "A", "flags": "sse avx2 avx512f amx_tile"})
    found = only(hardware.processor())
    assert found.says == "A: AVX2, AVX-512, no AVX512-BF16, AMX"
    assert found.values["features"] == {"AVX2": True, "AVX-512": True, "AVX512-BF16": False, "AMX": True}
    monkeypatch.setattr(processor, "description", lambda: {"model name": "B"})
    assert only(hardware.processor()).says == "B: x86 features not told"


@pytest.mark.parametrize(
    ("available", "there", "quota", "says"),
    [
        (4, 4, None, "4"),
        (4, None, None, "4"),
        (2, 4, None, "2 of 4 may be used"),
        (4, 4, 8.0, "4"),
        (2, 4, 1.5, "2 of 4 may be used; the control group allows the time of 1.5"),
    ],
)
def test_cores(
    monkeypatch: pytest.MonkeyPatch, available: int, there: int | None, quota: float | None, says: str
) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: available)
    monkeypatch.setattr(os, "cpu_count", lambda: there)
    monkeypatch.setattr(system, "cpu_quota", lambda: quota)
    found = only(hardware.cores())
    assert (found.status, found.says, found.to_do) == ("ok", says, "")
    assert found.values == {"available": available, "machine": there, "quota": quota}


@pytest.mark.parametrize(
    ("memory", "status", "says"),
    [
        (Memory(16_000_000_000, 9_000_000_000), "ok", "16.0 GB, of which 9.0 GB are available"),
        (Memory(16_000_000_000, 900_000_000), "note", "16.0 GB, of which 0.9 GB are available; four replicas of"),
        (Memory(800_000_000, None), "note", "0.8 GB; four replicas of table2 at once take 1.1 GB"),
        (Memory(16_000_000_000, None), "ok", "16.0 GB"),
        (Memory(None, None), "ok", "size not told here"),
    ],
)
def test_memories(monkeypatch: pytest.MonkeyPatch, memory: Memory, status: str, says: str) -> None:
    monkeypatch.setattr(system, "memory", lambda: memory)
    found = only(hardware.memory())
    assert (found.status, found.says[: len(says)]) == (status, says)
    assert found.to_do == ("ladder-ebgan run --replicas-at-once 1 ..." if status == "note" else "")


H100 = Gpu("NVIDIA H100", 80_000_000_000, "550.54")


def no_gpu(monkeypatch: pytest.MonkeyPatch, listed: list[Gpu], cuda: str | None, warning: str = "") -> Finding:
    """What is found where PyTorch sees no GPU."""

    def unavailable() -> bool:
        if warning:
            warnings.warn(warning, UserWarning, stacklevel=1)
        return False

    monkeypatch.setattr(system, "nvidia_gpus", lambda: listed)
    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    return only(hardware.gpus())


@pytest.mark.usefixtures("plain_environment")
def test_a_gpu_that_is_not_used_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = no_gpu(monkeypatch, [], None)
    assert (found.status, found.says) == ("note", "no NVIDIA GPU is known here; runs use the processor")

    found = no_gpu(monkeypatch, [H100, H100], None)
    assert found.status == "missing"
    assert found.says == ("2 x NVIDIA H100, 80.0 GB, driver 550.54, but this build of PyTorch has no CUDA")
    assert found.to_do.startswith(
        f"{sys.executable} -m pip install --force-reinstall --index-url https://pypi.org/"
    )
    assert re.search(r"'torch[<>=.,\d]+'$", found.to_do)
    assert found.values["gpus"][0] == {"name": "NVIDIA H100", "memory_bytes": 80_000_000_000, "driver": "550.54"}

    found = no_gpu(monkeypatch, [Gpu("Old", None, "1")], "12.8", "The driver is too old\nfor CUDA")
    assert found.says == "1 x Old, driver 1, but PyTorch's CUDA 12.8 cannot use it (The driver is too old)"
    assert found.to_do == "update the NVIDIA driver"
    assert no_gpu(monkeypatch, [H100], "12.8").says.endswith("but PyTorch's CUDA 12.8 cannot use it")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    found = no_gpu(monkeypatch, [H100], "12.8")
    assert found.says.endswith("but CUDA_VISIBLE_DEVICES=-1 hides it")
    assert found.to_do == "unset CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize(("listed", "driver"), [([H100], "550.54"), ([], "unknown")])
@pytest.mark.parametrize("missing", [None, "PyTorch finds no Triton"])
def test_gpus(monkeypatch: pytest.MonkeyPatch, listed: list[Gpu], driver: str, missing: str | None) -> None:
    sizes = {"A": 80_000_000_000, "B": 24_000_000_000}
    monkeypatch.setattr(system, "nvidia_gpus", lambda: listed)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda number: SimpleNamespace(name="AB"[number], total_memory=sizes["AB"[number]]),
    )
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(capture, "compiler_missing", lambda device: missing if device.type == "cuda" else "")
    found = by_topic(hardware.gpus())
    assert list(found) == ["cuda:0", "cuda:1", "Triton"]
    assert found["cuda:1"].says == f"B, 24.0 GB, driver {driver}, CUDA 12.8"
    assert found["cuda:1"].values["memory_bytes"] == 24_000_000_000
    if missing is None:
        assert found["Triton"].status == "ok"
    else:
        assert found["Triton"].says == "PyTorch finds no Triton; steps are not compiled"
        assert found["Triton"].to_do == f"{sys.executable} -m pip install triton"


# The installation.


def test_a_system_without_locks_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "platform", lambda: "Windows-11")
    monkeypatch.setattr(software, "find_spec", lambda name: None)
    found = only(software.locks())
    assert (found.status, found.necessary) == ("missing", True)
    assert found.says == "Windows-11 has no POSIX locks, which a run's folder needs"
    monkeypatch.setattr(software, "find_spec", lambda name: name)
    assert only(software.locks()).says == "Windows-11"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions of what is installed, in place of the real ones."""
    versions = {"torch": "2.13.0+cpu", "numpy": "1.26.4", "some-thing": "3.0rc1"}

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    asked = [
        "torch<2.14,>=2.13",
        "numpy>=2.0",
        "scipy (>=1.14)",
        "some-thing>=3.0rc1",
        "bare",
        'pytest>=8; extra == "test"',
    ]
    monkeypatch.setattr(packages.metadata, "requires", lambda name: asked)
    monkeypatch.setattr(packages.metadata, "version", version)
    own = SimpleNamespace(json={"requires_python": ">=3.11"})
    monkeypatch.setattr(packages.metadata, "metadata", lambda name: own)
    monkeypatch.setattr(platform, "python_version", lambda: "3.10.1")
    monkeypatch.setattr(software.importlib, "import_module", lambda name: None)
    return versions


@pytest.mark.usefixtures("installed")
def test_versions() -> None:
    found = by_topic(software.package_versions())
    assert list(found) == ["ladder-ebgan", "Python", "torch", "numpy", "scipy", "some-thing", "bare"]
    assert (found["torch"].status, found["torch"].says) == ("ok", "2.13.0+cpu (<2.14,>=2.13)")
    assert (found["some-thing"].status, found["some-thing"].to_do) == ("ok", "")
    assert found["numpy"].status == "note"
    assert found["numpy"].says == "1.26.4, which nobody has tested: asked for is >=2.0"
    assert found["numpy"].to_do == f"{sys.executable} -m pip install 'numpy>=2.0'"
    assert (found["scipy"].status, found["scipy"].necessary) == ("missing", True)
    assert found["scipy"].says == "not installed (>=1.14)"
    assert found["bare"].says == "not installed"
    assert found["bare"].to_do == f"{sys.executable} -m pip install 'bare'"
    assert (found["Python"].status, found["Python"].to_do) == ("note", "install Python >=3.11")


def without(name: str) -> Callable[..., Any]:
    """The import statement on a machine without a package."""
    real = builtins.__import__

    def importing(module: str, *arguments: Any) -> Any:
        if module.partition(".")[0] == name:
            raise ImportError(f"no {name}")
        return real(module, *arguments)

    return importing


@pytest.mark.usefixtures("installed")
def test_versions_without_what_judges_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__import__", without("packaging"))
    found = by_topic(software.package_versions())
    assert (found["numpy"].status, found["numpy"].says) == ("ok", "1.26.4 (>=2.0)")
    assert found["scipy"].status == "missing"


def test_a_package_that_is_not_installed_knows_nothing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    for name in ("requires", "metadata"):
        monkeypatch.setattr(packages.metadata, name, absent)
    found = by_topic(software.package_versions())
    assert {one.topic: one.says for one in found.values()}["Python"] == platform.python_version()
    assert list(found) == ["ladder-ebgan", "Python"]
    assert packages.requirement("torch") == "'torch'"


def test_a_package_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is tried under the name that it is imported by."""
    tried: list[str] = []

    def load(name: str) -> None:
        tried.append(name)
        if name == "torch":
            raise OSError("libcudart.so.12: cannot open shared object file\nmore")
        if name == "numpy":
            raise RuntimeError

    monkeypatch.setattr(software.importlib, "import_module", load)
    found = by_topic(software.package_versions())
    assert {"sklearn", "safetensors", "rich"} < set(tried)
    assert not {"Python", "ladder_ebgan", "scikit-learn"} & set(tried)
    broken = [one.topic for one in found.values() if one.status == "missing"]
    assert broken == ["torch", "numpy"]
    version = importlib.metadata.version("torch")
    assert found["torch"].necessary
    assert found["torch"].says == (
        f"{version} cannot be imported (libcudart.so.12: cannot open shared object file)"
    )
    assert "pip install --force-reinstall 'torch" in found["torch"].to_do
    assert found["numpy"].says.endswith(" cannot be imported (RuntimeError)")


@pytest.mark.parametrize(
    ("program", "command"), [("apt-get", "apt-get install g++"), ("", "install g++, the compiler of GCC")]
)
def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, program: str, command: str) -> None:
    monkeypatch.setattr(library, "compiler", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == program else None)
    found = only(software.compiler(lambda _: None))
    assert (found.status, found.necessary) == ("missing", False)
    assert found.says == "no g++, nor one that CXX names: runs do without, and take about half as long again"
    assert found.to_do == command


@pytest.mark.parametrize(
    ("missing", "to_do"),
    [
        (None, ""),
        ("the kernels could not be compiled by cc (no luck)", "install g++, the compiler of GCC"),
        ("not built in /a; XDG_CACHE_HOME can name a folder that can be written", "export XDG_CACHE_HOME=DIR"),
    ],
)
@pytest.mark.parametrize("built", [True, False])
def test_the_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: bool, missing: str | None, to_do: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    notices: list[str] = []
    (tmp_path / "kernels-1.so").write_bytes(bytes(150_000))
    (tmp_path / "else").write_bytes(bytes(150_000))
    monkeypatch.setattr(library, "compiler", lambda: "/bin/cc")
    monkeypatch.setattr(library, "is_built", lambda: built)
    monkeypatch.setattr(library, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(capture, "compiler_missing", lambda device: missing)
    monkeypatch.setattr(system, "output_of", lambda command: f"{' '.join(command)} says\nmore")
    found = by_topic(software.compiler(notices.append))
    assert found["C++ compiler"].says == "/bin/cc, /bin/cc --version says"
    assert notices == ([] if built else ["Compiling for this processor, which takes ten seconds, once ..."])
    of_kernels = found["kernels"]
    assert of_kernels.values == {"folder": str(tmp_path), "n_files": 1, "bytes": 150_000, "built": missing is None}
    if missing is None:
        assert of_kernels.says == f"built for this processor; 1 file, 0.1 MB in {tmp_path}"
    else:
        assert of_kernels.says == f"{missing}; runs do without, and take about half as long again"
        assert (of_kernels.status, of_kernels.necessary) == ("missing", False)
    assert of_kernels.to_do == to_do


def test_a_compiler_that_does_not_say_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "compiler", lambda: "/bin/cc")
    monkeypatch.setattr(system, "output_of", lambda command: "")
    monkeypatch.setattr(software, "_kernels", lambda: Finding("kernels", "ok", "there"))
    assert next(software.compiler(lambda _: None)).says == "/bin/cc, unknown version"
    assert kernels.is_built is library.is_built


# Files and variables.


def test_a_damaged_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(name: str) -> None:
        raise UsageError(f"the installed file of {name} is damaged")

    monkeypatch.setattr("ladder_ebgan.data.load_dataset", damaged)
    found = only(files.mnist())
    assert (found.status, found.necessary, found.values) == ("missing", True, {"intact": False})
    assert found.says == "the installed file of mnist is damaged"


def test_the_place_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for free, status, says in (
        (5_000_000_000, "ok", "can be written to; 5.0 GB are free"),
        (None, "ok", "can be written to"),
        (500_000_000, "note", "can be written to; 0.5 GB are free, where 15 seeds of table2 take 1.4"),
    ):
        monkeypatch.setattr(system, "free_bytes", lambda path, free=free: free)
        found = only(files.output_folder())
        assert (found.status, found.says) == (status, f"{tmp_path / 'runs'} {says}")
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = only(files.output_folder())
    assert (found.status, found.necessary) == ("missing", True)
    assert found.says == f"{tmp_path / 'runs'} cannot be written to"


@pytest.mark.parametrize(
    ("name", "value", "status", "says"),
    [
        ("OMP_NUM_THREADS", "1", "note", "'1': not heeded: a run takes a thread for each core"),
        ("OMP_PROC_BIND", "true", "note", "'true': binds threads to cores"),
        ("OMP_PROC_BIND", "FALSE", "ok", "'FALSE': passed on to OpenMP"),
        ("OMP_WAIT_POLICY", "active", "note", "'active': passive makes a step longer"),
        ("GOMP_SPINCOUNT", "3000", "ok", "'3000': set by ladder-ebgan; "),
        ("GOMP_SPINCOUNT", "7", "ok", "'7': passed on to OpenMP"),
        ("CUDA_VISIBLE_DEVICES", "", "ok", "'': the GPUs that PyTorch may see"),
        ("NO_COLOR", "1", "ok", "'1': no colour"),
        ("LADDER_EBGAN_RUN_SEEDS", "3", "ok", "'3': stands for run --seeds"),
        (
            "LADDER_EBGAN_RUN_SEED",
            "3",
            "note",
            "'3': no option has this name; did you mean LADDER_EBGAN_RUN_SEEDS?",
        ),
        ("LADDER_EBGAN_Q", "3", "note", "'3': no option has this name"),
    ],
)
@pytest.mark.usefixtures("plain_environment")
def test_variables(monkeypatch: pytest.MonkeyPatch, name: str, value: str, status: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    found = only(environment.variables({"LADDER_EBGAN_RUN_SEEDS": "stands for run --seeds"}))
    assert (found.topic, found.status, found.says[: len(says)]) == (name, status, says)
    assert found.to_do == (f"unset {name}" if status == "note" else "")
    assert found.values == {"value": value}


def test_the_spinning_that_the_command_line_sets_is_known_for_its_own() -> None:
    text = Path(str(sys.modules["ladder_ebgan.cli"].__file__)).read_text()
    assert f'os.environ.setdefault("GOMP_SPINCOUNT", "{environment.OWN_SPINCOUNT}")' in text


# What a run would choose.


@pytest.mark.parametrize("bfloat16", [True, False])
def test_choices_on_a_processor(monkeypatch: pytest.MonkeyPatch, bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "available_cores", lambda: 4)
    monkeypatch.setattr(machine, "compiler_missing", lambda device: "no compiler")
    monkeypatch.setattr(machine, "multiplies_bfloat16", lambda device: bfloat16)
    found = by_topic(start.choices())
    assert found["device"].says.endswith(", 4 cores: no CUDA GPU that PyTorch can use")
    instructions = "with" if bfloat16 else "without"
    assert found["precision"].says == (
        "float32, since nothing faster is shown to make as few errors; "
        f"possible too: bfloat16 ({instructions} instructions for it)"
    )
    assert found["processes"].says == (
        "one process with 4 threads or 2 processes with 2 threads each or 4 processes with 1 thread each, "
        "whichever a long run measures to be faster at its start"
    )
    assert found["processes"].values == {"n_processes": [1, 2, 4], "n_threads": [4, 2, 1]}
    assert found["step"].says == "not compiled, up to 4 replicas at once"


def test_choices_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")
    monkeypatch.setattr(machine, "available_cores", lambda: 4)
    monkeypatch.setattr(machine, "compiler_missing", lambda device: None)
    monkeypatch.setattr(machine, "multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr(machine, "resolve_precision", lambda name, device: "tf32")
    found = by_topic(start.choices())
    assert found["device"].says == "H100: the first of 2 GPUs"
    assert found["precision"].says == (
        "tf32, since it is shown to make as few errors; possible too: float32, bfloat16 (with instructions for it)"
    )
    assert found["processes"].says == "one process with 4 threads"
    assert found["step"].says == "compiled, up to 64 replicas at once"
