"""What is kept of a fitted estimator: files, pickle, joblib; the models of runs as estimators, and the way back."""

import copy
import io
import json
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import tiny
import torch
import trained
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from safetensors import safe_open
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ladder_ebgan import EBGANLadderClassifier, LadderClassifier, __version__
from ladder_ebgan.data import load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.estimators.packing import pack, unpack
from ladder_ebgan.estimators.saving import load_model
from ladder_ebgan.recipe import Recipe, load_recipe

TINY: dict[str, Any] = {"n_steps": 12, "learning_rate": 0.1, "batch_size": 20, "n_replicas": 2}
X = np.random.default_rng(0).standard_normal((40, 5)) * [1, 10, 100, 1e6, 1e-3] + 7
NUMBERS = np.where(np.arange(40) < 15, np.arange(40) % 3, -1)
COLUMNS = list("abcde")


def fitted(**parameters: Any) -> EBGANLadderClassifier:
    estimator = EBGANLadderClassifier((8, 6), generator_layer_sizes=[7], random_state=4, **TINY)
    return estimator.set_params(**parameters).fit(X, NUMBERS)


@pytest.fixture(scope="module")
def ebgan() -> EBGANLadderClassifier:
    return fitted()


def assert_same(one: Any, two: Any, rows: Any = X) -> None:
    """Assert that two estimators say the same of everything, to the bit."""
    assert type(one) is type(two)
    for name in ("predict", "predict_proba", "predict_proba_replicas", "transform", "score_samples", "reconstruct"):
        assert_array_equal(getattr(one, name)(rows), getattr(two, name)(rows))
    if hasattr(one, "sample"):
        assert_array_equal(one.sample(25, random_state=0), two.sample(25, random_state=0))
    assert_array_equal(one.classes_, two.classes_)
    assert one.classes_.dtype == two.classes_.dtype
    for name in ("n_iter_", "best_steps_", "history_", "seeds_", "n_features_in_"):
        assert getattr(one, name) == getattr(two, name)
    assert one.recipe_.identity() == two.recipe_.identity()


def test_a_file_holds_all_of_it(ebgan: EBGANLadderClassifier, tmp_path: Path) -> None:
    ebgan.save(tmp_path / "e.safetensors")
    loaded = EBGANLadderClassifier.load(str(tmp_path / "e.safetensors"))
    assert_same(ebgan, loaded)
    assert loaded.get_params() == ebgan.get_params() | {"generator_layer_sizes": (7,)}
    again = tmp_path / "again.safetensors"
    loaded.save(again)
    assert_same(ebgan, EBGANLadderClassifier.load(again))
    assert_array_equal(clone(loaded).fit(X, NUMBERS).predict_proba(X), ebgan.predict_proba(X))


@pytest.mark.parametrize("way", ["pickle", "joblib", "deepcopy"])
def test_it_survives(ebgan: EBGANLadderClassifier, way: str) -> None:
    if way == "pickle":
        after = pickle.loads(pickle.dumps(ebgan))
    elif way == "joblib":
        buffer = io.BytesIO()
        joblib.dump(ebgan, buffer)
        after = joblib.load(buffer)
    else:
        after = copy.deepcopy(ebgan)
    assert_same(ebgan, after)
    assert after.get_params() == ebgan.get_params()
    assert not hasattr(pickle.loads(pickle.dumps(clone(ebgan))), "model_")


def test_what_was_on_a_gpu_comes_back_where_there_is_one(
    ebgan: EBGANLadderClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack(ebgan.model_)
    assert packed.device == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    vars(packed)["device"] = "cuda:0"
    assert unpack(packed).device == torch.device("cpu")


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (np.array(["b", "c", "a"]), "<U1"),
        (np.array(["b", "c", "a"], dtype=object), "O"),
        (np.array([5, 7, 11]), "<i8"),
        (np.array([5.0, 7.0, 11.0]), "<f8"),
    ],
)
def test_classes_stay_what_they_are(labels: NDArray[Any], kind: str, tmp_path: Path) -> None:
    y = labels[NUMBERS]
    y[NUMBERS < 0] = "" if labels.dtype.kind in "UO" else -1
    estimator = LadderClassifier([6], random_state=0, **TINY).fit(X, y)
    assert estimator.classes_.dtype.str in {kind, "|O"}
    estimator.save(tmp_path / "e.safetensors")
    assert_same(estimator, LadderClassifier.load(tmp_path / "e.safetensors"))


