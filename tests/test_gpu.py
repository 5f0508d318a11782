"""On a GPU: captured steps equal ordinary ones, a run goes on to the bit, noise is a function of the step.

Two seeds, small networks, and both phases of a run, with the change between them.
"""

from collections.abc import Callable

import pytest
import reference
import torch
from conftest import ON_GPU, SmallData
from group_run import CPU, Run, reported
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan import stepping, training
from ladder_ebgan.batches import NormalStream
from ladder_ebgan.capture import WARM_UP_STEPS, CapturedStep, captured
from ladder_ebgan.costs import Functions, ladder_costs
from ladder_ebgan.ladder import Ladder
from ladder_ebgan.philox import philox_normal
from ladder_ebgan.recipe import EBGANLadderSettings, Recipe, load_recipe
from ladder_ebgan.streams import Stream
from ladder_ebgan.training import adversarial_step, initial_state

pytestmark = ON_GPU

CUDA = torch.device("cuda")
MakeRecipe = Callable[..., Recipe]

# Either phase is long enough for the ordinary steps before a recording and for many of its replays.
TWENTY_STEPS = (
    *("ladder.n_steps=20", "ladder.decay_start_step=12", "ebgan-ladder.n_steps=20"),
    *("ebgan-ladder.decay_start_step=12", "ebgan-ladder.adversarial_steps=10"),
    *("ebgan-ladder.margin.steps=[0, 10]", "ebgan-ladder.margin.values=[6, 0]"),
)


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after whose call steps are no longer captured."""
    return lambda: monkeypatch.setattr(stepping, "captured", lambda step, device: step)


def run_of(
    recipe: Recipe | list[Recipe], model: str, data: SmallData, *, compiled: bool = False, random: bool = True
) -> Run:
    """A run on the GPU, from random weights, since the initial ones magnify rounding."""
    run = Run(recipe, model, [0, 1], data, compiled=compiled, device=CUDA)
    if random:
        generator = torch.Generator().manual_seed(5)
        modules = [run.state.ladder] + ([run.state.generator] if run.state.generator else [])
        with torch.no_grad():
            for parameter in (parameter for module in modules for parameter in module.parameters()):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator).to(CUDA))
    return run


def assert_same_runs(first: Run, second: Run, tolerance: float) -> None:
    assert [p[:3] for p in first.progress] == [p[:3] for p in second.progress]
    assert len(reported(first)) == len(reported(second)) > 0
    for a, b in zip(first.progress, second.progress, strict=True):
        assert_close(b.costs.ladder, a.costs.ladder, rtol=tolerance, atol=tolerance)
        assert (a.costs.energy_generated is None) == (b.costs.energy_generated is None)
        if a.costs.energy_generated is not None:
            assert_close(b.costs.energy_generated, a.costs.energy_generated, rtol=tolerance, atol=tolerance)
    assert_close(second.parameters(0, 1), first.parameters(0, 1), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_captured_steps_equal_ordinary_ones(
    model: str, small: MakeRecipe, data: SmallData, ordinary: Callable[[], None]
) -> None:
    """Twenty of them, across the change of phase: the same noise, batches, margins and learning rates."""
    replayed = run_of(small(*TWENTY_STEPS), model, data).train()
    ordinary()
    expected = run_of(small(*TWENTY_STEPS), model, data).train()
    assert [progress.step for progress in replayed.progress] == list(range(1, 21))
    assert_same_runs(expected, replayed, tolerance=1e-4)
    assert not torch.equal(reported(replayed)[-4], reported(replayed)[-8])  # another step, other costs


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "change",
    [
        *("generator.learning_rate=0", "generator.source=noise", "energy_weighted=false"),
        *("pulling_away_weight=0.5", "corrupt_generated=false", "margin.values=[0, 0]"),
    ],
)
def test_captured_steps_with_a_part_changed(
    change: str, compiled: bool, small: MakeRecipe, data: SmallData, ordinary: Callable[[], None]
) -> None:
    """A frozen generator, noise in its place, a hinge of another weight, pulling away, no noise, no margin."""
    recipe = small(*TWENTY_STEPS, "ebgan-ladder.margin.values=[50, 0]", f"ebgan-ladder.{change}")
    replayed = run_of(recipe, "ebgan-ladder", data, compiled=compiled).train()
    ordinary()
    expected = run_of(recipe, "ebgan-ladder", data).train()
    assert_same_runs(expected, replayed, tolerance=1e-3 if compiled else 1e-4)


def test_captured_steps_of_replicas_with_settings_of_their_own(
    small: MakeRecipe, data: SmallData, ordinary: Callable[[], None]
) -> None:
    """Rates, margins, weights and noise of each replica, and averages of their weights with decays of their own."""
    first = ("ebgan-ladder.learning_rate=0.01", "network.input_noise=0.1", "training.averaging_decay=0.9")
    second = ("ebgan-ladder.classification_weight=0.2", "ebgan-ladder.margin.values=[3, 1]")
    recipes = [small(*TWENTY_STEPS, *first), small(*TWENTY_STEPS, *second)]
    replayed = run_of(recipes, "ebgan-ladder", data).train()
    ordinary()
    expected = run_of(recipes, "ebgan-ladder", data).train()
    assert_same_runs(expected, replayed, tolerance=1e-4)
    for a, b in zip(expected.state.evaluated.encoder, replayed.state.evaluated.encoder, strict=True):
        assert_close(b, a, rtol=1e-4, atol=1e-4)
    averaged, last = replayed.state.evaluated.encoder[0], replayed.state.ladder.encoder[0]
    assert not torch.equal(averaged[0], last[0])
    assert torch.equal(averaged[1], last[1])  # a decay of 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ladder", "ebgan-ladder"])
def test_compiled_and_captured_steps_equal_ordinary_ones(
    model: str, small: MakeRecipe, data: SmallData, ordinary: Callable[[], None]
) -> None:
    compiled = run_of(small(*TWENTY_STEPS), model, data, compiled=True).train()
    ordinary()
    expected = run_of(small(*TWENTY_STEPS), model, data).train()
    assert_same_runs(expected, compiled, tolerance=1e-2)


def test_most_steps_are_replayed(small: MakeRecipe, data: SmallData, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first few of each phase are ordinary, and one more is recorded without being made by that."""
    called: list[bool] = []
    step = training.Stepper.step

    def noted(stepper: training.Stepper, adversarial: bool) -> training.StepCosts:
        called.append(adversarial)
        return step(stepper, adversarial)

    monkeypatch.setattr(training.Stepper, "step", noted)
    run_of(small(*TWENTY_STEPS), "ebgan-ladder", data).train()
    assert called == [True] * (WARM_UP_STEPS + 1) + [False] * (WARM_UP_STEPS + 1)


