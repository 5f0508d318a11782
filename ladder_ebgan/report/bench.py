"""What `ladder-ebgan bench` prints: a table of each kind of step, or one JSON object.

Keys of the JSON object; times are in milliseconds, medians over the rounds unless the name says `fastest`:

    recipe, rounds, device, n_threads, precision, compiled, versions
    phases: one entry a kind of step
        phase                    "ladder", or "adversarial": against a generator
        model                    of the recipe, whose settings were used
        gflop                    of the matrix products that a step of one replica needs
        n_parameters, n_normals  trained numbers and random numbers a step, of one replica
        products                 kind, m, k, n, count of each matrix product, and its `ms` by number of replicas
        copy_gb_per_second       read and written
        normals_per_second
        plain                    ms, fastest_ms, gflop_per_second of the plain implementation; null without
        engine: one entry a number of replicas
            n_replicas
            ms, fastest_ms, ms_per_replica, gflop_per_second
            floor_ms, floor_fastest_ms, floor_products_ms, floor_adam_ms, floor_normals_ms
            times_the_floor      ms / floor_ms
            times_the_floor_fastest  fastest_ms / floor_fastest_ms
            times_as_fast_as_plain  steps of replicas in the time of a plain one; null without
            peak_memory_bytes    null where the system does not tell
"""

import io
import json
from collections.abc import Sequence
from typing import Any

from ladder_ebgan.bench import EngineResult, OverRounds, PhaseResult

MISSING = "–"
FOOTNOTE = (
    "Medians over the rounds, the fastest in brackets. Floor: the matrix products, Adam's memory traffic and the\n"
    "random numbers of a step, each at the rate measured here. x floor: ms/step over the floor. x plain:\n"
    "replica-steps in the time of one plain step."
)


def bench_json(description: dict[str, Any], phases: Sequence[PhaseResult]) -> str:
    """Return the JSON object."""
    return json.dumps({**description, "phases": [_phase(phase) for phase in phases]}, indent=1) + "\n"


def bench_text(description: dict[str, Any], phases: Sequence[PhaseResult]) -> str:
    """Return the tables, without colour."""
    blocks = [_heading(description), *(_table(_phase(phase)) for phase in phases), FOOTNOTE]
    return "\n\n".join(blocks) + "\n"


def _phase(phase: PhaseResult) -> dict[str, Any]:
    replicas = [result.n_replicas for result in phase.engine]
    return {
        "phase": phase.phase,
        "model": phase.model,
        "gflop": phase.work.flops / 1e9,
        "n_parameters": phase.work.n_parameters,
        "n_normals": phase.work.n_normals,
        "products": [
            {
                **{"kind": p.kind, "m": p.m, "k": p.k, "n": p.n, "count": p.count},
                "ms": {str(n): 1e3 * phase.product_seconds[p, n].median for n in replicas},
            }
            for p in phase.work.products
        ],
        "copy_gb_per_second": phase.bytes_per_second / 1e9,
        "normals_per_second": phase.normals_per_second,
        "plain": None if phase.plain is None else _times(phase.plain, phase.work.flops),
        "engine": [_engine(result, phase.plain) for result in phase.engine],
    }


def _times(step: OverRounds, flops: int) -> dict[str, float]:
    return {
        "ms": 1e3 * step.median,
        "fastest_ms": 1e3 * step.fastest,
        "gflop_per_second": flops / step.median / 1e9,
    }


def _engine(result: EngineResult, plain: OverRounds | None) -> dict[str, Any]:
    return {
        "n_replicas": result.n_replicas,
        **_times(result.step, result.flops),
        "ms_per_replica": 1e3 * result.step.median / result.n_replicas,
        "floor_ms": 1e3 * result.floor.median,
        "floor_fastest_ms": 1e3 * result.floor.fastest,
        "floor_products_ms": 1e3 * result.products.median,
        "floor_adam_ms": 1e3 * result.adam.median,
        "floor_normals_ms": 1e3 * result.normals.median,
        "times_the_floor": result.times_the_floor.median,
        "times_the_floor_fastest": result.times_the_floor.fastest,
        "times_as_fast_as_plain": None if plain is None else result.times_as_fast_as(plain),
        "peak_memory_bytes": result.peak_bytes,
    }


def _heading(description: dict[str, Any]) -> str:
    versions = description["versions"]
    threads = f"{description['n_threads']} thread{'s' if description['n_threads'] > 1 else ''}"
    compiled = "compiled" if description["compiled"] else "not compiled"
    return (
        f"{description['device']}\n"
        f"{threads}, {description['precision']}, {compiled}; ladder-ebgan {versions['ladder_ebgan']}, "
        f"torch {versions['torch']}, Python {versions['python']}\n"
        f"recipe {description['recipe']}, rounds: {description['rounds']}"
    )


def _table(phase: dict[str, Any]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.HORIZONTALS)
    headings = ["at once", "ms/step", "ms/replica-step", "GFLOP/s", "floor ms", "= products", "+ Adam", "+ random"]
    for heading in [*headings, "x floor", "x plain", "peak MiB"]:
        grid.add_column(heading, justify="right")
    if phase["plain"] is not None:
        grid.add_row("plain 1", *_step_cells(phase["plain"], 1), *[MISSING] * 5, "1.00", MISSING)
    for result in phase["engine"]:
        ratio, peak = result["times_as_fast_as_plain"], result["peak_memory_bytes"]
        grid.add_row(
            str(result["n_replicas"]),
            *_step_cells(result, result["n_replicas"]),
            _both(result["floor_ms"], result["floor_fastest_ms"]),
            *(_number(result[f"floor_{part}_ms"]) for part in ("products", "adam", "normals")),
            _both(result["times_the_floor"], result["times_the_floor_fastest"]),
            MISSING if ratio is None else _number(ratio),
            MISSING if peak is None else f"{peak / 2**20:.0f}",
        )
    console = Console(file=io.StringIO(), width=1000, color_system=None, _environ={})
    with console.capture() as capture:
        console.print(grid)
    title = (
        f"{phase['phase']} step of a replica: {phase['gflop']:.3g} GFLOP in matrix products, "
        f"{_millions(phase['n_parameters'])} parameters, {_millions(phase['n_normals'])} random numbers\n"
        f"here: {phase['copy_gb_per_second']:.3g} GB/s of copying, {_millions(phase['normals_per_second'])} random "
        "numbers/s"
    )
    return "\n".join([title, *(line.rstrip() for line in capture.get().splitlines())])


def _millions(count: float) -> str:
    return f"{count / 1e6:.3g} M"


def _step_cells(times: dict[str, float], n_replicas: int) -> list[str]:
    step = _both(times["ms"], times["fastest_ms"])
    return [step, _number(times["ms"] / n_replicas), _number(times["gflop_per_second"])]


def _both(median: float, fastest: float) -> str:
    return f"{_number(median)} ({_number(fastest)})"


def _number(value: float) -> str:
    """Return three significant digits, and no more than needed."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"
