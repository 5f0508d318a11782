import pytest
import reference
import torch
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan import processor
from ladder_ebgan.products import replica_matmul


@pytest.fixture(params=["MKL", "oneDNN"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have one library or the other multiply, whatever the processor is; bfloat16 too, as without instructions."""
    name: str = request.param
    if name == "oneDNN":
        if not torch.backends.mkldnn.is_available():
            pytest.skip("PyTorch was built without oneDNN")
        monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: False)
    monkeypatch.setattr(processor, "has_avx512_beyond_mkl", lambda: name == "oneDNN")
    return name


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("replicas", [1, 3])
def test_each_replica_is_multiplied_by_its_own_matrix(replicas: int) -> None:
    x, weight = torch.randn(replicas, 4, 5), torch.randn(replicas, 5, 3)
    expected = [reference.linear(x[r].tolist(), weight[r].tolist()) for r in range(replicas)]
    assert_close(replica_matmul(x, weight), torch.tensor(expected))


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("replicas", [1, 2])
def test_bfloat16_products_have_coarse_factors_and_results_and_a_float32_gradient(replicas: int) -> None:
    """1 + 2^-9 rounds to 1 in bfloat16, whose fraction has 7 bits; so do the factors, not the parameter."""
    x = torch.full((replicas, 1, 1), 1 + 2**-9)
    weight = torch.full((replicas, 1, 1), 3.0, requires_grad=True)
    product = replica_matmul(x, weight, torch.bfloat16)
    product.sum().backward()
    assert weight.grad is not None
    assert (product.dtype, weight.grad.dtype) == (torch.bfloat16, torch.float32)
    assert_close(product.detach().float(), torch.full((replicas, 1, 1), 3.0), rtol=0, atol=0)
    assert_close(weight.grad, torch.ones(replicas, 1, 1), rtol=0, atol=0)
    assert_close(replica_matmul(x, weight.detach()), 3 * x)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("replicas", [1, 2])
def test_sums_of_a_bfloat16_product_run_in_float32(replicas: int) -> None:
    """1000 ones make 1000; a sum that is rounded to 8 bits after each one stops at 256."""
    x, weight = torch.ones(replicas, 1, 1000), torch.ones(replicas, 1000, 1)
    assert replica_matmul(x, weight, torch.bfloat16).flatten().tolist() == [1000.0] * replicas


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("wanted", ["x", "weight", "both"])
def test_gradients_are_those_of_the_definition(replicas: int, wanted: str, library: str) -> None:
    """Of y = x W: dx = g W^T and dW = x^T g, summed here with nothing but `einsum`."""
    x, weight, gradient = torch.randn(replicas, 7, 5), torch.randn(replicas, 5, 3), torch.randn(replicas, 7, 3)
    x.requires_grad_(wanted != "weight")
    weight.requires_grad_(wanted != "x")
    product = replica_matmul(x, weight)
    assert product.grad_fn is not None
    assert ("OneDnn" in product.grad_fn.name()) == (library == "oneDNN")
    product.backward(gradient)
    if wanted == "weight":
        assert x.grad is None
    else:
        assert_close(x.grad, torch.einsum("rbo,rio->rbi", gradient, weight.detach()))
    if wanted == "x":
        assert weight.grad is None
    else:
        assert_close(weight.grad, torch.einsum("rbi,rbo->rio", x.detach(), gradient))


@pytest.mark.usefixtures("library")
def test_factors_may_lie_in_memory_as_they_like() -> None:
    x, weight = torch.randn(5, 2, 7).permute(1, 2, 0), torch.randn(2, 3, 10).mT[:, ::2]
    assert_close(replica_matmul(x, weight), torch.einsum("rbi,rio->rbo", x, weight))


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("replicas", [1, 2])
def test_no_examples_have_no_products_and_no_gradient(replicas: int) -> None:
    weight = torch.ones(replicas, 5, 3, requires_grad=True)
    product = replica_matmul(torch.ones(replicas, 0, 5), weight)
    product.sum().backward()
    assert product.shape == (replicas, 0, 3)
    assert_close(weight.grad, torch.zeros(replicas, 5, 3))


@pytest.mark.parametrize("library", ["oneDNN"], indirect=True)
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 4, 3)])
def test_sizes_that_do_not_fit_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=rf"no product: \[1, 7, 5\] and \[{shape[0]}, {shape[1]}, 3\]"):
        replica_matmul(torch.ones(1, 7, 5), torch.ones(shape))


@pytest.mark.parametrize("library", ["oneDNN"], indirect=True)
@pytest.mark.usefixtures("library")
def test_with_onednn_a_replica_among_others_has_the_bits_of_one_alone() -> None:
    x, weight = torch.randn(3, 40, 50), torch.randn(3, 50, 30)
    together = _products(x, weight)
    for replica in range(3):
        alone = _products(x[replica : replica + 1], weight[replica : replica + 1])
        for all_of_them, one in zip(together, alone, strict=True):
            assert torch.equal(all_of_them[replica : replica + 1], one)


def _products(x: Tensor, weight: Tensor) -> list[Tensor]:
    """Return the product and both gradients of its sum of squares."""
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    product = replica_matmul(x, weight)
    return [product.detach(), *torch.autograd.grad(product.square().sum(), [x, weight])]


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        ("AuthenticAMD", "fma avx2 avx512f", True),
        ("AuthenticAMD", "fma avx2", False),
        ("GenuineIntel", "fma avx2 avx512f", False),
        ("", "", False),
    ],
)
def test_onednn_is_for_vectors_of_512_bits_that_are_not_intels(
    monkeypatch: pytest.MonkeyPatch, vendor: str, flags: str, expected: bool
) -> None:
    monkeypatch.setattr(processor, "description", lambda: {"vendor_id": vendor, "flags": flags} if flags else {})
    assert processor.has_avx512_beyond_mkl() == expected
