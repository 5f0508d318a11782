"""Optimisers with settings of each replica: PyTorch's own fused ones over slices of the batched parameters."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor


class ReplicaAdam:
    """Adam of parameters `[replicas, ...]`, each replica with a learning rate of its own.

    A slice of a parameter shares its memory, and so do the slices of its moments: what reads or writes `state`
    meets whole tensors, as it does with `torch.optim.Adam`.

    Args:
        parameters: each with the replica axis in front.
        learning_rates: one a replica that it updates; the i-th is the tensor `param_groups[i]["lr"]`.
        betas, eps: as `torch.optim.Adam` has them.
        replicas: those that it updates; None for all. Moments are theirs alone, `[updated replicas, ...]`.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rates: Sequence[float],
        betas: tuple[float, float],
        eps: float,
        replicas: Sequence[int] | None = None,
    ) -> None:
        self.parameters = list(parameters)
        n_updated, device = len(learning_rates), self.parameters[0].device
        self.replicas = list(range(n_updated)) if replicas is None else list(replicas)
        # By replica, then by parameter.
        self.slices = [[p.detach()[r] for p in self.parameters] for r in self.replicas]
        groups = [
            {"params": slices, "lr": torch.tensor(rate, device=device)}
            for slices, rate in zip(self.slices, learning_rates, strict=True)
        ]
        self.adam = torch.optim.Adam(groups, betas=betas, eps=eps, fused=True, capturable=device.type == "cuda")
        self.param_groups = self.adam.param_groups
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        for i, parameter in enumerate(self.parameters):
            zeros = torch.zeros(n_updated, *parameter.shape[1:], dtype=parameter.dtype, device=device)
            moments = {
                "step": torch.zeros(n_updated, device=device),
                "exp_avg": zeros,
                "exp_avg_sq": zeros.clone(),
            }
            self.state[parameter] = moments
            for place, slices in enumerate(self.slices):
                self.adam.state[slices[i]] = {name: moment.detach()[place] for name, moment in moments.items()}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update each replica by its slice of the gradients; a parameter without a gradient stays."""
        _give_gradients(self.parameters, self.slices, self.replicas)
        self.adam.step()


class OptimizerSettings(NamedTuple):
    """How one replica goes down its gradient; "sgd" is without momentum."""

    kind: Literal["adam", "sgd"]
    learning_rate: float


class ReplicaOptimizer:
    """Adam for some replicas and gradient descent for the others, each at a learning rate of its own.

    Args:
        parameters: each with the replica axis in front.
        settings: one a replica.
        betas, eps: of Adam.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        settings: Sequence[OptimizerSettings],
        betas: tuple[float, float],
        eps: float,
    ) -> None:
        self.parameters = list(parameters)
        adam, sgd = ([r for r, each in enumerate(settings) if each.kind == kind] for kind in ("adam", "sgd"))
        rates = [settings[r].learning_rate for r in adam]
        self.adam = ReplicaAdam(self.parameters, rates, betas, eps, adam) if adam else None
        self.replicas = sgd  # of gradient descent
        self.slices = [[p.detach()[r] for p in self.parameters] for r in sgd]
        groups = [
            {"params": slices, "lr": settings[r].learning_rate} for r, slices in zip(sgd, self.slices, strict=True)
        ]
        self.sgd = torch.optim.SGD(groups, fused=True) if sgd else None
        self.state: dict[Tensor, dict[str, Tensor]] = self.adam.state if self.adam is not None else {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update each replica by its slice of the gradients; a parameter without a gradient stays."""
        if self.adam is not None:
            self.adam.step()
        if self.sgd is not None:
            _give_gradients(self.parameters, self.slices, self.replicas)
            self.sgd.step()


def _give_gradients(
    parameters: Sequence[Tensor], slices: Sequence[Sequence[Tensor]], replicas: Sequence[int]
) -> None:
    """Let the slices of each of these replicas have their part of the gradients."""
    for r, of_replica in zip(replicas, slices, strict=True):
        for parameter, part in zip(parameters, of_replica, strict=True):
            part.grad = None if parameter.grad is None else parameter.grad[r]
