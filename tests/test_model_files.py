import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import trained
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from ladder_ebgan.errors import UsageError
from ladder_ebgan.model_files import ModelFile, choose, find_models, in_words, read_model_file

RUN = [("ladder", 9, 0), ("ladder", 9, 1), ("ebgan-ladder", 9, 0), ("ebgan-ladder", 9, 1), ("ladder", 12, 0)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.run_folder(tmp_path_factory.mktemp("files") / "run", *RUN)


def identity(files: Sequence[ModelFile]) -> list[tuple[str, int, int]]:
    return [(file.metadata.model, file.metadata.labels, file.metadata.seed) for file in files]


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        find_models(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_file_says_what_it_is(run: Path) -> None:
    file = read_model_file(run / "models" / "ebgan-ladder-9-1.safetensors")
    assert identity([file]) == [("ebgan-ladder", 9, 1)]
    assert file.metadata.format == 2
    assert file.metadata.classes == trained.CLASSES
    assert file.metadata.image_shape == trained.SHAPE
    assert file.metadata.data.name == "mine"
    assert file.recipe.identity() == trained.recipe().identity()
    assert file.has_generator


@pytest.mark.parametrize("model", ["ladder", "ladder-matched"])
def test_a_ladder_has_no_generator(tmp_path: Path, model: str) -> None:
    trained.write_model(tmp_path / "m.safetensors", model)
    assert not read_model_file(tmp_path / "m.safetensors").has_generator


def test_the_models_of_a_run_come_in_order(run: Path) -> None:
    assert identity(find_models(run)) == sorted(RUN)
    assert identity(find_models(run / "models")) == sorted(RUN)
    (alone,) = find_models(run / "models" / "ladder-12-0.safetensors")
    assert identity([alone]) == [("ladder", 12, 0)]


def test_a_file_without_a_format_has_the_first(tmp_path: Path) -> None:
    trained.write_model(tmp_path / "m.safetensors")
    assert read_model_file(trained.as_format_1(tmp_path / "m.safetensors")).metadata.format == 1


def test_where_there_are_no_models(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == f"there is no model file or run folder '{tmp_path / 'none'}'"
    assert refusal(tmp_path) == (
        f"the folder '{tmp_path}' holds no models: name a run folder with a finished seed, or a file of its models/"
    )


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 100, b"\x93NUMPY" + b"\1" * 100])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    assert refusal(path).startswith(f"'{path}' is no model file, or a damaged one (")
    assert refusal(tmp_path) == refusal(path)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_every_cut_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "m.safetensors"
    trained.write_model(path)
    path.write_bytes(path.read_bytes()[:length])
    assert "is no model file, or a damaged one (" in refusal(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").symlink_to(tmp_path / "gone")
    assert "is no model file, or a damaged one (No such file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, "does not say what it is: it is no model of ladder-ebgan, or damaged"),
        ({"other": "1"}, "does not say what it is"),
        ({"model": "{"}, "does not say what it is"),
        ({"model": "[]"}, "does not say what it is"),
        ({"model": '{"format": "2"}'}, "does not say what it is"),
        ({"checkpoint": "{}"}, "is the checkpoint of a training; the run's models/ has models when it is done"),
    ],
)
def test_other_safetensors_files_are_refused(tmp_path: Path, stored: dict[str, str] | None, expected: str) -> None:
    (tmp_path / "m.safetensors").write_bytes(save({"x": torch.zeros(2)}, stored))
    assert expected in refusal(tmp_path)


