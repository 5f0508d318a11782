from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch

from ladder_ebgan import experiment, processes
from ladder_ebgan.errors import UsageError
from ladder_ebgan.experiment import Request, open_experiment
from ladder_ebgan.machine import Measured, Resolved
from ladder_ebgan.planning import group_sizes
from ladder_ebgan.processes import (
    division,
    fastest_division,
    process_counts,
    replica_steps,
    why_so_many_processes,
)
from ladder_ebgan.recipe import load_recipe
from ladder_ebgan.runs import Group, Replica
from ladder_ebgan.timing import Phase

ONE = Resolved(torch.device("cpu"), "a processor", "float32", 4, False, 4)
RECIPE = load_recipe("table2", tiny.settings()[1::2])
COSTS = {1: 0.1, 2: 0.15, 4: 0.5}  # seconds of a step of one replica in each of so many processes


def plans(n_replicas: int, model: str = "ladder") -> dict[int, list[Group]]:
    return {
        count: [
            Group(model, tuple(Replica(20, seed) for seed in range(size)))
            for size in group_sizes(n_replicas, 4, count)
        ]
        for count in (1, 2, 4)
    }


def measured_by(asked: list[tuple[int, int, int, Phase]]) -> Callable[[int, int, int, Phase], list[float]]:
    def measure(n_processes: int, n_threads: int, n_replicas: int, phase: Phase) -> list[float]:
        asked.append((n_processes, n_threads, n_replicas, phase))
        return [n_replicas * COSTS[n_processes]] * n_processes

    return measure


@pytest.mark.parametrize(
    ("n_cores", "n_replicas", "counts"),
    [
        (1, 9, [1]),
        (2, 1, [1]),
        (2, 2, [1, 2]),
        (3, 9, [1, 3]),
        (4, 3, [1, 2]),
        (4, 4, [1, 2, 4]),
        (12, 30, [1, 2, 4, 12]),
        (16, 15, [1, 2, 4, 8]),
    ],
)
def test_which_divisions_are_measured(n_cores: int, n_replicas: int, counts: list[int]) -> None:
    assert process_counts(replace(ONE, n_threads=n_cores), n_replicas) == counts
    assert process_counts(replace(ONE, n_threads=n_cores, device=torch.device("cuda")), n_replicas) == [1]


def test_the_fastest_division_is_taken() -> None:
    """8 replicas: 1 / 0.1 = 10 a second in one process, 2 / 0.15 = 13.33 in two, 4 / 0.5 = 8 in four."""
    asked: list[tuple[int, int, int, Phase]] = []
    best = fastest_division(ONE, plans(8), RECIPE, measured_by(asked))
    assert (best.n_processes, best.n_threads) == (2, 2)
    assert best.measured == (
        Measured(1, 4, 4, 10.0, 1.0),
        Measured(2, 2, 4, 13.33, 1.0),
        Measured(4, 1, 2, 8.0, 1.0),
    )
    alone = Phase("ladder", False)
    assert asked == [(1, 4, 4, alone), (2, 2, 4, alone), (4, 1, 2, alone)] * processes.ROUNDS
    assert why_so_many_processes(best.measured) == (
        "2 processes with 2 threads each: 13.3 replica-steps a second, "
        "against 10 in one process with 4 threads and 8 in 4 processes with 1 thread each"
    )


def test_processes_without_work_count_against_a_division() -> None:
    """3 replicas in two processes, 2 and 1: of 2 * 2 units of time 3 are used, so 13.33 * 0.75 < 10 a second."""
    best = fastest_division(ONE, plans(3), RECIPE, measured_by([]))
    assert [(one.n_processes, one.busy_share) for one in best.measured] == [(1, 1.0), (2, 0.75), (4, 0.75)]
    assert (best.n_processes, best.n_threads) == (1, 4)


def test_one_disturbed_measurement_does_not_decide() -> None:
    calls = iter(range(100))

    def measure(n_processes: int, n_threads: int, n_replicas: int, phase: Phase) -> list[float]:
        slowed = 100 if next(calls) == 1 else 1  # two processes, in the first round
        return [slowed * n_replicas * COSTS[n_processes]] * n_processes

    assert fastest_division(ONE, plans(8), RECIPE, measure).n_processes == 2


@pytest.mark.parametrize(("steps", "adversarial"), [("13", True), ("12", False)])
def test_what_most_steps_are_is_timed(steps: str, adversarial: bool) -> None:
    """13 of 24 steps have a generator, or just half."""
    recipe = load_recipe("table2", tiny.settings(ebgan_ladder__adversarial_steps=steps)[1::2])
    asked: list[tuple[int, int, int, Phase]] = []
    fastest_division(ONE, plans(8, "ebgan-ladder"), recipe, measured_by(asked))
    model = "ebgan-ladder" if adversarial else "ladder"  # alone both do the same
    assert {phase for *_, phase in asked} == {Phase(model, adversarial)}


def test_divisions_in_words() -> None:
    assert division(1, 1) == "one process with 1 thread"
    assert division(3, 2) == "3 processes with 2 threads each"


def test_replica_steps() -> None:
    assert replica_steps(RECIPE, [*plans(8)[2], *plans(3, "ebgan-ladder")[1]]) == 8 * 20 + 3 * 24


# At the start of a run.


