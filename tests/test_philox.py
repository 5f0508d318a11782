import math
import os
import shutil
import sysconfig
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ladder_ebgan.philox import _box_muller, philox4x32, philox_normal
from ladder_ebgan.streams import Stream, stream_key

EXTREMES = [0, 1, 2, 2**30, 2**31 - 1, 2**31, 3 * 2**30, 2**32 - 129, 2**32 - 128, 2**32 - 2, 2**32 - 1]
SHAPES = [(), (1,), (2,), (3,), (4,), (5,), (8,), (7, 11), (2, 3, 5), (0,), (4, 0)]
STEPS = [0, 1, 77, 2**32 - 1, 2**32, 2**32 + 1, 2**40 + 77]
NO_INDUCTOR = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None
    or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="no C++ compiler, or no headers of Python, for torch.compile",
)
COMPILED = pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own


def keys_of(*seeds: int) -> Tensor:
    return torch.tensor([stream_key(seed, Stream.LATENTS) for seed in seeds])


def normal(keys: Tensor, step: int, shape: tuple[int, ...]) -> Tensor:
    return philox_normal(keys, torch.tensor(step), shape)


def philox_of_integers(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """The paper's round, written with Python's integers."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for i in range(10):
        round0, round1 = (k0 + i * 0x9E3779B9) % 2**32, (k1 + i * 0xBB67AE85) % 2**32
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ round0, low1, high0 ^ c3 ^ round1, low0
    return c0, c1, c2, c3


def tensors(words: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(word) for word in words)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_words_are_those_of_random123(counter: str, key: str, expected: str) -> None:
    """The known answers that the authors' library Random123 has for philox4x32-10."""
    c, k, answer = (tuple(int(word, 16) for word in words.split()) for words in (counter, key, expected))
    assert philox_of_integers(c, k) == answer
    assert tuple(word.item() for word in philox4x32(tensors(c), tensors(k))) == answer


def test_words_are_those_of_exact_integers() -> None:
    """Random counters and keys, and all extremes in two words that are multiplied and one that is not."""
    rows = torch.randint(0, 2**32, (500, 6))
    edges = torch.tensor([(a, b, c, a, b, c) for a, b, c in product(EXTREMES, repeat=3)])
    rows = torch.cat([rows, edges])
    c0, c1, c2, c3, k0, k1 = rows.unbind(dim=1)
    words = torch.stack(philox4x32((c0, c1, c2, c3), (k0, k1)), dim=1)
    expected = [philox_of_integers(tuple(row[:4]), tuple(row[4:])) for row in rows.tolist()]
    assert words.tolist() == [list(row) for row in expected]


def test_counters_and_keys_broadcast() -> None:
    counter = (torch.arange(5), torch.tensor(3), torch.tensor(2**32 - 1), torch.tensor(0))
    k0, k1 = torch.tensor([[1], [2]]), torch.tensor([[7], [2**31]])
    words = torch.stack(philox4x32(counter, (k0, k1)), dim=2)
    assert words.shape == (2, 5, 4)
    for r, i in product(range(2), range(5)):
        key = (k0[r].item(), k1[r].item())
        assert words[r, i].tolist() == list(philox_of_integers((i, 3, 2**32 - 1, 0), key))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", STEPS)
def test_numbers_are_those_of_a_double_loop(shape: tuple[int, ...], step: int) -> None:
    """In double precision; a float32 angle of nearly 2 pi is off by up to 5e-7, times a radius of up to 6.7."""
    keys = keys_of(0, 1, 2)
    n_numbers = math.prod(shape)
    n_counters = math.ceil(n_numbers / 4)
    expected = np.empty((3, 4 * n_counters))
    for r, key in enumerate(keys.tolist()):
        for i in range(n_counters):
            words = philox_of_integers((i, 0, step % 2**32, step // 2**32), (key % 2**32, key // 2**32))
            for pair in range(2):
                radius = math.sqrt(-2 * math.log((words[2 * pair] + 1) / 2**32))
                angle = 2 * math.pi * words[2 * pair + 1] / 2**32
                expected[r, 2 * pair * n_counters + i] = radius * math.cos(angle)
                expected[r, (2 * pair + 1) * n_counters + i] = radius * math.sin(angle)
    numbers = normal(keys, step, shape)
    assert numbers.dtype == torch.float32
    answer = torch.from_numpy(expected[:, :n_numbers].reshape(3, *shape)).float()
    torch.testing.assert_close(numbers, answer, rtol=0, atol=5e-6)


def test_every_word_gives_finite_numbers_of_the_right_size() -> None:
    """Both numbers against double precision, also where cosine or sine is nearly 0, and below sqrt(64 log 2)."""
    near = [base + offset for base in (2**30, 2**31, 3 * 2**30) for offset in range(-300, 301)]
    angles = torch.tensor([*EXTREMES, *near])
    radius_word, angle_word = torch.tensor(EXTREMES)[:, None], angles[None, :]
    pair = torch.stack(_box_muller(radius_word, angle_word))
    assert pair.isfinite().all()
    u = (radius_word + 1).float().double() / 2**32  # rounded as in the function: it matters where u is nearly 1
    angle = angle_word.double() * (2 * math.pi / 2**32)
    radius = (-2 * u.log()).sqrt()
    torch.testing.assert_close(
        pair, torch.stack([radius * angle.cos(), radius * angle.sin()]).float(), rtol=0, atol=5e-6
    )
    assert pair.abs().max().item() == pytest.approx(math.sqrt(64 * math.log(2)), rel=1e-6)


def test_a_key_gives_the_same_bits_alone_and_among_others() -> None:
    keys = keys_of(*range(9))
    for shape in [*SHAPES, (31,), (33,), (129,), (1001,)]:
        together = normal(keys, 5, shape)
        for r in range(9):
            assert torch.equal(normal(keys[r : r + 1], 5, shape)[0], together[r])
        assert torch.equal(normal(keys.flip(0), 5, shape), together.flip(0))


def test_every_bit_of_key_and_step_matters_and_no_word_is_used_twice() -> None:
    """Zero, and every number with one bit set, as key or as step: 127 sets of 40 numbers, all different."""
    bits = [0, *(1 << k for k in range(63))]
    of_keys = normal(torch.tensor(bits), 0, (40,))
    of_steps = [normal(torch.tensor([0]), step, (40,))[0] for step in bits[1:]]
    numbers = torch.cat([of_keys, torch.stack(of_steps)])
    assert numbers.shape == (127, 40)
    assert len(set(numbers.flatten().tolist())) > numbers.numel() - 10  # float32 numbers coincide now and then


def test_the_global_random_state_is_neither_read_nor_moved() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = normal(keys_of(0), 0, (5,))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(normal(keys_of(0), 0, (5,)), first)


def test_numbers_have_the_normal_distribution() -> None:
    """A million numbers: the k-th moment has a deviation of sqrt((m_2k - m_k^2) / n), m the moments of the normal.

    Counts beyond 1, 2, 3, 4 and 4.5 on either side are binomial. All within five deviations.
    """
    numbers = (
        torch.cat([normal(keys_of(0, 1), step, (5, 50_000)).flatten() for step in (0, 2**33)]).double().numpy()
    )
    n = len(numbers)
    assert n == 1_000_000
    assert stats.kstest(numbers, "norm").pvalue > 1e-3
    moments = {0: 1, 1: 0, 2: 1, 3: 0, 4: 3, 5: 0, 6: 15, 8: 105, 10: 945, 12: 10_395}
    for k in range(1, 7):
        deviation = math.sqrt((moments[2 * k] - moments[k] ** 2) / n)
        assert np.mean(numbers**k) == pytest.approx(moments[k], abs=5 * deviation)
    for bound, side in product((1, 2, 3, 4, 4.5), (-1, 1)):
        expected = n * stats.norm.sf(bound)
        assert np.sum(side * numbers > bound) == pytest.approx(expected, abs=5 * math.sqrt(expected))


def test_each_of_a_counters_four_numbers_has_the_normal_distribution() -> None:
    numbers = normal(keys_of(4), 9, (4, 200_000))[0].double().numpy()
    for part in numbers:
        assert stats.kstest(part, "norm").pvalue > 1e-3


def test_places_pairs_steps_and_keys_are_not_correlated() -> None:
    """Numbers and their squares, of 100,000 counters: a correlation has a deviation of 0.00316.

    Rows: the four numbers of a counter and of the next one, for consecutive steps on both sides of 2**32, for keys
    that differ in the lowest bit, in the highest or in all. Of 32,640 correlations one is beyond 5.6 deviations in
    1,400 tries. Left out is a number with its own square, whose deviation is sqrt(5) times as large.
    """
    key = stream_key(0, Stream.CORRUPTION_NOISE)
    keys = torch.tensor([key, key ^ 1, key ^ 2**62, key ^ (2**63 - 1)])
    parts = torch.cat([normal(keys, step, (4, 100_001)).flatten(0, 1) for step in (0, 1, 2**32, 2**32 + 1)])
    rows = torch.cat([parts[:, 1:], parts[:, :-1]])
    correlation = torch.corrcoef(torch.cat([rows, rows**2])) - torch.eye(256)
    for offset in (-128, 128):
        correlation.diagonal(offset).zero_()
    assert correlation.abs().max().item() < 0.0177


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_read_from_the_device(shape: tuple[int, ...]) -> None:
    """A tensor of the device "meta" has no content: what asks for it raises an error."""
    numbers = philox_normal(keys_of(0, 1).to("meta"), torch.tensor(0).to("meta"), shape)
    assert numbers.device.type == "meta"
    assert numbers.shape == (2, *shape)


@COMPILED
def test_a_step_is_data_to_the_compiler() -> None:
    """Traced whole, once, and then run for other steps; without a code generator the bits are the same."""
    keys = keys_of(0, 1)
    traced = torch.compile(philox_normal, dynamic=False, fullgraph=True, backend="eager")
    traced(keys, torch.tensor(0), (3, 5))
    with torch.compiler.set_stance("fail_on_recompile"):
        for step in STEPS:
            assert torch.equal(traced(keys, torch.tensor(step), (3, 5)), normal(keys, step, (3, 5)))


@pytest.mark.slow
@COMPILED
@NO_INDUCTOR
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_compiled_numbers_equal_eager_ones(seeds: tuple[int, ...]) -> None:
    keys = keys_of(*seeds)
    compiled = torch.compile(philox_normal, dynamic=False, fullgraph=True)
    for step in STEPS:
        numbers = compiled(keys, torch.tensor(step), (7, 11))
        torch.testing.assert_close(numbers, normal(keys, step, (7, 11)), rtol=0, atol=5e-6)


@pytest.mark.gpu
@COMPILED
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_captured_graph_gives_the_numbers_of_the_step_that_it_finds(compiled: bool) -> None:
    keys, step = keys_of(0, 1, 2), torch.tensor(0, device="cuda")
    on_device = keys.cuda()
    function = torch.compile(philox_normal, dynamic=False, fullgraph=True) if compiled else philox_normal
    function(on_device, step, (7, 11))  # compiled before anything is captured
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        numbers = function(on_device, step, (7, 11))
    for value in STEPS:
        step.fill_(value)
        graph.replay()
        torch.testing.assert_close(numbers.cpu(), normal(keys, value, (7, 11)), rtol=0, atol=5e-6)
