"""Searches of a few tiny settings: what they train on, how they stop, go on, and give up settings."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import search_run
import tiny
from optuna.trial import TrialState

from ladder_ebgan import machine
from ladder_ebgan.data import load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.search import study
from ladder_ebgan.search.events import Finished, Reported, Stepped
from ladder_ebgan.search.outcomes import read_correct
from ladder_ebgan.search.search import SearchEvent, SearchStopped, open_search, search_task
from ladder_ebgan.search.study import ERRORS
from ladder_ebgan.search.trainer import BatchBegun, BatchTrained
from ladder_ebgan.search.validation import validation_split


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: 1)


def values(trials: list[object]) -> list[object]:
    return [(trial.number, trial.state, trial.params, trial.value, trial.intermediate_values) for trial in trials]


# What is held out.


def test_validation_images_are_training_images_that_nobody_trains_on() -> None:
    whole = load_dataset("digits")
    split = validation_split(whole, 100)
    assert len(split.test_labels) == 100
    assert len(split.train_labels) == len(whole.train_labels) - 100
    together = np.concatenate([split.train_images, split.test_images])
    assert sorted(map(bytes, together)) == sorted(map(bytes, whole.train_images))
    assert np.bincount(split.test_labels).tolist() == [10] * 10
    assert not {bytes(image) for image in split.test_images} & {bytes(image) for image in split.train_images}


def test_the_split_keeps_images_and_labels_together() -> None:
    whole = load_dataset("digits")
    split = validation_split(whole, 100)
    label_of = dict(zip(map(bytes, whole.train_images), whole.train_labels.tolist(), strict=True))
    assert [label_of[bytes(image)] for image in split.test_images] == split.test_labels.tolist()
    assert [label_of[bytes(image)] for image in split.train_images] == split.train_labels.tolist()


@pytest.mark.parametrize("n_validation", [9, 1291, 10**6])
def test_too_few_or_too_many_validation_images_are_refused(n_validation: int) -> None:
    with pytest.raises(UsageError, match=r"at least 10, .* at most 128\d of its 129\d training"):
        validation_split(load_dataset("digits"), n_validation)


def test_validation_images_have_labels_and_the_others_are_kept() -> None:
    whole = load_dataset("digits")
    few = replace(whole, train_labels=np.where(np.arange(len(whole.train_labels)) % 4, -1, whole.train_labels))
    split = validation_split(few, 50)
    assert np.bincount(split.test_labels).tolist() == [5] * 10
    assert len(split.train_labels) == len(whole.train_labels) - 50
    assert len(split.labeled_rows) == len(few.labeled_rows) - 50
    with pytest.raises(UsageError, match=r"at most 31\d of its 32\d training images with a label"):
        validation_split(few, 320)


def test_a_class_without_a_training_image_is_refused() -> None:
    """129 images of each class, and of one class more: a split that takes all of the rarest leaves it empty."""
    whole = load_dataset("digits")
    rarest = int(np.bincount(whole.train_labels).argmin())
    n_of_each = int(np.bincount(whole.train_labels).min())
    with pytest.raises(UsageError, match=f"are all there are of class {rarest}: hold out fewer"):
        validation_split(whole, 10 * n_of_each)


# A search.


def test_every_trial_is_trained_and_told(tmp_path: Path) -> None:
    events, trials = search_run.run(search_run.request(tmp_path, search_run.write_space(tmp_path)))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    begun = [event.trials for event in events if isinstance(event, BatchBegun)]
    assert begun == [[0, 1], [2, 3], [4, 5]]  # two subsets each: four replicas at once
    finished = [event.said for event in events if isinstance(event, BatchTrained)]
    for said in (said for said in finished if isinstance(said, Finished)):
        for number, errors in said.errors.items():
            correct = read_correct(tmp_path / "out/correct" / f"{number}.bits", 2, search_run.N_VALIDATION)
            assert errors == pytest.approx((100 * (1 - correct.mean(axis=1))).tolist())
            assert trials[number].user_attrs[ERRORS] == errors
            assert trials[number].value == pytest.approx(sum(errors) / 2)
    assert not (tmp_path / "out/checkpoints").exists() or not any((tmp_path / "out/checkpoints").iterdir())


def test_the_test_images_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are poisoned: NaN pixels would make every error NaN."""
    whole = load_dataset("digits")
    from ladder_ebgan.search import search as module

    poisoned = replace(whole, test_images=np.full_like(whole.test_images, np.nan))
    monkeypatch.setattr(module, "load_dataset", lambda _: poisoned)
    _, trials = search_run.run(search_run.request(tmp_path, search_run.write_space(tmp_path), n_trials=2))
    assert all(np.isfinite(trial.value) for trial in trials)