def test_a_later_format_is_refused_whatever_else_it_says(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(save({}, {"model": json.dumps({"format": 4})}))
    assert refusal(path) == (
        f"the model file '{path}' has format 4, and this version of ladder-ebgan knows formats up to 3: "
        "install a later one"
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"classes": None}, "the metadata of '{path}' is wrong: classes: field required"),
        ({"classes": [1]}, "is wrong: classes: value error, there must be two or more"),
        ({"labels": "100"}, "is wrong: labels: input should be a valid integer"),
        ({"seed": -1}, "is wrong: seed: input should be greater than or equal to 0"),
        ({"format": True}, "is wrong: format: input should be a valid integer"),
        ({"data": {"name": "mine"}}, "is wrong: data.fingerprint: field required"),
        ({"image_shape": [0]}, "is wrong: image_shape.0: input should be greater than 0"),
        ({"precision": "half"}, "is wrong: precision: input should be 'float32', 'tf32' or 'bfloat16'"),
        ({"model": "gan"}, "the recipe has no model 'gan': it has ladder, ladder-matched, ebgan-ladder"),
        ({"recipe": {}}, "the recipe in '{path}': the key 'network' is missing"),
        ({"recipe": {"n_seeds": 0}}, "the recipe in '{path}': "),
    ],
)
def test_wrong_metadata_are_refused(tmp_path: Path, changed: dict[str, Any], expected: str) -> None:
    path = tmp_path / "m.safetensors"
    trained.write_model(path)
    assert expected.format(path=path) in refusal(trained.rewrite(path, **changed))


def chosen(
    run: Path, model: str | None = None, labels: int | None = None, seeds: list[int] | Literal["all"] | None = None
) -> list[tuple[str, int, int]]:
    return identity(choose(find_models(run), run, model, labels, seeds))


def test_one_model_is_chosen(run: Path) -> None:
    assert chosen(run, "ladder", 9, [1]) == [("ladder", 9, 1)]
    assert chosen(run, labels=12) == [("ladder", 12, 0)]
    assert chosen(run / "models" / "ladder-9-0.safetensors") == [("ladder", 9, 0)]


def test_several_seeds_are_an_ensemble_when_asked_for(run: Path) -> None:
    assert chosen(run, "ladder", 9, [0, 1]) == [("ladder", 9, 0), ("ladder", 9, 1)]
    assert chosen(run, "ebgan-ladder", seeds="all") == [("ebgan-ladder", 9, 0), ("ebgan-ladder", 9, 1)]


ALL = "ebgan-ladder, 9 labels, seeds 0, 1; ladder, 9 labels, seeds 0, 1; ladder, 12 labels, seed 0"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, f"has {ALL}: choose with --model and --labels and --seed (--seed all averages the seeds)"),
        (
            {"model": "ladder"},
            "has ladder, 9 labels, seeds 0, 1; ladder, 12 labels, seed 0: choose with --labels and --seed (--seed ",
        ),
        ({"seeds": "all"}, f"has {ALL}: choose with --model and --labels"),
        ({"labels": 9, "seeds": [0]}, "9 labels, seed 0; ladder, 9 labels, seed 0: choose with --model"),
        ({"model": "ladder", "labels": 9}, "has ladder, 9 labels, seeds 0, 1: choose with --seed (--seed all "),
        ({"model": "gan"}, f"has no model with model gan; it has {ALL}"),
        ({"labels": 7}, f"has no model with 7 labels; it has {ALL}"),
        (
            {"labels": 9, "model": "ladder", "seeds": [0, 5, 4]},
            "has no model with model ladder, 9 labels, seed 4; ",
        ),
    ],
)
def test_a_choice_that_is_not_clear_is_refused(run: Path, asked: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(run, **asked)
    assert str(caught.value).startswith(f"'{run}' has ")
    assert expected in str(caught.value)


def test_who_cannot_average_does_not_offer_it(run: Path) -> None:
    with pytest.raises(UsageError, match=r"choose with --seed$"):
        choose(find_models(run), run, "ladder", 9, averages=False)


def test_two_files_of_one_seed_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        trained.write_model(tmp_path / f"{name}.safetensors")
    with pytest.raises(UsageError, match="has several files of ladder, 9 labels, seeds 0, 0: name one of them"):
        choose(find_models(tmp_path), tmp_path, seeds="all")


@given(st.lists(st.integers(0, 30), min_size=1, unique=True).map(sorted))
def test_seeds_in_words_can_be_read_back(seeds: list[int]) -> None:
    words = in_words("ladder", 100, seeds)
    numbers = words.removeprefix("ladder, 100 labels, seed").removeprefix("s ").strip()
    if "-" in numbers:
        first, last = map(int, numbers.split("-"))
        assert list(range(first, last + 1)) == seeds
        assert len(seeds) > 2
    else:
        assert [int(number) for number in numbers.split(", ")] == seeds
