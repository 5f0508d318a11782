"""Matrix products of replicas, by the library that is fastest for them here.

On a CPU PyTorch has MKL multiply float32 matrices. MKL takes its AVX-512 kernels on Intel's processors alone; on
others that have such vectors oneDNN, which PyTorch brings too, takes a tenth (AMD's Zen 4) to a half (Zen 5) less
time for the same up to rounding.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ladder_ebgan import processor


def replica_matmul(x: Tensor, weight: Tensor, product_dtype: torch.dtype = torch.float32) -> Tensor:
    """Multiply each replica's examples by its own matrix.

    Args:
        x: `[replicas, batch, in]`.
        weight: `[replicas, in, out]`.
        product_dtype: precision of factors and product; sums run in float32 whatever it is.

    Returns:
        `[replicas, batch, out]` in `product_dtype`.
    """
    x, weight = x.to(product_dtype), weight.to(product_dtype)
    if product_dtype == torch.bfloat16 and x.device.type == "cpu" and not processor.multiplies_bfloat16():
        x, weight = x.to(torch.float32), weight.to(torch.float32)  # the same numbers, several times as fast
    if takes_onednn(x):
        product: Tensor = _OneDnnMatmul.apply(x, weight)  # type: ignore[no-untyped-call]
    elif len(weight) == 1:  # one replica is faster as a plain product
        product = torch.mm(x.squeeze(0), weight.squeeze(0)).unsqueeze(0)
    else:
        product = torch.bmm(x, weight)
    return product.to(product_dtype)


def takes_onednn(factor: Tensor) -> bool:
    """Return whether oneDNN is to multiply matrices like this one."""
    if factor.device.type != "cpu" or factor.dtype != torch.float32 or torch.compiler.is_compiling():
        return False  # what is traced is what a GPU runs
    return processor.has_avx512_beyond_mkl() and torch.backends.mkldnn.is_available()


def onednn_matmul(left: Tensor, right: Tensor) -> Tensor:
    """Multiply float32 matrices `[m, k]` and `[k, n]` on the CPU by oneDNN; gradient does not flow.

    The operator is what PyTorch's own compiler takes, and no part of its public interface: another version of
    PyTorch is to be tried before `setup.cfg` admits it.
    """
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.mT, None, "none", [], "")
    return product


class _OneDnnMatmul(torch.autograd.Function):
    """`torch.bmm` by oneDNN, one replica after the other."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        to_x, to_weight = ctx.needs_input_grad
        ctx.save_for_backward(x if to_weight else None, weight if to_x else None)
        return _onednn_bmm(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        return (
            None if weight is None else _onednn_bmm(gradient, weight.mT),
            None if x is None else _onednn_bmm(x.mT, gradient),
        )


def _onednn_bmm(left: Tensor, right: Tensor) -> Tensor:
    if left.shape[0] != right.shape[0] or left.shape[2] != right.shape[1]:
        raise ValueError(f"matrices of these sizes have no product: {[*left.shape]} and {[*right.shape]}")
    if not left.shape[2]:  # an empty sum, which oneDNN refuses
        return left.new_zeros(len(left), left.shape[1], right.shape[2])
    if len(left) == 1:  # unsqueeze_ makes no view: autograd can add further gradients in place
        return onednn_matmul(left.squeeze(0), right.squeeze(0)).unsqueeze_(0)
    product = left.new_empty(len(left), left.shape[1], right.shape[2])
    for replica, factors in enumerate(zip(left, right, strict=True)):
        product[replica] = onednn_matmul(*factors)
    return product
