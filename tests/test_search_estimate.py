"""How long a grid takes: the arithmetic of a step, what is left, the fit, and what is printed of it."""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import gan_search
import numpy as np
import pytest
import tiny
from torch.utils.flop_counter import FlopCounterMode

from ladder_ebgan import machine
from ladder_ebgan.data import load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.gan.training import GANStepper
from ladder_ebgan.machine import resolve
from ladder_ebgan.report.search_estimate import estimate_json, estimate_text
from ladder_ebgan.search import estimate as module
from ladder_ebgan.search.estimate import Estimate, Work, estimate
from ladder_ebgan.search.search import SearchRequest, known_settings, search_task
from ladder_ebgan.search.trainer import BatchBegun, Task

FIXED, PER_FLOP, PER_BYTE = 1e-3, 2e-9, 3e-10  # seconds


@pytest.fixture(autouse=True)
def fake_scores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with gan_search.patched(monkeypatch):
        monkeypatch.setattr(module.gan_scores, "Scores", gan_search.FakeScores)
        yield


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let steps and scoring take times that are known; returns how many settings were timed together."""
    timed = []

    def seconds(_: GANEngine, model: str, stack: Sequence[GANRecipe], __: int) -> float:
        timed.append(len(stack))
        works = [Work.of(recipe.settings(model), 64, 20) for recipe in stack]
        return sum(FIXED + PER_FLOP * work.flops + PER_BYTE * work.bytes for work in works)

    ticks = count(0, 5)
    monkeypatch.setattr(machine, "available_cores", lambda: 3)
    monkeypatch.setattr(module, "stack_seconds", seconds)
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(ticks)))
    return timed


def estimated(request: SearchRequest, at_once: int = 4) -> tuple[Estimate, Task]:
    task = search_task(request)
    return estimate(task, at_once, known_settings(request, task)), task


def test_the_work_of_a_step_is_worked_by_hand() -> None:
    """D 64-6-1 has 390 weights, G 3-4-64 has 268.

    D sees real and generated images, forward and backward but for the gradient of the images: 2 (3 * 390 - 384),
    then generated ones, forward and backward for the images alone: 2 * 390. G: 3 * 268 - 12. Two operations each,
    20 images: 2 * 20 * 3144. Adam moves 7 * 390 numbers, gradient descent 3 * 268, of 4 bytes.
    """
    recipe = tiny_recipe("gan", 'gan.discriminator.optimizer="adam"', 'gan.generator.optimizer="sgd"')
    assert Work.of(recipe.settings("gan"), 64, 20) == Work(125_760, 14_136)


def tiny_recipe(model: str, *changes: str) -> GANRecipe:
    from ladder_ebgan.any_recipe import load_any_recipe

    sizes = (f"{model}.generator.size=4", f"{model}.generator.n_layers=2", f"{model}.generator.latent_size=3")
    others = (f"{model}.discriminator.size=6", f"{model}.discriminator.n_layers=2", f"{model}.padding=0")
    recipe = load_any_recipe(f"figure4-{model}", [*sizes, *others, "training.batch_size=20", *changes])
    assert isinstance(recipe, GANRecipe)
    return recipe


@pytest.mark.parametrize("model", ["gan", "ebgan"])
@pytest.mark.parametrize("layers", [2, 4])
@pytest.mark.usefixtures("products_by_mkl")
def test_the_operations_are_those_that_pytorch_counts(model: str, layers: int) -> None:
    """It counts those of `mm` and `bmm`, not those of oneDNN's operator."""
    deeper = [f"{model}.{side}.n_layers={layers}" for side in ("generator", "discriminator")]
    recipe = tiny_recipe(model, *deeper)
    engine = GANEngine.prepare(recipe, load_dataset("digits"), resolve("cpu", "float32", 1, False, 6, 1))
    state = engine.initial_state(model, [0, 1])
    stepper = GANStepper(state, engine.batches(model, state, [0, 1]), recipe.settings(model), engine.functions)
    stepper.seek(0)
    with FlopCounterMode(display=False) as counter:
        stepper.step()
    assert counter.get_total_flops() == 2 * Work.of(recipe.settings(model), 64, 20).flops


