"""Milliseconds of processor time that a training step of the paper's figure 4 takes, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/gan_steps.py

Processor time, the median over a few steps, since machines are shared; the time that passes is longer.
"""

import time
from dataclasses import replace
from statistics import median

from ladder_ebgan.any_recipe import load_any_recipe
from ladder_ebgan.data import load_dataset
from ladder_ebgan.gan.engine import GANEngine
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.machine import apply, resolve
from ladder_ebgan.timing import first_phase, throwaway_step

FIGURE_4 = {
    "(a) GAN": ("figure4-gan", ()),
    "(b) EBGAN": ("figure4-ebgan", ()),
    "(c) EBGAN-PT": ("figure4-ebgan", ("ebgan.pulling_away_weight=0.1",)),
}
REPLICAS, STEPS = (1, 4), 7


def main() -> None:
    dataset, resolved = load_dataset("mnist"), replace(resolve("cpu", "float32", 1, True, 1, 1), n_threads=1)
    apply(resolved)
    for name, (recipe_name, changes) in FIGURE_4.items():
        recipe = load_any_recipe(recipe_name, changes)
        assert isinstance(recipe, GANRecipe)
        engine = GANEngine.prepare(recipe, dataset, resolved)
        for n_replicas in REPLICAS:
            step = throwaway_step(engine, n_replicas, first_phase(recipe, adversarial=recipe.ebgan is not None))
            seconds = []
            for _ in range(STEPS):
                began = time.process_time()
                step()
                seconds.append(time.process_time() - began)
            print(f"{name}, {n_replicas} at once: {1000 * median(seconds) / n_replicas:.0f} ms a seed", flush=True)


if __name__ == "__main__":
    main()
