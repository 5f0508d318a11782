from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import SmallData

from ladder_ebgan.batches import WINDOW_STEPS, Batch, BatchStream, NormalStream
from ladder_ebgan.data import labeled_order
from ladder_ebgan.philox import philox_normal
from ladder_ebgan.streams import Stream, stream_key

CPU = torch.device("cpu")
N_UNITS, LATENT_SIZE = 20, 4


def subset_of(data: SmallData, seed: int, budget: int) -> np.ndarray:
    return labeled_order(data.labels.numpy(), seed, data.n_classes)[:budget]


def stream_of(
    data: SmallData, seeds: list[int], budgets: list[int] | None = None, latent_size: int | None = LATENT_SIZE
) -> BatchStream:
    budgets = budgets or [10] * len(seeds)
    subsets = [subset_of(data, *pair) for pair in zip(seeds, budgets, strict=True)]
    return BatchStream(data.images, data.labels, subsets, seeds, 10, N_UNITS, latent_size)


def at(stream: BatchStream, step: int, adversarial: bool = False) -> Batch:
    """Go to a step and return its batch."""
    stream.seek(step)
    return stream.current(adversarial)


def on_device(step: int) -> torch.Tensor:
    """A step's number as a captured step knows it."""
    return torch.tensor(step)


def copied(batch: Batch) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in batch if tensor is not None]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_batch_holds_what_its_shapes_say(data: SmallData) -> None:
    stream = stream_of(data, [0, 1])
    batch = at(stream, 0, adversarial=True)
    shapes = [tuple(tensor.shape) for tensor in copied(batch)]
    assert shapes == [(2, 20, 9), (2, 10), (2, 20, N_UNITS), (2, 10, LATENT_SIZE), (2, 10, N_UNITS)]
    assert batch.labels.dtype == torch.int64
    alone = at(stream, 1)
    assert alone.latents is None
    assert alone.generated_noise is None


def test_each_kind_of_number_comes_from_the_stream_of_its_name(data: SmallData) -> None:
    batch = at(stream_of(data, [0, 3]), 5, adversarial=True)
    expected = {
        Stream.CORRUPTION_NOISE: batch.noise,
        Stream.LATENTS: batch.latents,
        Stream.GENERATED_NOISE: batch.generated_noise,
    }
    for stream, numbers in expected.items():
        assert numbers is not None
        assert torch.equal(numbers, normals([0, 3], stream, tuple(numbers.shape[1:])).at(on_device(5)))


def normals(seeds: list[int], stream: Stream, shape: tuple[int, ...]) -> NormalStream:
    return NormalStream(seeds, stream, shape, CPU, philox_normal)


def test_numbers_are_philox_under_the_key_of_the_stream_and_the_step() -> None:
    stream, step = normals([3, 7], Stream.LATENTS, (5, 3)), on_device(6)
    expected = philox_normal(torch.tensor([stream_key(seed, Stream.LATENTS) for seed in (3, 7)]), step, (5, 3))
    assert expected.shape == (2, 5, 3)
    assert torch.equal(stream.at(step), expected)
    step += 1
    assert not torch.equal(stream.at(step), expected)


def test_a_replica_has_the_same_numbers_among_others_as_alone() -> None:
    together = normals([3, 7, 11], Stream.CORRUPTION_NOISE, (5, 3)).at(on_device(2))
    alone = normals([7], Stream.CORRUPTION_NOISE, (5, 3)).at(on_device(2))
    assert torch.equal(together[1:2], alone)


def test_a_stream_without_a_generator_gives_the_same_images_and_noise(data: SmallData) -> None:
    without, beside = (stream_of(data, [0, 1], latent_size=size) for size in (None, LATENT_SIZE))
    for step in range(3):
        assert same(copied(at(without, step)), copied(at(beside, step, adversarial=True))[:3])


def test_a_replica_gets_the_same_batches_in_every_group(data: SmallData) -> None:
    together, alone = stream_of(data, [3, 7, 11]), stream_of(data, [7])
    for step in range(3):
        of_seven = [tensor[1:2] for tensor in copied(at(together, step, adversarial=True))]
        assert same(of_seven, copied(at(alone, step, adversarial=True)))


def test_any_order_of_steps_and_any_start_gives_the_same_batches(data: SmallData) -> None:
    """In order from 0; then a window begun anywhere, one step twice, one that was drawn ahead but skipped."""
    stream, jumping = stream_of(data, [0, 5]), stream_of(data, [0, 5])
    in_order = []
    for first in (0, WINDOW_STEPS):
        stream.seek(first)
        for _ in range(WINDOW_STEPS):
            in_order.append(copied(stream.current(adversarial=True)))
            stream.advance()
    for step in (WINDOW_STEPS + 1, 3, 4, 4, 6, 5, 0, WINDOW_STEPS, WINDOW_STEPS - 1, 1):
        assert same(copied(at(jumping, step, adversarial=True)), in_order[step]), step
    jumping.seek(WINDOW_STEPS - 7)
    for step in range(WINDOW_STEPS - 7, 2 * WINDOW_STEPS - 7):
        assert same(copied(jumping.current(adversarial=True)), in_order[step]), step
        jumping.advance()


