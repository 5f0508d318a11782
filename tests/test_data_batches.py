import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from ladder_ebgan.data import EpochSequence, Order

Indices = NDArray[np.int64]


def unlabeled_batches(n: int, seed: int, *span: int) -> Indices:
    return EpochSequence(n, seed, Order.UNLABELED).batches(*span)


def labeled_batches(subset: Indices, seed: int, *span: int) -> Indices:
    return subset[EpochSequence(len(subset), seed, Order.LABELED).batches(*span)]


@given(
    n=st.integers(1, 300),
    seed=st.integers(0, 3),
    first_step=st.integers(0, 2000),
    n_steps=st.integers(0, 20),
    batch_size=st.integers(1, 130),
)
def test_a_window_is_made_of_its_steps(n: int, seed: int, first_step: int, n_steps: int, batch_size: int) -> None:
    window = unlabeled_batches(n, seed, first_step, n_steps, batch_size)
    assert window.dtype == np.int64
    assert window.shape == (n_steps, batch_size)
    for k in range(n_steps):
        assert_array_equal(window[k : k + 1], unlabeled_batches(n, seed, first_step + k, 1, batch_size))


@given(n=st.integers(1, 70), seed=st.integers(0, 3), first_epoch=st.integers(0, 3000))
def test_every_epoch_is_a_permutation(n: int, seed: int, first_epoch: int) -> None:
    """With batches of n, steps are epochs; those up to 3,005 of 70 images cross several blocks of 65,536."""
    epochs = unlabeled_batches(n, seed, first_epoch, 5, n)
    assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(n), (5, 1)))


@pytest.mark.parametrize("n", [40_000, 65_537])
def test_windows_over_large_data_sets_cross_epochs(n: int) -> None:
    """Batches of 30,000 that straddle: two epochs' worth of places hold every image twice."""
    sequence = unlabeled_batches(n, 0, 0, 2 * n // 30_000 + 1, 30_000).ravel()
    assert_array_equal(np.bincount(sequence[: 2 * n]), np.full(n, 2))
    assert_array_equal(np.bincount(sequence[:n]), np.ones(n))
    assert (sequence[:n] != sequence[n : 2 * n]).any()


def test_a_subset_smaller_than_the_batch_is_cycled_within_it() -> None:
    subset = np.arange(50) * 7
    batches = labeled_batches(subset, 0, 3, 4, 100)
    for batch in batches:
        assert_array_equal(np.sort(batch), np.repeat(subset, 2))


def test_every_image_of_a_subset_is_seen_equally_often() -> None:
    """70 images in batches of 100: seven steps are ten epochs."""
    subset = np.arange(70) + 1000
    seen, counts = np.unique(labeled_batches(subset, 5, 0, 7, 100), return_counts=True)
    assert_array_equal(seen, subset)
    assert_array_equal(counts, np.full(70, 10))


def test_epochs_seeds_and_the_two_orders_differ() -> None:
    n = 100
    everything = np.arange(n)
    orders = [
        unlabeled_batches(n, 0, 0, 700, n),  # beyond the 655 epochs of one block
        labeled_batches(everything, 0, 0, 700, n),
        unlabeled_batches(n, 1, 0, 700, n),
    ]
    assert len({tuple(epoch) for order in orders for epoch in order.tolist()}) == 2100


def test_a_seed_means_the_same_batches_for_ever() -> None:
    """Changed numbers here mean that no published seed can be repeated: change them only on purpose."""
    assert_array_equal(unlabeled_batches(5, 7, 0, 2, 5), [[4, 1, 0, 2, 3], [1, 4, 2, 0, 3]])
    assert_array_equal(labeled_batches(np.arange(5), 7, 0, 2, 5), [[0, 1, 2, 3, 4], [4, 2, 3, 0, 1]])
    assert_array_equal(unlabeled_batches(70_000, 7, 0, 1, 3), [[13645, 26233, 43764]])


def test_what_a_caller_writes_into_a_batch_stays_with_the_caller() -> None:
    sequence = EpochSequence(10, 0, Order.UNLABELED)
    first = sequence.batches(0, 1, 4)
    kept = first.copy()
    first[:] = -1
    assert_array_equal(sequence.batches(0, 1, 4), kept)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=8))
def test_a_sequence_goes_anywhere_and_keeps_only_what_it_needs(first_steps: list[int]) -> None:
    """Steps of 90 of 70 images; a block is 936 epochs, or 728 steps: a window of 50 steps lies in two at most."""
    sequence = EpochSequence(70, 1, Order.UNLABELED)
    for first_step in first_steps:
        assert_array_equal(sequence.batches(first_step, 50, 90), unlabeled_batches(70, 1, first_step, 50, 90))
        assert 1 <= len(sequence.blocks) <= 2
