from typing import Any

import pytest
import reference
import torch
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan import kernels, layers
from ladder_ebgan.combinators import N_PARAMETERS, Combinator
from ladder_ebgan.kernels.library import compiler
from ladder_ebgan.ladder import Ladder, Statistics
from ladder_ebgan.layers import LayerFunctions, batch_statistics

SIZES = [5, 4, 3, 3]
STDS = [0.3, 0.5, 0.5, 0.5]
FULL, BOTTOM, GAMMA, NONE = [20.0, 3.0, 2.0, 1.0], [20.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0] * 4
SEEDS = [3, 4]
KERNELS = [
    pytest.param(LayerFunctions(), id="as defined"),
    pytest.param(
        LayerFunctions(kernels.noisy_layer, kernels.denoise),
        id="as kernels",
        marks=pytest.mark.skipif(compiler() is None, reason="no C++ compiler"),
    ),
]


def ladder_of(weights: list[float], combinator: Combinator = "gaussian") -> Ladder:
    """A float64 ladder whose parameters all have values of their own; its products are rounded to float32."""
    ladder = Ladder(SEEDS, SIZES, weights, 0.3, 0.5, combinator=combinator).double()
    reference.randomize(ladder)
    return ladder


def network_of(ladder: Ladder) -> reference.Network:
    return reference.Network(SIZES, STDS, ladder.denoising_weights, ladder.combinator_kind)


def inputs(batch: int = 6, replicas: int = 2) -> tuple[Tensor, Tensor]:
    x = torch.rand(replicas, batch, SIZES[0], dtype=torch.float64)
    return x, torch.randn(replicas, batch, sum(SIZES), dtype=torch.float64)


