"""On a GPU: captured steps of GANs equal ordinary ones, and those of the CPU."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from conftest import ON_GPU
from test_gan_training import KINDS, TRAINING, images
from torch.testing import assert_close

from ladder_ebgan import stepping
from ladder_ebgan.gan.batches import GANBatchStream
from ladder_ebgan.gan.recipe import GANSettings
from ladder_ebgan.gan.training import GANFunctions, GANState, Settings, each_settings, initial_gan_state, train_gan

pytestmark = ON_GPU
TWENTY = [settings.model_copy(update={"n_steps": 20}) for settings in KINDS]


def with_sgd(settings: GANSettings) -> GANSettings:
    """The same, with gradient descent at another rate for the discriminator."""
    side = settings.discriminator.model_copy(update={"optimizer": "sgd", "learning_rate": 0.01})
    return settings.model_copy(update={"discriminator": side})


EACH: list[Settings] = [*TWENTY, *([settings, with_sgd(settings)] for settings in TWENTY)]  # of all, or of each


def trained(settings: Settings, device: str, compiled: bool = False) -> tuple[GANState, Sequence[Any]]:
    place = torch.device(device)
    functions = GANFunctions.prepare(compiled, place)
    data = images().to(place)
    state = initial_gan_state(settings, TRAINING, [0, 1], data.shape[1], place, functions=functions)
    stream = GANBatchStream(
        *(data, [data.shape[1]], 0, [0, 1], TRAINING.batch_size, each_settings(settings)[0].generator.latent_size),
        state.discriminator.n_noise,
        functions.normal,
    )
    progress = [(p.step, p.costs.total.clone()) for p in train_gan(state, stream, settings, functions, 1)]
    return state, progress


@pytest.mark.parametrize("settings", EACH)
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_captured_steps_equal_ordinary_ones(
    settings: Settings, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, replayed = trained(settings, "cuda", compiled)
    monkeypatch.setattr(stepping, "captured", lambda step, device: step)
    _, ordinary = trained(settings, "cuda")
    assert [step for step, _ in replayed] == list(range(1, 21))
    tolerance = 1e-2 if compiled else 1e-3
    for (_, a), (_, b) in zip(replayed, ordinary, strict=True):
        assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("settings", EACH)
def test_early_steps_are_those_of_the_cpu(settings: Settings) -> None:
    (_, there), (_, here) = trained(settings, "cuda"), trained(settings, "cpu")
    for (_, a), (_, b) in zip(there[:3], here[:3], strict=True):
        assert_close(a.cpu(), b, rtol=1e-3, atol=1e-3)
