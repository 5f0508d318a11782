"""Searches of tiny GANs: batches, scores, slices, going on after a stop and after a kill at any write."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import gan_search
import pytest
import torch
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import TrialState

from ladder_ebgan import checkpoints
from ladder_ebgan.checkpoints import checkpoint_step
from ladder_ebgan.data import load_dataset
from ladder_ebgan.drawing import draw
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.frame import unframed
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.gan.training import train_gan
from ladder_ebgan.machine import resolve
from ladder_ebgan.search import gan_summary
from ladder_ebgan.search.events import Scored, Stepped
from ladder_ebgan.search.gan_summary import GANOutcome, variance_shares
from ladder_ebgan.search.search import SearchRequest, SearchStopped, open_search
from ladder_ebgan.search.space import GANSpace, overrides, seed_of
from ladder_ebgan.search.study import BATCH, DIVERGED, SCORES, Study, stored_trials
from ladder_ebgan.search.trainer import BatchBegun, BatchTrained


@pytest.fixture(autouse=True)
def fake_scores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with gan_search.patched(monkeypatch):
        yield


def values(trials: list[object]) -> list[object]:
    return [(trial.number, trial.state, trial.params, trial.value, trial.user_attrs[SCORES]) for trial in trials]


def begun(events: list[object]) -> list[list[int]]:
    return [event.trials for event in events if isinstance(event, BatchBegun)]


@pytest.mark.parametrize("model", ["gan", "ebgan"])
def test_the_whole_grid_is_trained_in_full_batches(tmp_path: Path, model: str) -> None:
    events, trials = gan_search.run(gan_search.request(tmp_path, gan_search.write_space(tmp_path, model=model)))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * gan_search.N_SETTINGS
    assert begun(events) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert len({tuple(sorted(trial.params.items())) for trial in trials}) == gan_search.N_SETTINGS
    for trial in trials:
        assert trial.value == trial.user_attrs[SCORES]["modified_inception_score"]
        assert trial.user_attrs["seconds"] >= 0
    assert not any((tmp_path / "out/checkpoints").glob("*"))


def test_a_batch_does_not_reach_into_the_next_stack(tmp_path: Path) -> None:
    """Of eight at once and four that stand together, four; of three at once, three and one."""
    space = gan_search.write_space(tmp_path)
    events, _ = gan_search.run(gan_search.request(tmp_path, space, n_trials=8, replicas_at_once=8))
    assert begun(events) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    events, _ = gan_search.run(gan_search.request(tmp_path, space, replicas_at_once=3))
    assert begun(events) == [[8, 9, 10], [11], [12, 13, 14], [15]]


def test_a_setting_trains_as_in_a_run_with_its_seed(tmp_path: Path) -> None:
    """Of a batch of one the score is that of a plain training, to the bit."""
    wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=1)
    _, (trial,) = gan_search.run(wanted)
    space = wanted.space
    recipe, seed = space.recipe_of(trial.params), seed_of(trial.params)
    assert isinstance(recipe, GANRecipe)
    engine = GANEngine.prepare(recipe, load_dataset("digits"), resolve("cpu", "float32", 1, False, 6, 1))
    state = engine.initial_state("gan", [seed])
    list(train_gan(state, engine.batches("gan", state, [seed]), recipe.settings("gan"), engine.functions))
    images = unframed(draw(state.generator, [seed], 30, 20), (8, 8), 0)[0]
    assert trial.user_attrs[SCORES] == pytest.approx(gan_search.FakeScores().of(images), rel=1e-6)


def test_stopped_and_gone_on_is_as_never_stopped(tmp_path: Path) -> None:
    through, stopped = tmp_path / "through", tmp_path / "stopped"
    for folder in (through, stopped):
        folder.mkdir()
    _, expected = gan_search.run(gan_search.request(through, gan_search.write_space(through), n_trials=6))
    wanted = gan_search.request(stopped, gan_search.write_space(stopped), n_trials=6)
    for step in (2, 4):
        events, trials = gan_search.run(
            wanted, stop_after=lambda e, step=step: isinstance(e, BatchTrained) and e.said == Stepped(step)
        )
        assert events[-1] == SearchStopped("SIGTERM")
        assert [trial.state for trial in trials] == [TrialState.RUNNING] * 4
    events, trials = gan_search.run(wanted)
    assert events[0] == BatchBegun(0, [0, 1, 2, 3], first_step=4, n_steps=6)
    assert values(trials) == values(expected)


def test_a_stop_is_heard_while_images_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the second setting: the checkpoint has the last step, and all four are scored by the same command."""
    wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=4)
    score, scored = gan_search.FakeScores.of, list[int]()
    monkeypatch.setattr(
        gan_search.FakeScores, "of", lambda self, images: [scored.append(0), score(self, images)][-1]
    )
    with open_search(wanted) as search:
        events = list(search.run(lambda: "SIGTERM" if len(scored) == 2 else None))
        assert events[-1] == SearchStopped("SIGTERM")
        assert [trial.state for trial in search.study.trials] == [TrialState.RUNNING] * 4
    events, trials = gan_search.run(wanted)
    assert events[0] == BatchBegun(0, [0, 1, 2, 3], first_step=6, n_steps=6)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert len(scored) == 6


