"""What a search has found, and the files that say it."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import TrialState

from ladder_ebgan.folders import as_utf8, write_atomically
from ladder_ebgan.recipe import recipe_of_model, recipe_toml
from ladder_ebgan.search.choice import Choice, choices
from ladder_ebgan.search.outcomes import Outcome, outcome_of, outcomes_csv, ranked, read_correct
from ladder_ebgan.search.search import CORRECT, Search
from ladder_ebgan.search.space import Space

FEWEST_FOR_IMPORTANCE = 4  # finished trials
FEWEST_FOR_CHOICE = 2
DECIMALS = 9  # of results that count as equal: a mean carries the rounding of its sum


@dataclass(frozen=True)
class Summary:
    """Everything that the table, the figures and the files of a search are made of."""

    search: Search
    outcomes: list[Outcome]  # in the order of the trials
    best: list[Outcome]  # those that came to the end, best first
    importance: dict[str, float]  # share of the variance of the error, by parameter; {} while there are few trials
    choices: list[Choice]  # by validation sets that grow; [] while there are few trials

    @property
    def space(self) -> Space:
        """What was searched."""
        return space_of_classifiers(self.search)

    def counts(self) -> dict[str, int]:
        """Return how many trials have which status."""
        return counted(each.status for each in self.outcomes)


def counted(statuses: Iterable[str]) -> dict[str, int]:
    """Return how often there is each status, in the order in which they appear."""
    return dict(Counter(statuses))


def space_of_classifiers(search: Search) -> Space:
    """Return what a search of classifiers searches."""
    space = search.request.space
    assert isinstance(space, Space)
    return space


def summarize(search: Search) -> Summary:
    """Return what a search has found so far."""
    space, outcomes = space_of_classifiers(search), []
    for trial in search.study.trials:
        n_steps = space.recipe_of(trial.params).settings(space.model).n_steps
        outcomes.append(outcome_of(trial, n_steps))
    best = ranked(outcomes)
    return Summary(search, outcomes, best, importance_of(search, len(best)), _choices(search, space, best))


def importance_of(search: Search, n_done: int) -> dict[str, float]:
    """Return the share of the result's variance that each parameter explains by itself.

    {} while there are few trials, or where all have the same result.
    """
    study = search.study.study
    done = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    results = {round(trial.value, DECIMALS) for trial in done if trial.value is not None}
    if n_done < FEWEST_FOR_IMPORTANCE or len(results) < 2 or len(search.request.space.parameters) < 2:
        return {}
    found = FanovaImportanceEvaluator(seed=0).evaluate(study)  # which Optuna would scale to a sum of 1
    return {key: float(share) for key, share in found.items()}


def _choices(search: Search, space: Space, best: list[Outcome]) -> list[Choice]:
    """Return what comes of validation sets from the size of the labelled one up to the one there is."""
    dataset = search.task.dataset
    if len(best) < FEWEST_FOR_CHOICE:
        return []
    n_images = len(dataset.test_labels)
    paths = [search.folder / CORRECT / f"{each.trial}.bits" for each in best]
    correct = np.stack([read_correct(path, space.n_subsets, n_images) for path in paths])
    sizes = {max(dataset.n_classes, space.labels * factor) for factor in (1, 2, 5, 10, 20, 50)}
    return choices(correct, dataset.test_labels, [*sorted(size for size in sizes if size < n_images), n_images])


def summary_json(summary: Summary) -> str:
    """Return the summary as one JSON object."""
    search, space = summary.search, summary.space
    content: dict[str, Any] = {
        "space": search.request.name,
        "dataset": search.task.dataset.name,
        "model": space.model,
        "labels": space.labels,
        "seeds": list(space.seeds),
        "n_validation": len(search.task.dataset.test_labels),
        "counts": summary.counts(),
        "trials": [
            {
                "trial": each.trial,
                "validation_error_percent": each.mean,
                "errors": each.errors,
                "steps": each.steps,
                "settings": each.settings,
            }
            for each in summary.best
        ],
        "importance": summary.importance,
        "choices": [choice._asdict() for choice in summary.choices],
    }
    return json.dumps(content, indent=1) + "\n"


def best_recipe(summary: Summary) -> str | None:
    """Return the best setting as the text of a recipe; None while no trial has come to the end."""
    if not summary.best:
        return None
    search, space, best = summary.search, summary.space, summary.best[0]
    recipe = space.recipe_of(best.parameters)
    name, n_images = search.task.dataset.name, len(search.task.dataset.test_labels)
    data = "" if search.request.data == "mnist" else f"--data {shlex.quote(search.request.data)} "
    comment = (
        f"# {space.model} of the search {search.request.name} with the lowest validation error\n#\n"
        f"# {best.mean:.2f} % on {n_images} images held out of the training images of {name}, mean over "
        f"{space.n_subsets} labelled subsets of {space.labels}\n# (seeds {space.seeds[0]} to {space.seeds[-1]}), "
        f"best of {len(summary.best)} settings: too good by as much as chance has chosen it.\n#\n"
        f"#     ladder-ebgan run --recipe {shlex.quote(str(search.folder / 'best.toml'))} --model {space.model} "
        f"{data}--output {shlex.quote(f'runs/best-{search.request.name}')}\n\n"
    )
    tables = recipe_of_model(recipe.model_dump(by_alias=True, exclude_none=True), space.model)
    return comment + recipe_toml(tables | {"labels": [space.labels]})


def write_summary(summary: Summary, markdown: str) -> None:
    """Write the files of a search but for its figures; `markdown` is its table."""
    folder = summary.search.folder
    files = {
        "trials.csv": outcomes_csv(summary.outcomes, summary.space),
        "table.json": summary_json(summary),
        "table.md": markdown,
        "best.toml": best_recipe(summary),
    }
    for name, text in files.items():
        if text is not None:
            write_atomically(Path(folder / name), as_utf8(text).encode())