def test_stopped_and_gone_on_is_as_never_stopped(tmp_path: Path) -> None:
    through, stopped = tmp_path / "through", tmp_path / "stopped"
    for folder in (through, stopped):
        folder.mkdir()
    _, expected = search_run.run(search_run.request(through, search_run.write_space(through), n_trials=2))

    def at(step: int):
        return lambda event: isinstance(event, BatchTrained) and event.said == Stepped(step)

    wanted = search_run.request(stopped, search_run.write_space(stopped), n_trials=2)
    for step in (5, 9):
        events, trials = search_run.run(wanted, stop_after=at(step))
        assert events[-1] == SearchStopped("SIGTERM")
        assert [trial.state for trial in trials] == [TrialState.RUNNING] * 2
    events, trials = search_run.run(wanted)
    assert events[0] == BatchBegun(0, [0, 1], first_step=9, n_steps=12)
    assert values(trials) == values(expected)
    for number in (0, 1):
        bits = [(folder / "out/correct" / f"{number}.bits").read_bytes() for folder in (through, stopped)]
        assert bits[0] == bits[1]


def test_more_trials_go_on_from_what_is_there(tmp_path: Path) -> None:
    space = search_run.write_space(tmp_path)
    _, first = search_run.run(search_run.request(tmp_path, space, n_trials=2))
    events, second = search_run.run(search_run.request(tmp_path, space, n_trials=3))
    assert values(second)[:2] == values(first)
    assert [event.trials for event in events if isinstance(event, BatchBegun)] == [[2]]
    events, third = search_run.run(search_run.request(tmp_path, space, n_trials=3))
    assert (events, values(third)) == ([], values(second))


def test_hopeless_settings_are_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    """After the settings that are always trained to the end, one with a tiny learning rate beside a good one."""
    space = search_run.write_space(
        tmp_path,
        ('sampler = "tpe"', 'sampler = "grid"'),
        ("{ low = 0.001, high = 0.05, log = true }", "{ choices = [0.00000001, 0.02] }"),
        ("{ low = 0.1, high = 0.5 }", "{ choices = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45] }"),
        more="report_every_steps = 4",
    )
    events, trials = search_run.run(search_run.request(tmp_path, space, n_trials=16))
    states = {trial.number: trial.state for trial in trials}
    assert all(states[number] == TrialState.COMPLETE for number in range(10))
    given_up = [number for number, state in states.items() if state == TrialState.PRUNED]
    assert "1e-08" in {trials[number].params["ladder.learning_rate"] for number in given_up}
    for number in given_up:
        trial = trials[number]
        assert set(trial.intermediate_values) <= {4, 8}
        assert not (tmp_path / "out/correct" / f"{number}.bits").exists()
    narrowed = [
        (set(before.said.errors), set(after.said.errors))
        for before, after in zip(reports(events), reports(events)[1:], strict=False)
        if before.batch == after.batch and set(before.said.errors) != set(after.said.errors)
    ]
    assert all(after < before for before, after in narrowed)


def reports(events: list[SearchEvent]) -> list[BatchTrained]:
    return [event for event in events if isinstance(event, BatchTrained) and isinstance(event.said, Reported)]


def test_a_setting_that_goes_on_alone_trains_as_if_it_always_had(tmp_path: Path) -> None:
    """Beside one that diverges at once and is dropped at the first report."""
    errors = {}
    for name, rates in (("beside", [0.01, 1e25]), ("alone", [0.01])):
        folder = tmp_path / name
        folder.mkdir()
        space = search_run.write_space(
            folder,
            ('sampler = "tpe"', 'sampler = "grid"'),
            ("{ low = 0.001, high = 0.05, log = true }", f"{{ choices = {rates} }}"),
            ("{ low = 0.1, high = 0.5 }", "{ choices = [0.3] }"),
            more="report_every_steps = 4",
        )
        _, trials = search_run.run(search_run.request(folder, space, n_trials=len(rates)))
        (good,) = [trial for trial in trials if trial.params["ladder.learning_rate"] == "0.01"]
        errors[name] = good.user_attrs[ERRORS]
        if name == "beside":
            (bad,) = [trial for trial in trials if trial is not good]
            assert (bad.state, bad.user_attrs["diverged"]) == (TrialState.PRUNED, 4)
    assert errors["beside"] == pytest.approx(errors["alone"], abs=2.0)  # 2 of 100 images, by rounding


