"""The command `search`: hyper-parameters by validation error, or by the score of generated images."""

import sys
from typing import TYPE_CHECKING, Any

import click

from ladder_ebgan.commands.console import say, say_stopped, stderr_console
from ladder_ebgan.commands.options import (
    AnyPath,
    compile_option,
    complete_command,
    data_option,
    device_options,
    division_options,
    need_optuna,
    number_or_auto,
    time_limit_option,
)
from ladder_ebgan.errors import UsageError

if TYPE_CHECKING:
    from ladder_ebgan.search.search import Search, SearchRequest


@click.command()
@click.option(
    "--space",
    "space_name",
    envvar="LADDER_EBGAN_SEARCH_SPACE",
    required=True,
    metavar="NAME|FILE",
    help="What is varied; see 'ladder-ebgan recipes list'.",
)
@click.option(
    "--trials", type=click.IntRange(min=1), help="How many settings.  [default: the space's, or the whole grid]"
)
@click.option(
    "--only",
    "slices",
    envvar="LADDER_EBGAN_SEARCH_ONLY",
    multiple=True,
    metavar="KEY=VALUE[,VALUE...]",
    help="Of a grid: a slice with these choices of a parameter alone, such as generator.size=400,800. Repeatable.",
)
@click.option(
    "--labels", type=click.IntRange(min=1), help="How many training images have a label.  [default: the space's]"
)
@click.option(
    "--subsets",
    type=click.IntRange(1, 1000),
    help="Labelled subsets that each setting is trained on.  [default: the space's]",
)
@click.option(
    "--set",
    "overrides",
    envvar="LADDER_EBGAN_SEARCH_SET",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe that all trials share. Repeatable.",
)
@data_option()
@click.option(
    "--validation",
    "n_validation",
    envvar="LADDER_EBGAN_SEARCH_VALIDATION",
    type=click.IntRange(min=1),
    help="Training images that are held out to compare settings.  [default: a sixth of the labelled ones, 10000 at "
    "most]",
)
@device_options
@division_options(
    together="How many settings and subsets train together.",
    processes="How many processes share the cores of a CPU; auto is one a core, with the sampler tpe no more than "
    "the settings that are proposed at random.",
)
@compile_option("SEARCH")
@click.option(
    "--output", type=AnyPath(), metavar="DIR", help="Folder of the search.  [default: runs/<data>-search-<space>]"
)
@click.option(
    "--fresh", is_flag=True, help="Throw away what the folder holds and start anew; to go on later, leave it out."
)
@click.option(
    "--dry-run", is_flag=True, help="Of a grid of GANs: time a few steps, say how long all take, and train nothing."
)
@time_limit_option
@click.option(
    "--json", "as_json", envvar="LADDER_EBGAN_SEARCH_JSON", is_flag=True, help="Print what was found as JSON."
)
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.pass_context
def search(
    context: click.Context,
    /,
    *,
    as_json: bool,
    quiet: bool,
    time_limit: float | None,
    dry_run: bool,
    **options: Any,
) -> None:
    """Search hyper-parameters by the error on held-out training images; of GANs, by the score of their images.

    Each setting is trained on a few labelled subsets, several settings at once; hopeless ones are given up early.
    A setting of GANs is trained once, to the end. The test set is never read. The best setting is left as a recipe,
    best.toml, for 'ladder-ebgan run --recipe'.

    The paper's grid of GANs is in two spaces, grid-ebgan and grid-gan; 'ladder-ebgan grid' draws its figures.

    The same command again goes on where the last one stopped; with more --trials it adds to what is there.

    \b
    Exit codes: 0 done; 1 the machine failed; 2 wrong use;
    75 time limit reached; 130 Ctrl-C; 143 SIGTERM. After the last three the
    same command goes on.
    """
    need_optuna()
    from ladder_ebgan.interruption import EXIT_CODES, stop_request
    from ladder_ebgan.report.search_progress import SearchDisplay
    from ladder_ebgan.search.search import SearchStopped, open_search

    request, console, stopped = request_of(**options, command=complete_command(context)), stderr_console(), None
    if dry_run:
        click.echo(_estimate(request, as_json), nl=False)
        return
    with stop_request(time_limit) as stop_reason, open_search(request) as opened:
        display = SearchDisplay(console, opened, quiet)
        try:
            for event in opened.run(stop_reason):
                display.show(event)
                if isinstance(event, SearchStopped):
                    stopped = event.reason
        finally:
            display.close()
        click.echo(_summary(opened, as_json, with_figures=stopped is None), nl=False)
        if not quiet:
            say(console, f"The search's folder is {opened.folder}")
    if stopped is not None:
        say_stopped(console, stopped, context.obj)
        sys.exit(EXIT_CODES[stopped])


def _summary(search: "Search", as_json: bool, with_figures: bool) -> str:
    """Write the files of what a search has found, and return what is printed of it."""
    from ladder_ebgan.report import gan_search
    from ladder_ebgan.report import search as tables
    from ladder_ebgan.report.figures import search as figures
    from ladder_ebgan.search import gan_summary, summary
    from ladder_ebgan.search.space import Space

    if isinstance(search.request.space, Space):
        found = summary.summarize(search)
        summary.write_summary(found, tables.search_markdown(found))
        if with_figures:
            figures.draw_search(found)
        return summary.summary_json(found) if as_json else tables.search_text(found)
    of_gans = gan_summary.summarize_gans(search)
    gan_summary.write_gan_summary(of_gans, gan_search.gan_search_markdown(of_gans))
    if with_figures:
        figures.draw_gan_search(of_gans)
    return gan_summary.gan_summary_json(of_gans) if as_json else gan_search.gan_search_text(of_gans)


def _estimate(request: "SearchRequest", as_json: bool) -> str:
    from ladder_ebgan.report.search_estimate import estimate_json, estimate_text
    from ladder_ebgan.search.estimate import estimate
    from ladder_ebgan.search.search import known_settings, search_task, trials_at_once
    from ladder_ebgan.search.space import GANSpace

    if not isinstance(request.space, GANSpace) or request.space.sampler != "grid":
        raise UsageError("--dry-run: only the time of a grid of GANs is known beforehand; leave it out")
    task = search_task(request)
    found = estimate(task, trials_at_once(task), known_settings(request, task))
    return estimate_json(found, task) if as_json else estimate_text(found, task)


def request_of(
    *,
    space_name: str,
    trials: int | None,
    labels: int | None,
    subsets: int | None,
    slices: tuple[str, ...],
    overrides: tuple[str, ...],
    n_validation: int | None,
    replicas_at_once: str,
    processes: str,
    **rest: Any,
) -> "SearchRequest":
    """Return what the options of `search` ask for."""
    from ladder_ebgan.search.search import SearchRequest
    from ladder_ebgan.search.slices import slices_of, with_slice
    from ladder_ebgan.search.space import load_space

    wishes = {"n_trials": trials, "labels": labels, "n_subsets": subsets, "set": list(overrides) or None}
    space = load_space(space_name, {key: value for key, value in wishes.items() if value is not None})
    space = with_slice(space, slices_of(slices))
    return SearchRequest(
        space_name=space_name,
        space=space,
        n_validation=n_validation,
        replicas_at_once=number_or_auto("--replicas-at-once", replicas_at_once),
        n_processes=number_or_auto("--processes", processes),
        **rest,
    )
