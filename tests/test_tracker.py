import math
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from run_events import AGAINST, ALONE, EBGAN, LADDER, Clock, finished, measured, planned, result, started, stepped
from torch.utils._python_dispatch import TorchDispatchMode

from ladder_ebgan.commands.run import request_of
from ladder_ebgan.experiment import Stopped, open_experiment
from ladder_ebgan.report.tracker import Costs, Plan, Planned, Speed, Tracker, mean_costs, plan_of
from ladder_ebgan.runs import Group, Replica


class Counted(TorchDispatchMode):
    """Counts the tensor operations inside a with statement."""

    n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.n += 1
        return func(*args, **(kwargs or {}))


def tracker_of(*groups: Group, clock: Clock | None = None) -> Tracker:
    return Tracker(planned(*groups), clock or Clock())


def test_the_plan_is_that_of_the_experiment(tmp_path: Path) -> None:
    """A ladder stopped after its first step, another seed of it, and both of an EBGAN."""
    arguments = tiny.arguments(tmp_path / "run", "--replicas-at-once", "1")
    request = request_of(**tiny.parameters_of_run(*arguments[1:]))
    with open_experiment(request) as opened:
        assert plan_of(opened).groups[0].first_step == 0
        list(opened.run(lambda: "SIGTERM"))
        opened.folder.add_results([result("ladder", 30, 0, 5.0)])
    with open_experiment(request) as opened:
        opened.step_seconds[1, ALONE] = 0.5
        plan = plan_of(opened)
    assert [(p.group.model, p.first_step, p.n_steps, p.adversarial_steps) for p in plan.groups] == [
        ("ladder", 1, 20, 0),
        ("ladder", 0, 20, 0),
        ("ebgan-ladder", 0, 24, 13),
        ("ebgan-ladder", 0, 24, 13),
    ]
    assert plan.results == (result("ladder", 30, 0, 5.0),)
    assert (plan.n_processes, plan.step_seconds) == (1, {(1, ALONE): 0.5})


def test_a_look_has_the_means_of_each_budget() -> None:
    """Replicas 0, 1, 2 have 100 labels, 3, 4, 5 have 200; of the latter 4 has diverged."""
    tracker = tracker_of(EBGAN)
    progress = tracker.groups[EBGAN]
    assert progress.budgets() == [100, 200]
    assert progress.mean_costs() == Costs(None, None, None, None, None)
    tracker.take(started(EBGAN))
    assert progress.status == "starting"
    tracker.look(stepped(EBGAN, 20, margin=3.5, diverged=(4,)))
    assert (progress.step, progress.margin, progress.status) == (20, 3.5, "training")
    assert progress.mean_costs(100) == Costs(1.5, 15.0, 3.0, 5.0, 25.0)
    assert progress.mean_costs(200) == Costs(4.5, 45.0, 6.0, 8.0, 25.0)
    assert progress.mean_costs().classification == pytest.approx((0.5 + 1.5 + 2.5 + 3.5 + 5.5) / 5)
    assert [progress.n_diverged(labels) for labels in (None, 100, 200)] == [1, 0, 1]
    tracker.look(stepped(EBGAN, 500))
    assert progress.margin is None
    assert progress.mean_costs(100) == Costs(1.5, 15.0, None, None, None)
    assert progress.n_diverged() == 0
    tracker.look(stepped(EBGAN, 1000, diverged=tuple(range(6))))
    assert progress.status == "testing"
    assert progress.mean_costs().classification is None


def test_energies_that_are_not_finite_are_divergence_too() -> None:
    tracker, event = tracker_of(EBGAN), stepped(EBGAN, 1, margin=1.0)
    generated = event.progress.costs.energy_generated
    assert generated is not None
    generated[2] = math.inf
    tracker.look(event)
    assert tracker.groups[EBGAN].diverged == {Replica(100, 2)}


@pytest.mark.parametrize("margin", [None, 2.0])
def test_a_look_is_one_transfer(margin: float | None) -> None:
    tracker, event = tracker_of(EBGAN), stepped(EBGAN, 1, margin=margin)
    with Counted() as counted:
        tracker.look(event)
    assert counted.n <= 2  # a stack, and the share as percent


def test_errors_are_those_of_the_last_point() -> None:
    tracker = tracker_of(EBGAN)
    progress = tracker.groups[EBGAN]
    assert progress.unlabeled_error() is None
    tracker.take(measured(EBGAN, 9, 9, 9, 9, 9, 9))
    tracker.take(measured(EBGAN, 2, 3, None, 6, 6, 9))
    assert progress.unlabeled_error(100) == pytest.approx((2 + 3 + 9) / 3)  # the third keeps what it had
    assert progress.unlabeled_error(200) == 7
    assert progress.unlabeled_error() == pytest.approx(35 / 6)