def test_a_batch_may_be_asked_for_again_before_going_on(data: SmallData) -> None:
    stream = stream_of(data, [0, 5])
    stream.seek(2)
    assert same(copied(stream.current()), copied(stream.current()))


def test_where_the_stream_stands_is_known_on_the_host_and_on_the_device(data: SmallData) -> None:
    """The device's numbers are written in place, since a captured step reads them where they were."""
    stream = stream_of(data, [0, 5])
    places = (stream.step, stream.position, stream.window)
    addresses = [tensor.data_ptr() for tensor in places]
    for first in (0, 9):
        stream.seek(first)
        for moved in range(3):
            assert stream.step.item() == first + moved
            assert stream.position.tolist() == [moved]
            stream.advance()
    assert [tensor.data_ptr() for tensor in (stream.step, stream.position, stream.window)] == addresses


def test_images_and_noise_of_a_step_follow_the_tensors_alone(data: SmallData) -> None:
    """As in a replay, which moves what is on the device and runs no Python."""
    replayed, moved = stream_of(data, [0, 5]), stream_of(data, [0, 5])
    for stream in (replayed, moved):
        stream.seek(4)
    replayed.position += 2
    replayed.step += 2
    moved.advance()
    moved.advance()
    assert same(copied(replayed.current(adversarial=True)), copied(moved.current(adversarial=True)))


def test_seeds_and_steps_have_batches_of_their_own(data: SmallData) -> None:
    stream = stream_of(data, [0, 1, 2])
    batches = [copied(at(stream, step, adversarial=True)) for step in range(4)]
    for part in (0, 2, 3, 4):
        different = {tuple(batch[part][r].flatten().tolist()) for batch in batches for r in range(3)}
        assert len(different) == 12


def test_every_image_is_seen_once_an_epoch_as_unlabeled(data: SmallData) -> None:
    """60 images in batches of 10: six steps are an epoch; the labelled ones are among them."""
    numbered = data._replace(images=torch.arange(60.0)[:, None].expand(60, 9).contiguous())
    stream = stream_of(numbered, [0, 1])
    epochs = []
    for epoch in range(12):
        seen = torch.cat([at(stream, 6 * epoch + k).images[:, 10:, 0] for k in range(6)], dim=1)
        assert torch.equal(seen.sort(dim=1).values, torch.arange(60.0).expand(2, 60))
        epochs.append(seen)
    assert not any(torch.equal(a, b) for a, b in pairwise(epochs))


def test_labels_belong_to_the_images_of_the_subset_in_the_first_half(data: SmallData) -> None:
    """Images are numbered, so an image's first pixel is its index; budgets of both replicas differ."""
    numbered = data._replace(images=torch.arange(60.0)[:, None].expand(60, 9).contiguous())
    stream = stream_of(numbered, [0, 1], [5, 20])
    seen: list[set[int]] = [set(), set()]
    for step in range(4):
        batch = at(stream, step)
        index = batch.images[:, :10, 0].long()
        assert torch.equal(batch.labels, data.labels[index])
        for r in range(2):
            seen[r] |= set(index[r].tolist())
    assert seen == [set(subset_of(data, 0, 5).tolist()), set(subset_of(data, 1, 20).tolist())]


def test_only_labels_of_the_subset_are_read(data: SmallData) -> None:
    poisoned = torch.full_like(data.labels, -99)
    subset = torch.from_numpy(subset_of(data, 0, 10))
    poisoned[subset] = data.labels[subset]
    clean = stream_of(data, [0])
    stream = BatchStream(data.images, poisoned, [subset.numpy()], [0], 10, N_UNITS, None)
    for step in range(20):
        assert torch.equal(at(stream, step).labels, at(clean, step).labels)


def test_noise_is_standard_normal() -> None:
    """600,000 numbers: the mean has a deviation of 0.0013, the deviation one of 0.0009, the kurtosis 0.006."""
    stream = normals([0, 1, 2], Stream.CORRUPTION_NOISE, (200, 100))
    numbers = torch.stack([stream.at(on_device(step)).clone() for step in range(10)]).double()
    assert abs(numbers.mean().item()) < 0.006
    assert numbers.std().item() == pytest.approx(1, abs=0.005)
    assert (numbers**4).mean().item() == pytest.approx(3, abs=0.05)


def test_noise_of_replicas_steps_and_streams_is_not_correlated() -> None:
    """20,000 pairs: a correlation has a deviation of 0.007."""
    rows = []
    for stream in (Stream.CORRUPTION_NOISE, Stream.GENERATED_NOISE):
        normal = normals([0, 1], stream, (20_000,))
        rows += [normal.at(on_device(step)).clone() for step in range(3)]
    correlation = torch.corrcoef(torch.cat(rows)) - torch.eye(12)
    assert correlation.abs().max().item() < 0.035


def test_the_global_random_state_is_neither_read_nor_moved(data: SmallData) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = copied(at(stream_of(data, [0]), 0, adversarial=True))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(first, copied(at(stream_of(data, [0]), 0, adversarial=True)))
