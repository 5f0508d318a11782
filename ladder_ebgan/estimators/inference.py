"""What trained networks say of rows, in batches of a fixed shape.

A matrix product of another shape may round otherwise. In batches that are always filled up to the same size, what
is said of a row does not depend on the rows beside it, to the bit.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ladder_ebgan.ladder import Ladder, Statistics
from ladder_ebgan.models import TrainedModel

ROWS_AT_ONCE = 256


def said_of_rows(
    model: TrainedModel, function: Callable[[Ladder, Statistics, Tensor], Tensor], features: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return `[replicas, n_rows, ...]`, what a function of the evaluation gives for `[n_rows, features]`."""
    n_rows = len(features)
    filled = np.pad(features, ((0, -n_rows % ROWS_AT_ONCE), (0, 0)))
    batches = torch.from_numpy(filled).to(model.device).split(ROWS_AT_ONCE)
    parts = [function(model.ladder, model.statistics, batch).cpu() for batch in batches]
    return np.asarray(torch.cat(parts, dim=1)[:, :n_rows].numpy())
