from collections.abc import Callable

import numpy as np
import pytest
import torch
from conftest import SmallData
from torch import Tensor

from ladder_ebgan import kernels
from ladder_ebgan.batches import Batch, BatchStream
from ladder_ebgan.data.dataset import Dataset, RawArrays, make_dataset
from ladder_ebgan.engine import Engine
from ladder_ebgan.kernels.library import compiler
from ladder_ebgan.machine import Resolved
from ladder_ebgan.philox import philox_normal
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.training import initial_state

CPU = torch.device("cpu")
SEEDS, SUBSETS = [3, 7], [np.arange(10), np.arange(20, 35)]
MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def dataset(data: SmallData) -> Dataset:
    """50 of the small images to train on, 10 to test."""
    images, labels = data.images.numpy(), data.labels.numpy()
    return make_dataset("small", "", RawArrays(images[:50], labels[:50], images[50:], labels[50:]), "small")


def engine_of(recipe: Recipe, dataset: Dataset, precision: str = "float32", compiled: bool = False) -> Engine:
    return Engine.prepare(recipe, dataset, Resolved(CPU, "a processor", precision, 4, compiled, 1))


def parameters(*modules: torch.nn.Module | None) -> list[Tensor]:
    return [parameter for module in modules if module is not None for parameter in module.parameters()]


def test_the_device_has_the_four_arrays_of_the_data_set(small: MakeRecipe, dataset: Dataset) -> None:
    data = engine_of(small(), dataset).data
    assert torch.equal(data.train_images, torch.from_numpy(dataset.train_images))
    assert torch.equal(data.train_labels, torch.from_numpy(dataset.train_labels))
    assert torch.equal(data.test_images, torch.from_numpy(dataset.test_images))
    assert torch.equal(data.test_labels, torch.from_numpy(dataset.test_labels))
    assert (len(data.train_images), len(data.test_images)) == (50, 10)


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_networks_are_those_of_the_recipe_and_the_seeds(small: MakeRecipe, dataset: Dataset, model: str) -> None:
    state = engine_of(small(), dataset).initial_state(model, SEEDS)
    expected = initial_state(small(), model, SEEDS, 9, 5, CPU)
    assert (state.generator is not None) == (model == "ebgan-ladder")
    ours, theirs = (parameters(it.ladder, it.generator) for it in (state, expected))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_products_have_the_precision_that_was_chosen(
    small: MakeRecipe, dataset: Dataset, precision: str, dtype: torch.dtype
) -> None:
    state = engine_of(small(), dataset, precision).initial_state("ladder", SEEDS)
    assert state.ladder.product_dtype == dtype


@pytest.mark.parametrize(("model", "latent_size"), [("ladder", None), ("ebgan-ladder", 4)])
def test_batches_are_of_the_size_of_the_recipe_with_latents_for_a_generator(
    small: MakeRecipe, dataset: Dataset, model: str, latent_size: int | None
) -> None:
    """Noise for 9 pixels, 12 + 8 + 7 + 6 + 5 hidden units and 5 classes."""
    engine = engine_of(small(), dataset)
    images, labels = engine.data.train_images, engine.data.train_labels
    expected = BatchStream(images, labels, SUBSETS, SEEDS, 10, 9 + 38 + 5, latent_size, philox_normal)
    batches = engine.batches(engine.initial_state(model, SEEDS), SUBSETS, SEEDS)

    def batch_of(stream: BatchStream) -> Batch:
        stream.seek(64)
        return stream.current(adversarial=latent_size is not None)

    for ours, theirs in zip(batch_of(batches), batch_of(expected), strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or torch.equal(ours, theirs)


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the kernels")
def test_compiled_it_draws_and_computes_by_kernels(small: MakeRecipe, dataset: Dataset) -> None:
    engine = engine_of(small(), dataset, compiled=True)
    state = engine.initial_state("ebgan-ladder", SEEDS)
    assert state.generator is not None
    assert state.ladder.functions == state.generator.functions == engine.functions.layers
    assert state.ladder.functions.denoise is kernels.denoise
    assert engine.batches(state, SUBSETS, SEEDS).noise.normal is kernels.philox_normal
