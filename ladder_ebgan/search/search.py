"""A search from the request to its folder: trials proposed, trained in batches, told to the study."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ladder_ebgan.data import Dataset, check_budget, load_dataset
from ladder_ebgan.errors import UsageError
from ladder_ebgan.folders import as_utf8, first_difference, locked_folder, remove_files, write_atomically
from ladder_ebgan.gan.scores import can_be_scored
from ladder_ebgan.machine import resolve, versions
from ladder_ebgan.search.events import Candidate, Finished, Reported, Scored
from ladder_ebgan.search.space import GANSpace, Proposal, Space, stored_space
from ladder_ebgan.search.study import JOURNAL, SECONDS, Study, stored_trials
from ladder_ebgan.search.trainer import CHECKPOINTS, BatchEvent, BatchTrained, BatchTrainer, Task
from ladder_ebgan.search.validation import validation_split
from ladder_ebgan.search.workers import pool_events

RECORD = "search.json"
FORMAT = 1
MOST_VALIDATION = 10_000
CORRECT = "correct"
FOLDERS = (CORRECT, CHECKPOINTS, "figures")
SEARCH_FILES = (*FOLDERS, JOURNAL, "trials.csv", "table.md", "table.json", "best.toml")  # all but search.json


@dataclass(frozen=True)
class SearchRequest:
    """What the user asked for."""

    space_name: str
    space: Space | GANSpace
    data: str
    n_validation: int | None = None  # None: MOST_VALIDATION or a sixth of the training images
    device: str = "auto"
    precision: str = "auto"
    replicas_at_once: int | None = None  # None: chosen
    n_processes: int | None = None  # None: one a core on a CPU
    compiled: bool | None = None
    output: Path | None = None  # None: runs/<data>-search-<space>
    fresh: bool = False
    command: tuple[str, ...] = ()  # that asked for it, as it is recorded

    @property
    def name(self) -> str:
        """Name of the space, without folder and suffix."""
        return Path(self.space_name).stem


@dataclass(frozen=True)
class SearchStopped:
    """The search was stopped before its end; checkpoints hold what was begun."""

    reason: str


SearchEvent = BatchEvent | SearchStopped


@dataclass(frozen=True)
class Search:
    """A request that was checked, with its folder and study open."""

    request: SearchRequest
    folder: Path
    study: Study
    task: Task

    @property
    def trials_at_once(self) -> int:
        """How many settings there are in a batch, at most."""
        return trials_at_once(self.task)

    def run(self, stop_reason: Callable[[], str | None]) -> Iterator[SearchEvent]:
        """Train what is unfinished, then propose and train until there are as many trials as asked for.

        Raises:
            MachineError: a worker process has died.
        """
        if self.task.resolved.n_processes > 1:
            yield from pool_events(self.task, self.batches(), stop_reason, self.answer, self.note)
        else:
            trainer = BatchTrainer(self.task)
            for candidates in self.batches():
                for event in trainer.train(candidates, stop_reason, self.answer):
                    self.note(event)
                    yield event
                if stop_reason() is not None:
                    break
        reason = stop_reason()
        if reason is not None and (self.study.n_left or self.study.unfinished()):
            yield SearchStopped(reason)

    def batches(self) -> Iterator[list[Candidate]]:
        """Yield batches of settings to be trained; each is proposed when it is asked for."""
        yield from self.study.unfinished()
        while batches := self.study.propose(self.trials_at_once):
            yield from batches

    def answer(self, reported: Reported) -> set[int]:
        """Note a report, and return which settings go on."""
        return self.study.report(reported.step, reported.errors)

    def note(self, event: BatchEvent) -> None:
        """Keep what a finished batch has come to."""
        if not isinstance(event, BatchTrained):
            return
        said = event.said
        if isinstance(said, Scored):
            self.study.finish_gans(said.scores, said.diverged, round(said.seconds / len(said.scores), 1))
        elif isinstance(said, Finished):
            for number, correct in said.correct.items():
                write_atomically(self.folder / CORRECT / f"{number}.bits", np.packbits(correct, axis=1).tobytes())
            self.study.note(said.errors, SECONDS, round(said.seconds / len(said.errors), 1))
            self.study.finish(said.n_steps, said.errors)
        else:
            return
        (self.folder / CHECKPOINTS / f"{event.batch}.safetensors").unlink(missing_ok=True)


def trials_at_once(task: Task) -> int:
    """Return how many settings there are in a batch, at most."""
    space, n_replicas = task.space, task.resolved.replicas_at_once
    return max(1, n_replicas // space.n_subsets) if isinstance(space, Space) else n_replicas


@contextmanager
def open_search(request: SearchRequest) -> Iterator[Search]:
    """Check a request, load its data, hold out validation images of classifiers, open the folder and the study.

    Raises:
        UsageError: something in the request is wrong; nothing was written.
    """
    task = search_task(request)
    with ExitStack() as stack:
        stack.enter_context(locked_folder(task.folder, RECORD, FOLDERS))
        if request.fresh:
            remove_files(task.folder, SEARCH_FILES)
        _note_start(request, task)
        yield Search(request, task.folder, Study(task.folder, request.space), task)


def search_task(request: SearchRequest) -> Task:
    """Return what a request comes to on this machine; nothing is written.

    Raises:
        UsageError: something in the request is wrong.
    """
    space = request.space
    dataset = whole = load_dataset(request.data)
    if isinstance(space, Space):
        n_validation = request.n_validation or min(MOST_VALIDATION, len(whole.labeled_rows) // 6)
        dataset = validation_split(whole, n_validation)
        check_budget(space.labels, dataset)
    else:
        _check_images(request, whole)
    n_steps = space.base().settings(space.model).n_steps
    n_subsets = space.n_subsets if isinstance(space, Space) else 1
    if request.replicas_at_once is not None and request.replicas_at_once < n_subsets:
        raise UsageError(
            f"--replicas-at-once {request.replicas_at_once}: a setting is {n_subsets} replicas, one for each "
            f"labelled subset; give {n_subsets} or more, or fewer --subsets"
        )
    resolved = resolve(
        *(request.device, request.precision, request.replicas_at_once, request.compiled),
        n_steps,
        request.n_processes,
    )
    if request.n_processes is None and resolved.device.type == "cpu":
        n_cores, most = resolved.n_threads, _most_at_once(space)  # settings may be batches of their own
        n_processes = n_cores if most is None else min(n_cores, most)
        resolved = replace(resolved, n_processes=n_processes, n_threads=n_cores // n_processes)
    if request.replicas_at_once is None and space.sampler == "tpe":
        most_replicas = n_subsets * max(1, space.n_startup_trials // resolved.n_processes)
        resolved = replace(resolved, replicas_at_once=min(resolved.replicas_at_once, most_replicas))
    path = request.output or Path("runs") / f"{whole.name}-search-{request.name}"
    return Task(path, space, dataset, resolved)


def _most_at_once(space: Space | GANSpace) -> int | None:
    """Return how many settings may be under way: what learns from the trials before has to wait for some."""
    if space.sampler != "tpe" or space.n_trials is None:
        return space.n_trials
    return min(space.n_trials, space.n_startup_trials)


def _check_images(request: SearchRequest, dataset: Dataset) -> None:
    """Refuse what GANs cannot be compared on."""
    if request.n_validation is not None:
        raise UsageError("--validation is for classifiers: GANs are compared by the images that they generate")
    if not can_be_scored(dataset):
        raise UsageError(
            f"GANs on {request.data} cannot be compared: the classifier that scores their images knows MNIST's "
            "digits alone; give --data mnist"
        )


def _identity(task: Task) -> dict[str, Any]:
    held_out = {"n_validation": len(task.dataset.test_labels)} if isinstance(task.space, Space) else {}
    return {
        "data": {"name": task.dataset.name, "fingerprint": task.dataset.fingerprint},
        **held_out,
        "precision": task.resolved.precision,
        "space": json.loads(json.dumps(task.space.identity())),
    }


def known_settings(request: SearchRequest, task: Task) -> list[Proposal]:
    """Return the settings that need not be trained any more; nothing is written.

    Raises:
        UsageError: the folder holds another search.
    """
    if request.fresh or not (task.folder / JOURNAL).exists():
        return []
    _record_to_go_on(task)
    return [trial.params for trial in stored_trials(task.folder / JOURNAL) if trial.state.is_finished()]


def _record_to_go_on(task: Task) -> dict[str, Any]:
    """Return what `search.json` has, or begins with; refuse that of another search."""
    path, identity = task.folder, _identity(task)
    if not (path / RECORD).exists():
        return {"format": FORMAT}
    record = read_search_record(path)
    difference = first_difference(record["identity"], identity)
    if difference:
        raise UsageError(
            f"the folder {path} holds another search ({difference}): "
            "name another folder with --output, or give --fresh to replace it"
        )
    return record


def _note_start(request: SearchRequest, task: Task) -> None:
    """Write `search.json`."""
    resolved = task.resolved
    record: dict[str, Any] = {"format": FORMAT} if request.fresh else _record_to_go_on(task)
    start = {
        "command": list(map(as_utf8, request.command)),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": resolved.device_name,
        "resolved": resolved.stored(),
        "versions": versions(),
    }
    record |= {
        "identity": _identity(task),
        "space_name": as_utf8(request.name),
        "space": request.space.model_dump(),
        "starts": [*record.get("starts", []), start],
    }
    write_atomically(task.folder / RECORD, json.dumps(record, indent=1).encode() + b"\n")


def read_search_record(path: Path) -> dict[str, Any]:
    """Read `search.json`.

    Raises:
        UsageError: it is missing, damaged or of another version.
    """
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        version = record["format"]
        stored_space(record["space"])
        record["identity"]["data"]["name"]
    except FileNotFoundError:
        raise UsageError(f"{path} is not the folder of a search: it has no {RECORD}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = type(error).__name__
        raise UsageError(f"{path / RECORD} is damaged ({reason}); give --fresh to begin anew") from error
    if version != FORMAT:
        raise UsageError(f"{path / RECORD} has format {version}, and this version reads format {FORMAT}: update it")
    return dict(record)
