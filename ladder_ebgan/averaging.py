"""The exponential moving average of a ladder's weights, which is evaluated in their place.

Polyak, Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; exponentially weighted as in
Tarvainen, Valpola 2017, "Mean teachers are better role models", arXiv 1703.01780.
"""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ladder_ebgan.ladder import Ladder


class Average:
    """Ladders whose weights are the averages of those that train.

    After step t the average is, with the bias correction of Adam's moments,

        (1 - d) / (1 - d^t)  (w_t + d w_(t-1) + ... + d^(t-1) w_1),

    of the weights after each step and nothing else: the initial ones have no part in it.

    Args:
        ladder: the networks that train; they are not changed.
        decays: d, one number for all replicas or one of each. At 0 the average is the last weights.
    """

    def __init__(self, ladder: Ladder, decays: Sequence[float]) -> None:
        self.ladder: Ladder = copy.deepcopy(ladder).requires_grad_(False)
        device = ladder.encoder[0].device
        logs = [math.log(decay) if decay else -math.inf for decay in decays]
        self.gaps = torch.tensor([1 - decay for decay in decays], dtype=torch.float64, device=device)  # [replicas]
        self.logs = torch.tensor(logs, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, ladder: Ladder, n_steps: Tensor) -> None:
        """Take in the weights after a step, in place and without asking the device for anything.

        Args:
            ladder: the networks that train.
            n_steps: how many steps they have made, from 1 on; int64 `[]` on the device.
        """
        share = (self.gaps / -torch.expm1(n_steps * self.logs)).float()  # of the new weights: 1 at the first step
        for average, weight in zip(self.ladder.parameters(), ladder.parameters(), strict=True):
            average.lerp_(weight, share.view(-1, *[1] * (average.dim() - 1)))
