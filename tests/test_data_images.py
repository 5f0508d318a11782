import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from test_data_loading import contents, idx_bytes

from ladder_ebgan.data import load_dataset
from ladder_ebgan.data.images import Images, class_indices, read_images, with_labels_of, with_missing_labels
from ladder_ebgan.errors import UsageError

SHAPE = (2, 3)
LEVELS = (np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 10).astype(np.uint8)
FLAT = LEVELS.reshape(4, 6) / np.float32(255)
LABELS = np.array([7, 3, 7, 3])


def png(path: Path, levels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)
    return path


def read(*sources: Path | str, shape: tuple[int, ...] = SHAPE) -> Images:
    return read_images([str(source) for source in sources], shape)


def refusal(*sources: Path | str, shape: tuple[int, ...] = SHAPE) -> str:
    with pytest.raises(UsageError) as caught:
        read(*sources, shape=shape)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_images(images: Images, labels: list[Any] | None = None) -> None:
    assert_allclose(images.pixels, FLAT, atol=1e-7)
    assert images.pixels.dtype == np.float32
    assert (None if images.labels is None else images.labels.tolist()) == labels
    assert images.notes == ()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images.gz", "odd.png"])
def test_an_idx_file_whatever_it_is_called(tmp_path: Path, pack: Any, name: str) -> None:
    (tmp_path / name).write_bytes(pack(idx_bytes(LEVELS)))
    images = read(tmp_path / name)
    assert_images(images)
    assert images.names == ("0", "1", "2", "3")


@pytest.mark.parametrize("array", [LEVELS, LEVELS / 255, LEVELS.reshape(4, 6), FLAT.astype(np.float16)])
def test_an_npy_file(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    images = read(tmp_path / "a.npy")
    assert_allclose(images.pixels, FLAT, atol=1e-3 if array.dtype == np.float16 else 1e-7)
    assert images.labels is None
    assert_allclose(read(tmp_path / "a.npy", shape=(6,)).pixels, images.pixels)


def test_an_array_of_the_models_shape_is_one_image(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", LEVELS[1])
    assert_allclose(read(tmp_path / "a.npy").pixels, FLAT[1:2], atol=1e-7)
    np.save(tmp_path / "a.npy", FLAT[2])
    assert_allclose(read(tmp_path / "a.npy", shape=(6,)).pixels, FLAT[2:3], atol=1e-7)


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("x_test", "y_test")])
def test_an_archive_with_and_without_labels(tmp_path: Path, names: tuple[str, str]) -> None:
    np.savez(tmp_path / "a.npz", **{names[0]: LEVELS, names[1]: LABELS})
    assert_images(read(tmp_path / "a.npz"), LABELS.tolist())
    np.savez(tmp_path / "a.npz", **{names[0]: LEVELS, "energies": np.zeros(4)})
    assert_images(read(tmp_path / "a.npz"))


def test_the_archive_of_a_data_set_gives_its_test_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=LEVELS[:1], y_train=LABELS[:1], x_test=LEVELS, y_test=LABELS.astype(str))
    assert_images(read(tmp_path / "a.npz"), ["7", "3", "7", "3"])


def test_the_folder_of_a_data_set_gives_its_test_images(tmp_path: Path) -> None:
    for name, content in contents().items():
        (tmp_path / name).write_bytes(content)
    images = read(tmp_path)
    assert_allclose(images.pixels, FLAT[:2], atol=1e-7)
    assert images.labels is not None
    assert images.labels.tolist() == [7, 3]


def test_the_name_of_a_data_set_gives_its_test_images() -> None:
    digits, images = load_dataset("digits"), read("digits", shape=(8, 8))
    assert_array_equal(images.pixels, digits.test_images)
    assert_array_equal(images.labels, digits.test_labels)
    assert images.names[-1] == "499"


def test_png_files(tmp_path: Path) -> None:
    paths = [png(tmp_path / f"{i}.png", levels) for i, levels in enumerate(LEVELS)]
    images = read(*paths)
    assert_images(images)
    assert images.names == tuple(map(str, paths))
    (alone,) = read(paths[2]).pixels
    assert_allclose(alone, FLAT[2], atol=1e-7)


def test_a_folder_of_png_files(tmp_path: Path) -> None:
    for i, levels in enumerate(LEVELS):
        png(tmp_path / f"img{i}.{'PNG' if i == 3 else 'png'}", levels)
    (tmp_path / ".hidden.png").write_text("x")
    images = read(tmp_path)
    assert_images(images)
    assert images.names == ("img0.png", "img1.png", "img2.png", "img3.PNG")


