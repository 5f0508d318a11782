"""A tiny run for the tests of everything around the training: its arguments, and ways to start it.

Run as a script this file is a server that forks a real process for each run, so that the tests of signals and
kills need not import PyTorch anew for each of their processes. With an argument it is a worker process of a run.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

SETTINGS = {
    "network.hidden_sizes": "[12, 10, 8, 8, 8]",
    "training.batch_size": "20",
    "training.curve_every_steps": "10",
    "ladder.n_steps": "20",
    "ladder.decay_start_step": "10",
    "ladder.learning_rate": "0.01",
    "ebgan-ladder.n_steps": "24",
    "ebgan-ladder.decay_start_step": "16",
    "ebgan-ladder.adversarial_steps": "13",
    "ebgan-ladder.margin.steps": "[0, 13]",
    "ebgan-ladder.generator.hidden_sizes": "[9, 9]",
    "ebgan-ladder.generator.latent_size": "4",
}


def settings(**changed: str) -> list[str]:
    """Return the --set options of a tiny table2; `ebgan_ladder__n_steps` stands for `ebgan-ladder.n_steps`."""
    other = {key.replace("__", ".").replace("ebgan_", "ebgan-"): value for key, value in changed.items()}
    return [part for key, value in (SETTINGS | other).items() for part in ("--set", f"{key}={value}")]


def arguments(output: Path, *more: str, **changed: str) -> list[str]:
    """Return the arguments of a tiny run with 20 labels and seeds 0 and 1."""
    given = ["--data", "digits", "--recipe", "table2", "--no-compile", "--output", str(output)]
    defaults = [] if "--labels" in more else ["--labels", "20"]
    if not {"--seeds", "--seed-list"} & set(more):
        defaults += ["--seeds", "2"]
    return ["run", *given, *settings(**changed), *defaults, *more]


def parameters_of_run(*arguments: str) -> dict[str, Any]:
    """Return what click makes of the options of `run`, without those that are not part of the request."""
    from ladder_ebgan.cli import cli
    from ladder_ebgan.commands.run import run

    # With the context of the group, since a command remembers what its first context calls its help option.
    root = click.Context(cli, info_name="ladder-ebgan", **cli.context_settings)
    parameters = run.make_context("run", list(arguments), parent=root).params
    apart = {"as_json", "quiet", "verbose", "time_limit", "dry_run"}
    return {name: value for name, value in parameters.items() if name not in apart}


class Outcome(NamedTuple):
    """How a command ended; the code of a killed process is minus the signal, as in `subprocess`."""

    code: int
    stdout: str
    stderr: str


def invoke(*command: str, n_cores: int = 1, figures: bool = False) -> Outcome:
    """Run a command in this process as if it had so many cores, and leave the process as it was.

    Without figures, which take longer than a tiny run.
    """
    import torch

    from ladder_ebgan import cli, machine
    from ladder_ebgan.report import figures as drawing

    stdout, stderr, n_threads, code = io.StringIO(), io.StringIO(), torch.get_num_threads(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "available_cores", lambda: n_cores)
        if not figures:
            patch.setattr(drawing, "write_figures", lambda *_: None)
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                cli.main(command)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        finally:
            torch.set_num_threads(n_threads)
            torch.set_flush_denormal(False)
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


def done(*command: str, figures: bool = False) -> Outcome:
    """Run a command in this process that has to succeed."""
    outcome = invoke(*command, figures=figures)
    assert outcome.code == 0, outcome.stderr
    return outcome


def refused(*command: str, code: int = 2, n_cores: int = 1) -> str:
    """Run a command in this process that has to fail in one line, and return the line."""
    outcome = invoke(*command, n_cores=n_cores)
    assert outcome.code == code, outcome
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("ladder-ebgan: ")
    assert outcome.stderr.endswith("\n")
    assert outcome.stderr.count("\n") == 1, outcome.stderr
    return outcome.stderr.removeprefix("ladder-ebgan: ").strip()


def finished_run(factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished tiny run, made once a session; copy it before changing anything."""
    folder = factory.getbasetemp() / "finished-run"
    if not folder.exists():
        done(*arguments(folder, "--quiet"), figures=True)
    return folder


def copied_run(factory: pytest.TempPathFactory, folder: Path) -> Path:
    """Return a copy of a finished tiny run at `folder`."""
    return Path(shutil.copytree(finished_run(factory), folder))


