import contextlib
import importlib.metadata
import json
import os
import platform
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from ladder_ebgan import capture, machine, processor
from ladder_ebgan.errors import UsageError
from ladder_ebgan.interruption import EXIT_CODES, StoppedAtOnce, stop_request
from ladder_ebgan.machine import Resolved, resolve, resolve_device, resolve_precision, what_would_be_faster

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
RESOLVED = Resolved(CPU, "a processor", "float32", 4, False, 2)
LONG, SHORT = "ladder.n_steps=120000", "ladder.n_steps=9"


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index or 0}")
    monkeypatch.setattr(capture, "has_triton", lambda: True)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_nothing() -> None:
        raise UsageError("no C++ compiler was found (g++)")

    monkeypatch.setattr(capture.kernels, "load_library", load_nothing)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "compiler_missing", lambda device: None)


def test_versions_are_those_of_this_process() -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    assert machine.versions() == {
        "ladder_ebgan": importlib.metadata.version("ladder-ebgan"),
        "torch": torch.__version__,
        "python": python,
    }


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_it_is_the_processor() -> None:
    assert resolve_device("auto") == resolve_device("cpu") == CPU
    for name in ("cuda", "cuda:0"):
        with pytest.raises(
            UsageError, match=f"^device '{name}' is not available: PyTorch sees no CUDA GPU here; use"
        ):
            resolve_device(name)


@pytest.mark.usefixtures("two_gpus")
def test_with_gpus_it_is_one_of_them() -> None:
    assert resolve_device("auto") == CUDA
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert machine.name_of_device(torch.device("cuda", 1)) == "GPU 1"
    with pytest.raises(UsageError, match=r"^device 'cuda:2' is not available: the GPUs here are cuda:0 to cuda:1$"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["tpu", "", "cuda:x", "cpu gpu", "meta", "mps"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"^unknown device '{name}': it is auto, cpu, cuda, or cuda:N"):
        resolve_device(name)


def test_precision() -> None:
    assert resolve_precision("auto", CPU) == resolve_precision("float32", CUDA) == "float32"
    assert resolve_precision("tf32", CUDA) == "tf32"
    assert resolve_precision("bfloat16", CPU) == "bfloat16"
    with pytest.raises(UsageError, match=r"^precision tf32 needs a CUDA GPU; on a CPU it is float32 or bfloat16$"):
        resolve_precision("tf32", CPU)
    assert replace(RESOLVED, precision="bfloat16").product_dtype == torch.bfloat16
    assert replace(RESOLVED, precision="tf32").product_dtype == torch.float32


@pytest.mark.usefixtures("no_gpu", "compiler")
def test_what_is_left_open_is_chosen() -> None:
    chosen = resolve("auto", "auto", None, None, 180_000)
    assert chosen.device == CPU
    assert chosen.precision == "float32"
    assert chosen.replicas_at_once == machine.REPLICAS_AT_ONCE["cpu"]
    assert chosen.compiled
    assert chosen.n_threads == machine.available_cores()
    assert resolve("auto", "auto", None, None, 1).compiled  # the kernels are there for every run
    assert not resolve("auto", "auto", 7, False, 180_000).compiled
    assert resolve("auto", "auto", 7, False, 180_000).replicas_at_once == 7


@pytest.mark.usefixtures("two_gpus")
def test_on_a_gpu_long_runs_are_compiled() -> None:
    assert resolve("cuda", "auto", None, None, 10_000).compiled
    assert not resolve("cuda", "auto", None, None, 9_999).compiled
    assert resolve("cuda", "auto", None, True, 1).compiled


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_nothing_is_compiled() -> None:
    longest = 180_000
    assert not resolve("cpu", "auto", None, None, longest).compiled
    with pytest.raises(UsageError, match=r"^--compile: no C\+\+ compiler was found \(.*\); put that right"):
        resolve("cpu", "auto", None, True, longest)


@pytest.mark.parametrize(("there", "reason"), [(True, None), (False, "PyTorch finds no Triton, with which")])
def test_a_gpu_is_compiled_for_by_triton(monkeypatch: pytest.MonkeyPatch, there: bool, reason: str | None) -> None:
    monkeypatch.setattr(capture, "has_triton", lambda: there)
    missing = capture.compiler_missing(CUDA)
    assert missing == reason if there else missing is not None and missing.startswith(str(reason))


def test_a_function_that_is_not_compiled_is_itself() -> None:
    assert capture.prepared(len, compiled=False, device=CUDA) is len
    assert capture.prepared(len, compiled=True, device=CPU) is len  # what is compiled there are the layers' parts


def test_compiling_hands_the_whole_function_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, bool]] = []

    def compile_nothing(function: object, **options: bool) -> object:
        asked.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compile_nothing)
    assert capture.prepared(len, compiled=True, device=CUDA) is len
    assert asked == [{"dynamic": False, "fullgraph": True}]


