"""Tiny searches of GANs for tests: their space, ways to run them, scores that take no classifier."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ladder_ebgan import machine
from ladder_ebgan.gan import scores
from ladder_ebgan.search import search as search_module
from ladder_ebgan.search import trainer
from ladder_ebgan.search.search import SearchEvent, SearchRequest, open_search
from ladder_ebgan.search.slices import slices_of, with_slice
from ladder_ebgan.search.space import load_space

SPACE = """# A tiny grid of {model}s
recipe = "figure4-{model}"
model = "{model}"
sampler = "grid"
together = [
    "{model}.discriminator.optimizer", "{model}.discriminator.learning_rate, {model}.generator.learning_rate",
]
set = [
    "training.batch_size=20", "{model}.n_steps=6", "{model}.generator.latent_size=3", "{model}.padding=0",
    "{model}.discriminator.n_layers=2",
]

[parameters]
"{model}.generator.size" = {{ choices = [4, 5] }}
"{model}.generator.n_layers" = {{ choices = [3, 2] }}
"{model}.discriminator.size" = {{ choices = [6] }}
"{model}.discriminator.optimizer" = {{ choices = ["adam", "sgd"] }}
"{model}.discriminator.learning_rate, {model}.generator.learning_rate" = {{ choices = [0.01, 0.001] }}
"""
N_SETTINGS, N_TOGETHER = 16, 4


class FakeScores:
    """Scores of any images, by their mean and deviation."""

    def __init__(self, *_: object) -> None:
        pass

    def of(self, images: Tensor) -> dict[str, Any]:
        """As `Scores.of`."""
        names = ("inception_score", "generated_precision", "generated_recall", "class_kl")
        values = {name: float(images.std()) for name in names}
        return {"modified_inception_score": 10 * float(images.mean()), "n_modes": 10, **values}


@contextmanager
def patched(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """One core, fake scores of a few images of any data; the process is left as it was."""
    n_threads = torch.get_num_threads()
    patch.setattr(machine, "available_cores", lambda: 1)
    patch.setattr(scores, "SCORED_IMAGES", 30)
    patch.setattr(trainer, "Scores", FakeScores)
    patch.setattr(search_module, "can_be_scored", lambda _: True)
    yield
    torch.set_num_threads(n_threads)
    torch.set_flush_denormal(False)


def write_space(folder: Path, *changes: tuple[str, str], model: str = "gan") -> Path:
    """Write the space with some of its text changed."""
    text = SPACE.format(model=model)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = folder / f"tiny-{model}.toml"
    path.write_text(text)
    return path


def write_random_space(folder: Path, n_trials: int, *changes: tuple[str, str], sampler: str = "random") -> Path:
    """Write a space like that of GANs which is no grid."""
    text = SPACE.format(model="gan")
    together = text[text.index("together") : text.index("set =")]
    grid_to_sampler = ('sampler = "grid"', f'sampler = "{sampler}"')
    return write_space(folder, (together, f"n_trials = {n_trials}\n"), grid_to_sampler, *changes)


def request(folder: Path, space: Path, *only: str, **changed: Any) -> SearchRequest:
    """Return a request for a search in `folder / "out"`, in this process."""
    given = {"n_processes": 1, "replicas_at_once": 4, "compiled": False, "output": folder / "out"}
    trials = {"n_trials": changed.pop("n_trials")} if "n_trials" in changed else {}
    loaded = with_slice(load_space(str(space), trials), slices_of(only))
    return SearchRequest(space.stem, loaded, "digits", **{**given, **changed})


def run(
    wanted: SearchRequest, stop_after: Callable[[SearchEvent], bool] = lambda _: False
) -> tuple[list[SearchEvent], list[Any]]:
    """Run a search to its end, or until an event after which to stop; return its events and trials."""
    events: list[SearchEvent] = []
    with open_search(wanted) as search:
        for event in search.run(lambda: "SIGTERM" if any(map(stop_after, events)) else None):
            events.append(event)
        return events, search.study.trials