def test_subfolders_are_labels(tmp_path: Path) -> None:
    for name, i in (("cat/b", 1), ("cat/a", 0), ("dog/a", 2), ("dog/b", 3)):
        png(tmp_path / f"{name}.png", LEVELS[i])
    (tmp_path / "empty").mkdir()
    images = read(tmp_path)
    assert_images(images, ["cat", "cat", "dog", "dog"])
    assert images.names == ("cat/a.png", "cat/b.png", "dog/a.png", "dog/b.png")


def test_what_is_done_to_images_is_noted(tmp_path: Path) -> None:
    png(tmp_path / "x" / "a.png", LEVELS[0])
    png(tmp_path / "x" / "b.png", np.stack([LEVELS[1], LEVELS[1], LEVELS[2]], axis=-1))
    (tmp_path / "x" / "readme.txt").write_text("hello")
    (tmp_path / "x" / "c.jpg").write_text("hello")
    assert (
        read(tmp_path).notes
        == read(tmp_path / "x").notes
        == (
            "Images with colours, which were turned into grey (ITU-R BT.601): 1 of 2.",
            "Files left out, since they are no PNG files: 2.",
        )
    )


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"x": np.full((2, 2, 3), np.nan)}, "contain NaN or infinite pixels; every pixel must lie in [0, 1]"),
        ({"x": np.full((2, 2, 3), -0.5)}, "are floats in [-0.5, -0.5]; they must lie in [0, 1]"),
        ({"x": LEVELS.astype(float)}, "are floats in [0.0, 230.0]; they must lie in [0, 1]"),
        ({"x": LEVELS.astype(int) + 100}, "are integers in [100, 330]; they must lie in 0..255"),
        ({"x": LEVELS[:0]}, "are empty (shape [0, 2, 3]); at least one image is needed"),
        ({"x": LEVELS.reshape(4, 3, 2)}, "have shape [3, 2]; the model takes [2, 3]"),
        ({"x": LEVELS[..., None]}, "have shape [2, 3, 1]; the model takes [2, 3]"),
        ({"x": np.zeros((4, 5))}, "have shape [5]; the model takes [2, 3]"),
        ({"x": LEVELS.astype(str)}, "they must be floats, integers or booleans"),
        ({"x": LEVELS, "y": LABELS[:3]}, "are 3 for 4 images; there must be one for each image"),
        ({"x": LEVELS, "y": LABELS + 0.5}, "contain 7.5; they must be integers or text"),
        (
            {"x": LEVELS, "images": LEVELS},
            "images under one of the names x, images, x_test, or else x_train (with",
        ),
        ({"pixels": LEVELS}, "it holds 'pixels'"),
        ({"x": np.array([None])}, "it holds Python objects, which are never loaded"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], expected: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    assert expected in refusal(path)
    assert repr(str(path)) in refusal(path)


def test_other_images_of_a_flat_model_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", LEVELS)
    assert refusal(tmp_path / "a.npy", shape=(5,)).endswith("have shape [2, 3]; the model takes [5]")


def test_other_data_sets_are_refused() -> None:
    assert refusal("digits") == "the test images of digits have shape [8, 8]; the model takes [2, 3]"


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    message = refusal(tmp_path / "a.jpg")
    assert (
        "holds no images that can be read; images must be an IDX file, an .npz or .npy file, PNG files" in message
    )


