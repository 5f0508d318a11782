"""The estimators as users meet them."""

import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import ladder_ebgan
from ladder_ebgan import EBGANLadderClassifier, LabeledStratifiedKFold, LadderClassifier
from ladder_ebgan.costs import Functions
from ladder_ebgan.engine import Engine
from ladder_ebgan.evaluation import calibrate, class_probabilities, clean_energies
from ladder_ebgan.machine import resolve
from ladder_ebgan.training import initial_state, train

TINY: dict[str, Any] = {"n_steps": 20, "learning_rate": 0.1, "batch_size": 30, "random_state": 0}
LADDER = LadderClassifier([8], **TINY)
EBGAN = EBGANLadderClassifier([8], generator_layer_sizes=[8], **TINY)
BOTH = pytest.mark.parametrize("estimator", [LADDER, EBGAN], ids=["ladder", "ebgan-ladder"])

REASON = "it trains on the classes -1 and 1, and -1 marks rows without a label here, as in sklearn.semi_supervised"


def expected_to_fail(_: Any) -> dict[str, str]:
    return {"check_classifiers_classes": REASON}


@parametrize_with_checks(
    [
        LadderClassifier([16], n_steps=20, learning_rate=0.1, batch_size=30),
        EBGANLadderClassifier([16], n_steps=20, learning_rate=0.1, batch_size=30, generator_layer_sizes=[8]),
    ],
    expected_failed_checks=expected_to_fail,
)
def test_what_scikit_learn_expects_of_an_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def iris() -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Features, all labels, and labels of five rows a class."""
    X, truth = load_iris(return_X_y=True)
    y = np.full(150, -1)
    for c in range(3):
        y[50 * c : 50 * c + 5] = c
    return X, truth, y


Iris = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


@BOTH
def test_few_labels_are_enough(estimator: Any, iris: Iris) -> None:
    X, truth, y = iris
    fitted = clone(estimator).set_params(n_steps=200, learning_rate=0.02).fit(X, y)
    assert fitted.score(X, truth) > 0.85
    assert_array_equal(fitted.predict(X), fitted.predict_proba(X).argmax(axis=1))
    assert_allclose(fitted.predict_proba(X).sum(axis=1), 1, atol=1e-6)
    assert fitted.transform(X).shape == (150, 8)
    assert fitted.transform(X).min() >= 0
    assert list(fitted.get_feature_names_out())[:1] == [f"{type(fitted).__name__.lower()}0"]


def test_it_is_the_training_of_the_engine(iris: Iris) -> None:
    """The same networks, to the bit, as from `training` used by hand on standardised rows."""
    X, _, y = iris
    fitted = LadderClassifier([8], **TINY, hidden_noise=0.2).fit(X, y)
    recipe, resolved = fitted.recipe_, resolve("cpu", "auto", None, None, 20)
    images = torch.from_numpy(((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32))
    labeled = np.flatnonzero(y >= 0)
    functions = Functions.prepare(resolved.compiled, resolved.device)
    state = initial_state(recipe, "ladder", [0], 4, 3, resolved.device, functions=functions)
    data = type("Data", (), {"train_images": images, "train_labels": torch.from_numpy(y)})
    engine = Engine(recipe, None, resolved, data, functions)  # type: ignore[arg-type]
    for _ in train(state, engine.batches(state, [labeled], [0]), recipe.settings("ladder"), functions):
        pass
    index = engine.calibration("ladder", [labeled], [0], at_most=150)
    statistics = calibrate(state.ladder, images, *index, with_decoder=True)
    for name, parameter in state.ladder.named_parameters():
        assert torch.equal(parameter, dict(fitted.model_.ladder.named_parameters())[name])
    expected = class_probabilities(state.ladder, statistics, images)[0].numpy()
    assert_allclose(fitted.predict_proba(X), expected, rtol=1e-5, atol=1e-7)
    energies = clean_energies(state.ladder, statistics, images)[0].numpy()
    assert_allclose(fitted.score_samples(X), -energies, rtol=1e-4)


def test_without_a_denoising_weight_unlabelled_rows_change_only_the_statistics(iris: Iris) -> None:
    """A supervised network: its parameters are the same whatever the unlabelled rows are."""
    X, _, y = iris
    other = X.copy()
    other[y < 0] = np.roll(other[y < 0], 7, axis=0)[:, ::-1]
    supervised = LadderClassifier([8], **TINY, denoising_weights=0, standardize=False)
    one, two = clone(supervised).fit(X, y), clone(supervised).fit(other, y)
    for a, b in zip(one.model_.ladder.parameters(), two.model_.ladder.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(
        ValueError, match=r"^No energies: ladder, 15 labels, seed 0 has no decoder down to the pixels"
    ):
        one.score_samples(X)
    with pytest.raises(ValueError, match=r"^No energies"):
        one.reconstruct(X)


def test_a_margin_of_zero_is_the_ladder(iris: Iris) -> None:
    X, _, y = iris
    ladder = clone(LADDER).fit(X, y)
    ebgan = clone(EBGAN).set_params(margin=0).fit(X, y)
    assert_array_equal(ladder.predict_proba(X), ebgan.predict_proba(X))
    assert_array_equal(ladder.score_samples(X), ebgan.score_samples(X))


@BOTH
def test_the_units_of_the_features_do_not_matter(estimator: Any, iris: Iris) -> None:
    """Multiples of powers of two are standardised to the same bits; `reconstruct` and `sample` undo it."""
    X, _, y = iris
    factors, shift = np.array([1.0, 4.0, 0.125, 2.0**20]), np.array([0.0, 0.0, 8.0, 0.0])
    one, two = clone(estimator).fit(X, y), clone(estimator).fit(X * factors + shift, y)
    assert_allclose(one.predict_proba(X), two.predict_proba(X * factors + shift), atol=1e-4)
    assert_allclose(one.reconstruct(X) * factors + shift, two.reconstruct(X * factors + shift), rtol=1e-2)
    if estimator is EBGAN:
        drawn = one.sample(7, random_state=0), two.sample(7, random_state=0)
        assert_allclose(drawn[0] * factors + shift, drawn[1], rtol=1e-2)


def test_energies_are_squared_errors_in_standard_deviations(iris: Iris) -> None:
    X, _, y = iris
    fitted = clone(LADDER).fit(X, y)
    errors = ((fitted.reconstruct(X) - X) / X.std(axis=0)) ** 2
    assert_allclose(fitted.score_samples(X), -errors.sum(axis=1), rtol=1e-3)
    far = X + 20 * X.std(axis=0)
    assert fitted.score_samples(far).max() < fitted.score_samples(X).min()


def test_what_is_said_of_a_row_does_not_depend_on_the_rows_beside_it(iris: Iris) -> None:
    X, _, y = iris
    fitted = clone(LADDER).set_params(n_replicas=2).fit(X, y)
    many = np.tile(X, (4, 1))
    for name in ("predict_proba", "transform", "score_samples", "reconstruct", "disagreement"):
        method = getattr(fitted, name)
        of_many = method(many)
        assert len(of_many) == 600
        assert_array_equal(of_many[450:], of_many[:150])
        assert_array_equal(method(X[3:4]), of_many[3:4])


def test_replicas_are_averaged(iris: Iris) -> None:
    X, truth, y = iris
    several = clone(LADDER).set_params(n_replicas=3).fit(X, y)
    assert several.seeds_[0] == 0
    assert len(set(several.seeds_)) == 3
    alone = [clone(LADDER).set_params(random_state=seed).fit(X, y) for seed in several.seeds_]
    of_replicas = several.predict_proba_replicas(X)
    assert of_replicas.shape == (3, 150, 3)
    for one, together in zip(alone, of_replicas, strict=True):
        assert_allclose(one.predict_proba(X), together, rtol=2e-2, atol=2e-3)  # rounding, over 20 steps
    assert_allclose(several.predict_proba(X), of_replicas.mean(axis=0), rtol=1e-6)
    assert_allclose(several.score_samples(X), np.mean([one.score_samples(X) for one in alone], axis=0), rtol=5e-2)
    assert several.transform(X).shape == (150, 24)
    assert len(several.get_feature_names_out()) == 24
    votes, label = of_replicas.argmax(axis=-1), several.predict_proba(X).argmax(axis=1)
    expected = [sum(vote != chosen for vote in column) / 3 for column, chosen in zip(votes.T, label, strict=True)]
    assert_allclose(several.disagreement(X), expected)
    assert several.disagreement(X).max() > 0
    assert_array_equal(alone[0].disagreement(X), np.zeros(150))
    assert several.score(X, truth) > 0.5


def test_a_fit_leaves_pytorch_as_it_was(iris: Iris) -> None:
    X, _, y = iris
    torch.manual_seed(5)
    before = torch.get_num_threads(), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    clone(LADDER).fit(X, y)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert_array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002
    assert torch.tensor([1e-40]).mul(1).any()  # denormal numbers are not flushed
    assert torch.is_grad_enabled()


def test_random_states(iris: Iris) -> None:
    X, _, y = iris
    same = clone(LADDER).set_params(random_state=7).fit(X, y), clone(LADDER).set_params(random_state=7).fit(X, y)
    assert_array_equal(same[0].predict_proba(X), same[1].predict_proba(X))
    assert same[0].seeds_ == (7,)
    drawn = clone(LADDER).set_params(random_state=np.random.RandomState(1)).fit(X, y)
    assert drawn.seeds_ == (np.random.RandomState(1).randint(2**31 - 1),)
    with pytest.raises(ValueError, match="Seed must be between 0 and"):
        clone(LADDER).set_params(random_state=-1).fit(X, y)


def test_all_rows_labelled_and_fewer_rows_than_a_batch(iris: Iris) -> None:
    X, truth, _ = iris
    few = np.r_[0:4, 50:54, 100:104]
    fitted = LadderClassifier([8], n_steps=100, learning_rate=0.05, random_state=0).fit(X[few], truth[few])
    assert fitted.recipe_.training.batch_size == 12
    assert fitted.score(X[few], truth[few]) == 1
    wide = clone(LADDER).set_params(batch_size=64).fit(X[few], truth[few])
    assert wide.score(X[few], truth[few]) > 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "requires y to be passed, but the target y is None"),
        ({"y": np.full(150, -1)}, "y has no labels: all 150 rows are marked as unlabelled"),
        ({"y": np.where(np.arange(150) < 9, 1, -1)}, "all labels in y are of one class, 1; -1 is no class"),
        ({"X": np.full((150, 4), np.nan)}, "Input X contains NaN"),
        (
            {"X": np.full((150, 4), 1e300), "standardize": False},
            "X has 1e+300 in the column 0: too large for 32-bit",
        ),
        ({"y": np.array([0, 1, 1])}, "inconsistent numbers of samples"),
        ({"n_steps": 0}, "ladder.n_steps is 0: input should be greater than 0"),
        ({"n_steps": 2.5}, "ladder.n_steps is 2.5: input should be a valid integer"),
        ({"learning_rate": -1}, "ladder.learning_rate is -1"),
        ({"hidden_layer_sizes": []}, "network.hidden_sizes is"),
        ({"hidden_layer_sizes": 8}, "network.hidden_sizes is 8: input should be a valid array"),
        ({"denoising_weights": [1, 2]}, "ladder.denoising_weights has 2 numbers, but the network has 3 layers"),
        ({"n_replicas": 0}, "n_replicas is 0: input should be greater than 0"),
        ({"recipe": "tabel2"}, "unknown recipe 'tabel2' (did you mean 'table2'?)"),
        ({"recipe": "conv"}, "unknown recipe 'conv'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"precision": "tf32", "device": "cpu"}, "precision tf32 needs a CUDA GPU"),
        ({"precision": "float16"}, "there is no precision 'float16': it is auto, float32, tf32, bfloat16"),
        ({"learning_rate": 1e30}, "the training diverged at step"),
        ({"early_stopping": True, "validation_fraction": 2}, "validation_fraction is 2: must lie between 0 and 1"),
        ({"early_stopping": True, "n_iter_no_change": 0}, "n_iter_no_change is 0, but must be 1 or more"),
        ({"early_stopping": True, "validation_fraction": 0.9}, "early_stopping cannot hold out 14 of 15 labelled"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(iris: Iris, change: dict[str, Any], message: str) -> None:
    X, _, y = iris
    parameters = {name: value for name, value in change.items() if name not in {"X", "y"}}
    estimator = clone(LADDER).set_params(**parameters)
    with pytest.raises(ValueError, match=r".") as caught:
        estimator.fit(change.get("X", X), change.get("y", y))
    assert message in str(caught.value)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(iris: Iris) -> None:
    X, _, y = iris
    fitted = clone(LADDER).fit(X, y)
    before = fitted.predict_proba(X)
    with pytest.raises(ValueError, match=r"no labels"):
        fitted.fit(X[:, :3], np.full(150, -1))
    assert fitted.n_features_in_ == 4
    assert_array_equal(fitted.predict_proba(X), before)


def test_rows_out_of_reach(iris: Iris) -> None:
    """Beyond 32-bit numbers an energy is infinite, and a row without probabilities is named."""
    X, _, y = iris
    fitted = clone(LADDER).fit(X, y)
    far = X[:3].copy()
    far[1] = 1e25
    assert_allclose(fitted.predict_proba(far).sum(axis=1), 1, rtol=1e-15)
    assert np.isneginf(fitted.score_samples(far)).tolist() == [False, True, False]
    far[1] = fitted.model_.scaling.undo(np.full(4, 3e38))
    with pytest.raises(ValueError, match=r"^row 1, counted from 0, lies so far from those of the training"):
        fitted.predict(far)


def test_what_is_measured_by_scikit_learn(iris: Iris) -> None:
    X, truth, y = iris
    fitted = clone(LADDER).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # probabilities that do not add up to 1
        assert log_loss(truth, fitted.predict_proba(X)) < 1
    weights = np.where(fitted.predict(X) == truth, 3, 1)
    right = fitted.score(X, truth)
    assert fitted.score(X, truth, sample_weight=weights) == pytest.approx(3 * right / (3 * right + 1 - right))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.score(X, truth, sample_weight=np.ones(151))


def test_sparse_matrices_are_refused(iris: Iris) -> None:
    X, _, y = iris
    with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is required"):
        clone(LADDER).fit(sparse.csr_array(X), y)


@pytest.mark.parametrize("of_frame", [True, False])
def test_a_column_of_text_is_named(iris: Iris, of_frame: bool) -> None:
    X, _, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"]).astype({"c": object})
    frame.loc[3, "c"] = "red"
    given, name = (frame, "'c'") if of_frame else (frame.to_numpy(dtype=object), "2")
    with pytest.raises(ValueError, match=rf"^X has text in the column {name} \('red'\): encode it as numbers"):
        clone(LADDER).fit(given, y)


@pytest.mark.filterwarnings("error")
def test_a_column_of_dates_and_one_of_too_large_numbers_are_named(iris: Iris) -> None:
    X, _, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    with pytest.raises(ValueError, match=r"^X has dates or times in the column 'day': make numbers of them"):
        clone(LADDER).fit(frame.assign(day=pd.date_range("2026-01-01", periods=len(X))), y)
    with pytest.raises(ValueError, match=r"^X has 1e\+300 in the column 'b': too large"):
        clone(LADDER).fit(frame.assign(b=np.where(frame.index == 3, 1e300, frame["b"])), y)


def test_frames_and_their_names(iris: Iris) -> None:
    X, _, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    labels = pd.Series(y).map({-1: None, 0: "setosa", 1: "versicolor", 2: "virginica"})
    fitted = clone(LADDER).set_params(n_steps=50).fit(frame, labels)
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert fitted.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert set(fitted.predict(frame)) <= set(fitted.classes_)
    assert fitted.score(frame, labels) == pytest.approx(np.mean(fitted.predict(frame)[y >= 0] == labels[y >= 0]))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame.rename(columns={"a": "z"}))
    as_frame = fitted.set_output(transform="pandas").transform(frame)
    assert as_frame.columns.tolist() == [f"ladderclassifier{i}" for i in range(8)]


def test_pipelines_and_searches(iris: Iris) -> None:
    X, truth, y = iris
    pipeline = make_pipeline(MinMaxScaler(), clone(LADDER).set_params(standardize=False))
    search = GridSearchCV(pipeline, {"ladderclassifier__learning_rate": [1e-6, 0.1]}, cv=LabeledStratifiedKFold(3))
    search.fit(X, y)
    assert search.best_params_ == {"ladderclassifier__learning_rate": 0.1}
    assert search.best_score_ == pytest.approx(search.cv_results_["mean_test_score"].max())
    assert search.score(X, truth) > 0.5


@pytest.mark.parametrize("given", ["table2", "demo"])
def test_the_papers_setting_is_one_argument_away(iris: Iris, given: str) -> None:
    X, _, y = iris
    pixels = MinMaxScaler().fit_transform(X).clip(0, 1)
    fitted = EBGANLadderClassifier(recipe=given, n_steps=10, hidden_layer_sizes=[8], random_state=0).fit(pixels, y)
    assert fitted.model_.scaling is None
    settings = fitted.recipe_.settings("ebgan-ladder")
    assert settings.denoising_weights == [1000, 0, 0]
    assert fitted.recipe_.training.batch_size == 100
    assert settings.generator.output == "sigmoid"
    drawn = fitted.sample(5, random_state=0)
    assert drawn.shape == (5, 4)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    with pytest.raises(ValueError, match=r"^X lies in \[0\.1, 7\.9\], but the recipe's generator makes pixels in"):
        clone(fitted).fit(X, y)
    standardized = clone(fitted).set_params(standardize=True).fit(X, y)
    assert standardized.recipe_.settings("ebgan-ladder").generator.output == "linear"


def test_samples_come_from_each_replica_in_turn(iris: Iris) -> None:
    X, _, y = iris
    several = clone(EBGAN).set_params(n_replicas=2).fit(X, y)
    assert several.sample().shape == (1, 4)
    drawn = several.sample(61, random_state=3)
    assert_array_equal(several.sample(20, random_state=3), drawn[:20])
    generator, latent = several.model_.generator, several.recipe_.settings("ebgan-ladder").generator.latent_size
    assert generator is not None
    assert np.isfinite(drawn).all()
    assert latent == 4
    assert not np.allclose(drawn[0::2][:30], drawn[1::2])
    assert not np.array_equal(several.sample(5, random_state=4), drawn[:5])


def test_importing_the_package_imports_no_pytorch() -> None:
    program = "import sys, ladder_ebgan; print('torch' in sys.modules, 'LadderClassifier' in dir(ladder_ebgan))"
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert ran.stdout == "False True\n"
    with pytest.raises(AttributeError, match="module 'ladder_ebgan' has no attribute 'nothing'"):
        _ = ladder_ebgan.nothing


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_trains_the_same(iris: Iris) -> None:
    X, truth, y = iris
    fitted = clone(EBGAN).set_params(n_steps=200, learning_rate=0.02, device="cuda", n_replicas=3).fit(X, y)
    assert fitted.model_.device.type == "cuda"
    assert fitted.score(X, truth) > 0.85
    assert fitted.sample(5).shape == (5, 4)
