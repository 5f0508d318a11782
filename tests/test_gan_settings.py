"""GANs whose replicas have settings of their own: each trains as it would alone."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from group_run import EAGER_AND_KERNELS
from test_gan_training import BATCH, CPU, FEATURES, LATENT, OPTIMIZERS, TRAINING, images, settings_of
from torch.testing import assert_close

from ladder_ebgan.checkpoints import checkpoint_bytes, restore, state_tensors
from ladder_ebgan.gan.batches import GANBatchStream
from ladder_ebgan.gan.recipe import GANSettings
from ladder_ebgan.gan.training import GANFunctions, GANProgress, Settings, initial_gan_state, train_gan
from ladder_ebgan.replica_optimizers import OptimizerSettings, ReplicaOptimizer

RATES = [(0.01, 0.02), (0.001, 0.002), (0.03, 0.01), (0.02, 0.02)]
OF_GANS = [settings_of(optimizers=kinds, rates=rates) for kinds, rates in zip(OPTIMIZERS, RATES, strict=True)]
OF_EBGANS = [
    settings_of(margin, kinds, rates=rates, pulling_away_weight=weight, dropout=0.5)
    for margin, weight, kinds, rates in zip(
        (2.0, 0.5, 4.0, 1.0), (0.1, 0.3, 1.0, 0.2), OPTIMIZERS, RATES, strict=True
    )
]
SEEDS = [3, 7, 11, 15]
STACKS = pytest.mark.parametrize("every", [OF_GANS, OF_EBGANS], ids=["gan", "ebgan"])


class Run:
    def __init__(self, settings: Settings, seeds: Sequence[int], compiled: bool = False) -> None:
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


@STACKS
@EAGER_AND_KERNELS
def test_each_replica_trains_as_it_would_alone(every: list[GANSettings], compiled: bool) -> None:
    """Adam's and gradient descent's replicas beside each other, each with rates of its own, to rounding."""
    together = Run(every, SEEDS, compiled).train()
    for r, (settings, seed) in enumerate(zip(every, SEEDS, strict=True)):
        alone = Run(settings, [seed], compiled).train()
        for many, one in zip(together.progress, alone.progress, strict=True):
            assert_close(many.costs.total[r], one.costs.total[0], rtol=1e-4, atol=1e-4)
        for module in ("discriminator", "generator"):
            pairs = zip(
                getattr(together.state, module).parameters(), getattr(alone.state, module).parameters(), strict=True
            )
            for a, b in pairs:
                assert_close(a[r], b[0], rtol=1e-3, atol=1e-4)


@STACKS
def test_what_one_replica_is_set_to_leaves_the_others_as_they_are(every: list[GANSettings]) -> None:
    """To the bit, whichever optimiser the first one has."""
    other = [every[0].model_copy(update={"discriminator": every[1].discriminator, "generator": every[2].generator})]
    runs = [Run(settings, SEEDS).train() for settings in (every, [*other, *every[1:]])]
    for a, b in zip(*(run.state.generator.parameters() for run in runs), strict=True):
        assert torch.equal(a[1:], b[1:])
    assert not torch.equal(*(run.state.discriminator.weight[0][0] for run in runs))


def test_settings_that_agree_have_one_optimiser_for_all() -> None:
    run = Run([OF_GANS[0]] * 3, [0, 1, 2])
    assert isinstance(run.state.discriminator_optimizer, torch.optim.Adam)
    one = Run(OF_GANS[0], [0, 1, 2])
    assert checkpoint_bytes(run.train().state, {}) == checkpoint_bytes(one.train().state, {})


@pytest.mark.parametrize(
    "every", [OF_GANS, OF_EBGANS, [settings_of(optimizers=("sgd", "sgd"), rates=rates) for rates in RATES]]
)
@pytest.mark.parametrize("stop", [1, 3])
def test_going_on_from_a_checkpoint_gives_the_bits_of_never_stopping(
    every: list[GANSettings], stop: int, tmp_path: Path
) -> None:
    through, stopped, resumed = (Run(every, SEEDS) for _ in range(3))
    (tmp_path / "x").write_bytes(checkpoint_bytes(stopped.train(until=stop).state, {}))
    restore(resumed.state, tmp_path / "x", {})
    assert checkpoint_bytes(resumed.train().state, {}) == checkpoint_bytes(through.train().state, {})


def test_a_checkpoint_has_moments_of_the_replicas_with_adam_alone() -> None:
    tensors = state_tensors(Run(OF_GANS, SEEDS).state)
    assert tensors["discriminator.weight.0"].shape[0] == 4
    assert tensors["discriminator_adam.weight.0.exp_avg"].shape == (2, FEATURES, 7)
    assert tensors["generator_adam.weight.0.step"].shape == (2,)
    without = state_tensors(Run([OF_GANS[2], OF_GANS[3]], [0, 1]).state)
    assert not any(name.startswith("discriminator_adam") for name in without)


def test_each_replica_goes_down_its_gradient_as_it_is_told() -> None:
    """One weight a replica. A step is `-rate g`, of Adam `-rate sign(g)` for equal gradients; none without one."""
    weights, idle = (torch.nn.Parameter(torch.tensor([[1.0], [1.0], [1.0]])) for _ in range(2))
    settings = [OptimizerSettings("sgd", 0.5), OptimizerSettings("adam", 0.25), OptimizerSettings("sgd", 0.125)]
    optimizer = ReplicaOptimizer([weights, idle], settings, (0.5, 0.9), 0.0)
    for _ in range(2):
        optimizer.zero_grad()
        assert weights.grad is None
        weights.grad = torch.tensor([[2.0], [3.0], [-4.0]])
        optimizer.step()
    assert_close(weights.detach()[:, 0], torch.tensor([1 - 2 * 0.5 * 2, 1 - 2 * 0.25, 1 + 2 * 0.125 * 4]))
    assert torch.equal(idle.detach(), torch.ones(3, 1))
