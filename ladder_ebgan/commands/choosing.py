"""The argument and options that choose trained models. Importing this is cheap."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

from ladder_ebgan.commands.options import AnyPath, SeedNumbers

Command = TypeVar("Command", bound=Callable[..., Any])


class Seeds(click.ParamType):  # type: ignore[type-arg]  # as SeedNumbers
    """Seeds as `SeedNumbers` has them, or all."""

    name = "N[-N][,...]|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int] | Literal["all"]:
        """Return the numbers in order, or the word."""
        return "all" if value == "all" else sorted(set(SeedNumbers().convert(value, param, ctx)))


def generator_options(function: Command) -> Command:
    """Add what `model_options` does, with --seed for one seed, and --latent-seed."""
    seed = click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Which seed was trained.")
    latent_seed = click.option(
        "--latent-seed",
        type=click.IntRange(min=0),
        metavar="N",
        default=0,
        show_default=True,
        help="Fixes the images; another one gives others.",
    )
    return model_options(seed)(latent_seed(function))


def model_options(seed_option: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Add the argument MODEL, --model and --labels, the option that chooses the seed, and --device."""
    path = click.argument("path", metavar="MODEL", type=AnyPath())
    help_of_model = "Which model, such as ladder, ebgan-ladder, ebgan, gan, or a variant."
    model = click.option("--model", metavar="NAME", help=help_of_model)
    labels = click.option("--labels", type=click.IntRange(min=1), metavar="N", help="Which number of labels.")
    device = click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where to compute."
    )
    return lambda function: path(model(labels(seed_option(device(function)))))