STEPS = (  # four settings, of which one decays from step 10 of 8
    ('sampler = "tpe"', 'sampler = "grid"'),
    (
        '"ladder.learning_rate" = { low = 0.001, high = 0.05, log = true }',
        '"ladder.n_steps" = { choices = [12, 8] }',
    ),
    ('"network.input_noise" = { low = 0.1, high = 0.5 }', '"ladder.decay_start_step" = { choices = [6, 10] }'),
)


def test_proposals_that_are_no_recipe_are_left_out(tmp_path: Path) -> None:
    events, trials = search_run.run(search_run.request(tmp_path, search_run.write_space(tmp_path, *STEPS)))
    assert len(trials) == 3
    assert {(trial.params["ladder.n_steps"], trial.params["ladder.decay_start_step"]) for trial in trials} == {
        ("12", "6"),
        ("12", "10"),
        ("8", "6"),
    }
    begun = [event for event in events if isinstance(event, BatchBegun)]
    assert sorted(event.n_steps for event in begun) in ([8, 12], [8, 12, 12])  # other steps train apart


def test_a_space_without_recipes_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One proposal of the four is none, and one in a row is enough here."""
    monkeypatch.setattr(study, "INFEASIBLE_AT_MOST", 1)
    wanted = search_run.request(tmp_path, search_run.write_space(tmp_path, *STEPS))
    with pytest.raises(UsageError, match=r"1 settings in a row are no recipe; .* must be below n_steps"):
        search_run.run(wanted)


def test_the_ebgan_ladder_is_searched_too(tmp_path: Path) -> None:
    settings = [f'"{key}={value}"' for key, value in tiny.SETTINGS.items() if key.startswith("ebgan-ladder")]
    space = search_run.write_space(
        tmp_path,
        ('model = "ladder"', 'model = "ebgan-ladder"'),
        ('"ladder.decay_start_step=6",', f'"ladder.decay_start_step=6", {", ".join(settings)}'),
        ('"ladder.learning_rate"', '"ebgan-ladder.margin.values.0"'),
    )
    _, trials = search_run.run(search_run.request(tmp_path, space, n_trials=2))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2


# The folder.


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"n_validation": 200}, "n_validation is 100 there, 200 here"),
        ({"precision": "bfloat16"}, 'precision is "float32" there, "bfloat16" here'),
    ],
)
def test_another_search_in_the_folder_is_refused(tmp_path: Path, changed: dict[str, object], expected: str) -> None:
    wanted = search_run.request(tmp_path, search_run.write_space(tmp_path), n_trials=1)
    search_run.run(wanted)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=expected):
        search_run.run(replace(wanted, **changed))
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    search_run.run(replace(wanted, fresh=True, **changed))
    assert len(json.loads((tmp_path / "out/search.json").read_text())["starts"]) == 1


def test_a_fresh_start_that_is_cut_short_leaves_a_searchs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a file beside it would have it refused."""
    wanted = search_run.request(tmp_path, search_run.write_space(tmp_path), n_trials=1)
    search_run.run(wanted)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr("ladder_ebgan.search.search.write_atomically", full_disk)
        with pytest.raises(OSError, match="No space left"):
            search_run.run(replace(wanted, fresh=True))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock", "notes.txt", "search.json"}
    _, trials = search_run.run(replace(wanted, fresh=True))
    assert len(trials) == 1


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 1, "space": {}}'])
def test_a_damaged_record_is_refused(tmp_path: Path, content: str) -> None:
    wanted = search_run.request(tmp_path, search_run.write_space(tmp_path), n_trials=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/search.json").write_text(content)
    with pytest.raises(UsageError, match="is damaged"), open_search(wanted):
        pass
    assert (tmp_path / "out/search.json").read_text() == content


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    wanted = search_run.request(tmp_path, search_run.write_space(tmp_path), n_trials=1)
    search_run.run(wanted)
    path = tmp_path / "out/search.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(UsageError, match="has format 2, and this version reads format 1"):
        search_run.run(wanted)


def test_a_run_is_no_search(tmp_path: Path) -> None:
    wanted = search_run.request(tmp_path, search_run.write_space(tmp_path))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/run.json").write_text("{}")
    with pytest.raises(UsageError, match=r"is not empty and not a search's \(it has run.json\)"):
        search_run.run(wanted)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_no_setting_is_proposed_again_after_a_stop(tmp_path: Path, sampler: str) -> None:
    """What a search proposes is what it would have proposed without the stop, as far as the same is known."""
    changes = [('sampler = "tpe"', f'sampler = "{sampler}"')]
    space = search_run.write_space(tmp_path, *changes, more="n_startup_trials = 1" if sampler == "tpe" else "")
    proposed = {}
    for folder, starts in (("through", [4]), ("stopped", [1, 3, 4])):
        for n_trials in starts:
            wanted = search_run.request(
                tmp_path, space, n_trials=n_trials, output=tmp_path / folder, replicas_at_once=2
            )
            _, trials = search_run.run(wanted)
        proposed[folder] = [tuple(sorted(trial.params.items())) for trial in trials]
    assert len(set(proposed["stopped"])) == 4
    assert proposed["stopped"] == proposed["through"]


@pytest.mark.parametrize(
    ("n_cores", "given", "n_processes", "replicas_at_once"),
    [(1, None, 1, 4), (2, None, 2, 4), (8, None, 4, 2), (8, 12, 8, 12)],
)
def test_what_learns_from_trials_has_no_more_under_way_than_it_proposes_at_random(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_cores: int,
    given: int | None,
    n_processes: int,
    replicas_at_once: int,
) -> None:
    """Four at random, of two replicas each, of which a processor trains four at once and a process two settings."""
    monkeypatch.setattr(machine, "available_cores", lambda: n_cores)
    space = search_run.write_space(tmp_path, ("n_trials = 6", "n_trials = 30\nn_startup_trials = 4"))
    asked = search_run.request(tmp_path, space, replicas_at_once=given, n_processes=None if given is None else 8)
    resolved = search_task(asked).resolved
    assert (resolved.n_processes, resolved.replicas_at_once) == (n_processes, replicas_at_once)


def test_fewer_replicas_than_a_setting_has_are_refused(tmp_path: Path) -> None:
    asked = search_run.request(tmp_path, search_run.write_space(tmp_path), replicas_at_once=1)
    expected = (
        "--replicas-at-once 1: a setting is 2 replicas, one for each labelled subset; give 2 or more, or fewer"
    )
    with pytest.raises(UsageError, match=expected):
        search_task(asked)


@pytest.mark.parametrize(("n_trials", "n_processes", "n_threads"), [(1, 1, 8), (3, 3, 2), (6, 6, 1), (50, 8, 1)])
def test_no_more_processes_than_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_trials: int, n_processes: int, n_threads: int
) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: 8)
    space = search_run.write_space(tmp_path)
    resolved = search_task(search_run.request(tmp_path, space, n_trials=n_trials, n_processes=None)).resolved
    assert (resolved.n_processes, resolved.n_threads) == (n_processes, n_threads)