class Killed(Exception):  # noqa: N818
    """In place of SIGKILL: nothing of the search runs after it."""


def test_a_kill_at_any_write_loses_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints at each step, a kill at each of the first writes in turn, then the search to its end.

    No step is made twice but the one that the kill came in, no setting is told twice, and the results are those of
    a search that was never killed.
    """
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_WRITINGS", -1.0)
    through = tmp_path / "through"
    through.mkdir()
    space = gan_search.write_space(tmp_path, ("[4, 5]", "[4]"), ("[3, 2]", "[3]"))
    _, expected = gan_search.run(gan_search.request(through, space, n_trials=4))
    fsync, left = os.fsync, [0]

    def counted_fsync(file: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        fsync(file)

    monkeypatch.setattr(os, "fsync", counted_fsync)
    n_kills = 0
    for kill_at in count(1, 2):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        wanted, steps, killed = gan_search.request(folder, space, n_trials=4), list[object](), False
        left[0] = kill_at
        try:
            follow(wanted, steps)
        except Killed:
            killed, left[0] = True, -1
            follow(wanted, steps)
        trials = stored_trials(folder / "out/study.journal")
        by_setting = {str(trial.params): trial.user_attrs[SCORES] for trial in trials}
        assert len(by_setting) == len(trials) == 4
        for trial in expected:
            assert by_setting[str(trial.params)] == pytest.approx(trial.user_attrs[SCORES], rel=1e-3)
        n_batches = len({trial.user_attrs.get(BATCH, trial.number) for trial in trials})
        assert 6 * n_batches <= len(steps) <= 6 * n_batches + killed
        n_kills += killed
        if not killed:
            break
    assert n_kills > 20


def follow(wanted: SearchRequest, steps: list[object]) -> None:
    """Go on to the end, noting each step."""
    with open_search(wanted) as search:
        said = (event.said for event in search.run(lambda: None) if isinstance(event, BatchTrained))
        steps.extend(each for each in said if isinstance(each, Stepped))


VICTIM = """
import os, signal, sys
from pathlib import Path
import gan_search, pytest
from ladder_ebgan import checkpoints
checkpoints.CHECKPOINT_SECONDS = checkpoints.CHECKPOINT_WRITINGS = -1.0
left, fsync = [int(sys.argv[2])], os.fsync
def fatal(file):
    left[0] -= 1
    fsync(file) if left[0] else os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fatal
folder = Path(sys.argv[1])
with pytest.MonkeyPatch.context() as patch, gan_search.patched(patch):
    gan_search.run(gan_search.request(folder, gan_search.write_space(folder), n_trials=8))
"""


def test_a_process_that_was_killed_goes_on(tmp_path: Path) -> None:
    """By SIGKILL, while it writes the checkpoint of a step."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", VICTIM, str(tmp_path), "40"]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=8)
    before = stored_trials(tmp_path / "out/study.journal")
    (step,) = [checkpoint_step(path) for path in (tmp_path / "out/checkpoints").glob("*.safetensors")]
    assert 0 < step < 6
    events, trials = gan_search.run(wanted)
    assert events[0] == BatchBegun(0, [0, 1, 2, 3], first_step=step, n_steps=6)
    assert [trial.params for trial in trials[:4]] == [trial.params for trial in before]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 8


