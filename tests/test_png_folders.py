"""Folders of PNG files as a data set."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from ladder_ebgan.data import load_dataset
from ladder_ebgan.data.images import read_images
from ladder_ebgan.data.png_folders import read_png_folder
from ladder_ebgan.errors import UsageError

LEVELS = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 2, 3)


def png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="png")
    return path


def animals(folder: Path) -> Path:
    """Two classes of one image each, and two images without a label."""
    for name, pixels in zip(("b.png", "cat/x.png", "dog/a.PNG", "a.png"), LEVELS, strict=True):
        png(folder / name, pixels)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_dataset(str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_subfolders_are_classes_and_what_lies_beside_them_has_no_label(tmp_path: Path) -> None:
    dataset = load_dataset(str(animals(tmp_path / "animals")))
    assert (dataset.name, dataset.classes, dataset.image_shape) == ("animals", ("cat", "dog"), (2, 3))
    assert dataset.train_labels.tolist() == [-1, -1, 0, 1]
    assert_array_equal(dataset.train_images * 255, LEVELS[[3, 0, 1, 2]].reshape(4, 6))
    assert dataset.test_rows is not None
    assert dataset.test_rows.tolist() == [2, 3]
    assert dataset.test_labels.tolist() == [0, 1]
    assert_array_equal(dataset.test_images, dataset.train_images[2:])


def test_train_and_test_may_be_apart(tmp_path: Path) -> None:
    animals(tmp_path / "train")
    png(tmp_path / "test" / "dog" / "c.png", LEVELS[0])
    dataset = load_dataset(str(tmp_path))
    assert dataset.test_rows is None
    assert dataset.train_labels.tolist() == [-1, -1, 0, 1]
    assert dataset.test_labels.tolist() == [1]
    assert_array_equal(dataset.test_images * 255, LEVELS[:1].reshape(1, 6))


def test_test_images_need_a_label(tmp_path: Path) -> None:
    animals(tmp_path / "train")
    (tmp_path / "test").mkdir()
    expected = f"the folder {str(tmp_path / 'test')!r} must have its PNG files in a subfolder for each class"
    assert refusal(tmp_path) == expected
    png(tmp_path / "test" / "c.png", LEVELS[0])
    assert refusal(tmp_path) == expected


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    png(tmp_path / "train" / "locomotive.png", LEVELS[0])
    png(tmp_path / "test" / "tube.png", LEVELS[1])
    assert load_dataset(str(tmp_path)).classes == ("test", "train")


def test_images_have_a_channel_for_each_colour_if_one_has_colours(tmp_path: Path) -> None:
    animals(tmp_path)
    assert read_png_folder(tmp_path).train_images.shape == (4, 2, 3)
    png(tmp_path / "cat" / "red.png", np.stack([LEVELS[0], LEVELS[1], LEVELS[1]], axis=-1))
    images = read_png_folder(tmp_path).train_images
    assert images.shape == (5, 2, 3, 3)
    assert_array_equal(images[0], np.stack([LEVELS[3] / np.float32(255)] * 3, axis=-1))
    assert load_dataset(str(tmp_path)).image_shape == (2, 3, 3)


def test_images_of_one_size_and_format_are_asked_for(tmp_path: Path) -> None:
    animals(tmp_path)
    wide = png(tmp_path / "dog" / "wide.png", np.zeros((2, 4), dtype=np.uint8))
    first = str(tmp_path / "a.png")
    assert refusal(tmp_path) == f"the file {str(wide)!r} has 4 x 2 pixels (width x height); {first!r} has 3 x 2"
    wide.unlink()
    (tmp_path / "dog" / "d.JPG").write_bytes(b"")
    expected = f"the file {str(tmp_path / 'dog' / 'd.JPG')!r} would not be read: save all images as PNG files; put"
    assert refusal(tmp_path).startswith(expected)
    (tmp_path / "dog" / "d.JPG").unlink()
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    assert len(load_dataset(str(tmp_path)).train_labels) == 4
    (tmp_path / "a.png").write_text("hello")
    assert refusal(tmp_path) == f"the file {first!r} is no PNG file: give PNG files only, or one file of arrays"
    (tmp_path / "a.png").write_bytes((tmp_path / "b.png").read_bytes()[:18])
    assert refusal(tmp_path).startswith(f"the file {first!r} is damaged (")


def test_images_where_none_are_looked_for_are_not_left_out_without_a_word(tmp_path: Path) -> None:
    deep = png(animals(tmp_path) / "cat" / "2023" / "a.png", LEVELS[0])
    expected = (
        f"the file {str(deep)!r} would not be read: images of a class lie in a subfolder named like it, those"
    )
    assert refusal(tmp_path).startswith(expected)
    deep.rename(deep.with_name(".a.png"))
    assert len(load_dataset(str(tmp_path)).train_labels) == 4


def test_classes_in_train_without_a_test_are_pointed_at(tmp_path: Path) -> None:
    animals(tmp_path / "train")
    expected = f"the folder {str(tmp_path)!r} has folders in 'train': give that one, or put 'test' beside it"
    assert refusal(tmp_path) == expected
    png(tmp_path / "test" / "dog" / "c.png", LEVELS[0])
    png(tmp_path / "val" / "dog" / "c.png", LEVELS[0])
    assert "val" in refusal(tmp_path)


def test_of_train_and_test_the_latter_is_predicted(tmp_path: Path) -> None:
    animals(tmp_path / "train")
    png(tmp_path / "test" / "dog" / "c.png", LEVELS[2])
    images = read_images([str(tmp_path)], (2, 3))
    assert images.names == ("dog/c.png",)
    assert images.labels is not None
    assert images.labels.tolist() == ["dog"]


def test_what_has_no_labels_or_one_class_is_refused(tmp_path: Path) -> None:
    png(tmp_path / "a.png", LEVELS[0])
    assert refusal(tmp_path).endswith("no training image has a label")
    png(tmp_path / "cat" / "a.png", LEVELS[1])
    assert refusal(tmp_path).endswith("every training label is 'cat'; there must be two classes or more")


def test_an_empty_folder_says_what_could_be_in_it(tmp_path: Path) -> None:
    message = refusal(tmp_path)
    assert "it must hold four IDX files" in message
    assert message.endswith("or PNG files, those of a class in a subfolder named like it")
