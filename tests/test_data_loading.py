import gzip
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ladder_ebgan.data import DATASET_NAMES, Dataset, load_dataset
from ladder_ebgan.data import loading as loading_module
from ladder_ebgan.data.idx import parse_idx
from ladder_ebgan.errors import UsageError

IMAGES = (np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 10).astype(np.uint8)
LABELS = np.array([7, 3, 7, 3], dtype=np.uint8)
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_bytes(array: Any) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def contents() -> dict[str, bytes]:
    """The four files of a valid folder: four training and two test images of 2 x 3 pixels."""
    return dict(zip(NAMES, map(idx_bytes, (IMAGES, LABELS, IMAGES[:2], LABELS[:2])), strict=True))


def write_folder(folder: Path, changed: dict[str, bytes] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in (contents() | (changed or {})).items():
        (folder / name).write_bytes(content)
    return folder


def npz_arrays(**changed: Any) -> dict[str, Any]:
    return {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:2], "y_test": LABELS[:2]} | changed


def test_a_picture_beside_idx_files_is_left_alone(tmp_path: Path) -> None:
    expected = load_dataset(str(write_folder(tmp_path / "a"))).fingerprint
    (tmp_path / "a" / "preview.png").write_bytes(b"no image of the data set")
    assert load_dataset(str(tmp_path / "a")).fingerprint == expected


