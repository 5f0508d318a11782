import json
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ladder_ebgan.data import Dataset, RawArrays, check_budget, describe, make_dataset, subset_order
from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.data_notes import data_in_words


def arrays(**changed: Any) -> RawArrays:
    """Four training and two test images of 2 x 3 pixels, of classes 3 and 7."""
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 10
    usual = {
        "train_images": images,
        "train_labels": np.array([7, 3, 7, 3]),
        "test_images": images[:2],
        "test_labels": np.array([3, 7]),
    }
    return RawArrays(**usual | changed)


def dataset(name: str = "small", **changed: Any) -> Dataset:
    return make_dataset(name, "for tests", arrays(**changed), "here")


def refusal(**changed: Any) -> str:
    with pytest.raises(UsageError) as caught:
        dataset(**changed)
    message = str(caught.value)
    assert message.startswith("here: ")
    assert "\n" not in message
    return message


def test_images_are_flat_and_divided_by_255_and_labels_become_class_indices() -> None:
    small = dataset()
    assert small.train_images.dtype == np.float32
    assert small.train_images.shape == (4, 6)
    assert_array_equal(small.train_images[0], np.array([0, 10, 20, 30, 40, 50], dtype=np.float32) / 255)
    assert small.train_labels.dtype == small.test_labels.dtype == np.int64
    assert_array_equal(small.train_labels, [1, 0, 1, 0])
    assert_array_equal(small.test_labels, [0, 1])
    assert small.classes == (3, 7)
    assert (small.image_shape, small.n_features, small.n_classes) == ((2, 3), 6, 2)


@pytest.mark.parametrize("dtype", ["<i2", ">i4", "uint16", "int64"])
def test_other_integers_are_read_as_bytes_are(dtype: str) -> None:
    wide = dataset(train_images=arrays().train_images.astype(dtype))
    assert_array_equal(wide.train_images, dataset().train_images)


def test_booleans_and_floats_keep_their_values() -> None:
    black_and_white = np.eye(4, dtype=bool)
    for dtype in (bool, np.float16, np.float32, ">f8", np.longdouble):
        images = black_and_white.astype(dtype)
        kept = dataset(train_images=images, test_images=images[:2])
        assert kept.train_images.dtype == np.float32
        assert_array_equal(kept.train_images, black_and_white)
        assert kept.image_shape == (4,)


def test_colour_images_keep_their_shape() -> None:
    images = np.full((4, 2, 3, 3), 255, dtype=np.uint8)
    assert dataset(train_images=images, test_images=images[:2]).image_shape == (2, 3, 3)


def test_the_raw_arrays_are_left_as_they_were() -> None:
    images = np.full((4, 2), 0.5, dtype=np.float32)
    labels = np.array([7, 3, 7, 3])
    dataset(train_images=images, train_labels=labels, test_images=images[:2])
    assert_array_equal(images, np.full((4, 2), 0.5))
    assert_array_equal(labels, [7, 3, 7, 3])


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [
        (["cat", "ant", "cat", "ant"], ["ant", "cat"], ("ant", "cat")),
        ([2.0, -1.0, 2.0, -1.0], [-1, 2], (-1, 2)),
        (np.array([1, 0, 1, 0], dtype=np.float16), [0, 1], (0, 1)),
        ([True, False, True, False], [False, True], (0, 1)),
        (np.array([10, 9, 10, 9], dtype=np.uint64), [9, 10], (9, 10)),
    ],
)
def test_labels_of_every_kind_are_mapped_by_sorted_value(train: Any, test: Any, classes: Any) -> None:
    mapped = dataset(train_labels=np.array(train), test_labels=np.array(test))
    assert mapped.classes == classes
    assert [type(label) for label in mapped.classes] == [type(label) for label in classes]
    assert_array_equal(mapped.train_labels, [1, 0, 1, 0])
    assert_array_equal(mapped.test_labels, [0, 1])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(np.array([7, -1, 3, -1]), (3, 7)), (np.array(["b", "", "a", ""]), ("a", "b"))],
)
def test_training_images_may_have_no_label(labels: Any, classes: Any) -> None:
    images = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    dataset = make_dataset("mine", "", RawArrays(images, labels, images[:2], labels[[0, 2]]), "mine")
    assert dataset.classes == classes
    assert dataset.train_labels.tolist() == [1, -1, 0, -1]
    assert dataset.labeled_rows.tolist() == dataset.watched_rows.tolist() == [0, 2]
    described = describe(dataset)
    assert (described["n_train"], described["n_labeled"]) == (4, 2)
    assert [entry["n_train"] for entry in described["classes"]] == [1, 1]  # type: ignore[attr-defined]
    orders = [subset_order(dataset, seed).tolist() for seed in range(8)]
    assert {tuple(order) for order in orders} == {(0, 2), (2, 0)}
    expected = "3 labels do not fit mine: .* and at most 2, the number of training images with a label"
    with pytest.raises(UsageError, match=expected):
        check_budget(3, dataset)
    assert data_in_words(dataset) == "mine, 4 training and 2 test images (2 of the training images have a label)"


@pytest.mark.parametrize("mark", [-1, -1.0, float("nan")])
def test_a_mark_that_numpy_has_made_a_word_is_no_class(mark: float) -> None:
    expected = (
        f"the training labels have the text '{mark}', which may be a class or mean that an image has no label"
    )
    with pytest.raises(UsageError, match=expected):
        dataset(train_labels=np.array(["b", mark, "a", mark]), test_labels=np.array(["a", "b"]))


def test_a_class_may_be_missing_from_the_test_set() -> None:
    assert_array_equal(dataset(test_labels=np.array([7, 7])).test_labels, [1, 1])


