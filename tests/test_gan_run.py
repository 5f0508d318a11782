"""Runs of GANs through the command line: folder, table, page, going on, what is refused."""

import csv
import json
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import tiny
from safetensors.torch import load_file, save_file

from ladder_ebgan.any_recipe import load_any_recipe
from ladder_ebgan.commands.run import request_of
from ladder_ebgan.data import load_dataset
from ladder_ebgan.disk import replica_bytes
from ladder_ebgan.experiment import Stopped, open_experiment

SETTINGS = {
    "training.batch_size": "20",
    "training.curve_every_steps": "5",
    "ebgan.n_steps": "12",
    "ebgan.discriminator.size": "9",
    "ebgan.discriminator.n_layers": "3",
    "ebgan.discriminator.dropout": "0.5",
    "ebgan.generator.size": "8",
    "ebgan.generator.n_layers": "3",
    "ebgan.generator.latent_size": "4",
}


def arguments(output: Path, *more: str, recipe: str = "figure4-ebgan-pt") -> list[str]:
    settings = SETTINGS
    if recipe == "figure4-gan":
        settings = {key.replace("ebgan.", "gan."): value for key, value in SETTINGS.items()}
    changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    seeds = [] if "--seeds" in more else ["--seeds", "2"]
    data = [] if "--data" in more else ["--data", "digits"]
    return ["run", "--recipe", recipe, *data, "--no-compile", "--output", str(output), *changes, *seeds, *more]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gan") / "run"
    tiny.done(*arguments(folder, "--quiet"), figures=True)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_folder_has_results_curves_images_and_models(finished: Path) -> None:
    names = [f"{model}-0-{seed}" for model in ("ebgan", "ebgan-pt") for seed in (0, 1)]
    results = rows(finished / "results.csv")
    assert [f"{r['model']}-{r['labels']}-{r['seed']}" for r in results] == names
    for result in results:
        assert (result["status"], result["test_error_percent"], result["steps"]) == ("ok", "", "12")
        assert "modified_inception_score" not in result  # of other data than MNIST's
    assert sorted(path.stem for path in (finished / "models").iterdir()) == sorted(names)
    for name in names:
        with np.load(finished / "predictions" / f"{name}.npz") as arrays:
            assert list(arrays) == ["generated_images"]
            assert arrays["generated_images"].shape == (100, 64)
    assert not (finished / "checkpoints").exists()
    figures = {path.stem for path in (finished / "figures").glob("*.png")}
    histograms = {"energy_histograms_ebgan", "energy_histograms_ebgan-pt"}
    assert figures == {"energies", "generated_images"} | histograms


def test_the_curves_have_energies_margin_and_hinges(finished: Path) -> None:
    history = rows(finished / "history.csv")
    assert [row["step"] for row in history if row["model"] == "ebgan" and row["seed"] == "0"] == ["5", "10", "12"]
    for row in history:
        assert row["classification_cost"] == row["denoising_cost"] == row["unlabeled_error_percent"] == ""
        assert float(row["margin"]) == 10
        assert 0 < float(row["energy_real"]) < 30
        assert 0 < float(row["energy_generated"]) < 30
        assert 0 <= float(row["open_hinges_percent"]) <= 100
        assert float(row["generated_diversity"]) > 0
    energies = rows(finished / "energies.csv")
    assert [[row[name] for name in ("model", "seed", "step", "margin")] for row in energies] == [
        [row["model"], row["seed"], row["step"], row["margin"]] for row in history
    ]


def test_the_term_makes_a_difference_and_nothing_else_does(finished: Path) -> None:
    """A variant has the weights of its seed, so both begin alike."""
    of, with_term = (load_file(finished / "models" / f"{model}-0-0.safetensors") for model in ("ebgan", "ebgan-pt"))
    assert of.keys() == with_term.keys()
    assert not any((of[name] == with_term[name]).all() for name in of if "generator.weight" in name)


