from pathlib import Path

import numpy as np
import pytest
import tiny
from safetensors import safe_open

from ladder_ebgan.data import RawArrays, load_dataset, make_dataset
from ladder_ebgan.disk import ReplicaBytes, replica_bytes
from ladder_ebgan.floor import step_work
from ladder_ebgan.recipe import load_recipe

SIZES = (
    "network.hidden_sizes=[3]",
    "network.softmax_gamma=false",
    "ladder.n_steps=7",
    "ladder.decay_start_step=1",
    "training.curve_every_steps=3",
)
SMALL = load_recipe("supervised", [*SIZES, "ladder.denoising_weights=[5, 0, 0]"])
SUPERVISED = load_recipe("supervised", [*SIZES, "ladder.denoising_weights=[0, 0, 0]"])
TINY = load_recipe("table2", tiny.settings()[1::2])
AVERAGED = "training.averaging_decay=0.9"


def test_bytes_worked_by_hand() -> None:
    """Four pixels, three hidden units, two classes.

    Parameters: 4 x 3 + 3 x 2 weights and 5 shifts; with the decoder as many weights and 10 x 9 numbers more: 131.
    Statistics: two for each of 3 + 2 units, and of the decoder's 4 + 3 + 2. Points of the curve: at 3, 6 and 7.
    """
    labels = np.arange(6) % 2
    dataset = make_dataset("small", "", RawArrays(np.eye(6)[:, :4], labels, np.eye(6)[:, :4], labels), "small")
    predictions = 4 * 6 * 2 + 8 * 3
    assert replica_bytes(SMALL, "ladder", 3, dataset) == ReplicaBytes(4 * (131 + 28), predictions, 300, 12 * 131)
    assert replica_bytes(SUPERVISED, "ladder", 3, dataset) == ReplicaBytes(4 * (23 + 10), predictions, 300, 12 * 23)
    assert ReplicaBytes(1, 20, 300, 4000).finished == 321


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_averages_are_kept_in_checkpoints_and_take_the_place_of_the_weights_in_models(model: str) -> None:
    """One number more for each parameter of the ladder in a checkpoint, none for the generator's."""
    dataset, averaged = load_dataset("digits"), load_recipe("table2", [*tiny.settings()[1::2], AVERAGED])
    (before, after) = (replica_bytes(recipe, model, 20, dataset) for recipe in (TINY, averaged))
    n_parameters = step_work(TINY, "ladder", False, dataset.n_features, dataset.n_classes).n_parameters
    assert after.checkpoint == before.checkpoint + 4 * n_parameters
    assert after.finished == before.finished


def tensor_bytes(path: Path, left_out: str) -> int:
    with safe_open(path, framework="np") as file:
        return sum(file.get_tensor(name).nbytes for name in file.keys() if not name.endswith(left_out))  # noqa: SIM118


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_models_and_predictions_take_what_was_said(tmp_path_factory: pytest.TempPathFactory, model: str) -> None:
    folder = tiny.finished_run(tmp_path_factory)
    said = replica_bytes(TINY, model, 20, load_dataset("digits"))
    assert tensor_bytes(folder / "models" / f"{model}-20-0.safetensors", "nothing") == said.model
    written = (folder / "predictions" / f"{model}-20-0.npz").stat().st_size
    assert said.predictions / 2 < written <= said.predictions


@pytest.mark.parametrize("changed", [(), (AVERAGED, "network.combinator=amlp")])
def test_a_checkpoint_takes_what_was_said(tmp_path: Path, changed: tuple[str, ...]) -> None:
    command = tiny.arguments(tmp_path / "run", "--quiet", "--model", "ebgan-ladder", "--time-limit", "1e-9")
    command += [part for override in changed for part in ("--set", override)]
    assert tiny.invoke(*command).code == 75
    (path,) = (tmp_path / "run" / "checkpoints").iterdir()
    recipe = load_recipe("table2", [*tiny.settings()[1::2], *changed])
    said = replica_bytes(recipe, "ebgan-ladder", 20, load_dataset("digits"))
    assert tensor_bytes(path, "step") == 2 * said.checkpoint  # two replicas
