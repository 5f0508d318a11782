"""The command `bench`: the speed of a training step."""

from collections.abc import Sequence
from typing import Any

import click

from ladder_ebgan.commands.console import say, stderr_console
from ladder_ebgan.commands.options import WholeNumbers, compile_option, device_options, recipe_options
from ladder_ebgan.errors import UsageError

MOST_REPLICAS = 1000


@click.command()
@recipe_options("BENCH")
@device_options
@click.option(
    "--replicas",
    type=WholeNumbers(),
    help="How many replicas at once, such as 1,2,4.  [default: 1,2,4; on a GPU 1,4,15,45]",
)
@compile_option("BENCH")
@click.option("--rounds", type=click.IntRange(min=1), default=12, show_default=True, help="How often all is timed.")
@click.option(
    "--plain/--no-plain", default=True, help="Time the plain PyTorch implementation too.  [default: plain]"
)
@click.option("--json", "as_json", envvar="LADDER_EBGAN_BENCH_JSON", is_flag=True, help="Print JSON.")
def bench(
    *, recipe_name: str, overrides: Sequence[str], replicas: list[int] | None, as_json: bool, **options: Any
) -> None:
    """Measure the speed of a training step on this machine.

    It is compared with its floor, the least time that its matrix products, its optimiser's memory traffic and its
    random numbers take here, and with a plain PyTorch implementation that trains one replica.
    """
    from ladder_ebgan.recipe import load_recipe

    recipe = load_recipe(recipe_name, overrides)
    if replicas is not None and not all(0 < n <= MOST_REPLICAS for n in replicas):
        raise UsageError(f"--replicas: must be whole numbers from 1 to {MOST_REPLICAS}, such as 1,2,4")

    from ladder_ebgan.bench import Bench, BenchRequest, PhaseResult
    from ladder_ebgan.report.bench import bench_json, bench_text

    counts = None if replicas is None else tuple(dict.fromkeys(replicas))
    measuring, console, phases = Bench(BenchRequest(recipe_name, recipe, counts, **options)), stderr_console(), []
    for event in measuring.run():
        if isinstance(event, PhaseResult):
            phases.append(event)
        else:
            say(console, event)
    click.echo((bench_json if as_json else bench_text)(measuring.description(), phases), nl=False)