def test_a_grid_takes_the_sum_of_its_steps(tmp_path: Path, linear: list[int]) -> None:
    """Times that are linear in the work are found again: the fit is exact, whatever is timed."""
    request = gan_search.request(tmp_path, gan_search.write_space(tmp_path))
    found, _ = estimated(request)
    settings = [request.space.recipe_of(each).settings("gan") for each in request.space.grid()]
    works = [Work.of(each, 64, 20) for each in settings]
    each = [FIXED + PER_FLOP * work.flops + PER_BYTE * work.bytes for work in works]
    assert found.training_seconds == pytest.approx(6 * sum(each), rel=1e-6)
    assert found.flops == pytest.approx(6 * sum(work.flops for work in works))
    assert found.predicted == pytest.approx([timed.seconds for timed in found.timed], rel=1e-6)
    assert (found.n_wanted, found.n_known, found.n_batches, found.n_steps) == (16, 0, 4, 6)
    assert found.scoring_seconds == 16 * 5
    assert found.seconds == pytest.approx(found.training_seconds + 80)
    assert linear == [4] * len(found.timed)


def test_time_is_divided_among_processes(tmp_path: Path, linear: list[int]) -> None:
    """Of four batches one process trains all, each of two has two, and of three one has."""
    space = gan_search.write_space(tmp_path)
    for n_processes, share in ((1, 1), (2, 1 / 2), (3, 1 / 2)):
        found, _ = estimated(gan_search.request(tmp_path, space, n_processes=n_processes))
        assert found.n_batches == 4
        assert found.seconds == pytest.approx(share * (found.training_seconds + found.scoring_seconds))


@pytest.mark.parametrize("at_once", [1, 3, 4, 8])
@pytest.mark.parametrize("together", [True, False])
def test_batches_are_those_of_the_search(tmp_path: Path, linear: list[int], at_once: int, together: bool) -> None:
    space = gan_search.write_space(tmp_path)
    if not together:
        text = space.read_text()
        space.write_text(text[: text.index("together")] + text[text.index("set =") :])
    request = gan_search.request(tmp_path, space, replicas_at_once=at_once, n_trials=12)
    found, _ = estimated(request, at_once)
    events, _ = gan_search.run(request)
    assert found.n_batches == sum(isinstance(event, BatchBegun) for event in events)
    assert set(linear) == ({min(at_once, 4)} if together else {1})


def test_what_is_known_is_left_out(tmp_path: Path, linear: list[int]) -> None:
    space = gan_search.write_space(tmp_path)
    gan_search.run(gan_search.request(tmp_path, space, n_trials=4))
    found, _ = estimated(gan_search.request(tmp_path, space, n_trials=10))
    assert (found.n_wanted, found.n_known, found.n_batches) == (10, 4, 2)
    found, _ = estimated(gan_search.request(tmp_path, space, "generator.size=4"))
    assert found.n_wanted == 8
    assert found.n_known in {0, 4}


def test_another_search_is_refused_and_thrown_away_if_asked_for(tmp_path: Path, linear: list[int]) -> None:
    space = gan_search.write_space(tmp_path)
    gan_search.run(gan_search.request(tmp_path, space, n_trials=4))
    before = tiny.content(tmp_path / "out")
    other = gan_search.write_space(tmp_path, ("n_steps=6", "n_steps=7"))
    with pytest.raises(UsageError, match=r"holds another search \(space.base.gan.n_steps is 6 there, 7 here\)"):
        estimated(gan_search.request(tmp_path, other))
    found, _ = estimated(gan_search.request(tmp_path, other, fresh=True))
    assert (found.n_known, found.n_steps) == (0, 7)
    assert tiny.content(tmp_path / "out") == before


