from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import SmallData

from ladder_ebgan.batches import INDEX_BLOCK_STEPS, Batch, BatchStream, NormalStream
from ladder_ebgan.data import labeled_order
from ladder_ebgan.streams import Stream

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


def copied(batch: Batch) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in batch if tensor is not None]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_batch_holds_what_its_shapes_say(data: SmallData) -> None:
    stream = stream_of(data, [0, 1])
    batch = stream.at(0, adversarial=True)
    shapes = [tuple(tensor.shape) for tensor in copied(batch)]
    assert shapes == [(2, 20, 9), (2, 10), (2, 20, N_UNITS), (2, 10, LATENT_SIZE), (2, 10, N_UNITS)]
    assert batch.labels.dtype == torch.int64
    alone = stream.at(1)
    assert alone.latents is None
    assert alone.generated_noise is None


def test_each_kind_of_number_comes_from_the_stream_of_its_name(data: SmallData) -> None:
    batch = stream_of(data, [0, 3]).at(5, adversarial=True)
    expected = {
        Stream.CORRUPTION_NOISE: batch.noise,
        Stream.LATENTS: batch.latents,
        Stream.GENERATED_NOISE: batch.generated_noise,
    }
    for stream, numbers in expected.items():
        assert numbers is not None
        assert torch.equal(numbers, NormalStream([0, 3], stream, tuple(numbers.shape[1:]), CPU).at(5))


def test_numbers_drawn_ahead_are_those_drawn_when_asked_for() -> None:
    ahead, on_demand = (NormalStream([0, 1], Stream.LATENTS, (3, 2), CPU) for _ in range(2))
    on_demand.drawer = None  # as on a GPU
    for step in (0, 1, 2, 7, 3):
        assert torch.equal(ahead.at(step), on_demand.at(step))


def test_a_stream_without_a_generator_gives_the_same_images_and_noise(data: SmallData) -> None:
    without, beside = (stream_of(data, [0, 1], latent_size=size) for size in (None, LATENT_SIZE))
    for step in range(3):
        assert same(copied(without.at(step)), copied(beside.at(step, adversarial=True))[:3])


def test_a_replica_gets_the_same_batches_in_every_group(data: SmallData) -> None:
    together, alone = stream_of(data, [3, 7, 11]), stream_of(data, [7])
    for step in range(3):
        of_seven = [tensor[1:2] for tensor in copied(together.at(step, adversarial=True))]
        assert same(of_seven, copied(alone.at(step, adversarial=True)))


def test_any_order_of_steps_and_any_start_gives_the_same_batches(data: SmallData) -> None:
    """Steps beyond a block of indices and back, one twice, and one that was drawn ahead but skipped."""
    last = INDEX_BLOCK_STEPS + 2
    stream = stream_of(data, [0, 5])
    in_order = [copied(stream.at(step, adversarial=True)) for step in range(last)]
    jumping = stream_of(data, [0, 5])
    for step in (last - 1, 3, 4, 4, 6, 5, 0, INDEX_BLOCK_STEPS, INDEX_BLOCK_STEPS - 1, 1):
        assert same(copied(jumping.at(step, adversarial=True)), in_order[step]), step


def test_seeds_and_steps_have_batches_of_their_own(data: SmallData) -> None:
    stream = stream_of(data, [0, 1, 2])
    batches = [copied(stream.at(step, adversarial=True)) for step in range(4)]
    for part in (0, 2, 3, 4):
        different = {tuple(batch[part][r].flatten().tolist()) for batch in batches for r in range(3)}
        assert len(different) == 12


def test_every_image_is_seen_once_an_epoch_as_unlabeled(data: SmallData) -> None:
    """60 images in batches of 10: six steps are an epoch; the labelled ones are among them."""
    numbered = data._replace(images=torch.arange(60.0)[:, None].expand(60, 9).contiguous())
    stream = stream_of(numbered, [0, 1])
    epochs = []
    for epoch in range(12):
        seen = torch.cat([stream.at(6 * epoch + k).images[:, 10:, 0] for k in range(6)], dim=1)
        assert torch.equal(seen.sort(dim=1).values, torch.arange(60.0).expand(2, 60))
        epochs.append(seen)
    assert not any(torch.equal(a, b) for a, b in pairwise(epochs))


def test_labels_belong_to_the_images_of_the_subset_in_the_first_half(data: SmallData) -> None:
    """Images are numbered, so an image's first pixel is its index; budgets of both replicas differ."""
    numbered = data._replace(images=torch.arange(60.0)[:, None].expand(60, 9).contiguous())
    stream = stream_of(numbered, [0, 1], [5, 20])
    seen: list[set[int]] = [set(), set()]
    for step in range(4):
        batch = stream.at(step)
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
        assert torch.equal(stream.at(step).labels, clean.at(step).labels)


def test_the_numbers_of_a_step_stay_while_the_next_are_drawn(data: SmallData) -> None:
    """A step's own noise must not change while the next is drawn ahead."""
    stream = NormalStream([0, 1], Stream.LATENTS, (50, 40), CPU)
    for step in range(20):
        numbers = stream.at(step)
        kept = numbers.clone()
        assert stream.ahead is not None
        stream.ahead[1].result()
        assert torch.equal(numbers, kept)


def test_noise_is_standard_normal() -> None:
    """600,000 numbers: the mean has a deviation of 0.0013, the deviation one of 0.0009, the kurtosis 0.006."""
    stream = NormalStream([0, 1, 2], Stream.CORRUPTION_NOISE, (200, 100), CPU)
    numbers = torch.stack([stream.at(step).clone() for step in range(10)]).double()
    assert abs(numbers.mean().item()) < 0.006
    assert numbers.std().item() == pytest.approx(1, abs=0.005)
    assert (numbers**4).mean().item() == pytest.approx(3, abs=0.05)


def test_noise_of_replicas_steps_and_streams_is_not_correlated() -> None:
    """20,000 pairs: a correlation has a deviation of 0.007."""
    rows = []
    for stream in (Stream.CORRUPTION_NOISE, Stream.GENERATED_NOISE):
        normal = NormalStream([0, 1], stream, (20_000,), CPU)
        rows += [normal.at(step).clone() for step in range(3)]
    correlation = torch.corrcoef(torch.cat(rows)) - torch.eye(12)
    assert correlation.abs().max().item() < 0.035


def test_the_global_random_state_is_neither_read_nor_moved(data: SmallData) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = copied(stream_of(data, [0]).at(0, adversarial=True))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(first, copied(stream_of(data, [0]).at(0, adversarial=True)))
