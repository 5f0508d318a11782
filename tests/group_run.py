"""A group of replicas that trains on the small data, for the tests of whole runs of a few steps."""

from collections.abc import Sequence

import pytest
import torch
from conftest import SmallData
from torch import Tensor

from ladder_ebgan.batches import BatchStream
from ladder_ebgan.costs import Functions, LadderCosts
from ladder_ebgan.data import labeled_order
from ladder_ebgan.kernels.library import compiler
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.training import Progress, StepCosts, initial_state, train

CPU = torch.device("cpu")
COMPILER = pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the kernels")
EAGER_AND_KERNELS = pytest.mark.parametrize(
    "compiled", [pytest.param(False, id="as defined"), pytest.param(True, id="as kernels", marks=COMPILER)]
)


class Run:
    """A group of replicas, its batches, and copies of what its steps reported."""

    def __init__(
        self,
        recipe: Recipe | Sequence[Recipe],
        model: str,
        seeds: list[int],
        data: SmallData,
        budgets: list[int] | None = None,
        *,
        compiled: bool = False,
        product_dtype: torch.dtype = torch.float32,
        device: torch.device = CPU,
    ) -> None:
        self.seeds, self.device = seeds, device
        self.data = data._replace(images=data.images.to(device), labels=data.labels.to(device))
        order = {seed: labeled_order(data.labels.numpy(), seed, data.n_classes) for seed in seeds}
        budgets = budgets or [10] * len(seeds)
        self.subsets = [order[seed][:budget] for seed, budget in zip(seeds, budgets, strict=True)]
        one = isinstance(recipe, Recipe)
        self.settings = recipe.settings(model) if one else [each.settings(model) for each in recipe]
        self.functions = Functions.prepare(compiled, device)
        n_features = data.images.shape[1]
        self.state = initial_state(
            recipe, model, seeds, n_features, data.n_classes, device, product_dtype, self.functions
        )
        self.progress: list[Progress] = []

    def batches(self) -> BatchStream:
        """Make the stream anew, at step 0."""
        generator = self.state.generator
        return BatchStream(
            *(self.data.images, self.data.labels, self.subsets, self.seeds, 10, self.state.ladder.n_units),
            generator.sizes[0] if generator else None,
            self.functions.normal,
        )

    def train(self, until: int | None = None) -> "Run":
        """Go on up to a step, with a fresh loop and fresh batches, as after a resume."""
        for progress in train(self.state, self.batches(), self.settings, self.functions, yield_every_steps=1):
            self.progress.append(progress._replace(costs=copied(progress.costs)))
            if progress.step == until:
                break
        return self

    def parameters(self, *replicas: int) -> list[Tensor]:
        modules = [self.state.ladder] + ([self.state.generator] if self.state.generator else [])
        return [p.detach()[r].clone() for r in replicas for module in modules for p in module.parameters()]


def copied(costs: StepCosts) -> StepCosts:
    """Return costs that the next step leaves alone."""
    apart = (None if cost is None else cost.clone() for cost in costs[1:])
    return StepCosts(LadderCosts(*(cost.clone() for cost in costs.ladder)), *apart)


def reported(run: Run) -> list[Tensor]:
    """Return all costs of all steps, one after the other."""
    return [
        cost
        for progress in run.progress
        for cost in (*progress.costs.ladder, *progress.costs[1:])
        if cost is not None
    ]
