"""One HTML page of a run folder, made from its files alone; `report.html.jinja` has its text and order.

The page is complete in itself, without a script and without a request to anywhere. It does not say when it was
made: the same folder gives the same bytes.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from ladder_ebgan.any_recipe import load_any_recipe
from ladder_ebgan.errors import UsageError
from ladder_ebgan.planning import finished_replicas
from ladder_ebgan.recipe import Recipe, recipe_toml
from ladder_ebgan.recipe_files import recipe_names
from ladder_ebgan.report.figures.of_run import figures_are_current
from ladder_ebgan.report.gan_table import GANTable, comparison_line, gan_cells, gan_footnotes
from ladder_ebgan.report.outputs import table_of, trained_section, variants_of
from ladder_ebgan.report.page_figures import page_figures
from ladder_ebgan.report.table import MISSING, Comparison, Table, model_order
from ladder_ebgan.report.table_layout import cell_grid, comparison_lines, footnotes, paper_lines
from ladder_ebgan.results import Result
from ladder_ebgan.runs import Replica, RunFolder, read_record
from ladder_ebgan.statistics import ALPHA

PAPERS = {  # the sources of reported rows
    "Pezeshki et al. 2015": "https://arxiv.org/abs/1511.06430",
    "Rasmus et al. 2015": "https://arxiv.org/abs/1507.02672",
    "Zhao et al. 2017": "https://arxiv.org/abs/1609.03126",
}


class RecipeLine(NamedTuple):
    """A line of the recipe; `packaged` is what the packaged recipe of that name has there, if something else."""

    text: str
    packaged: str | None


class Training(NamedTuple):
    """Replicas that were trained in the same way."""

    model: str
    n_steps: int
    device: str
    precision: str
    versions: str
    n_replicas: int
    seconds: float  # of one replica, on average


class Unfinished(NamedTuple):
    """Replicas of a group that are still to be trained."""

    model: str
    replicas: str
    step: int  # that it has reached at least
    n_steps: int


def report_page(path: Path) -> str:
    """Return the HTML page of a run folder.

    Raises:
        UsageError: the folder is not a run's, is damaged, or holds a run that has not begun.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ladder_ebgan.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(moment=moment, thousands="{:,}".format, quoted=shlex.quote)
    folder = RunFolder(path, read_record(path))
    if not folder.record["starts"]:
        raise UsageError(f"{path} holds a run that has not begun: there is nothing to report")
    return environment.get_template("report.html.jinja").render(contents(folder))


def contents(folder: RunFolder) -> dict[str, Any]:
    """Return what the template shows, by the names that it has there."""
    record, results, table = folder.record, folder.results(), table_of([folder.path])
    models = model_order((group.model for group in folder.groups), variants_of([record]))
    replicas = sorted({replica for group in folder.groups for replica in group.replicas})
    return {
        "record": record,
        "models": models,
        "labels": sorted({replica.labels for replica in replicas} - {0}),
        "seeds": sorted({replica.seed for replica in replicas}),
        "n_replicas": sum(len(group.replicas) for group in folder.groups),
        "n_finished": len(results),
        "table": table,
        "papers": PAPERS,
        **(gan_contents(table) if isinstance(table, GANTable) else classifier_contents(table)),
        "unfinished": list(unfinished(folder)),
        "figures": page_figures(folder.path / "figures", table.examples),
        "figures_are_current": figures_are_current(folder),
        "every_seed": list(every_seed(results, models, replicas)),
        "recipe": list(recipe_lines(record, replicas)),
        "trainings": trainings(results),
        "shared_subsets": not any(
            _section(record, model).get("labeled_subset_seed") is not None for model in models
        ),
        "commands": run_commands(record),
        "output": output(record["starts"][-1], table.dataset_name),
        "data": option(record["starts"][-1], "--data") or table.dataset_name,
    }


def classifier_contents(table: Table) -> dict[str, Any]:
    """Return what the template shows of a table of classifiers."""
    return {
        **dict(zip(("columns", "reported", "ours"), cell_grid(table), strict=True)),
        "comparisons": [
            (verdict(comparison), line.removeprefix(f"{comparison.labels} labels: "))
            for comparison, line in zip(table.comparisons, comparison_lines(table), strict=True)
        ],
        "corrected": any(comparison.p_paired_t_holm is not None for comparison in table.comparisons),
        "beside_paper": paper_lines(table),
        "footnotes": footnotes(table),
        "n_test": table.n_test,
        "outcome": "Test error in %",
    }


def gan_contents(table: GANTable) -> dict[str, Any]:
    """Return what the template shows of a table of GANs, which have no labels."""
    header, rows = gan_cells(table)
    return {
        **{"columns": header[1:], "reported": [], "ours": rows, "corrected": False, "beside_paper": []},
        "comparisons": [(f"{each.model}.", comparison_line(each)) for each in table.comparisons],
        "footnotes": gan_footnotes(table),
        "n_test": None,
        "outcome": "Modified inception score",
    }


