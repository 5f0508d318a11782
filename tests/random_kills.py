"""Kill runs at random moments until they are done all the same, and compare them with an undisturbed one.

    python tests/random_kills.py --kills 100 --seed 0

Each round trains both models on the digits in a folder of its own. The same command is started and killed again
and again until it comes to its end; then every lasting file must have the bytes of the undisturbed run.
"""

import contextlib
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import tiny
from test_resume import assert_same, lasting

STEPS = {"ladder__n_steps": "300", "ebgan_ladder__n_steps": "300", "training__curve_every_steps": "25"}
CHECKPOINT_SECONDS = 0.05  # else hardly a process would live to see its first checkpoint
LONGEST_SHARE = 0.3  # of an undisturbed run's time that a process is left alone


class Tally(NamedTuple):
    """What was done."""

    n_kills: int
    n_rounds: int  # runs that came to their end, with the bytes of the undisturbed one
    found: Counter[str]  # what there was in the folder when a kill had come


def kill_at_random(
    server: tiny.Server, folder: Path, n_kills: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> Tally:
    """Kill at least `n_kills` processes, and go on to the end of the last run.

    Raises:
        AssertionError: a run ended with other files than the undisturbed one, or in another way than by the kill.
    """
    rng = random.Random(seed)

    def command(name: str) -> list[str]:
        return tiny.arguments(folder / name, "--quiet", **STEPS)

    started = time.monotonic()
    assert server.run(*command("undisturbed")).code == 0
    longest = LONGEST_SHARE * (time.monotonic() - started)
    undisturbed = lasting(folder / "undisturbed")
    killed, n_rounds, found = 0, 0, Counter[str]()
    while killed < n_kills:
        name = f"round-{n_rounds}"
        while (outcome := _killed_after(server, rng.uniform(0, longest), command(name))).code != 0:
            assert outcome.code == -signal.SIGKILL, outcome
            assert outcome.stderr == ""
            killed += 1
            found[_stage(folder / name)] += 1
        assert_same(folder / name, undisturbed)
        n_rounds += 1
        say(f"{killed} kills, {n_rounds} runs ended with the undisturbed one's bytes")
    return Tally(killed, n_rounds, found)


def _killed_after(server: tiny.Server, seconds: float, command: list[str]) -> tiny.Outcome:
    pid = server.start(*command, checkpoint_seconds=CHECKPOINT_SECONDS)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):  # it came to its end before
        os.kill(pid, signal.SIGKILL)
    return server.wait()


def _stage(folder: Path) -> str:
    """Return how far the run had come."""
    if not (folder / "run.json").exists():
        return "before anything was written"
    if list(folder.rglob(".*.tmp")):
        return "while a file was written"
    n_done = len((folder / "results.csv").read_text().splitlines()) // 2 if (folder / "results.csv").exists() else 0
    return ("in the first model", "in the second model", "while finishing")[n_done]


@click.command()
@click.option("--kills", default=100, show_default=True, help="How many processes to kill, at least.")
@click.option("--seed", default=0, show_default=True, help="Of the random moments.")
def main(kills: int, seed: int) -> None:
    """Kill runs at random moments; they must end with the bits of an undisturbed one."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, tiny.server(Path(name)) as server:
        tally = kill_at_random(server, Path(name), kills, seed, click.echo)
    for stage, count in tally.found.most_common():
        click.echo(f"{count:5}  {stage}")
    click.echo(
        f"{tally.n_kills} kills (seed {seed}) in {time.monotonic() - started:.0f} s: "
        f"all {tally.n_rounds} runs ended with the bits of an undisturbed one"
    )


if __name__ == "__main__":
    main()
