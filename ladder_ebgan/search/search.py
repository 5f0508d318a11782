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
from ladder_ebgan.folders import first_difference, locked_folder, remove_files, write_atomically
from ladder_ebgan.machine import Resolved, resolve, versions
from ladder_ebgan.search.batch import Candidate, Finished, Reported
from ladder_ebgan.search.space import Space
from ladder_ebgan.search.study import JOURNAL, SECONDS, Study
from ladder_ebgan.search.trainer import CHECKPOINTS, BatchEvent, BatchTrained, BatchTrainer, Task
from ladder_ebgan.search.validation import validation_split
from ladder_ebgan.search.workers import pool_events

RECORD = "search.json"
FORMAT = 1
MOST_VALIDATION = 10_000
CORRECT = "correct"
FOLDERS = (CORRECT, CHECKPOINTS, "figures")
SEARCH_FILES = (*FOLDERS, JOURNAL, "trials.csv", "table.md", "table.json", "best.toml", RECORD)  # the record last


@dataclass(frozen=True)
class SearchRequest:
    """What the user asked for."""

    space_name: str
    space: Space
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
    trials_at_once: int  # of a batch

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
        if reason is not None and (self.study.unfinished() or len(self.study.trials) < self.request.space.n_trials):
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
        if not isinstance(event, BatchTrained) or not isinstance(event.said, Finished):
            return
        finished = event.said
        for number, correct in finished.correct.items():
            write_atomically(self.folder / CORRECT / f"{number}.bits", np.packbits(correct, axis=1).tobytes())
        self.study.note(finished.errors, SECONDS, round(finished.seconds / len(finished.errors), 1))
        self.study.finish(finished.n_steps, finished.errors)
        (self.folder / CHECKPOINTS / f"{event.batch}.safetensors").unlink(missing_ok=True)


@contextmanager
def open_search(request: SearchRequest) -> Iterator[Search]:
    """Check a request, load its data, hold out the validation images, open the folder and the study.

    Raises:
        UsageError: something in the request is wrong; nothing was written.
    """
    space = request.space
    whole = load_dataset(request.data)
    n_validation = request.n_validation or min(MOST_VALIDATION, len(whole.train_labels) // 6)
    dataset = validation_split(whole, n_validation)
    check_budget(space.labels, dataset)
    n_steps = space.base().settings(space.model).n_steps
    resolved = resolve(
        *(request.device, request.precision, request.replicas_at_once, request.compiled),
        n_steps,
        request.n_processes,
    )
    if request.n_processes is None and resolved.device.type == "cpu":
        resolved = replace(resolved, n_processes=resolved.n_threads, n_threads=1)
    path = request.output or Path("runs") / f"{whole.name}-search-{request.name}"
    with ExitStack() as stack:
        stack.enter_context(locked_folder(path, RECORD, FOLDERS))
        if request.fresh:
            remove_files(path, SEARCH_FILES)
        _note_start(path, request, whole, n_validation, resolved)
        task = Task(path, space, dataset, resolved)
        at_once = max(1, resolved.replicas_at_once // space.n_subsets)
        yield Search(request, path, Study(path, space), task, at_once)


def _identity(request: SearchRequest, whole: Dataset, n_validation: int, resolved: Resolved) -> dict[str, Any]:
    return {
        "data": {"name": whole.name, "fingerprint": whole.fingerprint},
        "n_validation": n_validation,
        "precision": resolved.precision,
        "space": json.loads(json.dumps(request.space.identity())),
    }


def _note_start(path: Path, request: SearchRequest, whole: Dataset, n_validation: int, resolved: Resolved) -> None:
    """Write `search.json`, or refuse to go on with another search."""
    identity = _identity(request, whole, n_validation, resolved)
    record: dict[str, Any] = {"format": FORMAT}
    if (path / RECORD).exists():
        record = read_search_record(path)
    difference = first_difference(record.get("identity", identity), identity)
    if difference:
        raise UsageError(
            f"the folder {path} holds another search ({difference}): "
            "name another folder with --output, or give --fresh to replace it"
        )
    start = {
        "command": list(request.command),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": resolved.device_name,
        "resolved": resolved.stored(),
        "versions": versions(),
    }
    record |= {
        "identity": identity,
        "space_name": request.name,
        "space": request.space.model_dump(),
        "starts": [*record.get("starts", []), start],
    }
    write_atomically(path / RECORD, json.dumps(record, indent=1).encode() + b"\n")


def read_search_record(path: Path) -> dict[str, Any]:
    """Read `search.json`.

    Raises:
        UsageError: it is missing, damaged or of another version.
    """
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        version = record["format"]
        Space.model_validate_json(json.dumps(record["space"]))
        record["identity"]["data"]["name"], record["identity"]["n_validation"]
    except FileNotFoundError:
        raise UsageError(f"{path} is not the folder of a search: it has no {RECORD}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = type(error).__name__
        raise UsageError(f"{path / RECORD} is damaged ({reason}); give --fresh to begin anew") from error
    if version != FORMAT:
        raise UsageError(f"{path / RECORD} has format {version}, and this version reads format {FORMAT}: update it")
    return dict(record)