def test_names_of_features_and_other_parameters_are_kept(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=COLUMNS)
    recipe = load_recipe("demo", ["network.hidden_sizes=[6,5,4,4,4]"])
    estimator = LadderClassifier(
        recipe=recipe,
        standardize=True,
        early_stopping=True,
        n_iter_no_change=np.int64(2),
        hidden_layer_sizes=[np.int64(6), 5, 4, 4, 4],
        random_state=np.random.RandomState(3),
        **TINY,
    )
    estimator.fit(frame, NUMBERS > 0)
    estimator.save(tmp_path / "e.safetensors")
    loaded = LadderClassifier.load(tmp_path / "e.safetensors")
    assert loaded.feature_names_in_.tolist() == COLUMNS
    assert loaded.recipe == recipe
    assert isinstance(loaded.recipe, Recipe)
    assert (loaded.n_iter_no_change, loaded.random_state) == (2, None)
    assert loaded.hidden_layer_sizes == (6, 5, 4, 4, 4)
    assert loaded.classes_.tolist() == [False, True]
    assert_same(estimator, loaded, frame)
    (tmp_path / "mine.toml").write_text("")
    estimator.set_params(recipe=tmp_path / "mine.toml").save(tmp_path / "e.safetensors")
    assert LadderClassifier.load(tmp_path / "e.safetensors").recipe == str(tmp_path / "mine.toml")


