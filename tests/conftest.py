"""What the tests share: a fixed seed, one thread, small images and a small recipe."""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when PyTorch is loaded; processes of tests have it as well

import numpy as np
import pytest
import tiny
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor

from ladder_ebgan import processor
from ladder_ebgan.recipe import Recipe, load_recipe

ON_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    # PyTorch's own, when it compiles.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SMALL_RECIPE = (
    "network.hidden_sizes=[12, 8, 7, 6, 5]",
    "training.batch_size=10",
    "ladder.n_steps=12",
    "ladder.decay_start_step=8",
    "ladder.learning_rate=0.002",
    "ebgan-ladder.n_steps=12",
    "ebgan-ladder.adversarial_steps=6",
    "ebgan-ladder.decay_start_step=4",
    "ebgan-ladder.learning_rate=0.003",
    "ebgan-ladder.margin.steps=[0, 6]",
    "ebgan-ladder.margin.values=[6, 0]",
    "ebgan-ladder.generator.hidden_sizes=[9, 8]",
    "ebgan-ladder.generator.latent_size=4",
    "ebgan-ladder.generator.learning_rate=0.001",
)


# A busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _alike() -> None:
    """Begin each test alike, whatever a training in this process has set before.

    One thread, since threads that wait for a busy core take twenty times as long.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def small() -> Callable[..., Recipe]:
    """Build the small recipe, with further overrides."""

    def build(*overrides: str) -> Recipe:
        return load_recipe("table2", [*SMALL_RECIPE, *overrides])

    return build


class SmallData(NamedTuple):
    images: Tensor  # [60, 9], in [0, 1]
    labels: Tensor  # [60], classes 0..4
    n_classes: int


@pytest.fixture(scope="session")
def data() -> SmallData:
    """Five blurred patterns of nine pixels, twelve images of each."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2, (5, 9))
    labels = np.arange(60) % 5
    images = np.clip(0.8 * patterns[labels] + 0.1 + 0.15 * rng.standard_normal((60, 9)), 0, 1)
    return SmallData(torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels), 5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tiny.Server]:
    """Starts real processes, of runs or of their workers, and ends with the tests of its module."""
    with tiny.server(tmp_path_factory.mktemp("server")) as it:
        yield it


@pytest.fixture
def products_by_mkl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PyTorch's own products multiply float32 matrices, whatever the processor is."""
    monkeypatch.setattr(processor, "has_avx512_beyond_mkl", lambda: False)