@pytest.mark.parametrize("stop", [1, 4, 7, 10, 15])
def test_going_on_from_a_step_gives_the_bits_of_never_stopping(
    stop: int, small: MakeRecipe, data: SmallData
) -> None:
    """In the ordinary steps, after the recording, at the change of phase and after it."""
    through = run_of(small(*TWENTY_STEPS), "ebgan-ladder", data).train()
    stopped = run_of(small(*TWENTY_STEPS), "ebgan-ladder", data).train(until=stop).train()
    assert [progress.step for progress in stopped.progress] == list(range(1, 21))
    reference.assert_equal(through.parameters(0, 1), stopped.parameters(0, 1))
    reference.assert_equal(reported(through), reported(stopped))


def test_the_same_seeds_twice_give_the_same_bits(small: MakeRecipe, data: SmallData) -> None:
    first, second = (run_of(small(*TWENTY_STEPS), "ebgan-ladder", data).train() for _ in range(2))
    reference.assert_equal(reported(first), reported(second))
    reference.assert_equal(first.parameters(0, 1), second.parameters(0, 1))


def test_the_loop_yields_once_a_window_and_at_multiples(small: MakeRecipe, data: SmallData) -> None:
    run = run_of(small(*TWENTY_STEPS), "ebgan-ladder", data)
    loop = training.train(run.state, run.batches(), run.settings, run.functions, yield_every_steps=4)
    assert [progress.step for progress in loop] == [4, 8, 10, 12, 16, 20]


def test_a_diverged_replica_is_recorded_in_a_replayed_step_and_leaves_the_other_alone(
    small: MakeRecipe, data: SmallData
) -> None:
    recipe = small(*TWENTY_STEPS)
    healthy, broken = (run_of(recipe, "ebgan-ladder", data) for _ in range(2))
    healthy.train()
    for progress in training.train(broken.state, broken.batches(), broken.settings, broken.functions, 1):
        if progress.step == 6:
            with torch.no_grad():
                broken.state.ladder.encoder[1][1, 0, 0] = torch.nan
    assert broken.state.diverged_step.tolist() == [-1, 7]
    reference.assert_equal(healthy.parameters(0), broken.parameters(0))