def test_a_parameter_of_a_later_version_is_left_aside(ebgan: EBGANLadderClassifier, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    ebgan.save(path)
    with safe_open(path, framework="pt") as file:
        stored = json.loads(file.metadata()["model"])["estimator"]
    stored["parameters"]["of_a_later_version"] = 1
    assert_same(ebgan, EBGANLadderClassifier.load(trained.rewrite(path, estimator=stored)))
    del stored["n_iter"]
    with pytest.raises(UsageError, match=r"^the metadata of '.*' is wrong: estimator.n_iter: field required$"):
        EBGANLadderClassifier.load(trained.rewrite(path, estimator=stored))


def test_what_is_not_fitted_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        LadderClassifier().save(tmp_path / "e.safetensors")
    assert not any(tmp_path.iterdir())


def test_the_seeds_of_a_run_are_the_replicas_of_an_estimator(tmp_path_factory: pytest.TempPathFactory) -> None:
    run, images = tiny.finished_run(tmp_path_factory), load_dataset("digits").test_images
    for estimator, model in ((LadderClassifier, "ladder"), (EBGANLadderClassifier, "ebgan-ladder")):
        loaded = estimator.load(run)
        assert loaded.seeds_ == (0, 1)
        assert (loaded.n_features_in_, loaded.classes_.tolist()) == (64, list(range(10)))
        stored = []
        for seed in (0, 1):
            with np.load(run / "predictions" / f"{model}-20-{seed}.npz", allow_pickle=False) as arrays:
                stored.append(arrays["probabilities"])
        assert_allclose(loaded.predict_proba_replicas(images), stored, rtol=1e-4, atol=1e-6)
        alone = estimator.load(run, labels=20, seeds=[1])
        assert_allclose(alone.predict_proba(images), stored[1], rtol=1e-4, atol=1e-6)
        assert alone.get_params()["random_state"] == 1
        assert alone.n_iter_ == alone.recipe_.settings(model).n_steps
        assert alone.best_steps_ == (alone.n_iter_,)


def test_the_models_of_a_run_are_saved_again(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """And are a run's for `predict`: it takes pixels."""
    loaded = EBGANLadderClassifier.load(tiny.finished_run(tmp_path_factory))
    path, images = tmp_path / "both.safetensors", load_dataset("digits").test_images
    loaded.save(path)
    assert_same(loaded, EBGANLadderClassifier.load(path), images[:9])
    report = json.loads(tiny.done("predict", str(path), "digits", "--json").stdout)
    assert report["seeds"] == [0, 1]
    error = 100 * (1 - loaded.score(images, load_dataset("digits").test_labels))
    assert report["scores"]["error_percent"] == pytest.approx(error)


def test_a_model_without_the_decoders_statistics_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    trained.write_model(path)
    loaded = LadderClassifier.load(trained.as_format_1(path))
    with pytest.raises(ValueError, match=r"^No energies: the model file is of an earlier version"):
        loaded.score_samples(trained.images(3))
    loaded.save(tmp_path / "again.safetensors")
    again = LadderClassifier.load(tmp_path / "again.safetensors")
    assert_array_equal(again.predict_proba(trained.images(3)), loaded.predict_proba(trained.images(3)))


def test_which_of_two_ladders_is_asked(tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path, ("ladder", 9, 0), ("ladder-matched", 9, 0), ("ebgan-ladder", 9, 0))
    with pytest.raises(
        UsageError, match=r"ladder, 9 labels, seed 0; ladder-matched, 9 labels, seed 0: choose with model$"
    ):
        LadderClassifier.load(run)
    assert LadderClassifier.load(run, model="ladder").model_.name == "ladder"
    assert EBGANLadderClassifier.load(run).model_.name == "ebgan-ladder"
    with pytest.raises(UsageError, match="has no model with model ebgan-ladder; it has ladder"):
        LadderClassifier.load(run, model="ebgan-ladder")


@pytest.mark.parametrize("models", [["ladder", "ladder-matched"], ["ladder-matched"]])
def test_the_control_is_a_ladder_too(models: list[str], tmp_path: Path) -> None:
    run = trained.run_folder(tmp_path, *((model, 9, 0) for model in models))
    loaded = LadderClassifier.load(run, model="ladder-matched")
    assert loaded.model_.name == "ladder-matched"
    again = clone(loaded).set_params(n_steps=2, hidden_layer_sizes=[4, 4]).fit(X / 20, NUMBERS)
    assert again.recipe_.ladder.learning_rate == loaded.recipe_.settings(loaded.model_.name).learning_rate


def test_another_estimator_is_named(tmp_path: Path) -> None:
    trained.write_model(tmp_path / "m.safetensors", "ladder")
    with pytest.raises(UsageError, match=r"^'.*' has a model ladder: load it with LadderClassifier$"):
        EBGANLadderClassifier.load(tmp_path / "m.safetensors")
    trained.run_folder(tmp_path, ("ladder", 9, 0), ("ladder", 12, 0))
    with pytest.raises(UsageError, match=r"choose with labels$"):
        LadderClassifier.load(tmp_path)
    with pytest.raises(UsageError, match=r"^'.*' has a model ladder, which no estimator loads$"):
        load_model(tmp_path / "m.safetensors", {}, "LadderClassifier", None, None, "all", "cpu")
    assert LadderClassifier.load(tmp_path, labels=12).model_.labels == 12
    with pytest.raises(UsageError, match="there is no model file or run folder"):
        LadderClassifier.load(tmp_path / "none")


def test_predict_and_sample_take_the_file_of_an_estimator(ebgan: EBGANLadderClassifier, tmp_path: Path) -> None:
    path, rows = tmp_path / "e.safetensors", tmp_path / "rows.npz"
    ebgan.save(path)
    np.savez(rows, x=X, y=np.arange(40) % 3)
    lines = tiny.done("predict", str(path), str(rows)).stdout.splitlines()
    assert lines[0] == "row,label,probability,energy,agreement,true_label,probability_0,probability_1,probability_2"
    cells = np.array([line.split(",") for line in lines[1:]], dtype=float)
    assert_array_equal(cells[:, 1], ebgan.predict(X))
    assert_allclose(cells[:, 6:], ebgan.predict_proba(X), rtol=1e-4, atol=1e-6)
    assert_allclose(cells[:, 3], -ebgan.score_samples(X), rtol=1e-3)
    tiny.done("sample", str(path), "--n", "30", "--output", str(tmp_path / "drawn.npz"))
    with np.load(tmp_path / "drawn.npz") as archive:
        drawn, energies = archive["images"], archive["energies"]
    assert drawn.shape == (30, 5)
    assert_allclose(energies, -ebgan.score_samples(drawn), rtol=1e-3)


def test_models_lists_the_file_of_an_estimator(ebgan: EBGANLadderClassifier, tmp_path: Path) -> None:
    ebgan.save(tmp_path / "e.safetensors")
    _, line = tiny.done("models", str(tmp_path)).stdout.splitlines()
    seeds = ",".join(map(str, ebgan.seeds_))
    assert line.split()[:8] == ["ebgan-ladder", "15", seeds, "table", "5", "3", "yes", __version__]
    (record,) = json.loads(tiny.done("models", str(tmp_path), "--json").stdout)
    assert (record["seeds"], record["inputs"], record["scaled"]) == (list(ebgan.seeds_), "features", True)
    assert "estimator" not in record


def test_a_folder_of_files_is_no_ensemble_if_the_tables_were_others(tmp_path: Path) -> None:
    for i in range(2):
        LadderClassifier([6], random_state=i, **TINY).fit(X + i, NUMBERS).save(tmp_path / f"{i}.safetensors")
    with pytest.raises(UsageError, match=r"were trained differently: data.fingerprint is"):
        LadderClassifier.load(tmp_path)


def test_files_of_one_table_are_an_ensemble(tmp_path: Path) -> None:
    alone = [LadderClassifier([6], random_state=i, **TINY | {"n_replicas": 1}).fit(X, NUMBERS) for i in (2, 3)]
    alone[1].n_iter_ = 300  # as early stopping has it
    for estimator in alone:
        estimator.save(tmp_path / f"{estimator.seeds_[0]}.safetensors")
    together = LadderClassifier.load(tmp_path)
    assert together.seeds_ == (2, 3)
    assert (together.n_replicas, together.best_steps_, together.history_) == (2, 2 * alone[0].best_steps_, [])
    assert together.n_iter_ == 300
    of_each = np.stack([estimator.predict_proba(X) for estimator in alone])
    assert_allclose(together.predict_proba_replicas(X), of_each, rtol=1e-4, atol=1e-6)
