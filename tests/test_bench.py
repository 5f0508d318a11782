import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import tiny
import torch
from conftest import SmallData
from ladder_ebgan_benchmarks import plain
from torch.utils.flop_counter import FlopCounterMode

from ladder_ebgan import probes
from ladder_ebgan.bench import EngineResult, OverRounds
from ladder_ebgan.floor import Product, Work, step_work
from ladder_ebgan.probes import Operands, Probe, copy_probe, in_float32, peak_bytes, product_probe
from ladder_ebgan.products import onednn_matmul
from ladder_ebgan.recipe import Recipe, load_recipe
from ladder_ebgan.training import initial_state

MakeRecipe = Callable[..., Recipe]

CPU = torch.device("cpu")


def little(ladder: str = "[1, 0, 0]", *overrides: str) -> Recipe:
    """Sizes 4-3-2 and generator 2-3-4, for batches of 5."""
    return load_recipe(
        "table2",
        [
            *("network.hidden_sizes=[3]", "training.batch_size=5", f"ladder.denoising_weights={ladder}"),
            *("ebgan-ladder.denoising_weights=[1, 0, 0]", "ebgan-ladder.generator.hidden_sizes=[3]"),
            *("ebgan-ladder.generator.latent_size=2", *overrides),
        ],
    )


@pytest.mark.parametrize(
    ("weights", "flops", "n_parameters", "n_normals"),
    [
        # Encoder, 10 rows: 12 + 6 weights forward and for their gradient, 6 to the input: 20 * 42 = 840.
        ("[1, 0, 0]", 840 + 3 * 10 * 18, 23 + 18 + 90, 90),  # decoder, 5 rows, all three
        ("[0, 0, 0]", 420, 23, 45),  # 5 labelled rows, no decoder
        ("[0, 0, 1]", 840 + 420, 23 + 20, 90),  # the clean pass, 5 rows; a combinator of 2 units
        ("[0, 1, 0]", 840 + 2 * 10 * 12 + 3 * 10 * 6, 23 + 6 + 50, 90),  # the clean pass to layer 1 only
    ],
)
def test_work_of_a_ladder_by_hand(weights: str, flops: int, n_parameters: int, n_normals: int) -> None:
    work = step_work(little(weights), "ladder", False, 4, 2)
    assert (work.flops, work.n_parameters, work.n_normals) == (flops, n_parameters, n_normals)
    assert work.adam_bytes == 28 * n_parameters


@pytest.mark.parametrize(("combinator", "per_unit"), [("gaussian", 10), ("vanilla", 9), ("amlp", 21)])
def test_parameters_of_combinators(combinator: str, per_unit: int) -> None:
    """Of 4 + 3 + 2 units; with 23 of the encoder and 18 weights of the decoder."""
    recipe = little("[1, 0, 0]", f"network.combinator={combinator}")
    assert step_work(recipe, "ladder", False, 4, 2).n_parameters == 23 + 18 + 9 * per_unit
    ladder = initial_state(recipe, "ladder", [0], 4, 2, CPU).ladder
    assert sum(parameter.numel() for parameter in ladder.parameters()) == 23 + 18 + 9 * per_unit


def test_work_of_an_adversarial_step_by_hand() -> None:
    """The discriminator has 15 rows in the encoder and 10 in the decoder; the frozen one 5, forward and back to the
    images; the generator 6 + 12 weights, forward and for their gradient, and 12 back.
    """
    work = step_work(little(), "ebgan-ladder", True, 4, 2)
    assert work.flops == 30 * 42 + 3 * 20 * 18 + 2 * 10 * 36 + 10 * (18 + 18 + 12)
    assert work.n_parameters == 131 + 18 + 7
    assert work.n_normals == 15 * 9 + 5 * 2