def content(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder by their path in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Server:
    """Starts real processes, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unawaited = False
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def start(self, *command: str, **hooks: Any) -> int:
        """Start a command, with hooks of `_install`, and return its process id."""
        assert self.process.stdin is not None
        job = {"command": command, "hooks": hooks, "folder": str(self.folder)}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self._answer()

    @contextlib.contextmanager
    def started(self, *command: str, **hooks: Any) -> Iterator[int]:
        """Start a command that may have no end of its own; what nobody has waited for is killed."""
        pid = self.start(*command, **hooks)
        self.unawaited = True
        try:
            yield pid
        finally:
            if self.unawaited:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                self.wait()

    def wait(self) -> Outcome:
        """Wait for the end of the command."""
        self.unawaited = False
        code = os.waitstatus_to_exitcode(self._answer())
        return Outcome(code, *((self.folder / name).read_text() for name in ("stdout", "stderr")))

    def run(self, *command: str, **hooks: Any) -> Outcome:
        """Start a command and wait for its end."""
        self.start(*command, **hooks)
        return self.wait()

    def _answer(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Run a server of processes."""
    it = Server(folder)
    with it.process:
        yield it
        assert it.process.stdin is not None
        it.process.stdin.close()


def wait_until(condition: Any, seconds: float = 600) -> None:
    """Poll until `condition()` holds; on a busy machine that may take long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def children(pid: int) -> set[int]:
    """Return the processes that a process has started."""
    lines = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in lines.splitlines()]
    return {child for child, parent in pairs if parent == pid}


def alive(pids: set[int]) -> set[int]:
    """Return those that still run; a process that has ended may wait for somebody to ask for its exit code."""
    lines = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    states = dict(line.split(maxsplit=1) for line in lines.splitlines())
    return {pid for pid in pids if not states.get(str(pid), "Z").startswith("Z")}


def _serve() -> None:
    from ladder_ebgan.cli import main
    from ladder_ebgan.report import figures

    _warm_up()
    answers = sys.stdout
    for line in iter(sys.stdin.readline, ""):
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(Path(job["folder"]) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            _install(**job["hooks"])
            vars(figures)["write_figures"] = lambda *_: None  # they take longer than a tiny run
            main(job["command"])
            sys.exit(0)
        print(child, file=answers, flush=True)
        print(os.waitpid(child, 0)[1], file=answers, flush=True)


def _warm_up() -> None:
    """Do once, before forking, what is slow the first time: imports, the first gradient."""
    import torch

    import ladder_ebgan.experiment
    import ladder_ebgan.report.display
    import ladder_ebgan.report.outputs
    from ladder_ebgan.data import load_dataset

    assert ladder_ebgan.experiment
    assert ladder_ebgan.report.outputs
    assert ladder_ebgan.report.display
    load_dataset("digits")
    weight = torch.zeros(2, 3, 3, requires_grad=True)
    torch.bmm(weight, weight).sum().backward()
    torch.optim.Adam([weight], fused=True).step()


def _install(
    checkpoint_each_step: bool = False,
    checkpoint_seconds: float | None = None,
    kill_at_fsync: int | None = None,
    kill_at_checkpoint_removal: bool = False,
    signal_at_step: tuple[int, list[int]] | None = None,
    n_cores: int | None = None,
    in_workers: dict[str, Any] | None = None,
) -> None:
    """Make this process, or the worker processes that it starts, meet their end at a known place."""
    from ladder_ebgan import checkpoints, machine, runs, training, workers

    if checkpoint_each_step:
        checkpoints.CHECKPOINT_SECONDS = checkpoints.CHECKPOINT_WRITINGS = -1.0
    if checkpoint_seconds is not None:
        checkpoints.CHECKPOINT_SECONDS = checkpoint_seconds
    if kill_at_fsync is not None:
        countdown, fsync = iter(range(kill_at_fsync - 1, -1, -1)), os.fsync
        vars(os)["fsync"] = lambda file: fsync(file) if next(countdown) else _signal(signal.SIGKILL)
    if kill_at_checkpoint_removal:
        setattr(runs.RunFolder, "remove_checkpoint", lambda *_: _signal(signal.SIGKILL))  # noqa: B010
    if signal_at_step is not None:
        note, (step, numbers) = training.note_divergence, signal_at_step

        def note_and_signal(diverged_step: Any, total: Any, done: Any) -> None:
            note(diverged_step, total, done)
            if done + 1 == step:  # within that step, counted from 1
                _signal(*numbers)

        vars(training)["note_divergence"] = note_and_signal
    if n_cores is not None:
        vars(machine)["available_cores"] = lambda: n_cores
    if in_workers is not None:
        workers.COMMAND = (sys.executable, __file__, json.dumps(in_workers))


def _signal(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def _work(hooks: str) -> None:
    from ladder_ebgan.workers import main

    _install(**json.loads(hooks))
    main()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        _serve()
    else:
        _work(sys.argv[1])
