"""The trials of a search as an Optuna study, kept in a file of its folder that survives a kill at any moment."""

import math
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from ladder_ebgan.errors import UsageError
from ladder_ebgan.search.events import Candidate
from ladder_ebgan.search.space import GANSpace, Proposal, Space, seed_of
from ladder_ebgan.search.stacking import stackable

JOURNAL = "study.journal"
NAME = "search"
BATCH, ERRORS, DIVERGED, SECONDS, SCORES = "batch", "errors", "diverged", "seconds", "scores"  # of a trial
OBJECTIVE = "modified_inception_score"  # of GANs
DIVERGED_SCORE = 0.0  # what the objective counts as for one that diverged: the least that it can be
INFEASIBLE_AT_MOST = 1000  # proposals in a row that are no recipe


class Study:
    """The study in the folder of a search, new or to be continued; the folder's lock is held.

    Args:
        folder: of the search.
        space: what it searches.

    Raises:
        UsageError: the journal is damaged.
    """

    def __init__(self, folder: Path, space: Space | GANSpace) -> None:
        self.space = space
        self.distributions = space.distributions()
        self.grid = list(space.grid()) if space.sampler == "grid" else []
        try:
            _repair(folder / JOURNAL)
            self.study = _open(folder / JOURNAL, space)
        except (ValueError, KeyError, OSError) as error:
            raise UsageError(f"{folder / JOURNAL} is damaged ({error}); give --fresh to begin anew") from error
        for trial in self.trials:
            if len(trial.params) < len(self.distributions):  # a kill came while it was begun
                self.study.tell(trial.number, state=TrialState.FAIL)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that were begun, in order; proposals that were no recipe are left out."""
        states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
        return self.study.get_trials(deepcopy=False, states=states)

    @property
    def n_wanted(self) -> int:
        """How many trials are asked for, of the whole space or of its slice."""
        if self.space.n_trials is None:
            return len(self.grid)
        return min(self.space.n_trials, len(self.grid)) if self.grid else self.space.n_trials

    @property
    def wanted(self) -> list[FrozenTrial]:
        """The trials that were begun, of the whole space or of its slice."""
        return [trial for trial in self.trials if self.space.holds(trial.params)]

    @property
    def n_left(self) -> int:
        """How many are still to be begun."""
        return max(0, self.n_wanted - len(self.wanted))

    def unfinished(self) -> list[list[Candidate]]:
        """Return the batches that were begun and not finished; of a batch, also what does not go on."""
        batches: dict[int, list[FrozenTrial]] = {}
        for trial in self.trials:
            batches.setdefault(trial.user_attrs.get(BATCH, trial.number), []).append(trial)
        begun = [trials for trials in batches.values() if any(each.state == TrialState.RUNNING for each in trials)]
        return [[self._candidate(trial, trial.state == TrialState.RUNNING) for trial in trials] for trials in begun]

    def _candidate(self, trial: FrozenTrial | Trial, goes_on: bool = True) -> Candidate:
        seed = seed_of(trial.params) if isinstance(self.space, GANSpace) else None
        return Candidate(trial.number, self.space.recipe_of(trial.params), seed, goes_on)

    def propose(self, at_most: int) -> list[list[Candidate]]:
        """Begin up to so many trials, as many as the study still lacks, in batches that can train together."""
        batches: dict[str, list[Candidate]] = {}
        for candidate in islice(self._feasible(), min(at_most, self.n_left)):
            batches.setdefault(stackable(candidate.recipe, self.space.model), []).append(candidate)
        for batch in batches.values():
            for candidate in batch:
                self._trial(candidate.number).set_user_attr(BATCH, batch[0].number)
        return list(batches.values())

    def _feasible(self) -> Iterator[Candidate]:
        """Begin trials whose settings are recipes, one after the other."""
        n_infeasible, begin = 0, self._next_of_grid() if self.space.sampler == "grid" else self._next()
        for trial in begin:
            try:
                candidate = self._candidate(trial)
            except UsageError as error:
                self.study.tell(trial, state=TrialState.FAIL)
                n_infeasible += 1
                if n_infeasible == INFEASIBLE_AT_MOST:
                    raise UsageError(
                        f"{INFEASIBLE_AT_MOST} settings in a row are no recipe; the last one: {error}"
                    ) from error
            else:
                n_infeasible = 0
                yield candidate

    def _next(self) -> Iterator[Trial]:
        """Begin what the sampler proposes, which depends on the trial's number and on what is known by then.

        So a search that was stopped goes on as one that was not: a sampler begun anew would propose the same again.
        """
        while True:
            self.study.sampler = _sampler(self.space, len(self.study.get_trials(deepcopy=False)))
            yield self.study.ask(self.distributions)

    def _next_of_grid(self) -> Iterator[Trial]:
        """Begin the settings of the grid that were never begun, in its order.

        Of settings that stand together, those of one stack alone: the next ones are for another batch. A setting is
        put in line only now, since Optuna looks through all that wait. Earlier versions had the whole grid in line.
        """
        for _ in self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            yield self.study.ask(self.distributions)
        known = {values_of(trial.params) for trial in self.study.get_trials(deepcopy=False)}
        untried = [proposal for proposal in self.grid if values_of(proposal) not in known]
        for proposal in untried:
            if self.space.together and self.space.stack_of(proposal) != self.space.stack_of(untried[0]):
                return
            self.study.enqueue_trial(dict(proposal))
            yield self.study.ask(self.distributions)

    def parameters_of(self, number: int) -> dict[str, Any]:
        """Return the parameters of a trial as Optuna has them."""
        return self._stored(number).params

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

    def finish_gans(self, scores: dict[int, dict[str, float]], diverged: dict[int, int], seconds: float) -> None:
        """Note the scores of generated images; a setting that diverged counts, with the least there is.

        What was noted before a kill stays as it is.
        """
        for number, of_images in scores.items():
            if self._stored(number).state.is_finished():
                continue
            trial = self._trial(number)
            trial.set_user_attr(SECONDS, seconds)
            if number in diverged:
                trial.set_user_attr(DIVERGED, diverged[number])
            else:
                trial.set_user_attr(SCORES, of_images)
            self.study.tell(number, of_images.get(OBJECTIVE, DIVERGED_SCORE))

    def note(self, numbers: Iterable[int], key: str, value: Any) -> None:
        """Keep something beside trials."""
        for number in numbers:
            self._trial(number).set_user_attr(key, value)


def stored_trials(path: Path) -> list[FrozenTrial]:
    """Return the trials of a journal that were begun, also while a search goes on; nothing is written.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise UsageError(f"there is no journal of a search {path}")
    try:
        study = optuna.load_study(study_name=NAME, storage=_storage(path))
    except (ValueError, KeyError, OSError) as error:
        raise UsageError(f"{path} is damaged ({error})") from error
    states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
    return study.get_trials(deepcopy=False, states=states)


def values_of(proposal: Proposal) -> tuple[tuple[str, Any], ...]:
    """Return what is the same for equal settings, and can be in a set."""
    return tuple(sorted(proposal.items()))


def _repair(path: Path) -> None:
    """Drop what a kill leaves behind: a last line that was cut short, and the lock of whoever was writing it.

    Raises:
        ValueError: the file is not of lines at all.
    """
    path = path.resolve()
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.startswith(b"{"):
            raise ValueError("it does not begin with a record")
        file.truncate(content.rfind(b"\n") + 1)


def _storage(path: Path) -> JournalStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return JournalStorage(JournalFileBackend(str(path.resolve())))  # its lock is a link to the path as given


def _sampler(space: Space | GANSpace, seed: int) -> optuna.samplers.BaseSampler:
    if space.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(n_startup_trials=space.n_startup_trials, multivariate=True, seed=seed)


def _open(path: Path, space: Space | GANSpace) -> optuna.Study:
    return optuna.create_study(
        storage=_storage(path),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=space.n_startup_trials),
        study_name=NAME,
        direction="maximize" if isinstance(space, GANSpace) else "minimize",
        load_if_exists=True,
    )