def test_products_have_the_shapes_of_their_layer() -> None:
    """4-3-2: the images need no gradient, nor have other layers the same shapes."""
    products = step_work(little("[0, 0, 0]"), "ladder", False, 4, 2).products
    assert products == (
        Product("forward", 5, 4, 3),
        Product("weight gradient", 4, 5, 3),
        Product("forward", 5, 3, 2),
        Product("weight gradient", 3, 5, 2),
        Product("input gradient", 5, 2, 3),
    )


def test_the_ladder_step_of_table2_is_2_45_gflop() -> None:
    """200 rows by 1,536,500 weights twice and by 752,500 back to inputs, 100 rows three times by the decoder's."""
    work = step_work(load_recipe("table2"), "ladder", False, 784, 10)
    assert work.flops == 400 * (2 * 1_536_500 + 752_500) + 200 * 3 * 1_536_500
    assert work.flops == pytest.approx(2.45e9, rel=0.001)
    assert Product("forward", 200, 250, 250, count=2) in work.products


@pytest.mark.parametrize("weights", ["[1000, 0, 0, 0, 0, 0, 0]", "[1000, 10, 0.1, 0.1, 0.1, 0.1, 0.1]"])
@pytest.mark.parametrize("adversarial", [False, True])
def test_the_plain_implementation_does_the_work_that_is_counted(
    weights: str, adversarial: bool, small: MakeRecipe, data: SmallData
) -> None:
    """By PyTorch's own count of the products; and it has the parameters and draws the numbers that are counted."""
    recipe = small(f"ladder.denoising_weights={weights}", f"ebgan-ladder.denoising_weights={weights}")
    model = "ebgan-ladder" if adversarial else "ladder"
    one = plain.Plain(recipe, model, data.images, data.labels, data.n_classes)
    with FlopCounterMode(display=False) as counter:
        plain.step_function(one, adversarial)()
    work = step_work(recipe, model, adversarial, data.images.shape[1], data.n_classes)
    assert counter.get_total_flops() == work.flops
    networks = [network for network in (one.ladder, one.generator) if network is not None]
    assert work.n_parameters == sum(p.numel() for network in networks for p in network.parameters())
    batch = one.draw(adversarial)
    drawn = [batch.noise, *([batch.latents, batch.generated_noise] if adversarial else [])]
    assert work.n_normals == sum(numbers.numel() for numbers in drawn if numbers is not None)


def test_the_floor_is_the_sum_of_its_parts() -> None:
    parts = (OverRounds(0.03, 0.02), OverRounds(0.006, 0.004), OverRounds(0.004, 0.001))
    result = EngineResult(4, 8 * 10**9, OverRounds(0.1, 0.08), *parts, peak_bytes=None)
    assert result.floor.median == pytest.approx(0.04)
    assert result.floor.fastest == pytest.approx(0.025)
    assert (result.times_the_floor.median, result.times_the_floor.fastest) == pytest.approx((2.5, 3.2))
    assert result.flops_per_second == pytest.approx(8e10)
    assert result.times_as_fast_as(OverRounds(0.05, 0.01)) == pytest.approx(
        2.0
    )  # four steps, each in half the time
    assert OverRounds.of([3.0, 1.0, 2.0, 9.0], 2.0) == OverRounds(5.0, 2.0)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("adversarial", [False, True])