def test_a_logistic_discriminator_has_a_cross_entropy(tmp_path: Path) -> None:
    outcome = tiny.done(*arguments(tmp_path / "run", "--verbose", "--seeds", "1", recipe="figure4-gan"))
    assert "  gan, seed 0, step 5: classification 1." in outcome.stderr
    assert "  gan, seed 0: done\n" in outcome.stderr
    (*_, last) = rows(tmp_path / "run" / "history.csv")
    assert 0 < float(last["classification_cost"]) < 3
    assert last["margin"] == last["energy_real"] == last["energy_generated"] == last["open_hinges_percent"] == ""


def test_the_same_command_again_trains_nothing(folder: Path) -> None:
    before = tiny.content(folder)
    outcome = tiny.done(*arguments(folder))
    assert "Everything asked for is already trained." in outcome.stderr
    assert tiny.content(folder) == before


def test_a_stopped_run_ends_with_the_bits_of_one_that_was_not(finished: Path, tmp_path: Path) -> None:
    request = request_of(**tiny.parameters_of_run(*arguments(tmp_path / "run")[1:]))
    steps = count()
    with open_experiment(request) as experiment:
        *_, last = experiment.run(lambda: "time limit" if next(steps) >= 7 else None)
    assert isinstance(last, Stopped)
    assert list((tmp_path / "run" / "checkpoints").iterdir())
    tiny.done("report", str(tmp_path / "run"))
    unfinished = (tmp_path / "run" / "report.html").read_text().partition('id="unfinished"')[2]
    assert "<td>seed 0, 1</td>" in unfinished
    outcome = tiny.done(*arguments(tmp_path / "run"))
    assert ", going on from step " in outcome.stderr
    for name in ("models/ebgan-0-1.safetensors", "models/ebgan-pt-0-0.safetensors", "history.csv"):
        there, here = (path / name for path in (finished, tmp_path / "run"))
        if name == "history.csv":
            assert there.read_bytes() == here.read_bytes()
        else:
            a, b = load_file(there), load_file(here)
            assert all((a[key] == b[key]).all() for key in a)


def test_in_several_processes(finished: Path, tmp_path: Path) -> None:
    """Their events, with the costs in them, come through pipes; replicas alone are near those in a group."""
    outcome = tiny.invoke(*arguments(tmp_path / "run", "--processes", "2", "--verbose"), n_cores=2)
    assert outcome.code == 0, outcome
    for model in ("ebgan", "ebgan-pt"):
        for seed in (0, 1):
            assert f"{model}, seed {seed}: 12 steps\n" in outcome.stderr
            assert f"  {model}, seed {seed}, step 12: energy " in outcome.stderr
    a, b = (load_file(path / "models" / "ebgan-0-1.safetensors") for path in (finished, tmp_path / "run"))
    assert all(np.allclose(a[key], b[key], rtol=1e-2, atol=1e-2) for key in a)


def test_seeds_are_added(folder: Path) -> None:
    tiny.done(*arguments(folder, "--seeds", "3", "--model", "ebgan"))
    table = json.loads((folder / "table.json").read_text())
    assert [(row["model"], row["n_seeds"], row["n_diverged"]) for row in table["rows"]] == [
        ("ebgan", 3, 0),
        ("ebgan-pt", 2, 0),
    ]


@pytest.mark.parametrize("layout", ["text", "markdown", "latex", "csv", "json"])
def test_its_table_in_every_format(layout: str, finished: Path) -> None:
    text = tiny.done("table", str(finished), "--format", layout).stdout
    assert "ebgan-pt" in text
    assert "test error" not in text.lower()


def test_its_page_speaks_of_generators(folder: Path) -> None:
    tiny.done("report", str(folder))
    page = (folder / "report.html").read_text()
    assert "<h1>ebgan and ebgan-pt on digits</h1>" in page
    assert "Generators trained against discriminators, on images without labels," in page
    assert "ladder-ebgan sample" in page
    assert "ladder-ebgan predict" not in page
    assert "Test error" not in page
    assert " labels" not in page.partition("<style>")[0]


