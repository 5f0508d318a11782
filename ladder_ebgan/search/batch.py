"""The training of a batch of settings that share shapes: steps, reports on the way, checkpoints."""

import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from ladder_ebgan.checkpoints import Pace, checkpoint_bytes, checkpoint_identity, restore
from ladder_ebgan.folders import write_atomically
from ladder_ebgan.search.events import Candidate, Stepped, Trained
from ladder_ebgan.search.gans import GANStack
from ladder_ebgan.search.ladders import LadderStack

Stack = LadderStack | GANStack


class SettingsBatch:
    """A batch that begins, or goes on from its checkpoint.

    Args:
        stack: builds what trains from settings for which `stackable` gives the same.
        candidates: the settings. Those that do not go on are needed where the checkpoint still has them.
        checkpoint: where to keep what has been trained.

    Raises:
        UsageError: the checkpoint is damaged.
    """

    def __init__(
        self, stack: Callable[[list[Candidate]], Stack], candidates: Sequence[Candidate], checkpoint: Path
    ) -> None:
        self.checkpoint = checkpoint
        going_on = [each for each in candidates if each.goes_on]
        if not checkpoint.exists():
            self.stack = stack(going_on)
            return
        trials = checkpoint_identity(checkpoint).get("trials", [])
        self.stack = stack([each for each in candidates if each.number in trials] or going_on)
        restore(self.stack.state, checkpoint, self.identity)
        if isinstance(self.stack, LadderStack) and len(going_on) < len(self.stack.candidates):
            self.stack.keep({each.number for each in going_on})

    @property
    def identity(self) -> dict[str, Any]:
        """What the checkpoint says of the batch."""
        return {"trials": [each.number for each in self.stack.candidates], "seeds": self.stack.seeds}

    def train(self, stop_reason: Callable[[], str | None]) -> Generator[Trained, set[int] | None, None]:
        """Train to the end, or until there is a reason to stop; a checkpoint is left then.

        Whoever takes a `Reported` sends the numbers of the trials that go on.
        """
        stack, pace = self.stack, Pace()
        began = time.monotonic() - stack.state.seconds
        while stack.state.step < stack.n_steps:
            for step in stack.steps():
                yield Stepped(step)
                stack.state.seconds = time.monotonic() - began
                narrowed = False
                if isinstance(stack, LadderStack) and stack.reports_at(step):
                    kept = yield stack.report()
                    assert kept is not None
                    if not kept:
                        self.checkpoint.unlink(missing_ok=True)
                        return
                    narrowed = len(kept) < len(stack.candidates)
                    if narrowed:
                        stack.keep(kept)
                stopping = stop_reason() is not None
                if stopping or narrowed or pace.is_due():
                    with pace.writing():
                        self._save()
                if stopping:
                    return
                if narrowed:
                    break
        finished = stack.finish(stack.state.seconds, stop_reason)
        if finished is None:
            self._save()
        else:
            yield finished

    def _save(self) -> None:
        write_atomically(self.checkpoint, checkpoint_bytes(self.stack.state, self.identity))