def test_nothing_is_left_of_what_is_done(tmp_path: Path, linear: list[int]) -> None:
    request = gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=4)
    gan_search.run(request)
    found, task = estimated(request)
    assert (found.n_known, found.n_batches, found.seconds, found.flops, found.timed) == (4, 0, 0, 0, [])
    lines = estimate_text(found, task).splitlines()
    assert lines[2:] == [f"folder    {tmp_path / 'out'}", "settings  4, 4 of them known; 0 to train in 0 batches"]


def test_the_estimate_is_of_this_machine(tmp_path: Path) -> None:
    """Timed in earnest, without anything left behind."""
    request = gan_search.request(tmp_path, gan_search.write_space(tmp_path))
    found, _ = estimated(request)
    assert not (tmp_path / "out").exists()
    assert 1 <= len(found.timed) <= module.N_TIMED
    assert all(timed.seconds > 0 for timed in found.timed)
    assert found.training_seconds > 0
    assert found.scoring_seconds >= 0


def test_the_fit_has_no_negative_term() -> None:
    """The more work the faster: the constant alone is left, by least squares of relative errors.

    With times 2 and 1 the sum of (c / 2 - 1)^2 and (c - 1)^2 is least at c = (1 / 2 + 1) / (1 / 4 + 1) = 1.2.
    """
    timed = [module.Timed("", Work(1.0, 1.0), 2.0), module.Timed("", Work(100.0, 100.0), 1.0)]
    np.testing.assert_allclose(module._fitted(timed), [1.2, 0, 0], atol=1e-12)


# What is printed.


def test_the_text_and_the_json_say_the_same(tmp_path: Path, linear: list[int]) -> None:
    """Two processes have one batch: one of them does it all."""
    space = gan_search.write_space(tmp_path, ("[3, 2]", "[3]"), ("[4, 5]", "[5]"))
    found, task = estimated(gan_search.request(tmp_path, space, n_processes=2))
    content = json.loads(estimate_json(found, task))
    assert content["folder"] == str(tmp_path / "out")
    assert [content[f"n_{name}"] for name in ("wanted", "known", "left", "batches", "steps")] == [4, 0, 4, 1, 6]
    assert content["seconds"] == round(found.seconds, 1)
    assert content["timed"] == [
        {
            **{"name": "G 3 layers of 5, D 2 of 6", "flops": found.timed[0].work.flops},
            **{"seconds": found.timed[0].seconds, "predicted": found.predicted[0]},
        }
    ]
    lines = estimate_text(found, task).splitlines()
    assert lines[0] == "Dry run: nothing is written, nothing is trained."
    assert lines[3] == "settings  4; 4 to train in 1 batches"
    assert lines[4].startswith("steps     6 each; ")
    assert lines[5].endswith(", 2 processes")
    assert lines[6] == "time      about 20 s: 0 s of training and 20 s of scoring, if one process did it all"
    assert lines[-1].split()[:8] == ["G", "3", "layers", "of", "5,", "D", "2", "of"]
    one, task = estimated(gan_search.request(tmp_path, space))
    assert ", one process\n" in estimate_text(one, task)


def test_a_dry_run_writes_nothing(tmp_path: Path, linear: list[int]) -> None:
    space = str(gan_search.write_space(tmp_path))
    command = ("search", "--space", space, "--data", "digits", "--output", str(tmp_path / "out"), "--dry-run")
    outcome = tiny.done(*command, "--only", "generator.size=4", "--processes", "1", "--no-compile")
    assert "settings  8; 8 to train in 2 batches" in outcome.stdout
    assert json.loads(tiny.done(*command, "--no-compile", "--json").stdout)["n_left"] == 16
    assert [path.name for path in tmp_path.iterdir()] == ["tiny-gan.toml"]


def test_other_searches_have_no_dry_run(tmp_path: Path) -> None:
    said = "--dry-run: only the time of a grid of GANs is known beforehand; leave it out"
    assert tiny.refused("search", "--space", "fast-ladder", "--dry-run") == said
    space = gan_search.write_random_space(tmp_path, 1)
    assert tiny.refused("search", "--space", str(space), "--data", "digits", "--dry-run") == said
