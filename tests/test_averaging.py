"""The average by its formula, its part in checkpoints, models and results, and that training does not notice it."""

import csv
import io
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import reference
import tiny
import torch
from conftest import SmallData
from group_run import CPU, EAGER_AND_KERNELS, Run, reported
from safetensors.numpy import load_file
from torch.testing import assert_close

from ladder_ebgan.averaging import Average
from ladder_ebgan.checkpoints import checkpoint_bytes, restore, state_tensors
from ladder_ebgan.data import load_dataset
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.model_files import choose, find_models
from ladder_ebgan.models import load
from ladder_ebgan.prediction import predict
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.search.stacking import stackable

MakeRecipe = Callable[..., Recipe]

AVERAGED = "training.averaging_decay=0.8"
IDENTITY = {"model": "ebgan-ladder"}


def ladders(replicas: int = 2) -> Ladder:
    return Ladder(range(replicas), [4, 3, 2], [5.0, 1.0, 0.0], 0.3, 0.3)


def fill(ladder: Ladder, *values: float) -> None:
    """Give all weights of each replica one value."""
    with torch.no_grad():
        for parameter in ladder.parameters():
            for r, value in enumerate(values):
                parameter[r] = value


def values(average: Average) -> list[float]:
    """The value that all averages of each replica have."""
    found = {tuple(p.flatten(1).unique(dim=1).flatten().tolist()) for p in average.ladder.parameters()}
    assert len(found) == 1
    return list(found.pop())


def test_settings_with_averages_train_together(small: MakeRecipe) -> None:
    kinds = {decay: stackable(small(f"training.averaging_decay={decay}"), "ladder") for decay in (0, 0.9, 0.99)}
    assert kinds[0.9] == kinds[0.99] != kinds[0]


def test_an_average_by_hand() -> None:
    """Weights 1, 3, 5 with decay 1/2: 1; (3 + 1/2) / (3/2) = 7/3; (5 + 3/2 + 1/4) / (7/4) = 27/7.

    With decay 0 beside it: the last ones, exactly. The initial weights, 100, have no part in it.
    """
    ladder = ladders()
    fill(ladder, 100.0, 100.0)
    average = Average(ladder, [0.5, 0.0])
    assert values(average) == [100.0, 100.0]
    for step, (weight, expected) in enumerate([(1.0, 1.0), (3.0, 7 / 3), (5.0, 27 / 7)], start=1):
        fill(ladder, weight, -weight)
        average.update(ladder, torch.tensor(step))
        assert values(average) == pytest.approx([expected, -weight], rel=1e-6)
        assert values(average)[1] == -weight


@pytest.mark.parametrize("decay", [0.5, 0.99, 0.9999, 1 - 1e-9])
def test_an_average_of_many_weights(decay: float) -> None:
    """As one sum over all steps; near decay 1 it is the plain mean."""
    ladder, random = ladders(1), np.random.default_rng(0)
    average, weights = Average(ladder, [decay]), random.standard_normal(300)
    for step, weight in enumerate(weights, start=1):
        fill(ladder, float(weight))
        average.update(ladder, torch.tensor(step))
    shares = decay ** np.arange(len(weights))[::-1]
    assert values(average) == pytest.approx([np.average(weights, weights=shares)], abs=1e-5)


def test_it_is_one_of_each_replica_and_leaves_the_weights_alone() -> None:
    """A replica that is no longer finite breaks its own average only."""
    ladder = ladders(3)
    average, together = Average(ladder, [0.9]), Average(ladder, [0.9, 0.9, 0.9])
    for step in (1, 2, 3):
        fill(ladder, float(step), torch.nan if step == 2 else 0.0, 10.0 * step)
        before = [parameter.clone() for parameter in ladder.parameters()]
        for each in (average, together):
            each.update(ladder, torch.tensor(step))
        assert_close(list(ladder.parameters()), before, rtol=0, atol=0, equal_nan=True)
    expected = (3 + 0.9 * 2 + 0.81) / (1 + 0.9 + 0.81)
    for each in (average, together):
        for parameter in each.ladder.parameters():
            assert_close(parameter[0], torch.full_like(parameter[0], expected))
            assert parameter[1].isnan().all()
            assert_close(parameter[2], torch.full_like(parameter[2], 10 * expected))
            assert not parameter.requires_grad


def test_an_update_asks_the_device_for_nothing_and_works_in_place() -> None:
    """As a captured step must: tensors of the meta device have no values, and the step's number is read anew."""
    average = Average(ladders().to("meta"), [0.9])
    average.update(ladders().to("meta"), torch.ones((), dtype=torch.int64, device="meta"))

    ladder, step = ladders(1), torch.zeros((), dtype=torch.int64)
    average = Average(ladder, [0.5])
    places = [parameter.data_ptr() for parameter in average.ladder.parameters()]
    for weight in (1.0, 3.0):
        fill(ladder, weight)
        step += 1
        average.update(ladder, step)
    assert [parameter.data_ptr() for parameter in average.ladder.parameters()] == places
    assert values(average) == pytest.approx([7 / 3])


@EAGER_AND_KERNELS
@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_training_is_the_same_with_and_without(
    model: str, compiled: bool, small: MakeRecipe, data: SmallData
) -> None:
    """To the bit: costs, and all that a checkpoint holds but the averages; without them it has nothing new."""
    without, averaged = (
        Run(small(*keys), model, [0, 1], data, compiled=compiled).train() for keys in ((), (AVERAGED,))
    )
    reference.assert_equal(reported(without), reported(averaged))
    plain, all_tensors = state_tensors(without.state), state_tensors(averaged.state)
    added = all_tensors.keys() - plain.keys()
    assert without.state.average is None
    assert without.state.evaluated is without.state.ladder
    parts = {"diverged_step", "ladder", "ladder_adam", "generator", "generator_adam"}
    assert {name.partition(".")[0] for name in plain} <= parts
    assert added == {f"average.{name}" for name, _ in averaged.state.ladder.named_parameters()}
    assert_close({name: all_tensors[name] for name in plain}, plain, rtol=0, atol=0)


