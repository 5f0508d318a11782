"""How long threads that wait for each other should spin before they sleep: steps alone, and beside other processes.

python benchmarks/waiting_threads.py [SPINS ...] [--recipe RECIPE] [--rounds 3] [--seconds 2]

SPINS are values of GOMP_SPINCOUNT, of PyTorch's OpenMP on Linux; 0 is to sleep at once. Of each two processes are
started, with a thread for every core, and train one replica of the recipe's first model: one of them alone, then
beside a process that keeps one core busy, then both at once. It prints steps a second, of one process, as a table
in Markdown: medians over rounds, in each of which every number is measured once.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

SPINS = ("0", "300", "1000", "3000", "10000", "30000", "100000")
CASES = ("alone", "beside a busy process", "beside its like")


def train_when_told(recipe_name: str) -> None:
    """Train for as many seconds as each line of standard input says, and print the steps a second."""
    from ladder_ebgan.data import load_dataset
    from ladder_ebgan.engine import Engine
    from ladder_ebgan.machine import apply, resolve
    from ladder_ebgan.recipe import load_recipe
    from ladder_ebgan.timing import first_phase, throwaway_step

    resolved = resolve("cpu", "float32", None, None, 1)
    apply(resolved)
    recipe = load_recipe(recipe_name)
    engine = Engine.prepare(recipe, load_dataset("mnist"), resolved)
    step = throwaway_step(engine, 1, first_phase(recipe, adversarial=False))
    print("ready", flush=True)
    for line in sys.stdin:
        n_steps, started, seconds = 0, time.perf_counter(), float(line)
        while (taken := time.perf_counter() - started) < seconds:
            step()
            n_steps += 1
        print(n_steps / taken, flush=True)


class Trainer:
    """A process that trains when it is told to."""

    def __init__(self, spins: str, recipe_name: str) -> None:
        command = [sys.executable, __file__, "--recipe", recipe_name, "--train"]
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        self.process = subprocess.Popen(
            command,
            env=environment | {"GOMP_SPINCOUNT": spins},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, seconds: float) -> None:
        """Let it train for so long."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """Return the line that it prints next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a training process ended with exit code {self.process.wait()}")
        return line

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def rates(trainers: Sequence[Trainer], seconds: float) -> list[float]:
    """Return the steps a second in each of the three cases."""
    first = trainers[0]
    first.start(seconds)
    alone = float(first.answer())
    busy = multiprocessing.Process(target=_keep_a_core_busy, daemon=True)
    busy.start()
    first.start(seconds)
    beside_busy = float(first.answer())
    busy.kill()
    busy.join()
    for trainer in trainers:
        trainer.start(seconds)
    return [alone, beside_busy, float(np.mean([float(trainer.answer()) for trainer in trainers]))]


def _keep_a_core_busy() -> None:
    while True:
        pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spins", nargs="*", default=SPINS, metavar="SPINS")
    parser.add_argument("--recipe", default="table2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.train:
        train_when_told(given.recipe)
        return
    with ExitStack() as stack:
        pairs = {}
        for spins in given.spins:
            pairs[spins] = [Trainer(spins, given.recipe) for _ in range(2)]
            for trainer in pairs[spins]:
                stack.callback(trainer.close)
            for trainer in pairs[spins]:
                trainer.answer()  # that it is ready
        rounds = [[rates(pair, given.seconds) for pair in pairs.values()] for _ in range(given.rounds)]
    print("| spins | " + " | ".join(CASES) + " |")
    print("|---|" + "---|" * len(CASES))
    for spins, row in zip(pairs, np.median(rounds, axis=0), strict=True):
        print(f"| {spins} | " + " | ".join(f"{rate:.3g}" for rate in row) + " |")


if __name__ == "__main__":
    main()