def test_told_in_part_a_batch_goes_on_whole(tmp_path: Path) -> None:
    """A kill between the results of a batch: its checkpoint has all, and what was told stays as it is."""
    wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=4)
    gan_search.run(wanted, stop_after=lambda e: isinstance(e, BatchTrained) and e.said == Stepped(5))
    with open_search(wanted) as search:
        search.study.finish_gans({0: {"modified_inception_score": 77.0}}, {}, 1.0)
        (candidates,) = search.study.unfinished()
        assert [(each.number, each.goes_on) for each in candidates] == [(0, False), (1, True), (2, True), (3, True)]
    events, trials = gan_search.run(wanted)
    assert events[0] == BatchBegun(0, [1, 2, 3], first_step=5, n_steps=6)
    assert trials[0].value == 77.0
    assert all(trial.state == TrialState.COMPLETE for trial in trials)


def test_begun_in_part_a_trial_is_begun_anew(tmp_path: Path) -> None:
    """A kill while its parameters were being written."""
    space = gan_search.write_space(tmp_path)
    wanted = gan_search.request(tmp_path, space, n_trials=4)
    (tmp_path / "out").mkdir()
    with open_search(wanted) as search:
        first = next(iter(wanted.space.grid()))
        search.study.study.enqueue_trial(dict(first))
        trial = search.study.study.ask()
        trial.suggest_categorical("gan.generator.size", ["4", "5"])
    _, trials = gan_search.run(wanted)
    assert [trial.number for trial in trials] == [1, 2, 3, 4]
    assert trials[0].params == first


def test_a_slice_grows_to_the_whole(tmp_path: Path) -> None:
    space = gan_search.write_space(tmp_path)
    _, part = gan_search.run(gan_search.request(tmp_path, space, "generator.size=5", "optimizer=sgd"))
    assert len(part) == 4
    assert {
        (trial.params["gan.generator.size"], trial.params["gan.discriminator.optimizer"]) for trial in part
    } == {("5", '"sgd"')}
    events, whole = gan_search.run(gan_search.request(tmp_path, space))
    assert values(whole)[:4] == values(part)
    assert len(whole) == gan_search.N_SETTINGS
    assert sum(map(len, begun(events))) == gan_search.N_SETTINGS - 4
    events, _ = gan_search.run(gan_search.request(tmp_path, space, "generator.size=4"))
    assert events == []


def test_a_grid_that_waits_in_line_is_taken_from_there(tmp_path: Path) -> None:
    """As an earlier version has left it."""
    wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=4)
    order = list(wanted.space.grid())[::-1]
    (tmp_path / "out").mkdir()
    study = Study(tmp_path / "out", wanted.space)
    for proposal in order:
        study.study.enqueue_trial(dict(proposal))
    assert {each.number for candidates in study.propose(4) for each in candidates} == {0, 1, 2, 3}
    assert [study.parameters_of(number) for number in range(4)] == order[:4]


def test_what_diverges_counts_with_a_score_of_0(tmp_path: Path) -> None:
    space = gan_search.write_space(tmp_path, ("[0.01, 0.001]", "[0.01, 1e30]"), ('"adam", "sgd"', '"sgd"'))
    events, trials = gan_search.run(gan_search.request(tmp_path, space, n_trials=2))
    (lost,) = [trial for trial in trials if DIVERGED in trial.user_attrs]
    assert (lost.state, lost.value, SCORES in lost.user_attrs) == (TrialState.COMPLETE, 0.0, False)
    assert 1 <= lost.user_attrs[DIVERGED] <= 6
    (scored,) = [
        event.said for event in events if isinstance(event, BatchTrained) and isinstance(event.said, Scored)
    ]
    assert scored.scores[lost.number] == {}
    (kept,) = [trial for trial in trials if trial is not lost]
    assert kept.value > 0