def request(output: Path, **changed: Any) -> Request:
    base = Request("table2", RECIPE, "digits", ("ladder",), (20,), (0, 1), compiled=False, output=output)
    return replace(base, **changed)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int, Phase]]:
    """A machine of two cores on which two processes are faster; what was measured."""
    asked: list[tuple[int, int, int, Phase]] = []

    @contextmanager
    def pool(*arguments: Any) -> Iterator[Any]:
        yield SimpleNamespace(measure=measured_by(asked), n_processes=arguments[-1])

    monkeypatch.setattr(experiment, "worker_pool", pool)
    monkeypatch.setattr("ladder_ebgan.machine.available_cores", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(torch, "set_flush_denormal", lambda _: None)
    monkeypatch.setattr(experiment, "MEASURING_PAYS_REPLICA_STEPS", 40)
    return asked


def test_a_long_run_is_measured_once(tmp_path: Path, two_cores: list[tuple[int, int, int, Phase]]) -> None:
    notices: list[str] = []
    with open_experiment(request(tmp_path / "run"), notices.append) as opened:
        assert notices == ["Measuring how many processes use the cores of this machine best ..."]
        assert (opened.resolved.n_processes, opened.resolved.n_threads) == (2, 1)
        assert opened.measured_now
        assert [len(group.replicas) for group in opened.groups] == [1, 1]
        assert vars(opened.trainer)["n_processes"] == 2
        stored = opened.folder.record["resolved"]
    assert stored["measured"][1] == {
        "n_processes": 2,
        "n_threads": 1,
        "n_replicas": 1,
        "replica_steps_per_second": 13.33,
        "busy_share": 1.0,
    }
    n_measurements = len(two_cores)
    with open_experiment(request(tmp_path / "run", seeds=tuple(range(8))), notices.append) as opened:
        assert opened.resolved.stored() == stored
        assert not opened.measured_now
        assert [len(group.replicas) for group in opened.groups] == [1, 1, 3, 3]
    assert (len(notices), len(two_cores)) == (1, n_measurements)


@pytest.mark.parametrize(
    "changed", [{"seeds": (0,)}, {"recipe": load_recipe("table2", tiny.settings(ladder__n_steps="19")[1::2])}]
)
def test_what_is_not_worth_it_is_not_measured(
    tmp_path: Path, two_cores: list[tuple[int, int, int, Phase]], changed: dict[str, Any]
) -> None:
    with open_experiment(request(tmp_path / "run", **changed)) as opened:
        assert (opened.resolved.n_processes, opened.resolved.n_threads, opened.resolved.measured) == (1, 2, ())
    assert two_cores == []


@pytest.mark.parametrize("n_processes", [1, 2])
def test_what_was_asked_for_is_not_measured(
    tmp_path: Path, two_cores: list[tuple[int, int, int, Phase]], n_processes: int
) -> None:
    with open_experiment(request(tmp_path / "run", n_processes=n_processes)) as opened:
        assert (opened.resolved.n_processes, opened.resolved.n_threads) == (n_processes, 2 // n_processes)
        assert [len(group.replicas) for group in opened.groups] == ([2] if n_processes == 1 else [1, 1])
    assert two_cores == []


@pytest.mark.usefixtures("two_cores")
def test_a_single_group_needs_no_workers(tmp_path: Path) -> None:
    with open_experiment(request(tmp_path / "run", n_processes=2, seeds=(0,))) as opened:
        assert isinstance(opened.trainer, experiment.Trainer)
        assert opened.estimated_seconds() > 0


@pytest.mark.usefixtures("two_cores")
def test_the_estimate_is_that_of_processes_side_by_side(tmp_path: Path) -> None:
    """3 ladders of 20 steps in groups of 2 and 1: with 2 and 1 seconds a step the longer one takes 40 seconds."""
    with open_experiment(request(tmp_path / "run", n_processes=2, seeds=(0, 1, 2))) as opened:
        vars(opened.trainer)["step_seconds"] = lambda n_replicas, phase: float(n_replicas)
        assert opened.estimated_seconds() == 40.0


def test_more_processes_than_cores_are_refused(tmp_path: Path) -> None:
    command = tiny.arguments(tmp_path / "run", "--processes")
    assert tiny.refused(*command, "2") == "--processes 2: there is 1 core here; give at most that many, or auto"
    assert tiny.refused(*command, "5", n_cores=4).startswith("--processes 5: there are 4 cores here; ")
    for number in ("0", "-1", "two", "1.5"):
        assert tiny.refused(*command, number) == f"--processes {number}: must be auto or a number above 0"
    assert not (tmp_path / "run").exists()


def test_several_processes_on_a_gpu_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from ladder_ebgan import machine

    monkeypatch.setattr(machine, "available_cores", lambda: 8)
    assert machine.resolve_processes(1, torch.device("cuda")) == 1
    with pytest.raises(
        UsageError, match=r"^--processes 2: on a GPU one process trains all replicas; leave it out$"
    ):
        machine.resolve_processes(2, torch.device("cuda"))


def test_the_processes_of_a_run_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    more = ("--model", "ladder", "--time-limit", "1e-9")
    assert tiny.invoke(*tiny.arguments(folder, *more, "--quiet")).code == 75
    outcome = tiny.invoke(*tiny.arguments(folder, *more, "--processes", "2"), n_cores=2)
    assert outcome.stderr.startswith(
        "--processes is kept as this folder's run began; another value needs another --output.\n"
    )
