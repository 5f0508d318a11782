"""What a search of GANs has found, and the files that say it."""

import csv
import io
import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from optuna.trial import FrozenTrial

from ladder_ebgan.folders import as_utf8, write_atomically
from ladder_ebgan.recipe import recipe_of_model, recipe_toml
from ladder_ebgan.search.search import Search
from ladder_ebgan.search.space import GANSpace, as_trained, decoded, overrides, seed_of
from ladder_ebgan.search.study import DIVERGED, DIVERGED_SCORE, OBJECTIVE, SCORES, SECONDS
from ladder_ebgan.search.summary import DECIMALS, FEWEST_FOR_IMPORTANCE, counted, importance_of

SCORE_NAMES = [OBJECTIVE, "inception_score", "generated_precision", "generated_recall", "n_modes", "class_kl"]


@dataclass(frozen=True)
class GANOutcome:
    """A trial."""

    trial: int
    status: Literal["done", "diverged", "unfinished"]
    parameters: dict[str, Any]  # values by the key of the parameter
    settings: list[str]  # as changes of the recipe
    seed: int
    scores: dict[str, float]  # of the generated images, by name; {} unless it is done
    diverged_step: int | None
    seconds: float | None  # of training

    @property
    def score(self) -> float | None:
        """I', or what counts for it in a trial that diverged; None for one that is unfinished."""
        if self.status == "unfinished":
            return None
        return self.scores.get(OBJECTIVE, DIVERGED_SCORE)


def gan_outcome(trial: FrozenTrial) -> GANOutcome:
    """Return what a trial has come to."""
    status: Literal["done", "diverged", "unfinished"] = "unfinished"
    if trial.state.is_finished():
        status = "diverged" if DIVERGED in trial.user_attrs else "done"
    return GANOutcome(
        trial=trial.number,
        status=status,
        parameters={key: decoded(as_trained(value)) for key, value in trial.params.items()},
        settings=overrides(trial.params),
        seed=seed_of(trial.params),
        scores=trial.user_attrs[SCORES] if status == "done" else {},
        diverged_step=trial.user_attrs[DIVERGED] if status == "diverged" else None,
        seconds=trial.user_attrs.get(SECONDS),
    )


def best_first(outcomes: Iterable[GANOutcome]) -> list[GANOutcome]:
    """Return the outcomes of trials that came to the end, the highest score first."""
    done = [each for each in outcomes if each.status == "done"]
    return sorted(done, key=lambda each: (-each.scores[OBJECTIVE], each.trial))


@dataclass(frozen=True)
class GANSummary:
    """Everything that the table, the figure and the files of a search of GANs are made of."""

    search: Search
    outcomes: list[GANOutcome]  # in the order of the trials
    best: list[GANOutcome]  # those that came to the end, best first
    importance: dict[str, float]  # share of the variance of the score, by parameter; {} while there are few trials

    @property
    def space(self) -> GANSpace:
        """What was searched."""
        space = self.search.request.space
        assert isinstance(space, GANSpace)
        return space

    def counts(self) -> dict[str, int]:
        """Return how many trials have which status."""
        return counted(each.status for each in self.outcomes)


def summarize_gans(search: Search) -> GANSummary:
    """Return what a search of GANs has found so far."""
    outcomes = [gan_outcome(trial) for trial in search.study.trials]
    known = [each for each in outcomes if each.score is not None]
    if search.request.space.sampler == "grid":
        importance = variance_shares(known)
    else:
        importance = importance_of(search, len(known))
    return GANSummary(search, outcomes, best_first(outcomes), importance)


