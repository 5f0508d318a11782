import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ladder_ebgan.data import RawArrays, check_budget, labeled_order, make_dataset
from ladder_ebgan.errors import UsageError

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)
SEEDS = st.integers(0, 2**32)


@given(LABELS, SEEDS)
def test_the_order_holds_every_image_once(labels: np.ndarray, seed: int) -> None:
    order = labeled_order(labels, seed, 5)
    assert order.dtype == np.int64
    assert_array_equal(np.sort(order), np.arange(len(labels)))


@given(LABELS, SEEDS)
def test_round_k_takes_one_image_of_every_class_that_still_has_one(labels: np.ndarray, seed: int) -> None:
    """So the first n are balanced as far as each class has images, for every n; nested they are anyway."""
    classes_in_order = labels[labeled_order(labels, seed, 5)].tolist()
    n_of_class = np.bincount(labels, minlength=5)
    start = 0
    for k in range(n_of_class.max()):
        left = [c for c in range(5) if n_of_class[c] > k]
        assert sorted(classes_in_order[start : start + len(left)]) == left
        start += len(left)
    assert start == len(labels)


def test_a_seed_means_the_same_subset_for_ever() -> None:
    """Changed numbers here mean that no published seed can be repeated: change them only on purpose."""
    labels = np.arange(12) % 3
    assert_array_equal(labeled_order(labels, 7, 3), [4, 2, 3, 0, 5, 10, 7, 6, 8, 9, 1, 11])


def test_seeds_draw_different_images_and_remainders() -> None:
    labels = np.arange(1000) % 10
    orders = [labeled_order(labels, seed, 10) for seed in range(200)]
    assert len({tuple(order[:10]) for order in orders}) == 200
    first_classes = np.bincount([labels[order[0]] for order in orders], minlength=10)
    assert first_classes.min() > 5  # 20 expected; below 6 happens once in 10,000 times for one class
    remainders = np.bincount(np.concatenate([labels[order[10:13]] for order in orders]), minlength=10)
    assert remainders.min() > 30  # 60 expected


def test_rounds_have_orders_of_their_own() -> None:
    labels = np.arange(1000) % 10
    rounds = labels[labeled_order(labels, 0, 10)].reshape(100, 10)
    assert len({tuple(classes) for classes in rounds.tolist()}) == 100


def test_big_classes_come_no_earlier_within_a_round() -> None:
    """One class of 99 images and one of 1: the single image comes first in half of the seeds (sd 0.035)."""
    labels = np.array([0] * 99 + [1])
    share = np.mean([labels[labeled_order(labels, seed, 2)[0]] for seed in range(200)])
    assert 0.35 < share < 0.65


def test_a_class_without_images_is_left_out() -> None:
    assert_array_equal(np.sort(labeled_order(np.array([0, 3, 3]), 1, 10)), [0, 1, 2])


@pytest.mark.parametrize("budget", [-1, 0, 1, 5])
def test_a_budget_outside_the_limits_is_refused_with_both(budget: int) -> None:
    with pytest.raises(UsageError, match=rf"^{budget} labels do not fit small: .* at least 2, .* at most 4,"):
        check_budget(budget, SMALL)


@pytest.mark.parametrize("budget", [2, 3, 4])
def test_a_budget_within_the_limits_passes(budget: int) -> None:
    check_budget(budget, SMALL)


SMALL = make_dataset(
    "small",
    "for tests",
    RawArrays(np.zeros((4, 2)), np.array([0, 1, 0, 1]), np.zeros((1, 2)), np.array([0])),
    "small",
)