def test_a_timed_product_is_the_product(
    monkeypatch: pytest.MonkeyPatch, n: int, dtype: torch.dtype, adversarial: bool
) -> None:
    monkeypatch.setattr(probes, "takes_onednn", lambda factor: False)
    work = step_work(little(), "ebgan-ladder" if adversarial else "ladder", adversarial, 4, 2)
    operands = Operands(work.products, 3, dtype, CPU)
    for product in work.products:
        left, right, result = operands.of(product, n)
        assert left.shape == (n, product.m, product.k)
        assert right.shape == (n, product.k, product.n)
        assert left.is_contiguous() or product.kind == "weight gradient"
        assert right.is_contiguous() or product.kind == "input gradient"
        product_probe(operands, product, n, CPU).call()
        torch.testing.assert_close(result, torch.stack([a @ b for a, b in zip(left, right, strict=True)]))
        assert result.abs().max() > 0


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN")
def test_products_are_timed_with_the_library_that_training_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    products: list[torch.Tensor] = []

    def multiply(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        products.append(onednn_matmul(left, right))
        return products[-1]

    monkeypatch.setattr(probes, "takes_onednn", lambda factor: True)
    monkeypatch.setattr(probes, "onednn_matmul", multiply)
    work = step_work(little(), "ladder", False, 4, 2)
    operands = Operands(work.products, 3, torch.float32, CPU)
    for product in work.products:
        left, right, _ = operands.of(product, 3)
        product_probe(operands, product, 3, CPU).call()
        torch.testing.assert_close(torch.stack(products[-3:]), left @ right)


def test_a_sample_is_the_mean_time_of_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call takes 0.3 s of a clock that only calls move, so four fill a second; each does 10 units."""
    now = 0.0

    def call() -> None:
        nonlocal now
        now += 0.3

    monkeypatch.setattr("time.perf_counter", lambda: now)
    probe = Probe.of(call, CPU, units=10, sample_seconds=1.0)
    assert probe.n_calls == 4
    before = now
    assert probe.sample() == pytest.approx(0.03)
    assert now - before == pytest.approx(5 * 0.3)  # one call to warm the caches


def test_a_copy_counts_what_is_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "COPIED_FLOATS", 1000)
    assert copy_probe(CPU).units == 8000


def test_the_plain_step_is_float32_whatever_the_engine_is() -> None:
    matmul, before = torch.backends.cuda.matmul, torch.backends.cuda.matmul.allow_tf32
    seen: list[bool] = []
    try:
        matmul.allow_tf32 = True
        in_float32(lambda: seen.append(matmul.allow_tf32))()
        assert seen == [False]
        assert matmul.allow_tf32
    finally:
        matmul.allow_tf32 = before


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")
def test_peak_memory_forgets_what_was_before() -> None:
    idle, large = (peak_bytes(partial(torch.ones, size), CPU) for size in (1, 2**26))
    again = peak_bytes(partial(torch.ones, 1), CPU)
    assert idle is not None
    assert large is not None
    assert again is not None
    assert large - idle == pytest.approx(2**28, rel=0.1)
    assert again - idle < 2**26


def test_without_a_file_that_tells_there_is_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "write_text", missing)
    assert peak_bytes(lambda: None, CPU) is None


def bench(*options: str, settings: list[str] | None = None) -> tiny.Outcome:
    given = tiny.settings() if settings is None else settings
    return tiny.done("bench", "--device", "cpu", "--no-compile", "--rounds", "1", *given, *options)


@pytest.fixture(autouse=True)
def _short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "COPIED_FLOATS", 2**12)
    monkeypatch.setattr("ladder_ebgan.bench.STEP_SAMPLE_SECONDS", 1e-4)


def test_json_has_the_documented_keys() -> None:
    from ladder_ebgan.report import bench as report

    document = json.loads(bench("--json", "--replicas", "2,1,2").stdout)
    assert [phase["phase"] for phase in document["phases"]] == ["ladder", "adversarial"]
    assert [phase["model"] for phase in document["phases"]] == ["ladder", "ebgan-ladder"]
    assert (document["rounds"], document["precision"], document["compiled"]) == (1, "float32", False)
    keys = set(document)
    for phase in document["phases"]:
        assert [result["n_replicas"] for result in phase["engine"]] == [2, 1]
        keys |= {*phase, *phase["plain"]}
        for product in phase["products"]:
            keys |= set(product)
            assert set(product.pop("ms")) == {"1", "2"}
        assert sum(2 * p["m"] * p["k"] * p["n"] * p["count"] for p in phase["products"]) == 1e9 * phase["gflop"]
        for result in phase["engine"]:
            keys |= set(result)
            parts = [result[f"floor_{part}_ms"] for part in ("products", "adam", "normals")]
            assert result["floor_ms"] == pytest.approx(sum(parts))
            assert min(*parts, result["ms"], result["gflop_per_second"]) > 0
            assert result["times_the_floor"] == pytest.approx(result["ms"] / result["floor_ms"])
            fastest = result["fastest_ms"] / result["floor_fastest_ms"]
            assert result["times_the_floor_fastest"] == pytest.approx(fastest)
            assert result["ms_per_replica"] == pytest.approx(result["ms"] / result["n_replicas"])
            ratio = phase["plain"]["ms"] / result["ms_per_replica"]
            assert result["times_as_fast_as_plain"] == pytest.approx(ratio)
    documented = set(re.findall(r"\w+", report.__doc__ or ""))
    assert keys <= documented, keys - documented


def test_text_has_a_table_of_each_kind_of_step() -> None:
    outcome = bench("--replicas", "1,3", "--precision", "bfloat16")
    assert "1 thread, bfloat16, not compiled; ladder-ebgan " in outcome.stdout
    assert "\nrecipe table2, rounds: 1\n" in outcome.stdout
    for phase in ("ladder", "adversarial"):
        assert f"\n{phase} step of a replica: " in outcome.stdout
    starts = [line.split()[0] for line in outcome.stdout.splitlines() if line.startswith("  ")]
    assert starts == ["at", "plain", "1", "3"] * 2
    assert "\x1b" not in outcome.stdout
    assert outcome.stderr.splitlines()[0] == "ladder step, 1 at once: warming up ..."
    assert outcome.stderr.splitlines()[-1] == "adversarial step: timing all, round by round ..."


def test_a_recipe_without_adversarial_steps_has_one_kind() -> None:
    shared = [part for part in tiny.settings() if "ebgan" not in part and part != "--set"]
    settings = [part for setting in shared for part in ("--set", setting)]
    document = json.loads(
        bench("--json", "--recipe", "supervised", "--no-plain", "--replicas", "1", settings=settings).stdout
    )
    (phase,) = document["phases"]
    assert phase["plain"] is None
    assert phase["engine"][0]["times_as_fast_as_plain"] is None
    text = bench("--no-plain", "--replicas", "1", "--set", "ebgan-ladder.adversarial_steps=0").stdout
    assert "adversarial" not in text
    assert "\n  plain" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--replicas", "0"], "--replicas: must be whole numbers from 1 to 1000, such as 1,2,4"),
        (["--replicas", "1,x"], "Invalid value for '--replicas': '1,x' is not a whole number, or several"),
        (["--rounds", "0"], "Invalid value for '--rounds': 0 is not in the range x>=1."),
        (["--precision", "tf32", "--device", "cpu"], "precision tf32 needs a CUDA GPU"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--recipe", "nope"], "unknown recipe 'nope'"),
        (["--set", "ladder.n_stepz=1"], "recipe 'table2': unknown key 'ladder.n_stepz'"),
    ],
)
def test_bad_options_are_refused(options: list[str], message: str) -> None:
    assert tiny.refused("bench", *options).startswith(message)


def test_work_is_counted_of_one_replica() -> None:
    assert Work((Product("forward", 2, 3, 4, count=5),), 10, 20).flops == 240


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_on_a_gpu(precision: str) -> None:
    options = ("--device", "cuda", "--no-compile", "--rounds", "1", "--replicas", "1,3", "--precision", precision)
    document = json.loads(tiny.done("bench", "--json", *options, *tiny.settings()).stdout)
    for phase in document["phases"]:
        assert all(result["peak_memory_bytes"] > 0 for result in phase["engine"])
        assert all(min(product["ms"].values()) > 0 for product in phase["products"])
