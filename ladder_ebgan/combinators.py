"""Combinators: how the decoder makes `z_hat` of the vertical signal `u` and the lateral, noisy `z`, unit by unit.

Every unit of every replica has parameters of its own; a combinator's are one tensor `[replicas, parameters, 1,
features]`, in the order in which its function names them.

References:
    Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", arXiv 1507.02672
    Pezeshki et al. 2016, "Deconstructing the Ladder Network Architecture", arXiv 1511.06430
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ladder_ebgan.streams import Stream, stream_generator

Combinator = Literal["gaussian", "vanilla", "amlp"]

AMLP_HIDDEN = 4  # units
AMLP_WEIGHTS = 4 * AMLP_HIDDEN  # of u, z and uz to each hidden unit, and of each of these to z_hat
AMLP_WEIGHT_STD = 0.025  # initially
LEAK = 0.1  # slope of the leaky ReLU below 0

N_PARAMETERS: dict[Combinator, int] = {"gaussian": 10, "vanilla": 9, "amlp": AMLP_WEIGHTS + AMLP_HIDDEN + 1}


def combine(u: Tensor, z: Tensor, a: Tensor, combinator: Combinator) -> Tensor:
    """Return `z_hat` `[replicas, batch, features]`.

    Args:
        u: the vertical signal, normalised `[replicas, batch, features]`.
        z: the lateral one, corrupted.
        a: parameters `[replicas, parameters, 1, features]`.
        combinator: which function.
    """
    functions = {"gaussian": gaussian, "vanilla": vanilla, "amlp": amlp}
    return functions[combinator](u, z, a)


def gaussian(u: Tensor, z: Tensor, a: Tensor) -> Tensor:
    """The optimal denoising of a Gaussian `z` whose mean and precision depend on `u`.

        mu(u) = a1 sigmoid(a2 u + a3) + a4 u + a5
        v(u)  = a6 sigmoid(a7 u + a8) + a9 u + a10
        z_hat = (z - mu(u)) v(u) + mu(u)

    Rasmus et al. 2015, Eq. (2). Initially a2 = a7 = 1 and the rest 0, so z_hat = 0.
    """
    a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = a.unbind(dim=1)  # [replicas, 1, features]
    mu = torch.addcmul(torch.addcmul(a5, a4, u), a1, torch.sigmoid(torch.addcmul(a3, a2, u)))
    v = torch.addcmul(torch.addcmul(a10, a9, u), a6, torch.sigmoid(torch.addcmul(a8, a7, u)))
    return torch.addcmul(mu, z - mu, v)


def vanilla(u: Tensor, z: Tensor, a: Tensor) -> Tensor:
    """A bilinear form of both signals, and a sigmoid of another one.

        z_hat = b0 + w0z z + w0u u + w0zu z u + w_sigma sigmoid(b1 + w1z z + w1u u + w1zu z u)

    The combinator of the first version of Rasmus et al. 2015, "vanilla" in Pezeshki et al. 2016. Initially
    w0z = w1z = w_sigma = 1 and the rest 0, so z_hat = z + sigmoid(z).
    """
    b0, w0z, w0u, w0zu, w_sigma, b1, w1z, w1u, w1zu = a.unbind(dim=1)  # [replicas, 1, features]
    zu = z * u
    inner = torch.addcmul(torch.addcmul(torch.addcmul(b1, w1z, z), w1u, u), w1zu, zu)
    outer = torch.addcmul(torch.addcmul(torch.addcmul(b0, w0z, z), w0u, u), w0zu, zu)
    return torch.addcmul(outer, w_sigma, torch.sigmoid(inner))


def amlp(u: Tensor, z: Tensor, a: Tensor) -> Tensor:
    """The "augmented" multi-layer perceptron of Pezeshki et al. 2016: inputs u, z and their product.

        h_k   = leaky_relu(b_k + w_uk u + w_zk z + w_uzk u z),  k = 1..4
        z_hat = c + v_1 h_1 + ... + v_4 h_4

    In the order b, w_u, w_z, w_uz (four numbers each), v (four), c. Initially the weights w and v are drawn from
    N(0, 0.025^2), and the biases b and c are 0.

    Differs, perhaps: one hidden layer of four units is the one that they found best with 1000 labels (0.97 %); with
    100 labels it was a little worse (1.07 %) than three layers of two (1.00 %). They searched the deviation of the
    initial weights; 0.025 is what public code has for this size. That every unit has weights of its own is our
    reading; there is code that shares them among the units of a layer.
    """
    biases, w_u, w_z, w_uz = a[:, :AMLP_WEIGHTS].unflatten(1, (4, AMLP_HIDDEN)).unbind(dim=1)
    v, c = a[:, AMLP_WEIGHTS:-1], a[:, -1]
    u, z = u.unsqueeze(1), z.unsqueeze(1)
    inner = torch.addcmul(torch.addcmul(torch.addcmul(biases, w_u, u), w_z, z), w_uz, u * z)
    h = nn.functional.leaky_relu(inner, LEAK)  # [replicas, hidden, batch, features]
    return c + (v * h).sum(dim=1)


def initial_combinator(
    combinator: Combinator, seeds: Sequence[int], tensor_key: tuple[int, ...], features: int
) -> nn.Parameter:
    """Return the initial parameters `[replicas, parameters, 1, features]`.

    Args:
        combinator: whose.
        seeds: one a replica; the random ones come from the weight stream of its own seed.
        tensor_key: of the part of that stream which is this tensor's.
        features: how many units.
    """
    a = torch.zeros(len(seeds), N_PARAMETERS[combinator], 1, features)
    if combinator == "gaussian":
        a[:, [1, 6]] = 1.0
    elif combinator == "vanilla":
        a[:, [1, 4, 6]] = 1.0
    else:
        is_weight = torch.ones(N_PARAMETERS[combinator], dtype=torch.bool)
        is_weight[:AMLP_HIDDEN] = is_weight[-1] = False  # the biases b and c
        a[:, is_weight, 0] = torch.from_numpy(_normal(seeds, tensor_key, int(is_weight.sum()), features))
        a *= AMLP_WEIGHT_STD
    return nn.Parameter(a)


def _normal(seeds: Sequence[int], tensor_key: tuple[int, ...], n_weights: int, features: int) -> np.ndarray:
    streams = [stream_generator(seed, Stream.INITIAL_WEIGHTS, *tensor_key) for seed in seeds]
    return np.stack([stream.standard_normal((n_weights, features), dtype=np.float32) for stream in streams])
