"""The steps of GANs against plain PyTorch, one network at a time; what a replica owes to the others; going on.

All is in float64 but for the normalisation, which is always in float32.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gan_reference
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan.checkpoints import checkpoint_bytes, restore, state_tensors
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.batches import GANBatch, GANBatchStream
from ladder_ebgan.gan.recipe import DiscriminatorSettings, EBGANSettings, GANGeneratorSettings, GANSettings
from ladder_ebgan.gan.training import (
    GANFunctions,
    GANProgress,
    GANState,
    ebgan_step,
    gan_step,
    initial_gan_state,
    train_gan,
)
from ladder_ebgan.losses import logistic_discriminator_loss, non_saturating_loss
from ladder_ebgan.recipe import Training

CPU, EAGER = torch.device("cpu"), GANFunctions()
BATCH, FEATURES, LATENT = 6, 5, 3
TRAINING = Training(batch_size=BATCH, adam_beta1=0.5, adam_beta2=0.999, adam_epsilon=1e-8, curve_every_steps=2)
OPTIMIZERS = [("adam", "adam"), ("adam", "sgd"), ("sgd", "adam"), ("sgd", "sgd")]


def settings_of(
    margin: float | None = None,
    optimizers: tuple[Any, Any] = ("adam", "adam"),
    dropout: float = 0.0,
    n_layers: int = 3,
    rates: tuple[float, float] = (0.01, 0.02),
    n_steps: int = 5,
    pulling_away_weight: float = 0.0,
) -> GANSettings:
    d = DiscriminatorSettings(
        n_layers=n_layers, size=7, dropout=dropout, weight_std=0.4, optimizer=optimizers[0], learning_rate=rates[0]
    )
    g = GANGeneratorSettings(
        n_layers=3, size=8, latent_size=LATENT, weight_std=0.5, optimizer=optimizers[1], learning_rate=rates[1]
    )
    if margin is None:
        return GANSettings(n_steps=n_steps, discriminator=d, generator=g)
    return EBGANSettings(
        n_steps=n_steps, discriminator=d, generator=g, margin=margin, pulling_away_weight=pulling_away_weight
    )


def float64_state(settings: GANSettings, seeds: Sequence[int] = (0, 1)) -> GANState:
    state = initial_gan_state(settings, TRAINING, seeds, FEATURES, CPU, torch.float64)
    state.discriminator.double()
    state.generator.double()
    return state


def batch_of(replicas: int, n_noise: int = 0) -> GANBatch:
    return GANBatch(
        2 * torch.rand(replicas, BATCH, FEATURES, dtype=torch.float64) - 1,
        torch.randn(replicas, BATCH, LATENT, dtype=torch.float64),
        torch.randn(replicas, 2 * BATCH, n_noise, dtype=torch.float64) if n_noise else None,
    )


def masks(batch: GANBatch, r: int, sizes: Sequence[int]) -> tuple[Any, Any]:
    """What dropout of a half keeps, of real and of generated images."""
    if batch.noise is None:
        return None, None
    keep = 2 * (batch.noise[r] >= 0).double()
    return tuple(list(half.split(list(sizes), dim=-1)) for half in keep.chunk(2))


def plain_of(settings: GANSettings, state: GANState, r: int) -> gan_reference.PlainGAN:
    return gan_reference.PlainGAN(
        gan_reference.layers_of(state.discriminator, r),
        gan_reference.layers_of(state.generator, r),
        (settings.discriminator.optimizer, settings.generator.optimizer),
        (settings.discriminator.learning_rate, settings.generator.learning_rate),
        *((settings.margin, settings.pulling_away_weight) if isinstance(settings, EBGANSettings) else ()),
    )


def step(settings: GANSettings, state: GANState, batch: GANBatch) -> Any:
    if isinstance(settings, EBGANSettings):
        return ebgan_step(state, batch, EAGER, settings.margin, settings.pulling_away_weight)
    return gan_step(state, batch, EAGER)


@pytest.mark.parametrize(
    "settings",
    [
        *(settings_of(optimizers=optimizers) for optimizers in OPTIMIZERS),
        *(settings_of(margin=2.0, optimizers=optimizers) for optimizers in OPTIMIZERS),
        settings_of(dropout=0.5, n_layers=4),
        settings_of(margin=2.0, dropout=0.5, n_layers=4),
        settings_of(margin=2.0, pulling_away_weight=0.3),
        settings_of(margin=2.0, pulling_away_weight=0.3, dropout=0.5, n_layers=2),
        settings_of(margin=0.0),
    ],
)
def test_steps_equal_plain_pytorch(settings: GANSettings) -> None:
    """Four steps of two replicas, each as if it trained alone: Eq. (1), then Eq. (2) with the new discriminator."""
    torch.manual_seed(1)
    state = float64_state(settings)
    plain = [plain_of(settings, state, r) for r in range(2)]
    sizes = [settings.discriminator.size] * (settings.discriminator.n_layers - 1)
    for number in range(4):
        batch = batch_of(2, state.discriminator.n_noise)
        costs = step(settings, state, batch)
        for r, gan in enumerate(plain):
            gan.step(batch.images[r], batch.latents[r], masks(batch, r, sizes))
            for name, value in gan.seen[number].items():
                assert_close(getattr(costs, name)[r].double(), value, rtol=1e-5, atol=1e-5)
            for module, layers in ((state.discriminator, gan.discriminator), (state.generator, gan.generator)):
                for weight, bias, (w, b) in zip(module.weight, module.bias, layers, strict=True):
                    assert_close(weight.detach()[r], w.detach(), rtol=1e-5, atol=2e-5)
                    assert_close(bias.detach()[r, 0], b.detach(), rtol=1e-5, atol=2e-5)


def test_the_hinge_is_of_each_image_and_then_of_their_mean() -> None:
    """With a margin between the energies, a hinge of the mean would have another gradient."""
    settings = settings_of(margin=1.0, optimizers=("sgd", "sgd"), rates=(1.0, 0.02))
    state, batch = float64_state(settings, [0]), batch_of(1)
    layers = gan_reference.layers_of(state.discriminator, 0)
    generated = gan_reference.generate(gan_reference.layers_of(state.generator, 0), batch.latents[0]).detach()
    fake = gan_reference.energies(layers, generated)[0]
    margin = fake.median().item() + 1e-3
    real = gan_reference.energies(layers, batch.images[0])[0].mean()
    before = state.discriminator.weight[0].detach().clone()
    costs = ebgan_step(state, batch, EAGER, margin)
    assert costs.open_hinges is not None
    assert 0 < costs.open_hinges.item() < 1
    moved = before - state.discriminator.weight[0].detach()
    for hinge, same in ((torch.relu(margin - fake).mean(), True), (torch.relu(margin - fake.mean()), False)):
        (gradient,) = torch.autograd.grad(real + hinge, layers[0][0], retain_graph=True)
        assert torch.allclose(moved[0], gradient) is same


def test_the_pulling_away_term_is_in_the_generators_loss_alone() -> None:
    """The discriminator's update has the same bits with and without it, the generator's not."""
    batch, with_term, without = batch_of(2), *(float64_state(settings_of(margin=3.0)) for _ in range(2))
    ebgan_step(with_term, batch, EAGER, 3.0, 0.5)
    ebgan_step(without, batch, EAGER, 3.0, 0.0)
    for a, b in zip(with_term.discriminator.parameters(), without.discriminator.parameters(), strict=True):
        assert torch.equal(a, b)
    pairs = zip(with_term.generator.weight, without.generator.weight, strict=True)
    assert not any(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("margin", [None, 3.0])
def test_a_frozen_generator_stays_to_the_bit(margin: float | None) -> None:
    settings = settings_of(margin, rates=(0.01, 0.0))
    state = float64_state(settings)
    assert state.generator_optimizer is None
    before = [parameter.detach().clone() for parameter in state.generator.parameters()]
    costs = step(settings, state, batch_of(2))
    assert costs.total.isfinite().all()
    assert all(torch.equal(a, b) for a, b in zip(before, state.generator.parameters(), strict=True))
    assert not any(name.startswith("generator") for name in state_tensors(state))


def test_the_update_of_the_generator_leaves_the_discriminator_alone() -> None:
    """It has the gradient of its own update alone, and can be trained again."""
    for margin in (None, 3.0):
        moving, still = (float64_state(settings_of(margin, rates=(0.01, rate))) for rate in (0.02, 0.0))
        torch.manual_seed(5)
        batch = batch_of(2)
        for state in (moving, still):
            step(settings_of(margin), state, batch)
        for a, b in zip(moving.discriminator.parameters(), still.discriminator.parameters(), strict=True):
            assert torch.equal(a, b)
            assert a.grad is not None
            assert b.grad is not None
            assert torch.equal(a.grad, b.grad)
            assert a.requires_grad


def test_losses_of_the_ordinary_gan_equal_binary_cross_entropy() -> None:
    real, fake = torch.randn(2, 7, dtype=torch.float64), 30 * torch.randn(2, 7, dtype=torch.float64)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    for r in range(2):
        of_discriminator = bce(real[r], torch.ones(7).double()) + bce(fake[r], torch.zeros(7).double())
        assert_close(logistic_discriminator_loss(real, fake)[r], of_discriminator)
        assert_close(non_saturating_loss(fake)[r], bce(fake[r], torch.ones(7).double()))


def test_the_generators_loss_does_not_saturate() -> None:
    """Where D recognises an image for sure, the gradient is -1; that of log(1 - D) would be 0."""
    logits = torch.tensor([[-50.0]], requires_grad=True)
    non_saturating_loss(logits).sum().backward()
    assert logits.grad is not None
    assert logits.grad.item() == pytest.approx(-1)


def images(n: int = 40) -> Tensor:
    return torch.rand(n, FEATURES, generator=torch.Generator().manual_seed(3))


class Run:
    """A group of replicas, trained step by step."""

    def __init__(self, settings: GANSettings, seeds: Sequence[int], compiled: bool = False) -> None:
        self.settings, self.functions = settings, GANFunctions.prepare(compiled, CPU)
        self.state = initial_gan_state(settings, TRAINING, seeds, FEATURES, CPU, functions=self.functions)
        n_noise = self.state.discriminator.n_noise
        self.batches = GANBatchStream(images(), [FEATURES], 0, seeds, BATCH, LATENT, n_noise, self.functions.normal)
        self.progress: list[GANProgress] = []

    def train(self, until: int | None = None) -> "Run":
        for progress in train_gan(self.state, self.batches, self.settings, self.functions):
            self.progress.append(progress)
            if progress.step == until:
                break
        return self


KINDS = [
    settings_of(dropout=0.5),
    settings_of(margin=2.0, dropout=0.5, pulling_away_weight=0.1),
    settings_of(optimizers=("sgd", "sgd")),
]


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_replica_among_others_equals_it_alone(settings: GANSettings, compiled: bool) -> None:
    together, alone = Run(settings, [3, 7, 11], compiled).train(), Run(settings, [7], compiled).train()
    assert [progress.step for progress in together.progress] == [1, 2, 3, 4, 5]
    for a, b in zip(together.progress, alone.progress, strict=True):
        assert_close(a.costs.total[1], b.costs.total[0], rtol=1e-4, atol=1e-4)
    for a, b in zip(together.state.generator.weight, alone.state.generator.weight, strict=True):
        assert_close(a[1], b[0], rtol=1e-3, atol=1e-3)
    different = together.state.generator.weight[0]
    assert not torch.allclose(different[0], different[1])


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize("stop", [1, 3])
def test_going_on_from_a_checkpoint_gives_the_bits_of_never_stopping(
    settings: GANSettings, stop: int, tmp_path: Path
) -> None:
    through, stopped, resumed = (Run(settings, [0, 5]) for _ in range(3))
    (tmp_path / "x").write_bytes(checkpoint_bytes(stopped.train(until=stop).state, {"model": "x"}))
    restore(resumed.state, tmp_path / "x", {"model": "x"})
    assert resumed.state.step == stop
    assert checkpoint_bytes(resumed.train().state, {}) == checkpoint_bytes(through.train().state, {})
    assert [p.step for p in resumed.progress] == list(range(stop + 1, 6))


def test_a_checkpoint_of_another_optimiser_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(checkpoint_bytes(Run(settings_of(), [0]).state, {}))
    with pytest.raises(UsageError, match="it is of other networks"):
        restore(Run(settings_of(optimizers=("sgd", "adam")), [0]).state, tmp_path / "x", {})


def test_a_checkpoint_before_the_first_step_is_complete(tmp_path: Path) -> None:
    fresh = Run(settings_of(), [0, 1])
    (tmp_path / "x").write_bytes(checkpoint_bytes(fresh.state, {}))
    restored = Run(settings_of(), [4, 5])
    restore(restored.state, tmp_path / "x", {})
    restored.batches = fresh.batches
    assert checkpoint_bytes(restored.train().state, {}) == checkpoint_bytes(fresh.train().state, {})


def test_a_replica_that_diverges_is_noted_and_the_others_go_on() -> None:
    run = Run(settings_of(margin=2.0), [0, 1, 2])
    run.train(until=2)
    with torch.no_grad():
        run.state.generator.weight[0][1] = torch.inf
    run.train()
    assert run.state.diverged_step.tolist() == [-1, 3, -1]
    assert run.progress[-1].costs.total.isfinite().tolist() == [True, False, True]


def test_progress_says_what_there_is() -> None:
    (of_gan,) = Run(settings_of(n_steps=1), [0]).train().progress
    assert (of_gan.step, of_gan.learning_rate, of_gan.margin) == (1, 0.01, None)
    shown = [cost is not None for cost in of_gan.costs.shown]
    assert shown == [True, False, False, False, False]
    (of_ebgan,) = Run(settings_of(margin=2.5, n_steps=1), [0]).train().progress
    assert of_ebgan.margin == 2.5
    assert [cost is not None for cost in of_ebgan.costs.shown] == [False, False, True, True, True]


def test_dropout_at_a_step_is_a_function_of_seed_and_step() -> None:
    """The noise of real and generated images differs; that of both updates of a step is the same."""
    stream = Run(settings_of(dropout=0.5), [0, 1]).batches
    stream.seek(4)
    noise = stream.current().noise
    assert noise is not None
    stream.advance()
    assert not torch.equal(stream.current().noise, noise)
    stream.seek(4)
    assert torch.equal(stream.current().noise, noise)
    real, generated = noise.chunk(2, dim=1)
    assert not torch.equal(real, generated)
    assert not torch.equal(noise[0], noise[1])
    assert Run(replace_dropout(settings_of()), [0]).batches.current().noise is None


def replace_dropout(settings: GANSettings) -> GANSettings:
    return settings.model_copy(update={"discriminator": settings.discriminator.model_copy(update={"dropout": 0.0})})