def test_what_a_kill_leaves_of_the_journal_is_dropped(tmp_path: Path) -> None:
    """A last line that was cut short, and the lock of whoever was writing it."""
    space = search_run.write_space(tmp_path)
    _, first = search_run.run(search_run.request(tmp_path, space, n_trials=1))
    journal = tmp_path / "out/study.journal"
    with journal.open("a") as file:
        file.write('{"op_code": 4, "wor')
    journal.with_name("study.journal.lock").symlink_to("out/study.journal")
    _, second = search_run.run(search_run.request(tmp_path, space, n_trials=2))
    assert values(second)[:1] == values(first)
    assert all(trial.state.is_finished() for trial in second)


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    wanted = search_run.request(tmp_path, search_run.write_space(tmp_path), n_trials=1)
    search_run.run(wanted)
    journal = tmp_path / "out/study.journal"
    for content in ("nonsense\n" + journal.read_text(), "nonsense"):
        journal.write_text(content)
        with pytest.raises(UsageError, match=r"study.journal is damaged .*; give --fresh to begin anew"):
            search_run.run(wanted)
        assert journal.read_text() == content


def test_a_report_said_before_a_kill_is_not_said_twice(tmp_path: Path) -> None:
    """The checkpoint is of step 3, the kill came after the report of step 4."""
    space = search_run.write_space(tmp_path, more="report_every_steps = 4")
    wanted = search_run.request(tmp_path, space, n_trials=2)
    _, trials = search_run.run(
        wanted, stop_after=lambda event: isinstance(event, BatchTrained) and event.said == Stepped(3)
    )
    with open_search(wanted) as search:
        search.study.report(4, {0: [50.0, 50.0], 1: [60.0, 60.0]})
    _, trials = search_run.run(wanted)
    assert [trial.intermediate_values[4] for trial in trials] == [50, 60]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
