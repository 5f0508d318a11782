"""The CPU's form of what is no matrix product: C++ kernels, where there is gradient as autograd functions.

`noisy_layer` and `denoise` compute what the functions of the same names in `ladder_ebgan.layers` define, forward
and backward, each in one sweep over memory: as separate tensor operations they take as long as all matrix
products together. `philox_normal` draws the numbers that `ladder_ebgan.philox` defines.

The kernels use OpenMP: a process that has run one must not run another in a child made by fork.
"""

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ladder_ebgan.combinators import N_PARAMETERS, Combinator
from ladder_ebgan.kernels.library import Shape, Strided, compiler, is_built, load_library

__all__ = ["compiler", "denoise", "is_built", "load_library", "noisy_layer", "philox_normal"]

_TYPE_NAMES = {torch.float32: "float", torch.bfloat16: "bfloat16"}


def noisy_layer(
    z_pre: Tensor, noise: Tensor | None, noise_std: float, beta: Tensor, groups: int, relu: bool, n_decoded: int
) -> tuple[Tensor, Tensor]:
    """Compute `ladder_ebgan.layers.noisy_layer`; arguments and results are described there."""
    h, z = _NoisyLayer.apply(z_pre, noise, noise_std, beta, groups, relu, n_decoded)  # type: ignore[no-untyped-call]
    return h, z


def denoise(
    u_pre: Tensor, z: Tensor, a: Tensor, dtype: torch.dtype, combinator: Combinator = "gaussian", groups: int = 1
) -> Tensor:
    """Compute `ladder_ebgan.layers.denoise`; arguments and result are described there."""
    z_hat: Tensor = _Denoise.apply(u_pre, z, a, dtype, combinator, groups)  # type: ignore[no-untyped-call]
    return z_hat


def philox_normal(keys: Tensor, step: Tensor, shape: Sequence[int]) -> Tensor:
    """Compute `ladder_ebgan.philox.philox_normal`; arguments and result are described there."""
    n_numbers = math.prod(shape)
    n_counters = -(-n_numbers // 4)
    numbers = torch.empty(len(keys), 4 * n_counters)
    load_library().philox_normal(
        *(_pointer(keys), ctypes.c_long(len(keys)), ctypes.c_int64(int(step)), ctypes.c_long(n_counters)),
        *(_pointer(numbers), ctypes.c_long(torch.get_num_threads())),
    )
    return numbers[:, :n_numbers].reshape(len(keys), *shape)


class _NoisyLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        z_pre: Tensor,
        noise: Tensor | None,
        noise_std: float,
        beta: Tensor,
        groups: int,
        relu: bool,
        n_decoded: int,
    ) -> tuple[Tensor, Tensor]:
        z_pre = z_pre.contiguous()
        replicas, batch, features = z_pre.shape
        assert batch % groups == 0
        assert 1 <= n_decoded <= groups
        assert beta.shape == (replicas, 1, features)
        h = torch.empty_like(z_pre)
        z_decoded = torch.empty(replicas, n_decoded * (batch // groups), features)
        means, scales = torch.empty(2, replicas, groups, features)
        shape = Shape(replicas, groups, batch // groups, features, torch.get_num_threads())
        _kernel("noisy_layer_forward", z_pre)(
            *(shape, _pointer(z_pre), _strided(noise), ctypes.c_float(noise_std), _pointer(beta), relu),
            *(ctypes.c_long(n_decoded), _pointer(h), _pointer(z_decoded), _pointer(means), _pointer(scales)),
        )
        ctx.save_for_backward(z_pre, means, scales, h)
        ctx.shape, ctx.relu, ctx.n_decoded = shape, relu, n_decoded
        ctx.set_materialize_grads(False)
        return h, z_decoded

    @staticmethod
    def backward(ctx: Any, grad_h: Tensor | None, grad_z: Tensor | None) -> tuple[Tensor | None, ...]:
        z_pre, means, scales, h = ctx.saved_tensors
        grad_h = torch.zeros_like(h) if grad_h is None else grad_h.contiguous()
        grad_z = None if grad_z is None else grad_z.contiguous()
        grad_z_pre = torch.empty_like(z_pre)
        grad_beta = torch.empty(z_pre.shape[0], 1, z_pre.shape[2])
        _kernel("noisy_layer_backward", z_pre)(
            *(ctx.shape, _pointer(z_pre), _pointer(means), _pointer(scales), _pointer(h), ctx.relu),
            *(ctypes.c_long(ctx.n_decoded), _pointer(grad_h), _strided(grad_z)),
            *(_pointer(grad_z_pre), _pointer(grad_beta)),
        )
        return grad_z_pre, None, None, grad_beta, None, None, None


class _Denoise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u_pre: Tensor, z: Tensor, a: Tensor, dtype: torch.dtype, combinator: Combinator, groups: int
    ) -> Tensor:
        u_pre = u_pre.contiguous()
        replicas, batch, features = u_pre.shape
        assert z.shape == u_pre.shape
        assert batch % groups == 0
        assert a.shape == (replicas, N_PARAMETERS[combinator], 1, features)
        z_hat = torch.empty_like(u_pre, dtype=dtype)
        means, scales = torch.empty(2, replicas, groups, features)
        shape = Shape(replicas, groups, batch // groups, features, torch.get_num_threads())
        _kernel(f"{combinator}_forward", u_pre, z_hat)(
            *(shape, _pointer(u_pre), _strided(z), _pointer(a), _pointer(z_hat), _pointer(means), _pointer(scales))
        )
        ctx.save_for_backward(u_pre, z, a, means, scales)
        ctx.shape, ctx.combinator = shape, combinator
        return z_hat

    @staticmethod
    def backward(ctx: Any, grad_z_hat: Tensor) -> tuple[Tensor | None, ...]:
        u_pre, z, a, means, scales = ctx.saved_tensors
        grad_z_hat = grad_z_hat.contiguous()
        grad_u_pre, grad_a = torch.empty_like(u_pre), torch.empty_like(a)
        grad_z = torch.empty(z.shape)
        _kernel(f"{ctx.combinator}_backward", u_pre, grad_z_hat)(
            *(ctx.shape, _pointer(u_pre), _strided(z), _pointer(a), _pointer(means), _pointer(scales)),
            *(_pointer(grad_z_hat), _pointer(grad_u_pre), _pointer(grad_z), _pointer(grad_a)),
        )
        return grad_u_pre, grad_z, grad_a, None, None, None


def _kernel(name: str, *tensors: Tensor) -> Any:
    """Return the kernel for the types of these tensors."""
    function = getattr(load_library(), "_".join([name, *(_TYPE_NAMES[tensor.dtype] for tensor in tensors)]))
    function.restype = None
    return function


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())


def _strided(tensor: Tensor | None) -> Strided:
    """Describe a float32 tensor `[replicas, rows, features]` whose last axis is contiguous; None is a null."""
    if tensor is None:
        return Strided(None, 0, 0)
    assert tensor.dtype == torch.float32
    assert tensor.stride(2) == 1, "the features of an example lie side by side"
    return Strided(tensor.data_ptr(), tensor.stride(0), tensor.stride(1))
