"""Tiny searches for tests: their space, and ways to run them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ladder_ebgan.search.search import SearchEvent, SearchRequest, open_search
from ladder_ebgan.search.space import load_space

SPACE = """# A tiny search
recipe = "table2"
model = "ladder"
labels = 20
n_subsets = 2
n_trials = 6
sampler = "tpe"
set = [
    "network.hidden_sizes=[12, 10, 8, 8, 8]", "training.batch_size=20", "ladder.n_steps=12",
    "ladder.decay_start_step=6",
]

[parameters]
"ladder.learning_rate" = { low = 0.001, high = 0.05, log = true }
"network.input_noise" = { low = 0.1, high = 0.5 }
"""
N_VALIDATION = 100


def write_space(folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    """Write the space with some of its text changed; `more` stands before its parameters."""
    text = SPACE.replace("[parameters]", f"{more}\n[parameters]")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def request(folder: Path, space: Path, **changed: Any) -> SearchRequest:
    """Return a request for a search in `folder / "out"`, in this process."""
    given = {"n_processes": 1, "replicas_at_once": 4, "compiled": False, "output": folder / "out"}
    trials = {"n_trials": changed.pop("n_trials")} if "n_trials" in changed else {}
    return SearchRequest(space.stem, load_space(str(space), trials), "digits", N_VALIDATION, **{**given, **changed})


def run(
    wanted: SearchRequest, stop_after: Callable[[SearchEvent], bool] = lambda _: False
) -> tuple[list[SearchEvent], list[Any]]:
    """Run a search to its end, or until an event after which to stop; return its events and trials."""
    events: list[SearchEvent] = []
    with open_search(wanted) as search:
        for event in search.run(lambda: "SIGTERM" if any(map(stop_after, events)) else None):
            events.append(event)
        return events, search.study.trials
