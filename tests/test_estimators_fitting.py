"""Early stopping, a replica at a time; rows held out; seeds; progress; scaling."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from torch import Tensor

from ladder_ebgan import EBGANLadderClassifier, LadderClassifier
from ladder_ebgan.estimators.fitting import Best
from ladder_ebgan.estimators.progress import Progress
from ladder_ebgan.estimators.rows import as_float32, held_out_rows
from ladder_ebgan.estimators.seeds import replica_seeds
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.scaling import Scaling
from ladder_ebgan.training import State, initial_state

IRIS, TRUTH = load_iris(return_X_y=True)
FEW = np.where(np.arange(150) % 50 < 8, TRUTH, -1)


@pytest.fixture
def state(small: Callable[..., Recipe]) -> State:
    return initial_state(small(), "ebgan-ladder", [1, 2], 9, 5, torch.device("cpu"))


def set_to(state: State, value: float) -> None:
    with torch.no_grad():
        for module in (state.ladder, state.generator):
            assert module is not None
            for parameter in module.parameters():
                parameter.fill_(value)


def values(state: State) -> list[float]:
    """The value that all parameters of a replica have."""
    assert state.generator is not None
    parameters: list[Tensor] = [*state.ladder.parameters(), *state.generator.parameters()]
    of_replicas = [{float(x) for p in parameters for x in p.detach()[r].flatten()} for r in range(2)]
    assert [len(each) for each in of_replicas] == [1, 1]
    return [each.pop() for each in of_replicas]


def test_each_replica_keeps_its_best(state: State) -> None:
    """Of losses 3, 2, 4, 1 at patience 2 the first replica keeps the last; the second is done after 1, 2, 3."""
    best = Best(state, patience=2)
    for step, losses in enumerate([(3.0, 1.0), (2.0, 2.0), (4.0, 3.0), (1.0, 0.5)], start=1):
        assert not best.all_waited_long_enough
        set_to(state, float(step))
        best.look(10 * step, torch.tensor(losses))
    assert not best.all_waited_long_enough
    for step in (5, 6):
        set_to(state, float(step))
        best.look(10 * step, torch.tensor([1.5, torch.nan]))
    assert best.all_waited_long_enough
    assert best.restore() == (40, 10)
    assert values(state) == [4, 1]


@pytest.mark.parametrize("estimator", [LadderClassifier, EBGANLadderClassifier])
def test_early_stopping(estimator: Any) -> None:
    fitted = estimator([8], n_steps=2000, learning_rate=0.1, batch_size=20, early_stopping=True, n_replicas=2)
    fitted.set_params(n_iter_no_change=1, random_state=0).fit(IRIS, FEW)
    losses = np.array([point["validation_loss"] for point in fitted.history_])
    steps = [point["step"] for point in fitted.history_]
    assert fitted.n_iter_ == steps[-1] < 2000
    assert steps == [100 * (i + 1) for i in range(len(steps))]
    for r, best in enumerate(fitted.best_steps_):
        first_rise = next(i for i in range(1, len(losses)) if losses[i, r] >= losses[i - 1, r])
        assert best == steps[first_rise - 1]
    assert fitted.score(IRIS, TRUTH) > 0.7
    assert fitted.model_.labels == 24 - 5  # a fifth of 24 labels is held out


def test_without_early_stopping_all_steps_are_made() -> None:
    fitted = LadderClassifier([6], n_steps=110, batch_size=10, random_state=0).fit(IRIS, FEW)
    assert (fitted.n_iter_, fitted.best_steps_) == (110, (110,))
    assert [point["step"] for point in fitted.history_] == [
        *range(6, 109, 6),
        110,
    ]  # 100 of 2,000 steps are 5.5 of 110
    assert set(fitted.history_[0]) == {"step", "classification_cost", "denoising_cost"}
    assert fitted.model_.labels == 24


def test_averaged_weights_are_what_is_kept() -> None:
    from ladder_ebgan.recipe import load_recipe

    recipe = load_recipe("demo", ["network.hidden_sizes=[6,6,6,6,6]", "training.averaging_decay=0.5"])
    fitted = LadderClassifier(recipe=recipe, n_steps=3, standardize=True, random_state=0).fit(IRIS, FEW)
    plain = LadderClassifier(
        recipe=load_recipe("demo", ["network.hidden_sizes=[6,6,6,6,6]"]),
        n_steps=3,
        standardize=True,
        random_state=0,
    ).fit(IRIS, FEW)
    assert not np.allclose(fitted.predict_proba(IRIS), plain.predict_proba(IRIS))


@given(
    st.lists(st.integers(2, 9) | st.integers(2, 90), min_size=2, max_size=5),
    st.floats(0.05, 0.9),
    st.integers(0, 5),
    st.integers(0, 2**40),
)
def test_rows_held_out(n_of_class: list[int], fraction: float, n_unlabeled: int, seed: int) -> None:
    of_row = np.r_[np.repeat(np.arange(len(n_of_class)), n_of_class), np.full(n_unlabeled, -1)]
    n_labeled, n_classes = sum(n_of_class), len(n_of_class)
    wanted = max(int(np.ceil(fraction * n_labeled)), n_classes)
    if n_labeled - wanted < n_classes:
        with pytest.raises(
            ValueError, match=f"^early_stopping cannot hold out {wanted} of {n_labeled} labelled rows"
        ):
            held_out_rows(of_row, fraction, seed)
        return
    held_out = held_out_rows(of_row, fraction, seed)
    assert len(held_out) == wanted
    classes = set(range(n_classes))
    assert set(of_row[held_out].tolist()) == classes
    assert set(np.delete(of_row, held_out).tolist()) - {-1} == classes
    assert_array_equal(held_out, np.unique(held_out))
    assert_array_equal(held_out, held_out_rows(of_row, fraction, seed))


def test_a_class_with_one_labelled_row_cannot_be_split() -> None:
    with pytest.raises(ValueError, match=r"^early_stopping cannot hold out 2 of 6 labelled rows"):
        held_out_rows(np.array([0, 0, 0, 0, 0, 1]), 0.2, 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_seeds(random_state: int, n: int) -> None:
    seeds = replica_seeds(random_state, n)
    assert seeds[0] == random_state
    assert len(set(seeds)) == n
    assert replica_seeds(random_state, 30)[:n] == seeds
    assert all(isinstance(seed, int) and 0 <= seed < 2**32 for seed in seeds)


def test_other_random_states_share_no_seed() -> None:
    assert len({seed for state in range(50) for seed in replica_seeds(state, 5)}) == 250


def test_a_random_state_that_goes_on_gives_another_seed() -> None:
    generator = np.random.RandomState(0)
    assert replica_seeds(generator, 1) != replica_seeds(generator, 1)


@pytest.mark.parametrize(
    ("verbose", "lines"),
    [
        (0, []),
        (1, ["step 200 of 400, 4 s, 4 s left, cost 1.5", "step 400 of 400, 5 s, 0 s left, cost 1.5"]),
        (
            2,
            [f"step {n}00 of 400, {s}" for n, s in ((1, "1 s, 3 s"), (2, "4 s, 4 s"), (3, "5 s, 2 s"), (4, "5 s"))],
        ),
    ],
)
def test_progress(verbose: int, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 1.0, 4.0, 5.0, 5.0])
    progress = Progress("Some", 400, verbose, lambda: next(times))
    for step in (100, 200, 300, 400):
        progress.show(step, {"cost": [1.0, 2.0]})
    out, err = capsys.readouterr()
    assert out == ""
    said = err.splitlines()
    assert len(said) == len(lines)
    for line, expected in zip(said, lines, strict=True):
        assert line.startswith(f"[Some] {expected}")


def test_a_fit_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    estimator = EBGANLadderClassifier([6], generator_layer_sizes=[6], n_steps=500, batch_size=6, verbose=2)
    estimator.fit(IRIS, FEW)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 20
    assert said[3].startswith("[EBGANLadderClassifier] step 100 of 500, ")
    assert "classification cost" in said[3]
    assert "energy generated" in said[3]
    assert "energy generated" not in said[4]  # the generator is off


def test_scaling_by_hand() -> None:
    """Features 1, 3 (mean 2, deviation 1), a constant, and years, which float32 would round."""
    table = np.array([[1.0, 5.0, 2000.0001], [3.0, 5.0, 2000.0002]])
    scaling = Scaling.of(table)
    assert_allclose(scaling.mean, [2, 5, 2000.00015])
    assert_allclose(scaling.apply(table), [[-1, 0, -1], [1, 0, 1]], rtol=1e-4)
    assert scaling.apply(table).dtype == np.float32
    assert_allclose(scaling.undo(scaling.apply(table)), table, rtol=1e-9)


def test_rare_values_are_brought_nearer() -> None:
    """Of 100 rows one has a 1, 9.9 deviations of 0.0995 from the mean 0.01; it is brought to 5, so 0 to -5/99.

    The second feature has 0 in the one row and 1 in the others: the same below the mean. The third, 0 and 1 by
    turns, has nothing far out.
    """
    table = np.zeros((100, 3))
    table[0, 0], table[1:, 1], table[::2, 2] = 1, 1, 1
    scaling = Scaling.of(table)
    assert_allclose(scaling.scale, [0.99 / 5, 0.99 / 5, 0.5])
    scaled = scaling.apply(table)
    assert_allclose(scaled[0], [5, -5, 1], rtol=1e-6)
    assert_allclose(scaled[1], [-5 / 99, 5 / 99, -1], rtol=1e-5)
    assert_allclose(scaling.undo(scaled), table, atol=1e-7)


@pytest.mark.parametrize("scaling", [None, Scaling(np.zeros(2), np.ones(2))])
def test_what_does_not_fit_into_32_bits_is_refused(scaling: Scaling | None) -> None:
    estimator = LadderClassifier()
    assert as_float32(estimator, np.array([[0, 1e30]]), scaling)[0, 1] == np.float32(1e30)
    table = np.array([[0, 1], [2, -1e40]])
    with pytest.raises(ValueError, match=r"^X has -1e\+40 in the column 1: too large for 32-bit numbers"):
        as_float32(estimator, table, scaling)
    estimator.feature_names_in_ = np.array(["a", "b"], dtype=object)
    with pytest.raises(ValueError, match=r"^X has -1e\+40 in the column 'b': "):
        as_float32(estimator, table, scaling)
