"""What a small validation set chooses."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ladder_ebgan.search.choice import _even_sample, choices

LABELS = np.arange(1000) % 10


def test_all_images_choose_the_best_of_one_subset() -> None:
    """Errors 5 and 10 %: the choice by all images is the first, whatever is drawn."""
    correct = np.ones((2, 1, 1000), bool)
    correct[0, 0, :50] = correct[1, 0, :100] = False
    (choice,) = choices(correct, LABELS, [1000])
    assert (choice.n_images, choice.best_percent) == (1000, 100)
    assert choice.error_percent == pytest.approx(5)


def test_settings_that_are_equally_good_are_chosen_equally_often() -> None:
    correct = np.ones((4, 2, 1000), bool)
    (choice,) = choices(correct, LABELS, [20])
    assert choice.error_percent == 0
    assert choice.best_percent == pytest.approx(25, abs=4)  # of 2,000 draws: a deviation of 1


def test_one_image_chooses_by_a_coin_weighted_by_the_errors() -> None:
    """Two settings that err on disjoint halves of the images: each draw shows the one that is right there.

    Setting 0 errs on 30 % of the images and setting 1 on the other 70 %. One image chooses setting 0 in 70 % of the
    draws: the expected error is 0.7 * 30 + 0.3 * 70 = 42.
    """
    correct = np.zeros((2, 1, 1000), bool)
    correct[0, 0, 300:] = correct[1, 0, :300] = True
    (choice,) = choices(correct, LABELS, [1])
    assert choice.best_percent == pytest.approx(70, abs=5)
    assert choice.error_percent == pytest.approx(42, abs=2)


def test_the_subsets_are_drawn_as_well() -> None:
    """Best in the mean is setting 0; of the three subsets one favours setting 1, so it is chosen in a third."""
    correct = np.ones((2, 3, 1000), bool)
    correct[1, :2, :500] = False
    correct[0, 2, :200] = False
    (choice,) = choices(correct, LABELS, [1000])
    assert choice.best_percent == pytest.approx(200 / 3, abs=4)
    expected = 2 / 3 * (20 / 3) + 1 / 3 * (100 / 3)
    assert choice.error_percent == pytest.approx(expected, abs=1)


def test_more_images_choose_better() -> None:
    generator = np.random.default_rng(0)
    correct = generator.random((5, 2, 1000)) > np.linspace(0.05, 0.15, 5)[:, None, None]
    small, middle, large = choices(correct, LABELS, [20, 200, 1000])
    assert small.error_percent > middle.error_percent > large.error_percent


@pytest.mark.parametrize("size", [10, 25, 990, 1000])
def test_samples_are_even_over_the_classes(size: int) -> None:
    sample = _even_sample(LABELS, size, np.random.default_rng(3))
    assert len(set(sample.tolist())) == size
    counts = np.bincount(LABELS[sample], minlength=10)
    assert counts.max() - counts.min() <= 1


def test_a_rare_class_is_taken_whole() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    assert_array_equal(np.bincount(labels[_even_sample(labels, 60, np.random.default_rng(0))]), [50, 10])