def test_results_come_to_those_of_earlier_starts() -> None:
    earlier = result("ladder", 100, 3, 2.0)
    tracker = Tracker(Plan(planned(LADDER).groups, (earlier,)), Clock())
    event = finished(LADDER, 1.0)
    tracker.take(event)
    assert tracker.results == {("ladder", 100): [earlier, *event.results]}
    assert tracker.groups[LADDER].status == "done"


def test_what_trained_when_the_run_stopped_is_stopped() -> None:
    groups = [Group("ladder", (Replica(100, seed),)) for seed in range(4)]
    tracker = tracker_of(*groups)
    for group in groups[:3]:
        tracker.take(started(group))
    tracker.take(finished(groups[0], 1.0))
    tracker.look(stepped(groups[1], 5))
    assert [progress.group for progress in tracker.active()] == groups[1:3]
    tracker.take(Stopped("SIGTERM"))
    assert [p.status for p in tracker.groups.values()] == ["done", "stopped", "stopped", "waiting"]
    assert (tracker.active(), tracker.count("stopped")) == ([], 2)


def test_time_left_goes_by_the_kinds_of_steps_to_come() -> None:
    """400 steps with a generator of 0.2 s, then 600 without of 0.1 s; timed, then as they go."""
    clock = Clock()
    plan = Plan(planned(EBGAN).groups, (), 1, {(6, AGAINST): 0.2})
    tracker = Tracker(plan, clock)
    progress = tracker.groups[EBGAN]
    assert tracker.seconds_left(progress) is None  # nobody has timed the second kind
    assert tracker.run_seconds_left() is None
    tracker.step_seconds[6, ALONE] = 0.1
    assert tracker.seconds_left(progress) == pytest.approx(400 * 0.2 + 600 * 0.1)
    tracker.take(started(EBGAN, first_step=100))
    assert tracker.seconds_left(progress) == pytest.approx(300 * 0.2 + 600 * 0.1)
    tracker.look(stepped(EBGAN, 101, margin=1.0))
    assert progress.steps_per_second == pytest.approx(5)  # until there is a speed of its own
    clock.now += 10
    tracker.look(stepped(EBGAN, 201, margin=1.0))
    assert progress.steps_per_second == pytest.approx(10)
    assert tracker.seconds_left(progress) == pytest.approx(199 * 0.1 + 600 * 0.1)
    clock.now += 1000  # the generator ends, and what follows is a speed of its own
    tracker.look(stepped(EBGAN, 401))
    clock.now += 1
    tracker.look(stepped(EBGAN, 421))
    assert progress.steps_per_second == pytest.approx(20)
    assert tracker.seconds_left(progress) == pytest.approx(579 / 20)
    tracker.look(stepped(EBGAN, 1000))
    assert tracker.seconds_left(progress) == 0


def test_time_left_of_the_run_is_that_of_the_process_that_ends_last() -> None:
    """Four groups of 100 steps of 1 s in two processes; one is done, one has 40 steps left."""
    groups = [Group("ladder", (Replica(100, seed),)) for seed in range(4)]
    plan = Plan(tuple(Planned(group, 0, 100, 0, ALONE, AGAINST) for group in groups), (), 2, {(1, ALONE): 1.0})
    tracker = Tracker(plan, Clock())
    assert tracker.run_seconds_left() == 200
    for group in groups[:2]:
        tracker.take(started(group))
    tracker.take(finished(groups[0], 1.0))
    tracker.look(stepped(groups[1], 60))
    assert tracker.run_seconds_left() == 140  # 40 and then 100 beside 100


def test_the_speed_is_that_of_the_last_minute() -> None:
    speed = Speed()
    assert speed.read(0.0, 5000, False) is None  # what was done before counts for nothing
    assert speed.read(10.0, 6000, False) == 100
    for second in range(11, 71):
        latest = speed.read(float(second), 6000 + 3 * (second - 10), False)
    assert latest == 3
    assert speed.read(1000.0, 6180, False) == 0  # since the last reading, if that is longer ago
    assert speed.read(1001.0, 6181, True) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0, 1e6]), st.integers(0, 50), st.booleans()), max_size=50))
def test_no_clock_makes_a_speed_negative_or_infinite(readings: list[tuple[float, int, bool]]) -> None:
    speed, now, step = Speed(), -5.0, 10**6
    for pause, n_steps, adversarial in readings:
        now, step = now + pause, step + n_steps
        latest = speed.read(now, step, adversarial)
        assert latest is None or 0 <= latest < math.inf


def test_means_leave_out_what_is_missing() -> None:
    some = [Costs(1.0, None, None, None, 5.0), Costs(2.0, 4.0, None, None, None)]
    assert mean_costs(some) == Costs(1.5, 4.0, None, None, 5.0)


def test_the_costs_are_left_as_they_are() -> None:
    tracker, event = tracker_of(EBGAN), stepped(EBGAN, 1, margin=1.0)
    before = [cost.clone() for cost in event.progress.costs.ladder]
    tracker.look(event)
    for cost, copy in zip(event.progress.costs.ladder, before, strict=True):
        torch.testing.assert_close(cost, copy, rtol=0, atol=0, equal_nan=True)