def device_normals(seeds: list[int], shape: tuple[int, ...] = (30, 7)) -> NormalStream:
    return NormalStream(seeds, Stream.CORRUPTION_NOISE, shape, CUDA, philox_normal)


def on_device(step: int) -> Tensor:
    return torch.tensor(step, device=CUDA)


def test_noise_of_a_seed_is_the_same_among_others_as_alone() -> None:
    together, alone = device_normals([3, 7, 11]).at(on_device(5)), device_normals([7]).at(on_device(5))
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[0], together[2])


def test_the_step_on_the_device_decides_the_noise() -> None:
    normals = device_normals([3, 7])
    fifth = normals.at(on_device(5)).clone()
    assert torch.equal(normals.at(on_device(5)), fifth)
    assert not torch.equal(normals.at(on_device(6)), fifth)
    # The words are the processor's; its sine, cosine and logarithm are others.
    on_cpu = NormalStream([3, 7], Stream.CORRUPTION_NOISE, (30, 7), CPU, philox_normal).at(torch.tensor(5))
    assert_close(fifth.cpu(), on_cpu, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_compiled_noise_is_close_to_the_ordinary_one() -> None:
    shape, compiled = (30, 7), Functions.prepare(True, CUDA).normal
    normals = NormalStream([3, 7], Stream.CORRUPTION_NOISE, shape, CUDA, compiled)
    for step in (5, 6):
        assert_close(normals.at(on_device(step)), device_normals([3, 7]).at(on_device(step)), rtol=1e-4, atol=1e-4)


def test_a_replayed_draw_gives_the_numbers_of_each_step() -> None:
    normals, step = device_normals([3, 7]), on_device(0)

    def draw() -> Tensor:
        numbers = normals.at(step) + 0.0
        step.add_(1)
        return numbers

    replay = captured(draw, CUDA)
    assert isinstance(replay, CapturedStep)
    drawn = [replay().clone() for _ in range(WARM_UP_STEPS + 6)]
    assert replay.recording is not None
    assert step.item() == len(drawn)
    for number, numbers in enumerate(drawn):
        assert torch.equal(numbers, device_normals([3, 7]).at(on_device(number))), number


def test_a_gpu_gives_what_the_cpu_gives() -> None:
    ladder = Ladder([0, 1], [4, 6, 3], [20.0, 3.0, 2.0], 0.3, 0.5)
    reference.randomize(ladder)
    batch = (torch.rand(2, 6, 4), torch.randint(0, 3, (2, 3)), torch.randn(2, 6, 13))
    results = []
    for device in (CPU, CUDA):
        ladder.to(device).zero_grad()
        images, labels, noise = (tensor.to(device) for tensor in batch)
        costs = ladder_costs(ladder, images, labels, noise, 0.7)
        costs.total.sum().backward()
        gradients = [p.grad for p in ladder.parameters() if p.grad is not None]
        results.append([tensor.detach().cpu() for tensor in (*costs, *gradients)])
    assert_close(results[1], results[0], rtol=1e-3, atol=1e-4)


def test_45_replicas_of_table2_fit_in_16_gib() -> None:
    """Of a table of 15 seeds and three budgets: the networks, Adam, and one step against the generators."""
    recipe = load_recipe("table2")
    settings = recipe.ebgan_ladder
    assert isinstance(settings, EBGANLadderSettings)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    state = initial_state(recipe, "ebgan-ladder", range(45), 784, 10, CUDA)
    batch_size, n_units = recipe.training.batch_size, state.ladder.n_units
    batch = training.Batch(
        torch.rand(45, 2 * batch_size, 784, device=CUDA),
        torch.zeros(45, batch_size, dtype=torch.int64, device=CUDA),
        torch.randn(45, 2 * batch_size, n_units, device=CUDA),
        torch.randn(45, batch_size, settings.generator.latent_size, device=CUDA),
        torch.randn(45, batch_size, n_units, device=CUDA),
    )
    costs = adversarial_step(state, batch, Functions(), settings.classification_weight, margin=1.0)
    assert costs.ladder.total.isfinite().all()
    assert torch.cuda.max_memory_allocated() - before < 16 * 2**30
