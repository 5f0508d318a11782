import csv
import json
from pathlib import Path

import pytest
import tiny
import torch

from ladder_ebgan.commands.run import request_of
from ladder_ebgan.experiment import Experiment, Request, open_experiment
from ladder_ebgan.group import Stepped
from ladder_ebgan.planning import plan_groups
from ladder_ebgan.recipe import load_recipe
from ladder_ebgan.results import CurvePoint, Result
from ladder_ebgan.runs import Group, Replica, RunFolder, open_run_folder, read_rows
from ladder_ebgan.timing import Phase

SEEDS = [Replica(20, seed) for seed in range(5)]


def folder_with(tmp_path: Path, groups: list[Group], finished: list[Group]) -> RunFolder:
    folder = RunFolder(tmp_path, {"groups": []})
    folder.add_groups(groups)
    folder.add_results(
        Result(g.model, r.labels, r.seed, "ok", 1.0, None, 1, 0.1, "cpu", "float32", "0", "0")
        for g in finished
        for r in g.replicas
    )
    return folder


def group(model: str, *seeds: int) -> Group:
    return Group(model, tuple(SEEDS[seed] for seed in seeds))


def test_replicas_are_grouped_by_model(tmp_path: Path) -> None:
    planned = plan_groups(folder_with(tmp_path, [], []), ["ladder", "ebgan-ladder"], SEEDS, 2)
    assert planned == [
        group(model, *part) for model in ("ladder", "ebgan-ladder") for part in ((0, 1), (2, 3), (4,))
    ]


def test_budgets_share_a_group(tmp_path: Path) -> None:
    replicas = [Replica(20, 0), Replica(50, 0)]
    assert plan_groups(folder_with(tmp_path, [], []), ["ladder"], replicas, 9) == [Group("ladder", tuple(replicas))]


def test_finished_groups_are_left_out_and_begun_ones_stay_as_they_are(tmp_path: Path) -> None:
    begun = [group("ladder", 0, 1), group("ladder", 2, 3)]
    folder = folder_with(tmp_path, begun, begun[:1])
    assert plan_groups(folder, ["ladder"], SEEDS, 64) == [begun[1], group("ladder", 4)]
    assert plan_groups(folder, ["ladder"], [SEEDS[3], SEEDS[4]], 64) == [begun[1], group("ladder", 4)]
    assert plan_groups(folder, ["ladder"], SEEDS[:2], 64) == []
    assert plan_groups(folder, ["ebgan-ladder"], SEEDS[:2], 64) == [group("ebgan-ladder", 0, 1)]


def request(output: Path, *more: str, **changed: str) -> Request:
    return request_of(**tiny.parameters_of_run(*tiny.arguments(output, *more, **changed)[1:]))