def moment(time: str) -> str:
    """Return a time of the record as people write it."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def verdict(comparison: Comparison) -> str:
    """Return in a sentence what a paired comparison shows, at the level of 5 % if it can be tested."""
    model, baseline, paired = comparison.model, comparison.baseline, comparison.paired
    if paired.ci95 is None or paired.p_paired_t is None:
        found = f"no {'' if paired.p_wilcoxon is None else 't '}test of {model} against {baseline}"
    elif paired.ci95[0] <= 0 <= paired.ci95[1] or (comparison.p_paired_t_holm or 0) >= ALPHA:
        found = f"no difference shown between {model} and {baseline}"
    else:
        found = f"{model} is {'better' if paired.mean_difference < 0 else 'worse'} than {baseline}"
    if comparison.n_left_out:
        found += ", on the seeds that both finished"
    return f"With {comparison.labels} labels, {found}."


def unfinished(folder: RunFolder) -> Iterator[Unfinished]:
    """Yield what has no result yet; the steps that it has reached are those of the learning curves."""
    finished, history = finished_replicas(folder), folder.history()
    for group in folder.groups:
        missing = [replica for replica in group.replicas if (group.model, replica) not in finished]
        points = [
            point
            for point in history
            if point.model == group.model and Replica(point.labels, point.seed) in missing
        ]
        if missing:
            n_steps = _section(folder.record, group.model)["n_steps"]
            yield Unfinished(
                group.model, _named(missing), max((point.step for point in points), default=0), n_steps
            )


def _section(record: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the settings that a model of the run is trained by."""
    section: dict[str, Any] = trained_section(record["identity"]["recipe"], model)
    return section


def _named(replicas: Iterable[Replica]) -> str:
    by_labels = groupby(sorted(replicas), lambda replica: replica.labels)
    return "; ".join(
        f"{f'{labels} labels: ' if labels else ''}seed {', '.join(str(replica.seed) for replica in those)}"
        for labels, those in by_labels
    )


def every_seed(
    results: Iterable[Result], models: Sequence[str], replicas: Iterable[Replica]
) -> Iterator[tuple[Replica, list[str]]]:
    """Yield each replica with the test errors of the models, in percent, or what became of its training.

    Of GANs it has the modified inception scores.
    """
    by_name = {(result.model, result.labels, result.seed): result for result in results}
    for replica in replicas:
        yield replica, [_outcome(by_name.get((model, *replica))) for model in models]


def _outcome(result: Result | None) -> str:
    if result is None:
        return MISSING
    number = result.modified_inception_score if result.test_error_percent is None else result.test_error_percent
    if number is not None:
        return f"{number:.2f}"
    if result.status == "ok":
        return "done"
    return "diverged" + ("" if result.diverged_step is None else f" at step {result.diverged_step:,}")


def recipe_lines(record: dict[str, Any], replicas: Sequence[Replica]) -> Iterator[RecipeLine]:
    """Yield the lines of the run's recipe, complete with its budgets and seeds, beside the packaged recipe's."""
    budgets = sorted({replica.labels for replica in replicas})
    asked: dict[str, Any] = {} if budgets == [0] else {"labels": budgets}
    asked["n_seeds"] = len({replica.seed for replica in replicas})
    packaged: dict[str, str] = {}
    name = record["starts"][0]["recipe_name"]
    if name in recipe_names():
        recipe = load_any_recipe(name)
        tables = {"n_seeds": recipe.n_seeds, **recipe.identity()}
        if isinstance(recipe, Recipe):
            tables["labels"] = recipe.labels
        packaged = {key: value for key, value, _ in _keyed(recipe_toml(tables))}
    for key, value, line in _keyed(recipe_toml({**asked, **record["identity"]["recipe"]})):
        other = packaged.get(key, "not set") if packaged and line else value
        yield RecipeLine(line, None if other == value else other)


def _keyed(toml: str) -> Iterator[tuple[str, str, str]]:
    """Yield the lines of a recipe, each behind its key, with section, and its value."""
    section = ""
    for line in toml.splitlines():
        key, _, value = line.partition(" = ")
        if line.startswith("["):
            section = line
        yield section + key, value, line


def trainings(results: Iterable[Result]) -> list[Training]:
    """Return how the replicas were trained: each model in one way, or in several where a run went on elsewhere."""
    seconds: dict[tuple[str, int, str, str, str], list[float]] = {}
    for result in results:
        versions = f"ladder-ebgan {result.version}, torch {result.torch_version}"
        way = result.model, result.steps, result.device, result.precision, versions
        seconds.setdefault(way, []).append(result.seconds)
    return [Training(*way, len(times), sum(times) / len(times)) for way, times in seconds.items()]


def run_commands(record: dict[str, Any]) -> list[str]:
    """Return the commands that go on with the run: those that it was started with, each once, without --fresh."""
    commands = [start["command"] for start in record["starts"] if start["command"][:1] == ["run"]]
    going_on = [[word for word in command if word != "--fresh"] for command in commands]
    return list(dict.fromkeys(shlex.join(["ladder-ebgan", *command]) for command in going_on))


def output(start: dict[str, Any], dataset_name: str) -> str:
    """Return the folder that a start of `run` names, or else the one that it takes by itself."""
    return option(start, "--output") or f"runs/{dataset_name}-{Path(start['recipe_name']).stem}"


def option(start: dict[str, Any], name: str) -> str | None:
    """Return what the command of a start gives for an option."""
    given = None
    for word, following in pairwise([*start["command"], ""]):
        if word == name:
            given = following
        elif word.startswith(f"{name}="):
            given = word.removeprefix(f"{name}=")
    return given
