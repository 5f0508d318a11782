"""The benchmark of gradients: what it says of each term, and that it changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from ladder_ebgan_benchmarks import gradients

from ladder_ebgan.data import load_dataset
from ladder_ebgan.engine import Engine
from ladder_ebgan.machine import resolve
from ladder_ebgan.recipe import load_recipe
from ladder_ebgan.training import Stepper

AT = 10
CHANGES = [f"{key}={value}" for key, value in tiny.SETTINGS.items()]


def stepper() -> Stepper:
    """Two replicas of a tiny EBGAN-LN on digits, after ten steps: at first no decoder listens to the encoder."""
    recipe = load_recipe("table2", CHANGES)
    engine = Engine.prepare(recipe, load_dataset("digits"), resolve("cpu", "float32", None, False, 1))
    state = engine.initial_state("ebgan-ladder", [0, 1])
    batches = engine.batches(state, [np.arange(20)] * 2, [0, 1])
    made = Stepper(state, batches, recipe.settings("ebgan-ladder"), engine.functions)
    made.seek(0)
    for _ in range(AT):
        made.step(adversarial=True)
    return made


def weights(made: Stepper) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in made.state.ladder.parameters()]


@pytest.mark.parametrize("n_batches", [1, 3])
def test_a_pull_is_measured_and_changes_nothing(n_batches: int) -> None:
    measured, other = stepper(), stepper()
    found = gradients.pull(measured, AT, margin=1000.0, n_batches=n_batches)
    for made in (measured, other):
        made.step(adversarial=True)
    assert all(torch.equal(a, b) for a, b in zip(weights(measured), weights(other), strict=True))
    assert all(len(lengths) == 2 for lengths in found.lengths.values())
    if n_batches == 1:
        assert all(min(lengths) > 0 for lengths in found.lengths.values())
        assert all(-1 <= cosine <= 1 for cosines in found.cosines.values() for cosine in cosines)


def test_open_hinges_pull_against_the_energy_of_the_same_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the generated images are the real ones, under the same noise, only the sign differs."""
    made = stepper()
    batch = made.batches.current(True)
    n_labeled = batch.labels.shape[1]
    alike = batch._replace(generated_noise=batch.noise[:, n_labeled:])
    monkeypatch.setattr(made.batches, "current", lambda *_, **__: alike)
    copied = replace(made.functions, generate=lambda *_: batch.images[:, n_labeled:])
    monkeypatch.setattr(made, "functions", copied)
    found = gradients.pull(made, AT, margin=1e6)
    assert found.cosines["real", "generated"] == pytest.approx([-1, -1], abs=1e-4)
    assert found.lengths["real"] == pytest.approx(found.lengths["generated"], rel=1e-4)
    assert max(found.lengths["both"]) < 1e-3 * min(found.lengths["real"])
    assert found.energies[0] == pytest.approx(found.energies[1], rel=1e-5)


def test_a_pull_of_several_batches_is_that_of_their_mean_costs_without_their_noise() -> None:
    """Of three by hand: the mean of the first and the last beside the one between, so that none meets itself."""
    made, each = stepper(), []
    for number in range(3):
        made.batches.seek(AT + number)
        each.append(gradients._pull_of_batch(made, 1000.0)[1])
    even, odd = ({name: (a[name] + b[name]) / 2 for name in a} for a, b in ((each[0], each[2]), (each[1], each[1])))
    found = gradients.pull(made, AT, margin=1000.0, n_batches=3)

    def product(a: str, b: str) -> np.ndarray:
        return ((even[a] * odd[b] + odd[a] * even[b]) / 2).sum(dim=1).numpy()

    real, generated, cross = (
        product("real", "real"),
        product("generated", "generated"),
        product("real", "generated"),
    )
    assert min(real.min(), generated.min()) > 0
    assert np.square(found.lengths["real"]) == pytest.approx(real, rel=1e-3)
    assert np.square(found.lengths["both"]) == pytest.approx(real + 2 * cross + generated, rel=1e-3)
    cosines = found.cosines["real", "generated"]
    assert np.array(cosines) * np.sqrt(real * generated) == pytest.approx(cross, rel=1e-3)


def test_closed_hinges_do_not_pull() -> None:
    found = gradients.pull(stepper(), AT, margin=0.0)
    assert found.lengths["generated"] == [0, 0]
    assert np.isnan(found.cosines["real", "generated"]).all()


def test_a_table_has_a_row_for_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    gradients.main(["--recipe", "table2", *tiny.settings(), "--data", "digits", "--at", "1,0,9", "--seeds", "1"])
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert "length of generated" in head
    assert [row.split(" | ")[0] for row in rows] == ["| 0", "| 1", "| 9"]
    assert rows[-1].endswith(" | – | – |"), "the generator is far behind: all hinges are closed"
    assert {row.count("|") for row in rows} == {head.count("|")}


def test_steps_without_a_generator_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gradients.main(["--at", "10,7500"])
    assert stopped.value.code == 2
    assert "the generator is off from step 7500 on" in capsys.readouterr().err