@pytest.mark.parametrize("content", [b"PK\3\4 and no more", b"\x93NUMPY and no more", b"\0\0\x08\3", b"\x1f\x8b\0"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert str(tmp_path / "a") in refusal(tmp_path / "a")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").startswith(
        f"there is no data set, file or folder {str(tmp_path / 'none')!r}; "
    )
    assert refusal("").startswith("there is no data set, file or folder ''; images must be an IDX file")
    here = png(tmp_path / "a.png", LEVELS[0])
    assert (
        refusal(here, tmp_path / "b.png") == f"cannot read {str(tmp_path / 'b.png')!r}: No such file or directory"
    )
    assert refusal(here, tmp_path) == f"cannot read {str(tmp_path)!r}: Is a directory"


def test_several_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", LEVELS)
    assert "a.npy' is no PNG file: give PNG files only, or one file of arrays" in refusal(
        tmp_path / "a.npy", tmp_path / "a.npy"
    )


def test_images_beside_the_folders_of_classes_have_no_label(tmp_path: Path) -> None:
    png(tmp_path / "z.png", LEVELS[0])
    png(tmp_path / "cat" / "a.png", LEVELS[1])
    images = read_images([str(tmp_path)], SHAPE)
    assert images.names == ("z.png", "cat/a.png")
    assert images.labels is not None
    assert images.labeled is not None
    assert (images.labels.tolist(), images.labeled.tolist()) == (["", "cat"], [1])


def test_the_training_images_of_an_archive_are_taken_where_it_has_no_others(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=LEVELS, y_train=np.arange(len(LEVELS)))
    images = read_images([str(tmp_path / "a.npz")], SHAPE)
    assert images.labels is not None
    assert images.labels.tolist() == list(range(len(LEVELS)))
    np.savez(tmp_path / "b.npz", x_train=LEVELS, x_test=LEVELS[:1])
    assert len(read_images([str(tmp_path / "b.npz")], SHAPE).pixels) == 1


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"the folder {str(tmp_path)!r} holds no PNG files, and no subfolder of it does"


def test_a_folder_with_one_wrong_image_is_refused(tmp_path: Path) -> None:
    png(tmp_path / "a.png", LEVELS[0])
    (tmp_path / "b.png").write_text("hello")
    assert f"the file {str(tmp_path / 'b.png')!r} is no PNG file" in refusal(tmp_path)


@pytest.fixture
def unlabeled(tmp_path: Path) -> Images:
    np.save(tmp_path / "a.npy", LEVELS)
    return read(tmp_path / "a.npy")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_labels_from_an_idx_file(tmp_path: Path, unlabeled: Images, pack: Any) -> None:
    (tmp_path / "labels").write_bytes(pack(idx_bytes(LABELS.astype(np.uint8))))
    assert_images(with_labels_of(unlabeled, tmp_path / "labels"), LABELS.tolist())


def test_labels_from_an_npy_file(tmp_path: Path, unlabeled: Images) -> None:
    np.save(tmp_path / "y.npy", np.array(["cat", "dog", "cat", "dog"]))
    assert_images(with_labels_of(unlabeled, tmp_path / "y.npy"), ["cat", "dog", "cat", "dog"])


def test_images_with_minus_one_have_no_label_unless_it_is_a_class(unlabeled: Images) -> None:
    images = replace(unlabeled, labels=np.array([7, -1, 3, -1]))
    some = with_missing_labels(images, (3, 7))
    assert some.labels is not None
    assert some.labels.tolist() == ["7", "", "3", ""]
    assert some.labeled is not None
    assert some.labeled.tolist() == [0, 2]
    assert with_missing_labels(images, (-1, 3, 7)) is images
    assert with_missing_labels(unlabeled, (3, 7)) is unlabeled
    known = replace(unlabeled, labels=np.array([7, 7, 3, 3]))
    assert with_missing_labels(known, (3, 7)) is known
    none = with_missing_labels(replace(unlabeled, labels=np.full(4, -1)), (3, 7))
    assert (none.labels, none.labeled) == (None, None)


def test_wrong_labels_are_refused(tmp_path: Path, unlabeled: Images) -> None:
    path = tmp_path / "y.npy"
    with pytest.raises(UsageError, match=r"^cannot read the labels file '.*y\.npy': No such file or directory$"):
        with_labels_of(unlabeled, path)
    np.save(path, LABELS[:3])
    with pytest.raises(UsageError, match="are 3 for 4 images; there must be one for each image"):
        with_labels_of(unlabeled, path)
    path.write_bytes(idx_bytes(LEVELS))
    with pytest.raises(UsageError, match=r"^the labels file '.*' has 3 dimensions; it must have 1$"):
        with_labels_of(unlabeled, path)
    labeled = Images(unlabeled.pixels, unlabeled.names, LABELS)
    with pytest.raises(UsageError, match="is not needed: the images come with labels of their own"):
        with_labels_of(labeled, path)


def test_labels_are_found_among_the_classes_by_name() -> None:
    assert class_indices(np.array([7, 3, 7]), (3, 5, 7)).tolist() == [2, 0, 2]
    assert class_indices(np.array(["7", "3"]), (3, 5, 7)).tolist() == [2, 0]
    assert class_indices(np.array([7]), ("3", "7")).tolist() == [1]
    assert class_indices(np.array(["dog", "cat"]), ("cat", "dog")).tolist() == [1, 0]


def test_labels_that_are_no_class_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        class_indices(np.array([7, 4, 10]), (3, 7))
    assert str(caught.value) == "labels that are no class of the model: '10', '4'; its classes are 3, 7"
    with pytest.raises(UsageError, match=r"its classes are 0, 1, .*, 19, \.\.\.$"):
        class_indices(np.array([-1]), range(21))