def test_its_page_has_scores_and_comparisons(folder: Path) -> None:
    results = rows(folder / "results.csv")
    for result, score in zip(results, (8.0, 9.0, 9.5, 10.0), strict=True):
        result["modified_inception_score"] = str(score)
    with (folder / "results.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(results[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(results)
    tiny.done("report", str(folder))
    page = (folder / "report.html").read_text()
    assert '<td class="number">9.75 ± 0.35</td>' in page
    assert "ebgan-pt against ebgan, modified inception score: difference +1.25 (2)" in page
    assert "A variant begins with the weights" in page
    assert '<td class="number">9.50</td>' in page


def test_samples_are_those_that_the_run_has_kept(finished: Path, tmp_path: Path) -> None:
    """With the model's own seed as latent seed; energies are those of the discriminator."""
    chosen = ("--model", "ebgan", "--seed", "1", "--latent-seed", "1")
    output = tmp_path / "x.npz"
    outcome = tiny.done("sample", str(finished), *chosen, "--n", "30", "--output", str(output))
    assert outcome.stderr == f"Wrote 30 images of ebgan, seed 1 to {output}\n"
    with np.load(output) as drawn, np.load(finished / "predictions" / "ebgan-0-1.npz") as kept:
        pixels = np.rint(255 * drawn["images"]).reshape(30, 64)
        assert np.abs(pixels - kept["generated_images"][:30]).max() <= 1
        assert drawn["energies"].shape == (30,)
        assert (drawn["energies"] > 0).all()
    tiny.done("sample", str(finished), *chosen, "--output", str(tmp_path / "x.png"))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_a_gan_has_no_energies(tmp_path: Path) -> None:
    tiny.done(*arguments(tmp_path / "run", "--seeds", "1", recipe="figure4-gan"))
    outcome = tiny.done("sample", str(tmp_path / "run"), "--output", str(tmp_path / "x.npz"))
    assert "No energies: the discriminator of gan, seed 0 gives a logit." in outcome.stderr
    with np.load(tmp_path / "x.npz") as drawn:
        assert list(drawn) == ["images"]


def test_its_models_are_listed_and_cannot_predict(finished: Path) -> None:
    assert "ebgan-pt" in tiny.done("models", str(finished)).stdout
    message = tiny.refused("predict", str(finished), "digits", "--model", "ebgan", "--seed", "0")
    assert "is a GAN without a classifier: 'sample' draws images from it" in message


def test_a_damaged_model_is_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / "models" / "ebgan-0-0.safetensors"
    path.write_bytes(path.read_bytes()[:-8] + b"12345678")
    message = tiny.refused("sample", str(path), "--output", str(tmp_path / "x.png"))
    assert "is damaged" in message
    assert not (tmp_path / "x.png").exists()


def test_a_model_with_other_tensors_is_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    path = folder / "models" / "ebgan-0-0.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["model"])
    del metadata["crc32"]
    tensors = load_file(path)
    for change, expected in (
        ({"other": tensors["generator.bias.0"].clone()}, "it should have no other"),
        ({"generator.weight.0": tensors["generator.weight.1"].clone()}, "generator.weight.0 has shape [1, 8, 8]"),
    ):
        save_file(tensors | change, path, {"model": json.dumps(metadata)})
        assert expected in tiny.refused("sample", str(path), "--output", str(tmp_path / "x.png"))


def test_the_number_of_labels_is_refused(tmp_path: Path) -> None:
    message = tiny.refused(*arguments(tmp_path / "run", "--labels", "20"))
    assert message == "--labels: the recipe figure4-ebgan-pt is of GANs, which use no labels; leave the option out"
    assert not (tmp_path / "run").exists()


def test_features_without_a_shape_are_refused_where_they_should_be_padded(tmp_path: Path) -> None:
    data = {f"x_{part}": np.random.default_rng(0).random((30, 5)) for part in ("train", "test")}
    data |= {f"y_{part}": np.arange(30) % 3 for part in ("train", "test")}
    np.savez(tmp_path / "table.npz", **data)
    options = ("--data", str(tmp_path / "table.npz"), "--seeds", "1")
    message = tiny.refused(*arguments(tmp_path / "run", *options))
    assert "padding is 2, but the data has 5 features and no image shape: set the model's padding to 0" in message
    assert not (tmp_path / "run").exists()
    tiny.done(*arguments(tmp_path / "run", *options, "--set", "ebgan.padding=0"), figures=True)


def test_a_run_of_classifiers_and_one_of_gans_share_no_table(
    finished: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    message = tiny.refused("table", str(finished), str(tiny.finished_run(tmp_path_factory)))
    assert "one run is of classifiers and another of GANs without labels: make a table of each" in message


def test_a_command_for_classifiers_refuses_the_recipe() -> None:
    assert "is of GANs without labels, which 'ladder-ebgan run' trains" in tiny.refused(
        "bench", "--recipe", "figure4-gan"
    )


def test_a_dry_run_counts_steps_and_bytes(finished: Path, tmp_path: Path) -> None:
    """The model files are as large as it says, but for what they say of themselves."""
    plan = json.loads(tiny.done(*arguments(tmp_path / "run", "--dry-run", "--json")).stdout)
    assert plan["replica_steps"] == 48
    assert plan["labels"] == [0]
    assert not (tmp_path / "run").exists()
    kept = [path for name in ("models", "predictions") for path in (finished / name).iterdir()]
    assert plan["finished_bytes"] == pytest.approx(sum(path.stat().st_size for path in kept), rel=0.5)
    assert plan["checkpoint_bytes"] > 0


def test_a_replica_that_diverges_is_left_out(tmp_path: Path) -> None:
    options = ("--set", "ebgan.discriminator.weight_std=1e30", "--seeds", "1", "--model", "ebgan")
    outcome = tiny.invoke(*arguments(tmp_path / "run", *options))
    assert outcome.code == 1, outcome
    assert "ebgan, seed 0: diverged at step 1" in outcome.stderr
    assert "1 of 1 seeds of ebgan diverged and are left out (seed 0 at step 1)" in outcome.stdout
    (result,) = rows(tmp_path / "run" / "results.csv")
    assert (result["status"], result["diverged_step"]) == ("diverged", "1")


def test_digits_are_scored(tmp_path: Path) -> None:
    """A network without training draws images of no digit in particular; noise would have 0.01."""
    settings = ("--data", "mnist", "--seeds", "1", "--model", "ebgan", "--set", "ebgan.n_steps=1")
    outcome = tiny.done(*arguments(tmp_path / "run", *settings))
    (result,) = rows(tmp_path / "run" / "results.csv")
    score = float(result["modified_inception_score"])
    assert 0 <= score < 3
    assert f"  ebgan, seed 0: modified inception score {score:.2f}\n" in outcome.stderr
    assert 1 <= float(result["inception_score"]) < 3
    assert float(result["generated_recall"]) < 0.1
    assert 1 <= int(result["n_modes"]) <= 10
    (row,) = json.loads((tmp_path / "run" / "table.json").read_text())["rows"]
    assert row["scores"]["modified_inception_score"]["values"] == [score]


def test_a_checkpoint_has_the_moments_of_adam_and_none_of_sgd() -> None:
    """Twelve bytes a parameter, or four; those of figure 4 (b) are counted by hand."""
    digits = load_dataset("digits")
    sgd, adam = (load_any_recipe(name) for name in ("figure4-gan", "figure4-ebgan"))
    of_gan, of_ebgan = replica_bytes(sgd, "gan", 0, digits), replica_bytes(adam, "ebgan", 0, digits)
    assert of_gan.checkpoint == of_gan.model
    assert of_ebgan.checkpoint == 3 * of_ebgan.model
    pixels = 12 * 12
    discriminator = pixels * 1024 + 1024 + 1024 * pixels + pixels
    generator = 100 * 800 + 800 + 3 * (800 * 800 + 800) + 800 * pixels + pixels
    assert of_ebgan.model == 4 * (discriminator + generator)
