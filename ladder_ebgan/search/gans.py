"""Settings of GANs that train together: each one replica, with a seed of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ladder_ebgan.gan import scores as gan_scores
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.gan.training import train_gan
from ladder_ebgan.search.events import Candidate, Scored
from ladder_ebgan.search.space import GANSpace


class GANStack:
    """Settings for which `stackable` gives the same.

    Args:
        candidates: the settings, with their seeds.
        space: that they are of.
        engine: what they train on.
        scores: returns what scores the images that they generate.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        space: GANSpace,
        engine: GANEngine,
        scores: Callable[[], gan_scores.Scores],
    ) -> None:
        self.candidates, self.model, self.scores = list(candidates), space.model, scores
        self.seeds = [candidate.seed or 0 for candidate in candidates]
        self.recipes = [each.recipe for each in candidates if isinstance(each.recipe, GANRecipe)]
        self.engine = replace(engine, recipe=self.recipes[0])
        self.n_steps = self.recipes[0].settings(self.model).n_steps
        self.state = self.engine.initial_state(self.model, self.seeds, self.recipes)

    def steps(self) -> Iterator[int]:
        """Train the state that there is, and yield the numbers of steps done."""
        settings = [recipe.settings(self.model) for recipe in self.recipes]
        batches = self.engine.batches(self.model, self.state, self.seeds)
        for progress in train_gan(self.state, batches, settings, self.engine.functions):
            yield progress.step

    def finish(self, seconds: float, stop_reason: Callable[[], str | None]) -> Scored | None:
        """Draw images from the generators, and score them; what has diverged has no score.

        That takes some seconds each: returns None if there is a reason to stop before all are scored.
        """
        n_images = gan_scores.SCORED_IMAGES
        images = gan_scores.drawn_images(self.engine, self.model, self.state, self.seeds, n_images)
        failed = (~images.isfinite()).flatten(1).any(dim=1).tolist()
        scores: dict[int, dict[str, float]] = {}
        diverged: dict[int, int] = {}
        for r, candidate in enumerate(self.candidates):
            if stop_reason() is not None:
                return None
            step = int(self.state.diverged_step[r])
            if failed[r] or step >= 0:
                diverged[candidate.number] = step if step >= 0 else self.n_steps
            scores[candidate.number] = {} if candidate.number in diverged else self.scores().of(images[r])
        return Scored(self.n_steps, scores, diverged, seconds)
