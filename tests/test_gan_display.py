"""What a run of GANs shows while it goes on: no labels, energies as they are, scores in the place of errors."""

from dataclasses import replace

import pytest
import torch
from run_events import AGAINST, ALONE, Clock, result

from ladder_ebgan.gan.training import GANCosts, GANProgress
from ladder_ebgan.group import GroupFinished, GroupStarted, Stepped
from ladder_ebgan.report.phrases import cost_phrases, event_lines, group_name
from ladder_ebgan.report.screen import screen_lines
from ladder_ebgan.report.tracker import Costs, Plan, Planned, Tracker
from ladder_ebgan.results import Result
from ladder_ebgan.runs import Group, Replica

EBGAN, GAN = (Group(model, (Replica(0, 0), Replica(0, 1))) for model in ("ebgan", "gan"))


def tracker() -> Tracker:
    return Tracker(
        Plan((Planned(EBGAN, 0, 100, 100, ALONE, AGAINST), Planned(GAN, 0, 100, 0, ALONE, AGAINST))), Clock()
    )


def stepped(group: Group, step: int, diverged: bool = False) -> Stepped:
    """Energies 2 and 3 real, 4 and 5 generated, half of the hinges open; or a cross-entropy of 1 and 2."""
    total = torch.tensor([1.0, torch.nan if diverged else 2.0])
    if group is GAN:
        return Stepped(GAN, GANProgress(step, 0.01, None, GANCosts(total, total, None, None, None)))
    energies = torch.tensor([2.0, 3.0]), torch.tensor([4.0, 5.0]), torch.tensor([0.5, 0.5])
    return Stepped(EBGAN, GANProgress(step, 0.001, 10.0, GANCosts(total, None, *energies)))


def scored(model: str, seed: int, score: float | None) -> Result:
    return replace(result(model, 0, seed, 1.0), test_error_percent=None, modified_inception_score=score)


def test_a_look_reads_what_there_is() -> None:
    it = tracker()
    it.take(GroupStarted(EBGAN, 0, 100))
    it.look(stepped(EBGAN, 1))
    assert it.groups[EBGAN].mean_costs() == Costs(None, None, 2.5, 4.5, 50.0)
    assert it.groups[EBGAN].margin == 10
    it.take(GroupStarted(GAN, 0, 100))
    it.look(stepped(GAN, 1))
    assert it.groups[GAN].mean_costs() == Costs(1.5, None, None, None, None)
    it.look(stepped(GAN, 2, diverged=True))
    assert it.groups[GAN].diverged == {Replica(0, 1)}
    assert it.groups[GAN].mean_costs() == Costs(1.0, None, None, None, None)


def test_time_that_is_left_goes_by_steps_of_the_same_kind() -> None:
    it = tracker()
    assert isinstance(it.clock, Clock)
    for group, seconds in ((EBGAN, 10), (GAN, 30)):
        it.take(GroupStarted(group, 0, 100))
        it.look(stepped(group, 1))
        it.clock.now += seconds
        it.look(stepped(group, 11))
    assert it.seconds_left(it.groups[EBGAN]) == pytest.approx(89)
    assert it.seconds_left(it.groups[GAN]) == pytest.approx(3 * 89)


def test_lines_speak_of_no_labels() -> None:
    assert group_name(EBGAN) == "ebgan, seeds 0, 1"
    results = [scored("ebgan", 0, 8.125), scored("ebgan", 1, None), result("ebgan", 0, 2, None)]
    assert list(event_lines(GroupFinished(EBGAN, results), verbose=False)) == [
        "  ebgan, seed 0: modified inception score 8.12",
        "  ebgan, seed 1: done",
        "  ebgan, seed 2: diverged at step 77",
    ]
    phrases = list(cost_phrases(Costs(None, None, 2.5, 4.5, 50.0), 10.0, None))
    assert phrases == ["energy 2.5 real 4.5 generated", "margin 10", "open hinges 50 %"]


def test_the_screen_has_scores_in_the_place_of_errors() -> None:
    it = tracker()
    it.take(GroupStarted(EBGAN, 0, 100))
    it.look(stepped(EBGAN, 1))
    it.take(GroupFinished(GAN, [scored("gan", 0, 3.0), scored("gan", 1, 4.0), result("gan", 0, 2, None)]))
    it.take(GroupFinished(GAN, [scored("other", 0, None)]))
    lines = [line.plain.split() for line in screen_lines(it, None, 150, 30)]
    assert "labels" not in lines[0]
    assert lines[1][:1] == ["ebgan"]
    assert lines[1][-4:] == ["10", "2.5", "4.5", "50"]
    assert ["model", "modified", "inception", "score", "by", "seed"] in lines
    assert [
        "gan",
        "3.50",
        "±",
        "0.71",
        "(2)",
        "0:",
        "3.00",
        "1:",
        "4.00",
        "2:",
        "diverged",
        "at",
        "step",
        "77",
    ] in lines
    assert ["other", "none", "0:", "done"] in lines