def test_an_estimate_counts_the_steps_that_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one second each alone and ten with a generator: 20 + 13 * 10 + 11; 5 and 3 steps less with checkpoints."""
    from ladder_ebgan import experiment, trainer

    asked: list[tuple[int, Phase]] = []

    def seconds(_engine: object, n_replicas: int, phase: Phase) -> float:
        asked.append((n_replicas, phase))
        return 10.0 if phase.adversarial else 1.0

    monkeypatch.setattr(trainer, "step_seconds", seconds)
    with open_experiment(request(tmp_path / "run")) as opened:
        assert opened.estimated_seconds() == 20 + 130 + 11
        assert asked == [(2, Phase("ladder", False)), (2, Phase("ebgan-ladder", True))]  # each kind once
        done = {"ladder-20-0": 5, "ebgan-ladder-20-0": 16}
        monkeypatch.setattr(experiment, "checkpoint_step", lambda path: done[path.stem])
        assert opened.estimated_seconds() == 15 + 8


def test_what_a_start_chose_that_never_began_is_not_kept(tmp_path: Path) -> None:
    """A folder cleared by --fresh, whose start was ended while it measured."""
    path = tmp_path / "run"
    with open_experiment(request(path)) as opened:
        description = {key: value for key, value in opened.folder.record.items() if key not in {"groups", "starts"}}
    with open_run_folder(path, description, fresh=True):
        pass
    with open_experiment(request(path, "--replicas-at-once", "1")) as opened:
        assert opened.resolved.replicas_at_once == 1
        assert [len(group.replicas) for group in opened.groups] == [1, 1, 1, 1]


def test_an_estimate_is_a_time(tmp_path: Path) -> None:
    with open_experiment(request(tmp_path / "run")) as opened:
        assert 0 < opened.estimated_seconds() < 60
        assert list(tiny.content(tmp_path / "run")) == [".lock", "run.json"]


def test_the_default_folder_names_data_and_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("table2")
    asked = Request("somewhere/mine.toml", recipe, "digits", ("ladder",), (20,), (0,), compiled=False)
    with open_experiment(asked) as opened:
        assert isinstance(opened, Experiment)
        assert opened.folder.path == Path("runs/digits-mine")


def rows(folder: Path) -> list[list[str]]:
    return list(csv.reader((folder / "results.csv").read_text().splitlines()))


def test_the_same_command_again_trains_nothing(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    before = tiny.content(folder)
    outcome = tiny.done(*tiny.arguments(folder))
    assert outcome.stderr.splitlines() == [
        "Everything asked for is already trained.",
        f"The run's folder is {folder}",
    ]
    assert tiny.content(folder) == before
    assert tiny.done(*tiny.arguments(folder, "--quiet")).stdout == outcome.stdout
    assert tiny.done("table", str(folder)).stdout == outcome.stdout


def test_more_seeds_and_budgets_are_added(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    before = tiny.content(folder)
    more = ("--model", "ladder", "--labels", "20,30", "--seeds", "3")
    outcome = tiny.done(*tiny.arguments(folder, *more))
    assert "Training 4 replicas on " in outcome.stderr  # 20 labels: seed 2; 30 labels: seeds 0, 1, 2
    assert "ladder, 20, 30 labels, seeds 0-2: 20 steps\n" in outcome.stderr
    after = tiny.content(folder)
    for name in before:
        if name.startswith(("models/", "predictions/")):
            assert after[name] == before[name]
    assert after["results.csv"].startswith(before["results.csv"])
    assert after["history.csv"].startswith(before["history.csv"])
    new = [tuple(row[:3]) for row in rows(folder)[5:]]
    assert new == [("ladder", "20", "2"), ("ladder", "30", "0"), ("ladder", "30", "1"), ("ladder", "30", "2")]
    table = json.loads(after["table.json"])
    assert [(row["model"], row["labels"], row["n_seeds"]) for row in table["rows"]] == [
        ("ladder", 20, 3),
        ("ladder", 30, 3),
        ("ebgan-ladder", 20, 2),
    ]
    assert len(json.loads(after["run.json"])["starts"]) == 2


def test_one_seed_alone_and_among_others_begins_the_same(tmp_path: Path) -> None:
    """Later steps drift apart: rounding differs between groupings, and training amplifies it."""
    changed = {"training__curve_every_steps": "1", "ladder__n_steps": "11"}
    curves = []
    for seeds in (("--seed-list", "1"), ("--seeds", "2")):
        folder = tmp_path / seeds[0]
        tiny.done(*tiny.arguments(folder, "--quiet", "--model", "ladder", *seeds, **changed))
        points = read_rows(folder / "history.csv", CurvePoint)
        curves.append([point for point in points if point.seed == 1 and point.step <= 4])
    for alone, among in zip(*curves, strict=True):
        assert alone.step == among.step
        assert alone.classification_cost == pytest.approx(among.classification_cost, rel=1e-4)
        assert alone.denoising_cost == pytest.approx(among.denoising_cost, rel=1e-4)
        assert alone.unlabeled_error_percent == pytest.approx(among.unlabeled_error_percent, abs=0.1)


@pytest.mark.parametrize("at_once", ["1", "2"])
def test_a_replica_that_diverges_is_told_and_left_out(tmp_path: Path, at_once: str) -> None:
    folder = tmp_path / "run"
    command = tiny.arguments(
        folder, "--model", "ladder", "--replicas-at-once", at_once, ladder__learning_rate="1e30"
    )
    outcome = tiny.invoke(*command)
    assert outcome.code == 1
    assert "ladder, 20 labels, seed 0: diverged at step " in outcome.stderr
    assert outcome.stderr.splitlines()[-1] == (
        "2 of 2 replicas diverged and are left out of the table; "
        "try a lower learning_rate with --set, in a folder of its own."
    )
    assert "2 of 2 seeds of ladder diverged" in outcome.stdout
    assert not list(folder.glob("models/*"))
    assert not list(folder.glob("predictions/*"))
    assert b"nan" not in (folder / "results.csv").read_bytes().lower()
    assert b"nan" not in (folder / "history.csv").read_bytes().lower()
    table = json.loads((folder / "table.json").read_text())
    assert (table["rows"][0]["n_seeds"], table["rows"][0]["n_diverged"]) == (0, 2)
    again = tiny.invoke(*command)  # not trained anew, and still said
    assert again.code == 1
    assert again.stdout == outcome.stdout


def test_one_replica_diverges_and_the_others_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ladder_ebgan import costs as module

    real = module.ladder_costs

    def poisoned(ladder: object, images: object, labels: object, noise: object, weight: float) -> object:
        costs = real(ladder, images, labels, noise, weight)  # type: ignore[arg-type]
        bad = costs.total.new_tensor([float("nan"), 1.0])
        return costs._replace(total=costs.total * bad)

    monkeypatch.setattr(module, "ladder_costs", poisoned)
    outcome = tiny.invoke(*tiny.arguments(tmp_path / "run", "--model", "ladder", "--quiet"))
    assert outcome.code == 1
    assert "1 of 2 replicas diverged" in outcome.stderr
    assert "1 of 2 seeds of ladder diverged and is left out (seed 0 at step 1)" in outcome.stdout
    assert [path.name for path in (tmp_path / "run" / "models").iterdir()] == ["ladder-20-1.safetensors"]


def test_weights_that_the_last_step_broke_are_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All costs were finite, but the evaluation after the last step is not."""
    of_test = iter([float("nan"), 50.0])

    def error_percent(probabilities: torch.Tensor, *_: object) -> torch.Tensor:
        of_curve = len(probabilities) == 2  # both seeds, where the test is of one after the other
        return torch.tensor([50.0, 50.0] if of_curve else [next(of_test)])

    monkeypatch.setattr("ladder_ebgan.ladder_task.error_percent", error_percent)
    outcome = tiny.invoke(*tiny.arguments(tmp_path / "run", "--model", "ladder", "--quiet"))
    assert outcome.code == 1
    assert "is left out (seed 0 at step 20)" in outcome.stdout