def test_the_average_is_of_the_weights_after_each_step(small: MakeRecipe, data: SmallData) -> None:
    run, after = Run(small(AVERAGED), "ebgan-ladder", [0, 1], data), []
    for step in range(1, 13):
        run.train(until=step)
        after.append([parameter.detach().clone().double() for parameter in run.state.ladder.parameters()])
    shares = [0.8 ** (12 - step) for step in range(1, 13)]
    for i, average in enumerate(run.state.evaluated.parameters()):
        expected = sum(share * weights[i] for share, weights in zip(shares, after, strict=True)) / sum(shares)
        assert_close(average.double(), expected, rtol=1e-5, atol=1e-6)


@EAGER_AND_KERNELS
@pytest.mark.parametrize("stop", [1, 6, 9])
def test_going_on_from_a_checkpoint_gives_the_bits_of_never_stopping(
    stop: int, compiled: bool, small: MakeRecipe, data: SmallData, tmp_path: Path
) -> None:
    through, stopped, resumed = (
        Run(small(AVERAGED), "ebgan-ladder", [0, 1], data, compiled=compiled) for _ in range(3)
    )
    (tmp_path / "x").write_bytes(checkpoint_bytes(stopped.train(until=stop).state, IDENTITY))
    restore(resumed.state, tmp_path / "x", IDENTITY)
    assert checkpoint_bytes(resumed.train().state, IDENTITY) == checkpoint_bytes(through.train().state, IDENTITY)


def test_replicas_may_have_decays_of_their_own(small: MakeRecipe, data: SmallData) -> None:
    """Each has the average that it has where all have its decay; at 0 that is the last weights."""
    runs = []
    for keys in ((AVERAGED,), ()):  # of the second replica
        runs.append(Run([small(AVERAGED), small(*keys)], "ladder", [0, 1], data).train())
    alike, apart = runs
    for own, last, same in zip(
        apart.state.evaluated.parameters(),
        apart.state.ladder.parameters(),
        alike.state.evaluated.parameters(),
        strict=True,
    ):
        assert torch.equal(own[0], same[0])
        assert torch.equal(own[1], last[1])
        assert not torch.equal(same[1], last[1])


@pytest.fixture(scope="module")
def averaged_run(server: tiny.Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of both models, by as many threads as the killed one's."""
    folder = tmp_path_factory.mktemp("averaged") / "run"
    assert server.run(*tiny.arguments(folder, "--quiet", training__averaging_decay="0.8")).code == 0
    return folder


def test_a_run_evaluates_and_keeps_the_averages(
    averaged_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Beside the run without: the same costs on the way, other errors, probabilities and ladders; one generator."""
    without = tiny.finished_run(tmp_path_factory)
    curves = {
        folder: {
            (row["model"], row["step"]): row
            for row in csv.DictReader(io.StringIO((folder / "history.csv").read_text()))
            if row["seed"] == "0"
        }
        for folder in (averaged_run, without)
    }
    costs, errors = ("classification_cost", "denoising_cost", "energy_generated"), "unlabeled_error_percent"
    assert len(curves[averaged_run]) > 3
    pairs = [(row, curves[without][key]) for key, row in curves[averaged_run].items()]
    for name in costs:
        assert [row[name] for row, _ in pairs] == [other[name] for _, other in pairs]
    assert any(row[errors] != other[errors] for row, other in pairs)

    name = "ebgan-ladder-20-0"
    models = [load_file(folder / "models" / f"{name}.safetensors") for folder in (averaged_run, without)]
    assert models[0].keys() == models[1].keys()
    differ = {
        key.partition(".")[0] for key in models[0] if not np.allclose(models[0][key], models[1][key], atol=1e-4)
    }
    assert differ == {"ladder", "statistics"}


def test_a_model_of_averages_predicts_what_the_run_did(averaged_run: Path, tmp_path: Path) -> None:
    """The file has the averages as its ladder, so that it is used as any other; its recipe says what they are."""
    (file,) = choose(find_models(averaged_run), averaged_run, model="ladder", seeds=[0])
    assert file.recipe.training.averaging_decay == 0.8
    dataset = load_dataset("digits")
    predicted = predict(load([file], CPU), dataset.test_images).probabilities
    with np.load(averaged_run / "predictions" / "ladder-20-0.npz") as arrays:
        np.testing.assert_allclose(predicted, arrays["probabilities"], atol=1e-5)


def test_a_killed_run_ends_with_the_bits_of_an_undisturbed_one(
    server: tiny.Server, averaged_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = tiny.arguments(folder, "--quiet", training__averaging_decay="0.8")
    for step in (3, 9):  # of the ladder
        killed = server.run(*command, checkpoint_each_step=True, signal_at_step=[step, [signal.SIGKILL]])
        assert killed.code == -signal.SIGKILL
    assert server.run(*command).code == 0
    for name in ("ladder-20-0", "ebgan-ladder-20-0"):
        model = Path("models") / f"{name}.safetensors"
        assert (folder / model).read_bytes() == (averaged_run / model).read_bytes()
    assert (folder / "history.csv").read_text() == (averaged_run / "history.csv").read_text()


def test_a_folder_of_averages_is_another_one(averaged_run: Path) -> None:
    message = tiny.refused(*tiny.arguments(averaged_run))
    assert "recipe.training.averaging_decay is 0.8 there, not set here" in message