def test_images_that_are_no_numbers_have_diverged_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ladder_ebgan.gan import scores

    drawn = scores.drawn_images
    monkeypatch.setattr(scores, "drawn_images", lambda *a: torch.full_like(drawn(*a), math.nan))
    _, trials = gan_search.run(gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=1))
    assert (trials[0].value, trials[0].user_attrs[DIVERGED]) == (0.0, 6)


def test_another_sampler_searches_gans_too(tmp_path: Path) -> None:
    change = ("{ choices = [0.01, 0.001] }", "{ low = 0.001, high = 0.01 }")
    space = gan_search.write_random_space(tmp_path, 5, change, sampler="tpe")
    _, trials = gan_search.run(gan_search.request(tmp_path, space))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 5
    with open_search(gan_search.request(tmp_path, space)) as search:
        shares = gan_summary.summarize_gans(search).importance
        assert shares == FanovaImportanceEvaluator(seed=0).evaluate(search.study.study)


def test_settings_that_all_diverge_have_no_importance(tmp_path: Path) -> None:
    change = ("{ choices = [0.01, 0.001] }", "{ low = 1e29, high = 1e30 }")
    space = gan_search.write_random_space(tmp_path, 4, change)
    _, trials = gan_search.run(gan_search.request(tmp_path, space))
    assert [trial.value for trial in trials] == [0.0] * 4
    with open_search(gan_search.request(tmp_path, space)) as search:
        assert gan_summary.summarize_gans(search).importance == {}


# What is refused.


def test_other_data_and_held_out_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ladder_ebgan.gan.scores import can_be_scored

    monkeypatch.setattr("ladder_ebgan.search.search.can_be_scored", can_be_scored)
    space = gan_search.write_space(tmp_path)
    with pytest.raises(UsageError, match=r"GANs on digits cannot be compared: .* alone; give --data mnist"):
        gan_search.run(gan_search.request(tmp_path, space))
    with pytest.raises(UsageError, match="--validation is for classifiers"):
        gan_search.run(gan_search.request(tmp_path, space, n_validation=100))
    assert not (tmp_path / "out").exists()


def test_mnist_can_be_scored() -> None:
    from ladder_ebgan.gan.scores import can_be_scored

    assert can_be_scored(load_dataset("mnist"))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=1)
    gan_search.run(wanted, stop_after=lambda e: isinstance(e, BatchTrained))
    (tmp_path / "out/checkpoints/0.safetensors").write_bytes(b"broken")
    with pytest.raises(UsageError, match=r"0.safetensors is damaged \(.*\); remove it"):
        gan_search.run(wanted)


# What matters.


def outcome(score: float, **parameters: object) -> GANOutcome:
    scores = {"modified_inception_score": score}
    return GANOutcome(0, "done", dict(parameters), [], 0, scores, None, 1.0)


def test_the_share_of_the_variance_is_worked_by_hand() -> None:
    """Scores 1, 3 with a = 0 and 5, 7 with a = 1: mean 4, S = 20, S_w = 4, so 1 - (4 + 1 * 4 / 2) / 20 = 0.7.

    b = 0 has 1, 5 and b = 1 has 3, 7: S_w = 16, so 1 - (16 + 16 / 2) / 20 < 0, which is 0.
    """
    found = variance_shares(
        [outcome(1, a=0, b=0), outcome(3, a=0, b=1), outcome(5, a=1, b=0), outcome(7, a=1, b=1)]
    )
    assert found == {"a": pytest.approx(0.7), "b": 0.0}
    assert list(found) == ["a", "b"]


def test_a_few_scores_or_equal_ones_have_no_shares() -> None:
    assert variance_shares([outcome(1, a=0), outcome(2, a=1)]) == {}
    assert variance_shares([outcome(1, a=0)] * 6) == {}


def test_a_parameter_of_which_each_setting_has_another_value_has_no_share() -> None:
    found = variance_shares([outcome(score, a=place, b=place % 2) for place, score in enumerate((1, 5, 2, 9))])
    assert list(found) == ["b"]


def test_settings_are_written_as_changes_of_the_recipe(tmp_path: Path) -> None:
    wanted = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=1)
    _, (trial,) = gan_search.run(wanted)
    assert isinstance(wanted.space, GANSpace)
    assert gan_summary.gan_outcome(trial).settings == overrides(trial.params)