def test_what_was_chosen_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    stored = RESOLVED.stored()
    assert stored == {"replicas_at_once": 4, "compiled": False, "n_threads": 2, "n_processes": 1}
    other = replace(RESOLVED, replicas_at_once=9, compiled=True, n_threads=64, device_name="another")
    assert other.kept(stored) == replace(RESOLVED, device_name="another")
    monkeypatch.setattr(machine, "available_cores", lambda: 64)
    assert other.kept(stored) == replace(RESOLVED, device_name="another")


@pytest.mark.parametrize(
    ("n_cores", "n_threads", "n_processes"), [(16, 4, 2), (8, 4, 2), (6, 3, 2), (2, 1, 2), (1, 1, 1)]
)
def test_threads_and_processes_are_fewer_where_there_are_fewer_cores(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, n_threads: int, n_processes: int
) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: n_cores)
    kept = RESOLVED.kept(replace(RESOLVED, n_threads=4, n_processes=2).stored())
    assert (kept.n_threads, kept.n_processes) == (n_threads, n_processes)


def test_processes_and_what_they_were_chosen_by_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    measured = (machine.Measured(1, 2, 4, 41.0, 1.0), machine.Measured(2, 1, 2, 52.5, 0.75))
    chosen = replace(RESOLVED, n_threads=1, n_processes=2, measured=measured)
    stored = json.loads(json.dumps(chosen.stored()))
    assert replace(RESOLVED, n_threads=64).kept(stored) == chosen
    assert replace(RESOLVED, device=CUDA).kept(stored) == replace(chosen, device=CUDA, n_processes=1)
    assert measured[1].speed == 0.75 * 52.5


def test_a_run_of_before_there_were_several_processes_has_one() -> None:
    stored = {"replicas_at_once": 4, "compiled": False, "n_threads": 2}
    assert replace(RESOLVED, n_processes=7).kept(stored).n_processes == 1


def test_cores_are_divided_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: 8)
    resolved = resolve("cpu", "auto", None, False, 100, 3)
    assert (resolved.n_processes, resolved.n_threads) == (3, 2)
    assert resolved.overruled(None, None, 3) == []
    assert resolved.overruled(None, None, 1) == ["--processes"]


@pytest.mark.parametrize("precision", ["tf32", "float32"])
def test_the_process_is_set_up(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch, "set_flush_denormal", lambda flush: flush)
    matmul, before = torch.backends.cuda.matmul, torch.backends.cuda.matmul.allow_tf32
    try:
        machine.apply(replace(RESOLVED, precision=precision))
        assert matmul.allow_tf32 == (precision == "tf32")
    finally:
        matmul.allow_tf32 = before
    assert threads == [2]


def test_the_processor_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"flags": "sse amx_bf16", "model name": "A Chip"}
    monkeypatch.setattr(processor, "description", lambda: known)
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    assert machine.name_of_device(CPU) == "A Chip, 2 cores"
    assert machine.multiplies_bfloat16(CPU)
    known.clear()
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv")
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    assert machine.name_of_device(CPU) == "riscv, 1 core"
    assert not machine.multiplies_bfloat16(CPU)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AMD EPYC", "AMD EPYC (family 25, model 17)"),
        ("Intel(R) Xeon(R) Processor @ 2.50GHz", "Intel(R) Xeon(R) Processor @ 2.50GHz (family 25, model 17)"),
        ("AMD EPYC 9654 96-Core Processor", "AMD EPYC 9654 96-Core Processor"),
    ],
)
def test_generations_of_one_name_are_told_apart(name: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"model name": name, "cpu family": "25", "model": "17"}
    monkeypatch.setattr(processor, "description", lambda: known)
    assert processor.name() == expected
    del known["model"]
    assert processor.name() == name


