"""The trials of a search as an Optuna study, kept in a file of its folder that survives a kill at any moment."""

import math
import random
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from ladder_ebgan.errors import UsageError
from ladder_ebgan.search.batch import Candidate, stackable
from ladder_ebgan.search.space import Space

JOURNAL = "study.journal"
BATCH, ERRORS, DIVERGED, SECONDS = "batch", "errors", "diverged", "seconds"  # attributes of a trial
INFEASIBLE_AT_MOST = 1000  # proposals in a row that are no recipe


class Study:
    """The study in the folder of a search, new or to be continued.

    Args:
        folder: of the search.
        space: what it searches.

    Raises:
        UsageError: the journal is damaged.
    """

    def __init__(self, folder: Path, space: Space) -> None:
        self.space = space
        self.distributions = space.distributions()
        try:
            self.study = _open(folder / JOURNAL, space)
        except (ValueError, KeyError, OSError) as error:
            raise UsageError(f"{folder / JOURNAL} is damaged ({error}); give --fresh to begin anew") from error
        if space.sampler == "grid" and not self.study.trials:
            self._enqueue_grid()

    def _enqueue_grid(self) -> None:
        """Put the whole grid in line, in a random order: however much of it is trained is a sample of it."""
        grid = list(self.space.grid())
        random.Random(0).shuffle(grid)
        for proposal in grid:
            self.study.enqueue_trial(dict(proposal))

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that were begun, in order; proposals that were no recipe are left out."""
        states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
        return self.study.get_trials(deepcopy=False, states=states)

    def unfinished(self) -> list[list[Candidate]]:
        """Return the batches that were begun and not finished."""
        batches: dict[int, list[Candidate]] = {}
        for trial in self.trials:
            if trial.state == TrialState.RUNNING:
                candidate = Candidate(trial.number, self.space.recipe_of(trial.params))
                batches.setdefault(trial.user_attrs.get(BATCH, trial.number), []).append(candidate)
        return list(batches.values())

    def propose(self, at_most: int) -> list[list[Candidate]]:
        """Begin up to so many trials, as many as the study still lacks, in batches that can train together."""
        batches: dict[str, list[Candidate]] = {}
        for _ in range(min(at_most, self.space.n_trials - len(self.trials))):
            candidate = self._feasible()
            if candidate is not None:
                batches.setdefault(stackable(candidate.recipe, self.space.model), []).append(candidate)
        for batch in batches.values():
            for candidate in batch:
                self._trial(candidate.number).set_user_attr(BATCH, batch[0].number)
        return list(batches.values())

    def _feasible(self) -> Candidate | None:
        """Begin a trial whose setting is a recipe; None where the grid has no more."""
        for _ in range(INFEASIBLE_AT_MOST):
            if self.space.sampler == "grid" and not self._waiting():
                return None
            trial = self.study.ask(self.distributions)
            try:
                return Candidate(trial.number, self.space.recipe_of(trial.params))
            except UsageError as error:
                reason = error
                self.study.tell(trial, state=TrialState.FAIL)
        raise UsageError(f"{INFEASIBLE_AT_MOST} settings in a row are no recipe; the last one: {reason}")

    def _waiting(self) -> bool:
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def _trial(self, number: int) -> Trial:
        return Trial(self.study, self._stored(number)._trial_id)

    def _stored(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def report(self, step: int, errors: dict[int, list[float]]) -> set[int]:
        """Note validation errors on the way, end the hopeless trials, and return the numbers of the others."""
        kept = set()
        for number, of_subsets in errors.items():
            trial, mean = self._trial(number), sum(of_subsets) / len(of_subsets)
            if math.isnan(mean):
                trial.set_user_attr(DIVERGED, step)
            else:
                if step not in self._stored(number).intermediate_values:  # said before a kill
                    trial.report(mean, step)
                if not trial.should_prune():
                    kept.add(number)
                    continue
                trial.set_user_attr(ERRORS, of_subsets)
            self.study.tell(number, state=TrialState.PRUNED)
        return kept

    def finish(self, n_steps: int, errors: dict[int, list[float]]) -> None:
        """Note the final validation errors; a setting that diverged counts as given up."""
        for number, of_subsets in errors.items():
            mean = sum(of_subsets) / len(of_subsets)
            if math.isnan(mean):
                self._trial(number).set_user_attr(DIVERGED, n_steps)
                self.study.tell(number, state=TrialState.PRUNED)
            else:
                self._trial(number).set_user_attr(ERRORS, of_subsets)
                self.study.tell(number, mean)

    def note(self, numbers: Iterable[int], key: str, value: Any) -> None:
        """Keep something beside trials."""
        for number in numbers:
            self._trial(number).set_user_attr(key, value)


def _open(path: Path, space: Space) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler
        if space.sampler == "tpe":
            sampler = optuna.samplers.TPESampler(n_startup_trials=space.n_startup_trials, multivariate=True, seed=0)
        else:
            sampler = optuna.samplers.RandomSampler(seed=0)
        return optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            sampler=sampler,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=space.n_startup_trials),
            study_name="search",
            direction="minimize",
            load_if_exists=True,
        )
