import math

import pytest
import reference
import torch
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan.combinators import N_PARAMETERS, Combinator, combine, initial_combinator

COMBINATORS = pytest.mark.parametrize("combinator", list(N_PARAMETERS))
KEY = (2, 0)


def arguments(combinator: Combinator, replicas: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """u and z of six images with three units, and parameters, in float64."""
    shape, double = (replicas, 6, 3), torch.float64
    a = torch.randn(replicas, N_PARAMETERS[combinator], 1, 3, dtype=double)
    return torch.randn(shape, dtype=double), torch.randn(shape, dtype=double), a


def one(combinator: Combinator, u: float, z: float, a: list[float]) -> float:
    """z_hat of one unit of one image."""
    values = (torch.tensor(value).reshape(1, 1, 1) for value in (u, z))
    return combine(*values, torch.tensor(a).reshape(1, -1, 1, 1), combinator).item()


@COMBINATORS
def test_every_unit_of_every_replica_has_parameters_of_its_own(combinator: Combinator) -> None:
    u, z, a = arguments(combinator)
    z_hat = combine(u, z, a, combinator)
    for r in range(2):
        for i in range(6):
            for j in range(3):
                expected = reference.COMBINATORS[combinator](
                    z[r, i, j].item(), u[r, i, j].item(), a[r, :, 0, j].tolist()
                )
                assert z_hat[r, i, j].item() == pytest.approx(expected, rel=1e-12)


@COMBINATORS
def test_gradients_are_those_of_finite_differences(combinator: Combinator) -> None:
    u, z, a = (tensor.requires_grad_() for tensor in arguments(combinator))
    assert torch.autograd.gradcheck(lambda *given: combine(*given, combinator), (u, z, a))


@COMBINATORS
def test_what_another_replica_has_changes_nothing(combinator: Combinator) -> None:
    """Neither z_hat nor a gradient of replica 0, to the bit, if replica 1 breaks."""
    given = arguments(combinator)
    broken = [torch.cat([tensor[:1], torch.full_like(tensor[1:], torch.nan)]) for tensor in given]
    results = []
    for tensors in (given, broken):
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        z_hat = combine(*leaves, combinator)
        results.append([z_hat, *torch.autograd.grad(z_hat.square().sum(), leaves)])
    for healthy, beside_a_broken_one in zip(*results, strict=True):
        assert torch.equal(healthy[0], beside_a_broken_one[0])
        assert beside_a_broken_one[1].isnan().all()


@COMBINATORS
def test_it_compiles_as_a_whole(combinator: Combinator) -> None:
    """Without a break in the graph, as a GPU's step is compiled; the gradient with it."""
    u, z, a = (tensor.requires_grad_() for tensor in arguments(combinator))
    compiled = torch.compile(combine, backend="aot_eager", fullgraph=True)(u, z, a, combinator)
    defined = combine(u, z, a, combinator)
    assert_close(compiled, defined)
    assert_close(torch.autograd.grad(compiled.sum(), [u, z, a]), torch.autograd.grad(defined.sum(), [u, z, a]))


def test_vanilla_by_hand() -> None:
    """u = 2, z = 3: 1 + 10 * 3 + 100 * 2 + 1000 * 6 = 6231, and 8 times a sigmoid of log 3, which is 3/4."""
    a = [1.0, 10.0, 100.0, 1000.0, 8.0, 1 + math.log(3), 1.0, -2.0, 0.0]
    assert one("vanilla", 2.0, 3.0, a) == pytest.approx(6231 + 8 * 3 / 4)
    a[5:] = [0.0, 0.0, 0.0, math.log(3) / 6]
    assert one("vanilla", 2.0, 3.0, a) == pytest.approx(6231 + 8 * 3 / 4)


def test_amlp_by_hand() -> None:
    """u = 2, z = 3: hidden units 1 + 2 = 3, -5 + 3 = -2, 6 * 0.5 = 3, -4; their leaky ReLUs 3, -0.2, 3, -0.4.

    z_hat = 7 + 1 * 3 + 10 * -0.2 + 100 * 3 + 1000 * -0.4 = -92.
    """
    biases, w_u, w_z, w_uz = [1.0, -5.0, 0.0, -4.0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0.5, 0]
    a = [*biases, *w_u, *w_z, *w_uz, 1.0, 10.0, 100.0, 1000.0, 7.0]
    assert one("amlp", 2.0, 3.0, a) == pytest.approx(-92.0)


def test_z_hat_at_first() -> None:
    """Gaussian 0, vanilla z + sigmoid(z), AMLP near 0 but not the same for all units."""
    u, z, _ = arguments("gaussian")
    z_hat = {name: combine(u, z, initial_combinator(name, [0, 1], KEY, 3).double(), name) for name in N_PARAMETERS}
    assert not z_hat["gaussian"].any()
    assert_close(z_hat["vanilla"], z + torch.sigmoid(z))
    assert 0 < z_hat["amlp"].abs().max().item() < 0.05
    assert len(set(z_hat["amlp"].flatten().tolist())) == 2 * 6 * 3


@pytest.mark.parametrize(("combinator", "ones"), [("gaussian", [1, 6]), ("vanilla", [1, 4, 6])])
def test_initial_parameters_are_ones_and_zeros(combinator: Combinator, ones: list[int]) -> None:
    initial = initial_combinator(combinator, [0, 1], KEY, 4).detach()
    expected = torch.zeros(2, N_PARAMETERS[combinator], 1, 4)
    expected[:, ones] = 1.0
    assert torch.equal(initial, expected)


def test_initial_weights_of_the_amlp() -> None:
    """20,000 units have 400,000 weights: their deviation, 0.025, has a relative error of 0.0011."""
    initial = initial_combinator("amlp", [5], KEY, 20_000).detach()
    assert initial.dtype == torch.float32
    assert not initial[:, [0, 1, 2, 3, 20]].any()  # biases
    weights = initial[:, 4:20]
    assert weights.std().item() == pytest.approx(0.025, rel=0.005)
    assert abs(weights.mean().item()) < 2e-4


def test_initial_weights_of_the_amlp_belong_to_the_seed_and_the_layer() -> None:
    both = initial_combinator("amlp", [5, 6], KEY, 4)
    assert torch.equal(both[:1], initial_combinator("amlp", [5], KEY, 4))
    assert torch.equal(both[1:], initial_combinator("amlp", [6], KEY, 4))
    drawn = [initial_combinator("amlp", [seed], key, 4) for seed in (5, 6) for key in (KEY, (2, 1), (1, 0))]
    assert len({tuple(a.flatten().tolist()) for a in drawn}) == 6