def refusal(name_or_path: str | Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_dataset(str(name_or_path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def mutated(data: st.DataObject, content: bytes) -> bytes:
    """Up to three bytes overwritten, perhaps the end cut off, perhaps something added."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(0, 3))):
        changed[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    return bytes(changed[:end]) + data.draw(st.binary(max_size=4))


def loaded_or_refused(path: Path) -> Dataset | None:
    try:
        return load_dataset(str(path))
    except UsageError as error:
        message = str(error)
    assert "\n" not in message
    return None


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return load_dataset("mnist")


# By name


def test_mnist_is_the_published_data_set(mnist: Dataset) -> None:
    """The counts of each digit, and the often quoted mean 0.1307 of the training pixels."""
    assert mnist.train_images.shape == (60_000, 784)
    assert mnist.test_images.shape == (10_000, 784)
    assert mnist.image_shape == (28, 28)
    assert mnist.classes == tuple(range(10))
    assert_array_equal(mnist.train_labels[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert (float(mnist.train_images.min()), float(mnist.train_images.max())) == (0.0, 1.0)
    assert float(mnist.train_images.mean(dtype=np.float64)) == pytest.approx(0.1307, abs=5e-5)
    assert mnist.fingerprint == "b8b5884fe2d6458f8cce484e986dc00480cb9c0d6ab60f5eaf746247ce705b84"


def test_digits_are_split_the_same_way_every_time_and_by_class() -> None:
    digits = load_dataset("digits")
    assert digits.train_images.shape == (1297, 64)
    assert digits.test_images.shape == (500, 64)
    assert digits.image_shape == (8, 8)
    assert (float(digits.train_images.min()), float(digits.train_images.max())) == (0.0, 1.0)
    assert set(np.bincount(digits.test_labels).tolist()) <= {48, 49, 50, 51}
    assert load_dataset("digits").fingerprint == digits.fingerprint


def test_every_listed_name_loads(mnist: Dataset) -> None:
    assert [mnist.name, load_dataset("digits").name] == list(DATASET_NAMES)


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, ladder_ebgan.data; print({'torch', 'sklearn', 'pydantic', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "hint"), [("mnits", "; did you mean 'mnist'?"), ("MNIST", "'mnist'"), ("cifar", ""), ("", "")]
)
def test_an_unknown_name_is_answered_with_the_names(name: str, hint: str) -> None:
    message = refusal(name)
    assert message.startswith(f"there is no data set or path {name!r}; ")
    assert hint in message
    assert "names are mnist, digits; a path must be an existing folder" in message
    assert ("did you mean" in message) == bool(hint)


@pytest.mark.parametrize("path", ["no\0where", "x" * 5000, "new\nline"])
def test_impossible_paths_are_refused(path: str) -> None:
    assert refusal(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (b"\x1f\x8b broken", "cannot be decompressed"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0), "its checksum is wrong"),
        (idx_bytes(IMAGES)[:10], "its checksum is wrong"),
    ],
)
def test_a_damaged_installation_says_so(
    content: bytes | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnist").mkdir()
    if content is not None:
        (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(content)
    monkeypatch.setattr(loading_module.resources, "files", lambda _package: tmp_path)
    message = refusal("mnist")
    assert message.startswith("the installed file train-images-idx3-ubyte.gz of mnist is damaged")
    assert expected in message
    assert message.endswith("reinstall ladder-ebgan")


# A folder of IDX files


def test_a_folder_in_either_spelling_compressed_or_not_is_the_same_data_set(tmp_path: Path) -> None:
    plain = write_folder(tmp_path / "plain")
    spellings = [lambda name: f"{name}.gz", lambda name: name.replace("-idx", ".idx")]
    folders = [plain]
    for number, spelling in enumerate([*spellings, lambda name: f"{name.replace('-idx', '.idx')}.gz"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, content in contents().items():
            spelled = spelling(name)
            (folder / spelled).write_bytes(gzip.compress(content) if spelled.endswith("gz") else content)
        folders.append(folder)
    loaded = [load_dataset(str(folder)) for folder in folders]
    assert {dataset.fingerprint for dataset in loaded} == {loaded[0].fingerprint}
    assert [dataset.name for dataset in loaded] == ["plain", "0", "1", "2"]
    assert_array_equal(loaded[0].train_images, IMAGES.reshape(4, 6) / np.float32(255))
    assert_array_equal(loaded[0].test_labels, [1, 0])
    assert loaded[0].image_shape == (2, 3)


def test_a_file_is_taken_for_what_it_holds_whatever_its_name_says(tmp_path: Path) -> None:
    """Browsers decompress downloads and keep the name."""
    folder = write_folder(tmp_path)
    (folder / NAMES[0]).rename(folder / f"{NAMES[0]}.gz")
    (folder / NAMES[1]).write_bytes(gzip.compress(contents()[NAMES[1]]))
    assert len(load_dataset(str(folder)).train_images) == 4


@pytest.mark.parametrize(
    ("path", "name"),
    [(".", "kinds of-kana"), ("..", "up"), ("../kinds of-kana", "kinds of-kana"), ("../été/", "été")],
)
def test_the_name_is_the_last_part_of_the_path_made_plain(
    path: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "up" / "kinds of-kana"
    for place in (tmp_path / "up", folder, tmp_path / "up" / "été"):
        place.mkdir()
        write_folder(place)
    monkeypatch.chdir(folder)
    assert load_dataset(path).name == name.replace(" ", "-").replace("été", "t")


def test_a_path_without_a_plain_character_still_has_a_name(tmp_path: Path) -> None:
    assert load_dataset(str(write_folder(tmp_path / "数字"))).name == "data"


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / NAMES[1]).unlink()
    (folder / NAMES[3]).unlink()
    message = refusal(folder)
    assert f"{str(folder)!r} lacks {NAMES[1]}, {NAMES[3]}; it must hold four IDX files" in message
    assert "train-images.idx3-ubyte.gz" in message


GOOD = idx_bytes(IMAGES)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "begins with the bytes (none); right would be 00 00 08 03"),
        (b"PK\x03\x04", "is not an IDX file: it begins with the bytes 50 4b 03 04"),
        (GOOD[:9], "is cut short: expected a header of 16 bytes, found 9 in all"),
        (b"\0\0\x0d\x03" + GOOD[4:], "has elements of type 0x0d; it must have unsigned bytes, 0x08"),
        (b"\0\0\x08\x01" + GOOD[4:], "has 1 dimensions; it must have 3"),
        (GOOD[:-1], "is cut short: expected 40 bytes for 4 x 2 x 3 elements, found 39"),
        (GOOD + b"\0", "is too long: expected 40 bytes for 4 x 2 x 3 elements, found 41"),
        (GOOD[:4] + b"\xff" * 12 + GOOD[16:], f"expected {16 + (2**32 - 1) ** 3} bytes"),
        (GOOD[:4] + b"\0" * 4 + b"\xff" * 8, "is empty (0 x 4294967295 x 4294967295)"),
        (gzip.compress(GOOD, mtime=0)[:-9], "is damaged and cannot be decompressed"),
        (gzip.compress(GOOD, mtime=0)[:2], "is damaged and cannot be decompressed"),
        (gzip.compress(GOOD, mtime=0)[:12] + b"\xff" * 8 + gzip.compress(GOOD, mtime=0)[20:], "is damaged"),
        (gzip.compress(GOOD, mtime=0) + b"trailing", "is damaged"),
    ],
)
def test_a_bad_idx_file_is_refused_by_name(content: bytes, expected: str, tmp_path: Path) -> None:
    message = refusal(write_folder(tmp_path, {NAMES[2]: content}))
    assert message.startswith(f"the file {str(tmp_path / NAMES[2])!r} ")
    assert expected in message


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    message = refusal(write_folder(tmp_path, {NAMES[1]: idx_bytes(LABELS[:3])}))
    assert "the training labels are 3 for 4 images" in message


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_whatever_becomes_of_an_idx_folder_it_loads_or_is_refused(data: st.DataObject) -> None:
    """Bytes overwritten, cut off or added, before or after compression: never an error of another kind."""
    name = data.draw(st.sampled_from(NAMES))
    content = contents()[name]
    if data.draw(st.booleans()):
        content = gzip.compress(content, mtime=0)
    with tempfile.TemporaryDirectory() as folder:
        loaded = loaded_or_refused(write_folder(Path(folder), {name: mutated(data, content)}))
    if loaded is not None:
        assert loaded.n_features == 6
        assert (len(loaded.train_images), len(loaded.test_images)) == (4, 2)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_parsing_undoes_writing(sizes: list[int], random: Any) -> None:
    array = np.array([random.randrange(256) for _ in range(int(np.prod(sizes)))], dtype=np.uint8).reshape(sizes)
    assert_array_equal(parse_idx(idx_bytes(array), len(sizes), "it"), array)


# An .npz archive


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_is_read_whatever_else_it_holds(save: Any, tmp_path: Path) -> None:
    save(tmp_path / "small.npz", extra=np.zeros(3), **npz_arrays())
    loaded = load_dataset(str(tmp_path / "small.npz"))
    assert loaded.name == "small"
    assert loaded.fingerprint == load_dataset(str(write_folder(tmp_path / "folder"))).fingerprint


def test_text_labels_come_out_of_an_archive(tmp_path: Path) -> None:
    names = np.array(["shoe", "bag", "shoe", "bag"])
    np.savez(tmp_path / "a", **npz_arrays(y_train=names, y_test=names[:2]))
    assert load_dataset(str(tmp_path / "a.npz")).classes == ("bag", "shoe")


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=IMAGES, labels=LABELS, y_test=LABELS)
    assert "lacks y_train, x_test; it must hold" in refusal(tmp_path / "a.npz")
    assert "and holds 'labels', 'x_train', 'y_test'" in refusal(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    assert refusal(tmp_path / "empty.npz").endswith("and holds nothing")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **npz_arrays(y_train=np.array([7, "a", None, 3], dtype=object)))
    assert "it holds Python objects, which are never loaded" in refusal(tmp_path / "a.npz")


def test_a_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("y_test.npy", "3, 7, 3, 7")
    assert "y_test of the archive" in refusal(tmp_path / "a.npz")
    assert "is not an array" in refusal(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"1,2,3\n", idx_bytes(IMAGES), b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(content)
    message = refusal(tmp_path / "data.bin")
    assert "is not an .npz archive, or not a whole one; data must be an .npz archive with x_train" in message


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_whatever_becomes_of_an_archive_it_loads_or_is_refused(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    data.draw(st.sampled_from([np.savez, np.savez_compressed]))(buffer, **npz_arrays())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(mutated(data, buffer.getvalue()))
        loaded_or_refused(path)


# What the file system refuses


@pytest.mark.parametrize(("kind", "method"), [("folder", "read_bytes"), ("a.npz", "open")])
def test_a_file_that_may_not_be_read_is_named(
    kind: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "folder")
    np.savez(tmp_path / "a.npz", **npz_arrays())

    def denied(path: Path, *_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, method, denied)
    message = refusal(tmp_path / kind)
    assert message.startswith(f"cannot read '{tmp_path / kind}")
    assert message.endswith(": Permission denied")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_neither_a_folder_nor_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is neither a folder nor a file" in refusal(tmp_path / "pipe")