def assert_matrix(actual: Tensor, expected: reference.Matrix) -> None:
    assert_close(actual.detach().double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("corrupted", [True, False])
def test_the_encoder_equals_loops(corrupted: bool) -> None:
    ladder, (x, noise) = ladder_of(FULL), inputs()
    encoding = ladder.encode(x, noise if corrupted else None)
    for r in range(2):
        p = reference.parameters_of(ladder, r)
        expected = reference.encode(p, network_of(ladder), x[r].tolist(), noise[r].tolist() if corrupted else None)
        assert_matrix(encoding.logits[r], expected.logits)
        for layer in range(4):
            assert_matrix(encoding.z[layer][r], expected.z[layer])
        for layer in range(3):
            mean, variance = batch_statistics(encoding.z_pre[layer])
            assert_matrix(mean[r], [expected.statistics[layer][0]])
            assert_matrix(variance[r], [expected.statistics[layer][1]])


def test_labeled_and_unlabeled_images_are_normalised_separately() -> None:
    """Changing the unlabelled half leaves what the labelled half gives untouched, to the bit."""
    ladder, (x, noise) = ladder_of(FULL), inputs()
    other = torch.cat([x[:, :3], torch.rand(2, 3, 5)], dim=1)
    labeled = ladder.encode(x, noise, groups=2).logits[:, :3]
    assert torch.equal(labeled, ladder.encode(other, noise, groups=2).logits[:, :3])
    for r in range(2):
        p = reference.parameters_of(ladder, r)
        expected = reference.encode(p, network_of(ladder), x[r, :3].tolist(), noise[r, :3].tolist())
        assert_matrix(labeled[r], expected.logits)


@pytest.mark.parametrize("functions", KERNELS)
def test_the_layers_that_are_decoded_are_those_of_the_last_group(functions: LayerFunctions) -> None:
    """As the unlabelled images alone give them, in all layers from the noisy images up."""
    ladder, (x, noise) = Ladder(SEEDS, SIZES, FULL, 0.3, 0.5, functions=functions), inputs()
    x, noise = x.float(), noise.float()
    together, alone = ladder.encode(x, noise, groups=2), ladder.encode(x[:, 3:], noise[:, 3:])
    assert len(together.z) == len(SIZES)
    for a, b in zip(together.z, alone.z, strict=True):
        assert_close(a, b)
    assert_close(together.logits[:, 3:], alone.logits)


@pytest.mark.parametrize("functions", KERNELS)
def test_groups_are_decoded_as_each_is_alone(functions: LayerFunctions) -> None:
    ladder, (x, noise) = Ladder(SEEDS, SIZES, FULL, 0.3, 0.5, functions=functions), inputs()
    reference.randomize(ladder)
    x, noise = x.float(), noise.float()
    together = ladder.encode(x, noise, groups=3, n_decoded=2)
    z_hat = ladder.decode(together.z, together.logits[:, 2:], groups=2)
    for place, rows in enumerate((slice(2, 4), slice(4, 6))):
        alone = ladder.encode(x[:, rows], noise[:, rows])
        for layer, expected in ladder.decode(alone.z, alone.logits).items():
            found = z_hat[layer][:, 2 * place : 2 * place + 2]
            assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_evaluation_normalises_by_fixed_statistics() -> None:
    ladder, (x, _) = ladder_of(FULL), inputs()
    means = [torch.randn(2, 1, size, dtype=torch.float64) for size in SIZES[1:]]
    variances = [torch.rand(2, 1, size, dtype=torch.float64) + 0.5 for size in SIZES[1:]]
    logits = ladder.encode(x, statistics=Statistics(means, variances)).logits
    for r in range(2):
        fixed = [(m[r, 0].tolist(), v[r, 0].tolist()) for m, v in zip(means, variances, strict=True)]
        p = reference.parameters_of(ladder, r)
        assert_matrix(logits[r], reference.encode(p, network_of(ladder), x[r].tolist(), None, fixed).logits)


@pytest.mark.parametrize("weights", [FULL, BOTTOM, GAMMA, [0.0, 0.0, 2.0, 1.0]])
@pytest.mark.parametrize("combinator", list(N_PARAMETERS))
def test_the_decoder_equals_loops(combinator: Combinator, weights: list[float]) -> None:
    ladder, (x, noise) = ladder_of(weights, combinator), inputs()
    encoding = ladder.encode(x, noise)
    z_hat = ladder.decode(encoding.z, encoding.logits)
    lowest = next(layer for layer, weight in enumerate(weights) if weight)
    assert set(z_hat) == set(range(lowest, 4))
    for r in range(2):
        p, net = reference.parameters_of(ladder, r), network_of(ladder)
        corrupted = reference.encode(p, net, x[r].tolist(), noise[r].tolist())
        for layer, expected in reference.decode(p, net, corrupted, lowest).items():
            assert_matrix(z_hat[layer][r], expected)


def test_reconstruction_is_layer_0_of_the_decoder_on_the_noisy_images() -> None:
    ladder, (x, noise) = ladder_of(BOTTOM), inputs()
    for r in range(2):
        p, net = reference.parameters_of(ladder, r), network_of(ladder)
        corrupted = reference.encode(p, net, x[r].tolist(), noise[r].tolist())
        assert_matrix(ladder.reconstruct(x, noise)[r], reference.decode(p, net, corrupted, 0)[0])


def test_zero_noise_is_the_clean_pass() -> None:
    ladder, (x, noise) = ladder_of(FULL), inputs()
    clean = ladder.encode(x)
    without = ladder.encode(x, torch.zeros_like(noise))
    ladder.noise_stds = (0.0,) * 4
    of_no_strength = ladder.encode(x, noise)
    for encoding in (without, of_no_strength):
        assert torch.equal(encoding.logits, clean.logits)
        assert all(torch.equal(a, b) for a, b in zip(encoding.z, clean.z, strict=True))


def test_noise_has_the_deviation_of_its_layer() -> None:
    """20,000 images: the deviation of z - z_clean in layer 0 is 0.3; normalised plus noise: 1 + 0.25."""
    ladder = Ladder([0], SIZES, BOTTOM, 0.3, 0.5)
    x, noise = torch.rand(1, 20_000, 5), torch.randn(1, 20_000, 15)
    z = ladder.encode(x, noise).z
    assert (z[0] - x).std().item() == pytest.approx(0.3, rel=0.02)
    for layer in range(1, 4):
        variance = batch_statistics(z[layer])[1].detach()
        assert_close(variance, torch.full_like(variance, 1.25), rtol=0.05, atol=0)


def test_each_layer_and_the_input_have_noise_of_their_own() -> None:
    ladder, (x, noise) = ladder_of(FULL), inputs()
    clean = ladder.encode(x)
    start = 0
    for layer, size in enumerate(SIZES):
        one = torch.zeros_like(noise)
        one[..., start : start + size] = noise[..., start : start + size]
        z = ladder.encode(x, one).z
        changed = [not torch.equal(a, b) for a, b in zip(z, clean.z, strict=True)]
        assert changed == [below >= layer for below in range(4)]
        start += size
    assert ladder.n_units == start


def test_each_layer_may_have_a_deviation_of_its_own() -> None:
    """Noise of one layer alone shows itself there times that layer's deviation."""
    stds = [0.3, 0.5, 0.0, 2.0]
    ladder, (x, noise) = Ladder(SEEDS, SIZES, FULL, stds[0], stds[1:]).double(), inputs()
    assert ladder.noise_stds == tuple(stds)
    clean, start = ladder.encode(x), 0
    for layer, size in enumerate(SIZES):
        one = torch.zeros_like(noise)
        one[..., start : start + size] = noise[..., start : start + size]
        difference = ladder.encode(x, one).z[layer] - clean.z[layer]
        assert_close(difference.detach(), stds[layer] * noise[..., start : start + size])
        start += size


def test_the_parts_follow_from_the_weights() -> None:
    expected = {
        "full": (FULL, {"0", "1", "2", "3"}, {"0", "1", "2"}, True),
        "bottom": (BOTTOM, {"0", "1", "2", "3"}, {"0", "1", "2"}, False),
        "gamma": (GAMMA, {"3"}, set(), True),
        "supervised": (NONE, set(), set(), False),
    }
    for weights, combinators, matrices, clean in expected.values():
        ladder = Ladder([0], SIZES, weights, 0.3, 0.3)
        assert set(ladder.combinator.keys()) == combinators
        assert set(ladder.decoder_weight.keys()) == matrices
        assert ladder.needs_clean_pass is clean


def test_the_published_network_has_the_published_number_of_parameters() -> None:
    """Encoder and decoder 784*1000 + 1000*500 + 500*250 + 2*250*250 + 250*10 = 1,536,500 each; betas 2,260;
    gamma 10; ten combinator vectors over 3,044 units."""
    ladder = Ladder([0], [784, 1000, 500, 250, 250, 250, 10], [1000.0, *[0.0] * 6], 0.3, 0.3)
    assert sum(p.numel() for p in ladder.parameters()) == 2 * 1_536_500 + 2_260 + 10 + 30_440 == 3_105_710
    assert ladder.n_units == 3_044
    for layer, weight in enumerate(ladder.encoder):
        assert weight.std().item() == pytest.approx(ladder.sizes[layer] ** -0.5, rel=0.05)
    for name, weight in ladder.decoder_weight.items():
        assert weight.std().item() == pytest.approx(ladder.sizes[int(name) + 1] ** -0.5, rel=0.1)
    assert not any(beta.any() for beta in ladder.beta)
    assert torch.equal(ladder.gamma, torch.ones(1, 1, 10))


def test_a_seed_means_the_same_initial_weights_in_every_group_and_variant() -> None:
    together = Ladder([3, 7, 9], SIZES, FULL, 0.3, 0.3, combinator="amlp")
    alone = Ladder([7], SIZES, BOTTOM, 0.1, 0.1, combinator="amlp")
    of_alone = dict(alone.named_parameters())
    for name, parameter in together.named_parameters():
        assert torch.equal(parameter[1:2], of_alone[name]), name
    weights = [p for name, p in together.named_parameters() if "weight" in name or "encoder" in name]
    weights += [a[:, 4:20] for a in together.combinator.values()]
    assert len(weights) == 10
    assert len({tuple(w[r].flatten().tolist()[:3]) for w in weights for r in range(3)}) == 30


def test_without_a_scale_under_the_softmax_the_logits_are_normalised_and_shifted() -> None:
    """With beta 2 and no noise each logit has mean 2 and deviation 1 over the batch."""
    ladder = Ladder(SEEDS, [20, 16, 12, 5], BOTTOM, 0.3, 0.3, softmax_gamma=False)
    torch.nn.init.constant_(ladder.beta[-1], 2.0)
    logits = ladder.encode(torch.rand(2, 30, 20)).logits
    torch.testing.assert_close(logits.mean(dim=1), torch.full((2, 5), 2.0))
    torch.testing.assert_close(logits.std(dim=1, correction=0), torch.ones(2, 5))
    assert "gamma" not in dict(ladder.named_parameters())


@pytest.mark.parametrize("functions", KERNELS)
def test_hidden_layers_are_handed_on_in_bfloat16_and_what_a_cost_sees_is_float32(functions: LayerFunctions) -> None:
    """Also float32: the small product under the softmax, z, and z_hat of the top layer and of those with a cost."""
    weights, coarse = [20.0, 0.0, 3.0, 0.0, 0.0], torch.bfloat16
    ladder = Ladder(SEEDS, [20, 16, 12, 9, 5], weights, 0.3, 0.3, product_dtype=torch.bfloat16, functions=functions)
    encoding = ladder.encode(torch.rand(2, 30, 20), torch.randn(2, 30, 62))
    assert [z_pre.dtype for z_pre in encoding.z_pre] == [coarse, coarse, coarse, torch.float32]
    assert {z.dtype for z in encoding.z} == {encoding.logits.dtype} == {torch.float32}
    z_hat = ladder.decode(encoding.z, encoding.logits)
    assert {layer for layer in z_hat if z_hat[layer].dtype == coarse} == {1, 3}
    assert {layer for layer in z_hat if z_hat[layer].dtype == torch.float32} == {0, 2, 4}


def test_the_element_wise_parts_are_the_functions_that_were_given() -> None:
    called: list[str] = []

    def counted_layer(*arguments: Any) -> tuple[Tensor, Tensor]:
        called.append(f"noisy_layer {arguments[4]} {arguments[5]}")
        return layers.noisy_layer(*arguments)

    def counted_denoise(*arguments: Any) -> Tensor:
        called.append("denoise")
        return layers.denoise(*arguments)

    ladder = Ladder(SEEDS, SIZES, BOTTOM, 0.3, 0.5, functions=LayerFunctions(counted_layer, counted_denoise))
    x, noise = (tensor.float() for tensor in inputs())
    ladder.encode(x, noise, groups=2)
    assert called == ["noisy_layer 2 True", "noisy_layer 2 True", "noisy_layer 2 False"]
    ladder.reconstruct(x, noise)
    assert called[3:] == ["noisy_layer 1 True", "noisy_layer 1 True", "noisy_layer 1 False", *["denoise"] * 4]


def test_bfloat16_products_change_the_logits_little_and_the_parameters_not() -> None:
    exact = Ladder(SEEDS, [20, 16, 12, 5], BOTTOM, 0.3, 0.3)
    coarse = Ladder(SEEDS, [20, 16, 12, 5], BOTTOM, 0.3, 0.3, product_dtype=torch.bfloat16)
    x, noise = torch.rand(2, 30, 20), torch.randn(2, 30, 53)
    difference = (exact.encode(x, noise).logits - coarse.encode(x, noise).logits).detach().abs()
    assert 0 < difference.mean().item() < 0.03
    assert difference.max().item() < 0.3
    reconstruction = coarse.reconstruct(x, noise)
    reconstruction.sum().backward()
    assert reconstruction.dtype == torch.float32
    assert {p.dtype for p in coarse.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in coarse.parameters() if p.grad is not None} == {torch.float32}