def test_fingerprint_is_that_of_the_content() -> None:
    reference = dataset().fingerprint
    assert len(reference) == 64
    assert dataset(name="other").fingerprint == reference
    as_floats = arrays().train_images.astype(np.float32) / np.float32(255)
    assert dataset(train_images=as_floats).fingerprint == reference
    assert dataset(train_labels=np.array([7, 3, 7, 3], dtype=np.uint8)).fingerprint == reference


def test_fingerprint_changes_with_any_part_of_the_content() -> None:
    usual = arrays()
    one_pixel = usual.train_images.copy()
    one_pixel[3, 1, 2] += 1
    one_float = usual.train_images / np.float32(255)
    one_float[3, 1, 2] += np.float32(1e-6)
    other_test = usual.test_images.copy()
    other_test[0, 0, 0] += 1
    turned = {name: getattr(usual, name).reshape(-1, 3, 2) for name in ("train_images", "test_images")}
    flat = {name: getattr(usual, name).reshape(-1, 6) for name in ("train_images", "test_images")}
    changes: list[dict[str, Any]] = [
        {},
        {"train_images": one_pixel},
        {"train_images": one_float},
        {"test_images": other_test},
        {"train_labels": np.array([3, 7, 7, 3])},
        {"test_labels": np.array([3, 3])},
        {"train_labels": np.array([8, 3, 8, 3]), "test_labels": np.array([3, 8])},
        {"train_labels": np.array(["7", "3", "7", "3"]), "test_labels": np.array(["3", "7"])},
        turned,
        flat,
    ]
    assert len({dataset(**change).fingerprint for change in changes}) == len(changes)


def test_describe_counts_classes_and_is_ready_for_json() -> None:
    described = describe(dataset(test_labels=np.array([3, 3])))
    assert json.loads(json.dumps(described)) == {
        "name": "small",
        "description": "for tests",
        "n_train": 4,
        "n_labeled": 4,
        "n_test": 2,
        "n_features": 6,
        "image_shape": [2, 3],
        "n_classes": 2,
        "classes": [{"label": 3, "n_train": 2, "n_test": 2}, {"label": 7, "n_train": 2, "n_test": 0}],
        "pixel_range": [0.0, float(np.float32(230) / np.float32(255))],
        "fingerprint": dataset(test_labels=np.array([3, 3])).fingerprint,
    }


NAN, INFINITE, HALF = np.full((4, 2), np.nan), np.full((4, 2), np.inf), np.full((4, 2), 0.5)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.zeros(4), "shape [4]; they must be [n, features]"),
        (np.zeros((4, 1, 1, 1, 1)), "shape [4, 1, 1, 1, 1]"),
        (np.zeros((0, 6)), "are empty (shape [0, 6])"),
        (np.zeros((4, 0)), "are empty (shape [4, 0])"),
        (np.zeros((4, 2), dtype=complex), "of type complex128; they must be floats, integers or booleans"),
        (np.full((4, 2), "a"), "of type <U1"),
        (NAN, "NaN or infinite"),
        (INFINITE, "NaN or infinite"),
        (HALF * 510, "floats in [255.0, 255.0]; they must lie in [0, 1]"),
        (HALF - 1, "floats in [-0.5, -0.5]"),
        (np.array([[0, 256]] * 4), "integers in [0, 256]; they must lie in 0..255"),
        (np.array([[-1, 2]] * 4), "integers in [-1, 2]"),
        (np.array([[0, 1]] * 4), "integers in [0, 1], but integers are divided by 255"),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_images_that_cannot_be_used_are_refused(part: str, images: Any, expected: str) -> None:
    message = refusal(**{f"{part}_images": images})
    assert f"the {'training' if part == 'train' else 'test'} images" in message
    assert expected in message


def test_training_and_test_images_must_have_one_shape() -> None:
    message = refusal(test_images=np.zeros((2, 5)))
    assert "a training image has shape [2, 3] and a test image [5]" in message


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([[7, 3, 7, 3]]), "shape [1, 4]; they must be [n]"),
        (np.array([7, 3, 7]), "are 3 for 4 images"),
        (np.array([-1, -1, -1, -1]), "no training image has a label"),
        (np.array(["a", "", "a", ""]), "every training label is 'a'; there must be two classes or more"),
        (np.array([7, 3.5, 7, 3]), "contain 3.5; they must be integers or text"),
        (np.array([7, np.nan, 7, 3]), "contain nan"),
        (np.array([7, np.inf, 7, 3]), "contain inf"),
        (np.array([7, 1e300, 7, 3]), "contain 1e+300"),
        (np.array([7, 1e300, 7, 3], dtype=np.longdouble) ** 10, "contain inf"),
        (np.array([2**64 - 1, 3, 7, 3], dtype=np.uint64), "contain 18446744073709551615"),
        (np.array([b"a", b"b", b"a", b"b"]), "of type |S1; they must be integers or text"),
        (np.array([1j, 2, 1j, 2]), "of type complex128"),
        (np.array([3, 3, 3, 3]), "every training label is 3; there must be two classes or more"),
        (np.array(["3", "7", "3", "7"]), "training labels are text and test labels numbers"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(labels: Any, expected: str) -> None:
    assert expected in refusal(train_labels=labels)


def test_test_labels_never_seen_in_training_are_named() -> None:
    assert "test labels 1, 9 never occur in training" in refusal(test_labels=np.array([9, 1]))
    many = np.zeros((8, 2, 3))
    message = refusal(test_images=many, test_labels=np.arange(10, 18))
    assert "test labels 10, 11, 12, 13, 14, ... never" in message
