"""Adam with a learning rate for each replica: PyTorch's own fused one over slices of the batched parameters."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


class ReplicaAdam:
    """Adam of parameters `[replicas, ...]`, each replica with a learning rate of its own.

    A slice of a parameter shares its memory, and so do the slices of its moments: what reads or writes `state`
    meets whole tensors, as it does with `torch.optim.Adam`.

    Args:
        parameters: each with the replica axis in front.
        learning_rates: one a replica; replica r's is the tensor `param_groups[r]["lr"]`.
        betas, eps: as `torch.optim.Adam` has them.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rates: Sequence[float],
        betas: tuple[float, float],
        eps: float,
    ) -> None:
        self.parameters = list(parameters)
        n_replicas, device = len(learning_rates), self.parameters[0].device
        # By replica, then by parameter.
        self.slices = [[p.detach()[r] for p in self.parameters] for r in range(n_replicas)]
        groups = [
            {"params": slices, "lr": torch.tensor(rate, device=device)}
            for slices, rate in zip(self.slices, learning_rates, strict=True)
        ]
        self.adam = torch.optim.Adam(groups, betas=betas, eps=eps, fused=True, capturable=device.type == "cuda")
        self.param_groups = self.adam.param_groups
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        for i, parameter in enumerate(self.parameters):
            moments = {
                "step": torch.zeros(n_replicas, device=device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
            self.state[parameter] = moments
            for r, slices in enumerate(self.slices):
                self.adam.state[slices[i]] = {name: moment.detach()[r] for name, moment in moments.items()}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update each replica by its slice of the gradients; a parameter without a gradient stays."""
        for r, slices in enumerate(self.slices):
            for parameter, replica in zip(self.parameters, slices, strict=True):
                replica.grad = None if parameter.grad is None else parameter.grad[r]
        self.adam.step()
