"""How fast a step is here: measured beside the least time that its arithmetic takes, and beside plain PyTorch.

The floor of a step is the sum of three parts, each at a rate that is measured in the same run (`floor.py` counts):
its matrix products at these very shapes; the bytes that Adam reads and writes, at the rate of copying memory; and
its random numbers, as the engine draws them, on all threads at once. What a program does beside that, and what it
does not do while something else is going on, is the distance to the floor.

Machines are shared and noisy. So everything is timed in rounds, each of which times every part once, and what
counts is the median over rounds. The first calls of everything are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ladder_ebgan_benchmarks.plain import Plain, step_function

from ladder_ebgan.data import load_dataset
from ladder_ebgan.engine import Engine
from ladder_ebgan.floor import Product, Work, step_work
from ladder_ebgan.machine import apply, resolve, versions
from ladder_ebgan.probes import (
    Operands,
    Probe,
    copy_probe,
    in_float32,
    normals_probe,
    peak_bytes,
    product_probe,
)
from ladder_ebgan.recipe import Recipe
from ladder_ebgan.timing import Phase, first_phase, throwaway_step
from ladder_ebgan.training import adversarial_steps

REPLICAS = {"cpu": (1, 2, 4), "cuda": (1, 4, 15, 45)}
STEP_SAMPLE_SECONDS = 0.05  # a sample has as many steps as fill this


@dataclass(frozen=True)
class BenchRequest:
    """What the user asked for."""

    recipe_name: str
    recipe: Recipe
    replicas: tuple[int, ...] | None = None  # how many at once; None: REPLICAS
    device: str = "auto"
    precision: str = "auto"
    compiled: bool | None = None  # None: as for a run
    rounds: int = 12
    plain: bool = True


@dataclass(frozen=True)
class OverRounds:
    """The median and the least of what every round has measured."""

    median: float
    fastest: float

    @classmethod
    def of(cls, samples: Sequence[float], factor: float = 1.0) -> "OverRounds":
        """Summarise the samples, each multiplied by `factor`."""
        return cls(factor * float(np.median(samples)), factor * min(samples))


@dataclass(frozen=True)
class EngineResult:
    """A step of `n_replicas` replicas at once, and its floor in three parts."""

    n_replicas: int
    flops: int
    step: OverRounds
    products: OverRounds
    adam: OverRounds
    normals: OverRounds
    peak_bytes: int | None  # with nothing else loaded but the data; None: not to be had here

    @property
    def floor(self) -> OverRounds:
        """The sum of the parts."""
        parts = (self.products, self.adam, self.normals)
        return OverRounds(sum(part.median for part in parts), sum(part.fastest for part in parts))

    @property
    def times_the_floor(self) -> OverRounds:
        """How many times the floor a step takes: median over median, fastest over fastest."""
        return OverRounds(self.step.median / self.floor.median, self.step.fastest / self.floor.fastest)

    @property
    def flops_per_second(self) -> float:
        """Those of the matrix products that the arithmetic asks for, over the whole step."""
        return self.flops / self.step.median

    def times_as_fast_as(self, plain: OverRounds) -> float:
        """How many steps of replicas are done in the time of one plain step."""
        return plain.median * self.n_replicas / self.step.median


@dataclass(frozen=True)
class PhaseResult:
    """All that was measured of one kind of step."""

    phase: str  # "ladder" or "adversarial"
    model: str
    work: Work  # of one replica
    engine: list[EngineResult]
    plain: OverRounds | None  # a step of the plain implementation
    product_seconds: Mapping[tuple[Product, int], OverRounds]  # of one product, by the number of replicas
    bytes_per_second: float
    normals_per_second: float


class Bench:
    """A request that was checked, resolved and has its data loaded.

    Raises:
        UsageError: something in the request is not to be had here.
    """

    def __init__(self, request: BenchRequest) -> None:
        self.request, self.recipe = request, request.recipe
        longest_steps = max(self.recipe.settings(model).n_steps for model in self.recipe.models)
        self.resolved = resolve(request.device, request.precision, None, request.compiled, longest_steps)
        self.device = self.resolved.device
        self.replicas = request.replicas or REPLICAS[self.device.type]
        apply(self.resolved)
        dataset = load_dataset("mnist")
        self.n_features, self.n_classes = dataset.n_features, dataset.n_classes
        self.engine = Engine.prepare(self.recipe, dataset, self.resolved)

    def description(self) -> dict[str, Any]:
        """Return what was measured, where and how."""
        return {
            "recipe": self.request.recipe_name,
            "rounds": self.request.rounds,
            "device": self.resolved.device_name,
            "n_threads": self.resolved.n_threads,
            "precision": self.resolved.precision,
            "compiled": self.resolved.compiled,
            "versions": versions(),
        }

    def run(self) -> Iterator[str | PhaseResult]:
        """Measure every kind of step that the recipe has; yield notes on what is going on, and the results."""
        has_generator = any(adversarial_steps(self.recipe.settings(model)) for model in self.recipe.models)
        for adversarial in (False, True) if has_generator else (False,):
            yield from self._phase(adversarial)

    def _phase(self, adversarial: bool) -> Iterator[str | PhaseResult]:
        phase, timed = "adversarial" if adversarial else "ladder", first_phase(self.recipe, adversarial)
        model = timed.model
        work = step_work(self.recipe, model, adversarial, self.n_features, self.n_classes)
        peaks: dict[int, int | None] = {}
        for n in self.replicas:
            yield f"{phase} step, {n} at once: warming up ..."
            make = partial(throwaway_step, self.engine, n, timed)
            if self.device.type == "cuda":
                make()  # compiles, which takes memory that a step does not
            peaks[n] = peak_bytes(make, self.device)
        probes = self._probes(timed, work)
        yield f"{phase} step: timing all, round by round ..."
        rounds = [{key: probe.sample() for key, probe in probes.items()} for _ in range(self.request.rounds)]

        def over_rounds(key: object) -> list[float]:
            return [samples[key] for samples in rounds]

        def engine_result(n: int) -> EngineResult:
            products = [sum(p.count * samples[p, n] for p in work.products) for samples in rounds]
            return EngineResult(
                n,
                work.flops * n,
                OverRounds.of(over_rounds(n)),
                OverRounds.of(products),
                OverRounds.of(over_rounds("byte"), work.adam_bytes * n),
                OverRounds.of(over_rounds("normal"), work.n_normals * n),
                peaks[n],
            )

        yield PhaseResult(
            phase,
            model,
            work,
            [engine_result(n) for n in self.replicas],
            OverRounds.of(over_rounds("plain")) if self.request.plain else None,
            {(p, n): OverRounds.of(over_rounds((p, n))) for p in work.products for n in self.replicas},
            1 / OverRounds.of(over_rounds("byte")).median,
            1 / OverRounds.of(over_rounds("normal")).median,
        )

    def _probes(self, timed: Phase, work: Work) -> dict[object, Probe]:
        """Return what a round times: the engine's step by number of replicas, and the rest by name."""
        device, data, probes = self.device, self.engine.data, dict[object, Probe]()
        operands = Operands(work.products, max(self.replicas), self.resolved.product_dtype, device)
        for n in self.replicas:  # a step and its products one after the other, to share what disturbs them
            step = throwaway_step(self.engine, n, timed)
            probes[n] = Probe.of(step, device, sample_seconds=STEP_SAMPLE_SECONDS)
            for product in work.products:
                probes[product, n] = product_probe(operands, product, n, device)
        if self.request.plain:
            plain = Plain(self.recipe, timed.model, data.train_images, data.train_labels, self.n_classes)
            plain_step = in_float32(step_function(plain, timed.adversarial))
            probes["plain"] = Probe.of(plain_step, device, sample_seconds=STEP_SAMPLE_SECONDS)
        probes["byte"] = copy_probe(device)
        n_units = sum([self.n_features, *self.recipe.network.hidden_sizes, self.n_classes])
        shape = (2 * self.recipe.training.batch_size, n_units)
        probes["normal"] = normals_probe(shape, max(self.replicas), self.resolved, self.engine.functions)
        return probes