@pytest.mark.parametrize(
    ("more", "changed", "named"),
    [
        ((), {"ladder__n_steps": "21"}, "recipe.ladder.n_steps is 20 there, 21 here"),
        (("--precision", "bfloat16"), {}, 'precision is "float32" there, "bfloat16" here'),
    ],
)
def test_another_run_in_the_folder_is_refused(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    more: tuple[str, ...],
    changed: dict[str, str],
    named: str,
) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    before = tiny.content(folder)
    assert f"holds another run ({named})" in tiny.refused(*tiny.arguments(folder, *more, **changed))
    assert tiny.content(folder) == before


def test_a_fresh_start_leaves_nothing_of_the_old_run(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    more = ("--model", "ladder", "--seed-list", "4", "--fresh", "--quiet")
    tiny.done(*tiny.arguments(folder, *more, ladder__n_steps="11"))
    assert [row[:3] for row in rows(folder)[1:]] == [["ladder", "20", "4"]]
    assert [path.name for path in (folder / "models").iterdir()] == ["ladder-20-4.safetensors"]
    assert not (folder / "figures" / "generated_images_20.png").exists()
    assert len(json.loads((folder / "run.json").read_text())["starts"]) == 1


def test_grouping_and_threads_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = tiny.arguments(folder, "--quiet", "--model", "ladder", "--replicas-at-once", "1")
    tiny.done(*first)
    tiny.done(*tiny.arguments(folder, "--quiet", "--model", "ladder", "--seeds", "4"))
    record = json.loads((folder / "run.json").read_text())
    assert record["resolved"] == {"replicas_at_once": 1, "compiled": False, "n_threads": 1, "n_processes": 1}
    assert [len(group["replicas"]) for group in record["groups"]] == [1, 1, 1, 1]


def test_other_statistics_at_evaluation(tmp_path: Path) -> None:
    tiny.done(
        *tiny.arguments(
            tmp_path / "run", "--quiet", "--model", "ladder", network__evaluation_statistics="unlabeled"
        )
    )
    assert (tmp_path / "run" / "results.csv").exists()


def test_a_reason_to_stop_is_looked_at_between_groups(tmp_path: Path) -> None:
    """It comes with the last step of the first group, which is finished; the second one is left for later."""
    steps: list[int] = []
    events = []
    with open_experiment(request(tmp_path / "run")) as opened:
        for event in opened.run(lambda: "SIGTERM" if steps and steps[-1] == 20 else None):
            events.append(type(event).__name__)
            if isinstance(event, Stepped):
                steps.append(event.progress.step)
        assert {row.model for row in opened.folder.results()} == {"ladder"}
    assert events[-2:] == ["GroupFinished", "Stopped"]
    assert steps == list(range(1, 21))
