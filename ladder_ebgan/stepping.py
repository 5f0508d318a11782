"""What all training loops share: updates, and steps made one window after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from ladder_ebgan.batches import WINDOW_STEPS
from ladder_ebgan.capture import captured
from ladder_ebgan.replica_optimizers import ReplicaAdam, ReplicaOptimizer

Costs = TypeVar("Costs")


def per_replica(values: Sequence[float], device: torch.device) -> Tensor | float:
    """Return what is the same for all replicas as one number, and what differs as `[replicas]`."""
    return values[0] if len(set(values)) == 1 else torch.tensor(values, device=device)


def update(optimizer: torch.optim.Optimizer | ReplicaAdam | ReplicaOptimizer, loss: Tensor) -> None:
    """Step down the gradient of `loss` `[replicas]`; the sum keeps each replica's gradient its own."""
    optimizer.zero_grad()
    loss.sum().backward()
    optimizer.step()


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Let gradient pass through `module` without computing that of its parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def note_divergence(diverged_step: Tensor, total: Tensor, step: Tensor) -> None:
    """Remember the first step at which a replica's cost was not finite, without waiting for the device.

    Args:
        diverged_step: `[replicas]`, changed in place: the first such step, counted from 1; -1 without.
        total: cost of the step `[replicas]`.
        step: counted from 0, on the device.
    """
    first = (diverged_step < 0) & ~torch.isfinite(total)
    diverged_step.copy_(torch.where(first, step + 1, diverged_step))


class Steps(Protocol):
    """What has made some steps."""

    step: int


def stepped(
    state: Steps,
    step: Callable[[], Costs],
    seek: Callable[[int], None],
    end: int,
    device: torch.device,
    yield_every_steps: int | None,
) -> Iterator[Costs]:
    """Make steps from `state.step` to `end`, and yield their costs; the caller may stop whenever it is given some.

    On a CPU it yields after every step. On a GPU, where steps are only handed over here, it yields once for a
    window of them, and at multiples of `yield_every_steps`.

    Args:
        state: counts the steps.
        step: makes one, from device tensors alone.
        seek: called before each window of WINDOW_STEPS steps with the first of them.
        end: the number of steps.
        device: where they are made.
        yield_every_steps: at whose multiples it yields in any case.
    """
    step = captured(step, device)
    while state.step < end:
        start, window_end = state.step, min(state.step + WINDOW_STEPS, end)
        seek(start)
        for state.step in range(start + 1, window_end + 1):
            costs = step()
            at_multiple = yield_every_steps is not None and state.step % yield_every_steps == 0
            if device.type == "cpu" or at_multiple or state.step == window_end:
                yield costs