def variance_shares(outcomes: Sequence[GANOutcome]) -> dict[str, float]:
    """Return the share of the variance of scores that lies between the choices of each parameter of a grid.

    `(S_b - (k - 1) S_w / (n - k)) / S` with `k` choices, `S` the sum of squares of all `n` scores about their mean,
    `S_b` that of the choices' means and `S_w` what is left: without the second term chance alone would give a share
    of `(k - 1) / (n - 1)` (Kelley, "An unbiased correlation ratio measure", PNAS 21 (1935)). It counts runs as
    independent: those of one architecture are not, so that a few percent for what architectures differ by may be
    chance. Unlike the analysis by a random forest it takes no time for thousands of settings. The largest first; {}
    for a few outcomes, or equal ones. A parameter of which each outcome has another value is left out: nothing is
    known of it.
    """
    scores = np.array([each.score for each in outcomes], dtype=np.float64)
    if len(scores) < FEWEST_FOR_IMPORTANCE or not round(np.ptp(scores), DECIMALS):
        return {}
    whole, shares = float(((scores - scores.mean()) ** 2).sum()), {}
    for key in outcomes[0].parameters:
        groups: dict[str, list[float]] = {}
        for each, score in zip(outcomes, scores.tolist(), strict=True):
            groups.setdefault(json.dumps(each.parameters[key]), []).append(score)
        if len(groups) == len(scores):
            continue
        within = sum(float(((np.array(group) - np.mean(group)) ** 2).sum()) for group in groups.values())
        n_free = len(scores) - len(groups)
        shares[key] = max(0.0, 1 - (within + (len(groups) - 1) * within / n_free) / whole)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def write_gan_summary(summary: GANSummary, markdown: str) -> None:
    """Write the files of a search of GANs but for its figure; `markdown` is its table."""
    files = {
        "trials.csv": gan_outcomes_csv(summary.outcomes, list(summary.space.parameters)),
        "table.json": gan_summary_json(summary),
        "table.md": markdown,
        "best.toml": best_gan_recipe(summary),
    }
    for name, text in files.items():
        if text is not None:
            write_atomically(summary.search.folder / name, as_utf8(text).encode())


def gan_outcomes_csv(outcomes: Sequence[GANOutcome], keys: Sequence[str]) -> str:
    """Return all trials as CSV: what they are, their scores, their parameters."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "status", "seed", "seconds", "diverged_step", *SCORE_NAMES, *keys])
    for each in outcomes:
        known = [each.trial, each.status, each.seed, *map(_cell, (each.seconds, each.diverged_step))]
        scores = [_cell(each.scores.get(name)) for name in SCORE_NAMES]
        writer.writerow([*known, *scores, *(_cell(each.parameters[key]) for key in keys)])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def gan_summary_json(summary: GANSummary) -> str:
    """Return the summary as one JSON object."""
    search = summary.search
    content: dict[str, Any] = {
        "space": search.request.name,
        "dataset": search.task.dataset.name,
        "model": summary.space.model,
        "n_wanted": search.study.n_wanted,
        "counts": summary.counts(),
        "trials": [
            {"trial": each.trial, "seed": each.seed, **each.scores, "settings": each.settings}
            for each in summary.best
        ],
        "diverged": [
            {"trial": each.trial, "seed": each.seed, "step": each.diverged_step, "settings": each.settings}
            for each in summary.outcomes
            if each.status == "diverged"
        ],
        "importance": summary.importance,
    }
    return json.dumps(content, indent=1) + "\n"


def best_gan_recipe(summary: GANSummary) -> str | None:
    """Return the best setting as the text of a recipe; None while no trial has come to the end."""
    if not summary.best:
        return None
    search, space, best = summary.search, summary.space, summary.best[0]
    recipe, name = space.recipe_of(search.study.parameters_of(best.trial)), search.request.name
    comment = (
        f"# {space.model} of the search {name} with the best modified inception score\n#\n"
        f"# {best.score:.2f} with seed {best.seed}, best of {len(summary.best)} settings, each trained once:\n"
        "# too good by as much as chance has chosen it.\n#\n"
        f"#     ladder-ebgan run --recipe {shlex.quote(str(search.folder / 'best.toml'))} "
        f"--output {shlex.quote(f'runs/best-{name}')}\n\n"
    )
    return comment + recipe_toml(recipe_of_model(recipe.model_dump(by_alias=True, exclude_none=True), space.model))