def test_the_processor_is_read_from_the_file_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "processor\t: 0\nmodel name\t: A: Chip\nflags\t\t: sse avx512_bf16\n\nprocessor\t: 1\nmodel name\t: B\n"
    for content, expected in ((text, "A: Chip"), (None, None)):
        processor.description.cache_clear()
        monkeypatch.setattr(Path, "read_text", partial(_content_or_nothing, content))
        assert processor.description().get("model name") == expected
        assert processor.multiplies_bfloat16() == (content is not None)
    processor.description.cache_clear()


def _content_or_nothing(content: str | None, **_: str) -> str:
    if content is None:
        raise OSError
    return content


def test_a_gpu_is_asked_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert machine.multiplies_bfloat16(CUDA)


@pytest.mark.parametrize(("quota", "n_cores"), [(None, 3), (8.0, 3), (3.0, 3), (1.5, 2), (0.5, 1)])
def test_cores_are_those_of_a_containers_share(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, n_cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert machine.available_cores() == n_cores


@pytest.mark.parametrize("known", [True, False])
def test_cores_are_counted(monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: None)
    if known:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
        assert machine.available_cores() == 3
    else:
        monkeypatch.delattr(os, "sched_getaffinity")
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert machine.available_cores() == 1


@pytest.mark.usefixtures("no_gpu")
def test_advice_on_a_bare_machine(monkeypatch: pytest.MonkeyPatch, no_compiler: None) -> None:
    monkeypatch.setattr(machine, "multiplies_bfloat16", lambda _: True)
    advice = what_would_be_faster(RESOLVED)
    assert [line.partition(",")[0].partition(" (")[0] for line in advice] == [
        "a CUDA GPU",
        "a compiled step",
        "--precision bfloat16",
    ]
    assert len(what_would_be_faster(replace(RESOLVED, precision="bfloat16"))) == 2


@pytest.mark.usefixtures("two_gpus", "compiler")
def test_advice_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "multiplies_bfloat16", lambda _: False)
    assert what_would_be_faster(RESOLVED) == ["--device cuda, since there is a GPU"]
    assert what_would_be_faster(replace(RESOLVED, device=CUDA)) == []


# When to stop.


def test_no_reason_to_stop() -> None:
    with stop_request(None) as reason:
        assert reason() is None
    with stop_request(1000) as reason:
        assert reason() is None


def test_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with stop_request(5) as reason:
        now += 4.9
        assert reason() is None
        now += 0.1
        assert reason() == "time limit"
        signal.raise_signal(signal.SIGTERM)
        assert reason() == "SIGTERM"  # what somebody asks for counts more


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_a_reason_and_a_second_one_an_interrupt(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    with stop_request(None) as reason:
        signal.raise_signal(number)
        name = reason()
        assert name is not None
        assert EXIT_CODES[name] == code
        with pytest.raises(StoppedAtOnce) as interrupt:
            signal.raise_signal(number)
        assert interrupt.value.exit_code == code
    assert signal.getsignal(number) is before


def settings_of_pytorch() -> tuple[object, ...]:
    matmul, flushes = torch.backends.cuda.matmul, not torch.tensor([1e-40]).mul(1).any()
    return torch.get_num_threads(), flushes, matmul.allow_tf32, matmul.allow_bf16_reduced_precision_reduction


@pytest.mark.parametrize("failing", [True, False])
def test_pytorch_is_set_up_for_a_while(failing: bool) -> None:
    before = settings_of_pytorch()
    with contextlib.suppress(KeyError), machine.applied(replace(RESOLVED, precision="tf32", n_threads=3)):
        assert settings_of_pytorch() == (3, True, True, False)
        with machine.applied(RESOLVED):
            assert settings_of_pytorch() == (2, True, False, False)
        assert settings_of_pytorch() == (3, True, True, False)
        if failing:
            raise KeyError
    assert settings_of_pytorch() == before
