"""The benchmark of other methods: what they are given, and what is kept of them."""

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from ladder_ebgan_benchmarks import other_methods

from ladder_ebgan.data import load_dataset
from ladder_ebgan.runs import read_record


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run on digits: 20 labels, seeds 0 and 1."""
    return tiny.copied_run(tmp_path_factory, tmp_path / "run")


def test_the_subsets_are_those_of_the_run(folder: Path) -> None:
    digits = load_dataset("digits")
    found, labels = list(other_methods.subsets(folder, digits)), digits.train_labels
    for each in found:
        with np.load(folder / f"predictions/ladder-20-{each.seed}.npz", allow_pickle=False) as arrays:
            assert each.indices.tolist() == arrays["labeled_indices"].tolist()
    assert [(each.labels, each.seed) for each in found] == [(20, 0), (20, 1)]
    assert all(np.bincount(labels[each.indices]).tolist() == [2] * 10 for each in found)
    assert found[0].indices.tolist() != found[1].indices.tolist()
    assert found[0].errors.keys() == {"ladder", "ebgan-ladder"}


def test_errors_are_kept_and_not_measured_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With 20 labels neighbours do far better than the tiny run and than chance; text files are enough."""
    for name in ("predictions", "models"):
        shutil.rmtree(folder / name)
    other_methods.main([str(folder)])
    printed = capsys.readouterr().out
    assert "20 labels, seed 0: label-spreading " in printed
    assert re.search(
        r"20 labels: label-spreading \S+ ± \S+ %, ebgan-ladder \S+ ± \S+ %, paired difference \+\S+ points, 2 s",
        printed,
    )
    with (folder / "other_methods.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["labels"], row["seed"]) for row in rows] == [
        ("label-spreading", "20", "0"),
        ("label-spreading", "20", "1"),
    ]
    assert all(0 < float(row["test_error_percent"]) < 40 for row in rows)
    path = folder / "other_methods.csv"
    path.write_text(path.read_text().splitlines()[0] + "\nlabel-spreading,20,0,12.5,1.0\n")
    other_methods.main([str(folder)])
    assert "seed 0: label-spreading 12.50 %" in capsys.readouterr().out
    assert other_methods.done(path).keys() == {("label-spreading", 20, 0), ("label-spreading", 20, 1)}


def test_a_comparison_is_paired_by_seed() -> None:
    errors = [(10.0, 1.0), (12.0, 3.0), (11.0, 3.0)]  # differences -9, -9, -8: 2.33 ± 1.15, t quantile 4.303
    assert other_methods.compared("ladder", errors) == (
        "11.00 ± 1.00 %, ladder 2.33 ± 1.15 %, paired difference -8.67 points "
        "(95 % interval -10.10 to -7.23), 3 seeds"
    )
    one = "10.00 %, ladder 1.00 %, paired difference -9.00 points, 1 seed"
    assert other_methods.compared("ladder", errors[:1]) == one
    diverged = ", without 1 of ladder that diverged"
    assert other_methods.compared("ladder", [errors[0], (9.0, None)]) == one + diverged
    assert other_methods.compared("ladder", [(9.0, None)]) == f"cannot be compared with ladder{diverged}"


def test_another_run_is_compared_seed_by_seed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = shutil.copytree(folder, folder.parent / "vat")
    with (other / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "ladder"]
    rows[0]["test_error_percent"] = f"{float(rows[0]['test_error_percent']) + 3:.2f}"
    rows[1] |= {"status": "diverged", "test_error_percent": "", "diverged_step": "5"}
    with (other / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    other_methods.main([str(folder), "--run", str(other)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "20 labels, seed 1: ladder of vat diverged"
    assert re.fullmatch(
        r"20 labels: ladder of vat \S+ %, ladder \S+ %, paired difference -3.00 points, 1 seed", printed[1]
    )
    assert [line.partition(" %, ")[2].split()[0] for line in printed[1:]] == ["ladder", "ebgan-ladder"]
    assert not (folder / "other_methods.csv").exists(), "nothing was trained"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"data": {"name": "digits", "fingerprint": "x"}}, "is a run on other images than the packaged digits"),
        ({"recipe": {"gan": {}}}, "is a run of GANs without labels"),
    ],
)
def test_runs_of_something_else_are_refused(
    folder: Path,
    changed: dict[str, Any],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = read_record(folder)
    record["identity"] |= changed
    monkeypatch.setattr(other_methods, "read_record", lambda _: record)
    with pytest.raises(SystemExit) as stopped:
        other_methods.main([str(folder)])
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err


def test_self_training_takes_the_supervised_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "network.toml"
    recipe.write_text(
        "labels = [20]\nn_seeds = 1\n"
        "[network]\nhidden_sizes = [32]\ninput_noise = 0.3\nhidden_noise = 0.3\nsoftmax_gamma = true\n"
        'evaluation_statistics = "labeled"\n'
        "[training]\nbatch_size = 20\nadam_beta1 = 0.9\nadam_beta2 = 0.999\nadam_epsilon = 1e-8\n"
        "curve_every_steps = 100\n"
        "[ladder]\nn_steps = 60\nlearning_rate = 0.02\ndecay_start_step = 30\ndenoising_weights = [100, 0, 0]\n"
    )
    monkeypatch.setattr(other_methods, "ROUNDS", 2)
    monkeypatch.setattr(other_methods, "SURE", 0.8)
    other_methods.main([str(folder), "--method", "self-training", "--network", str(recipe)])
    errors = other_methods.done(folder / "other_methods.csv")
    assert errors.keys() == {(f"self-training with {recipe}", 20, 0), (f"self-training with {recipe}", 20, 1)}
    assert all(0 < error < 80 for error in errors.values())
    other = recipe.rename(tmp_path / "other.toml")
    other_methods.main([str(folder), "--method", "self-training", "--network", str(other)])
    assert len(other_methods.done(folder / "other_methods.csv")) == 4, "another network has errors of its own"
    made = other_methods.make("self-training", str(recipe), 3)
    base = made.get_params()["estimator"]
    assert (base.denoising_weights, base.random_state, base.recipe) == (0, 3, str(recipe))


def test_self_training_needs_a_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        other_methods.main([str(folder), "--method", "self-training"])
    assert stopped.value.code == 2
    assert "needs a --network" in capsys.readouterr().err
