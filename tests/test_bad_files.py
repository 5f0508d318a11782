"""Data that cannot be used: one line that names the file, says what is wrong and what would be right.

Damage at random places is in test_data_loading.py; here is what people have on their disks.
"""

import bz2
import gzip
import io
import os
import re
import resource
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from refusals import refused

X = np.linspace(0, 1, 240, dtype=np.float32).reshape(30, 8)
Y = np.arange(30) % 3
RIGHT: dict[str, Any] = {"x_train": X, "y_train": Y, "x_test": X[:6], "y_test": Y[:6]}
OTHERS = {"x_train": "the training images", "x_test": "the test images"}
LABELS = {"y_train": "the training labels", "y_test": "the test labels"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def described(here: Path, name: str) -> str:
    return refused(here, "data", "describe", name)


def archive(**changed: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: array for name, array in (RIGHT | changed).items() if array is not None})
    return buffer.getvalue()


def put(array: np.ndarray, value: Any) -> np.ndarray:
    """The array with a value in the middle of it."""
    changed = array.copy()
    changed.flat[changed.size // 2] = value
    return changed


WRONG_IMAGES: dict[str, tuple[Any, str]] = {
    "NaN": (lambda x: put(x, np.nan), "contain NaN or infinite pixels; every pixel must lie in [0, 1]"),
    "infinity": (lambda x: put(x, np.inf), "contain NaN or infinite pixels; every pixel must lie in [0, 1]"),
    "a negative pixel": (lambda x: put(x, -0.5), "are floats in [-0.5, "),
    "a pixel of 1.5": (lambda x: put(x, 1.5), "1.5]; they must lie in [0, 1]"),
    "a pixel of 1e300": (lambda x: put(x.astype(float), 1e300), "1e+300]; they must lie in [0, 1]"),
    "a negative integer": (
        lambda x: put(0 * x.astype(int), -1),
        "are integers in [-1, 0]; they must lie in 0..255",
    ),
    "256": (lambda x: put(0 * x.astype(int), 256), "are integers in [0, 256]; they must lie in 0..255"),
    "integers of 0 and 1": (lambda x: (x > 0.1).astype(int), "to mean 0 and 1, store booleans or floats"),
    "none": (lambda x: x[:0], "are empty (shape [0, 8]); at least one image is needed"),
    "without pixels": (lambda x: x[:, :0], "are empty (shape ["),
    "one too few": (lambda x: x[:-1], "there must be one for each image"),
    "a single number": (lambda _: np.array(0.5), "have shape []; they must be [n, features]"),
    "a row of numbers": (lambda x: x[:, 0], "they must be [n, features], [n, height, width]"),
    "five dimensions": (lambda x: x.reshape(-1, 2, 2, 2, 1), "they must be [n, features], [n, height, width]"),
    "of another size": (lambda x: x.reshape(-1, 2, 4), "and a test image ["),
    "text": (lambda x: x.astype(str), "are of type <U32; they must be floats, integers or booleans"),
    "bytes": (lambda x: x.astype("S"), "are of type |S32; they must be floats, integers or booleans"),
    "complex": (lambda x: x.astype(complex), "are of type complex128; they must be floats"),
    "dates": (lambda x: x.astype("M8[s]"), "are of type datetime64[s]; they must be floats"),
    "a table": (lambda x: np.zeros(x.shape, [("a", "i4")]), "they must be floats, integers or booleans"),
    "Python objects": (lambda x: x.astype(object), "it holds Python objects, which are never loaded"),
    "not there": (lambda _: None, "it must hold x_train, y_train (and x_test, y_test where"),
}
WRONG_LABELS: dict[str, tuple[Any, str]] = {
    "NaN": (lambda y: put(y.astype(float), np.nan), "contain nan; they must be integers or text"),
    "infinity": (lambda y: put(y.astype(float), -np.inf), "contain -inf; they must be integers or text"),
    "a fraction": (lambda y: put(y.astype(float), 1.5), "contain 1.5; they must be integers or text"),
    "1e300": (lambda y: put(y.astype(float), 1e300), "contain 1e+300; they must be integers or text"),
    "2^64 - 1": (lambda y: put(y.astype("u8"), 2**64 - 1), "contain 18446744073709551615; integers must be below"),
    "none": (lambda y: y[:0], "are 0 for "),
    "one too few": (lambda y: y[:-1], "there must be one for each image"),
    "one too many": (lambda y: np.append(y, 0), "there must be one for each image"),
    "a single number": (lambda _: np.array(1), "have shape []; they must be [n], one label for each image"),
    "one-hot": (lambda y: np.eye(3)[y], "3]; they must be [n], one label for each image"),
    "text here, numbers there": (lambda y: y.astype(str), "they must be of one kind"),
    "bytes": (lambda y: y.astype("S"), "they must be integers or text"),
    "complex": (lambda y: y.astype(complex), "are of type complex128; they must be integers or text"),
    "dates": (lambda y: y.astype("M8[s]"), "are of type datetime64[s]; they must be integers or text"),
    "mixed": (lambda y: np.array([*y[1:].tolist(), "a"], dtype=object), "it holds Python objects, which are never"),
    "not there": (lambda _: None, "it must hold x_train, y_train (and x_test, y_test where"),
}
WRONG = [
    (part, what, change, expected)
    for parts, table in ((OTHERS, WRONG_IMAGES), (LABELS, WRONG_LABELS))
    for part in parts
    for what, (change, expected) in table.items()
]


@pytest.mark.parametrize(
    ("part", "change", "expected"),
    [(p, c, e) for p, _, c, e in WRONG],
    ids=[f"{p}: {what}" for p, what, _, _ in WRONG],
)
def test_a_wrong_array_is_refused(here: Path, part: str, change: Any, expected: str) -> None:
    (here / "mine.npz").write_bytes(archive(**{part: change(RIGHT[part])}))
    message = described(here, "mine.npz")
    assert "'mine.npz'" in message
    assert expected in message


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"y_train": 0 * Y, "y_test": 0 * Y[:6]}, "every training label is 0; there must be two classes or more"),
        ({"y_train": Y % 2}, "test labels 2 never occur in training; they must be known from it"),
        ({"y_test": Y[:6] - 1}, "test labels -1 never occur in training"),
        ({"y_train": Y.astype(str), "y_test": np.array(["a\nb\x1b[31m"] * 6)}, r"test labels 'a\nb\x1b[31m' never"),
        ({"x_train": Y, "y_train": X}, "the training images have shape [30]; they must be [n, features]"),
        ({"y_train": Y[:6], "y_test": Y}, "the training labels are 6 for 30 images"),
        ({"x_train": X[:6], "x_test": X}, "the training labels are 30 for 6 images"),
    ],
    ids=[
        "one class",
        "a class without training images",
        "negative",
        "strange text",
        "swapped",
        "y swapped",
        "x swapped",
    ],
)
def test_arrays_that_do_not_fit_are_refused(here: Path, changed: dict[str, Any], expected: str) -> None:
    (here / "mine.npz").write_bytes(archive(**changed))
    assert expected in described(here, "mine.npz")


@pytest.mark.parametrize("labels", ["2", "31", "0"])
def test_a_budget_that_does_not_fit_ones_own_data_is_refused(here: Path, labels: str) -> None:
    (here / "mine.npz").write_bytes(archive())
    message = refused(here, "run", "--data", "mine.npz", "--labels", labels)
    assert "there must be at least 3, one for each class, and at most 30" in message


def header(shape: str, kind: str = "<f4") -> bytes:
    """The beginning of an .npy file that claims a shape."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode()


def npz_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def flagged(offset_local: int, offset_central: int, value: int) -> bytes:
    """An archive with a byte of every header set, those before the members and those at the end."""
    content = archive()
    changed = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", offset_local), (b"PK\x01\x02", offset_central)):
        for found in re.finditer(mark, content):
            changed[found.start() + offset] = value
    return bytes(changed)


GOOD = archive()
NO_ARCHIVE = "is not an .npz archive, or not a whole one; data must be an .npz archive with x_train, y_train"
NO_ARCHIVES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", NO_ARCHIVE),
    "CSV": (b"1,2,3\n", NO_ARCHIVE),
    "zeros": (b"\0" * 1000, NO_ARCHIVE),
    "a pickle": (b"\x80\x04K\x01.", NO_ARCHIVE),
    "an .npy file": (header("(3,)") + b"\0" * 12, NO_ARCHIVE),
    **{f"cut to {n}": (GOOD[:n], NO_ARCHIVE) for n in (1, 4, 30, 100, len(GOOD) // 2, len(GOOD) - 1)},
    "begins too late": (GOOD[20:], "cannot be read: "),
    "a hole": (GOOD[:500] + b"\0" * 100 + GOOD[600:], "cannot be read: Bad CRC-32"),
    "another archive": (
        npz_of({"hello.txt": b"hello"}),
        "lacks x_train, y_train; it must hold x_train, y_train (and",
    ),
    "an empty archive": (npz_of({}), "and holds nothing"),
    "text in it": (npz_of({f"{name}.npy": b"no" for name in RIGHT}), "x_train of the archive"),
    "encrypted": (flagged(6, 8, 1), "is encrypted, password required for extraction; save it anew"),
    "unknown compression": (flagged(8, 10, 99), "That compression method is not supported; save it anew"),
    "pickled code": (
        npz_of({f"{n}.npy": header("(3,)", "|O") + b"cos\nsystem\n(S'false'\ntR." for n in RIGHT}),
        "it holds Python objects, which are never loaded",
    ),
    **{
        f"claims {shape}": (
            npz_of({f"{name}.npy": header(shape) + b"\0" * 100 for name in RIGHT}),
            "cannot be read: ",
        )
        for shape in (
            "(2147483648, 784)",
            "(9223372036854775807, 2)",
            "(-1, 8)",
            "('a',)",
            f"({10**30},)",
            "(50, 784)",
        )
    },
}


@contextmanager
def little_memory() -> Iterator[None]:
    """Let this process have no more than 2 GB beyond what it has, where that can be told."""
    limits, used = resource.getrlimit(resource.RLIMIT_AS), Path("/proc/self/statm")
    if used.exists():
        most = int(used.read_text().split()[0]) * resource.getpagesize() + 2**31
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize(("content", "expected"), NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_a_file_that_is_no_archive_is_refused(here: Path, content: bytes, expected: str) -> None:
    (here / "mine.npz").write_bytes(content)
    with little_memory():
        message = described(here, "mine.npz")
    assert "'mine.npz'" in message
    assert expected in message


# IDX files, damaged


IMAGES = (10 * np.arange(24)).astype(np.uint8).reshape(4, 2, 3)
DIGITS = np.array([7, 3, 7, 3], np.uint8)
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array: np.ndarray, sizes: tuple[int, ...] | None = None, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, array.ndim)) + np.array(sizes or array.shape, ">u4").tobytes() + array.tobytes()


CONTENT = (idx(IMAGES), idx(DIGITS), idx(IMAGES[:2]), idx(DIGITS[:2]))
BYTES, GZIP = CONTENT[0], gzip.compress(CONTENT[0], mtime=0)
LARGE = (2**31, 28, 28)
CUT_GZIP = (
    "is damaged and cannot be decompressed (Compressed file ended before the end-of-stream marker was reached)"
)
DAMAGED_IMAGES: dict[str, tuple[bytes, str]] = {
    **{f"cut to {n}": (BYTES[:n], "is not an IDX file: it begins with the bytes") for n in (0, 1)},
    **{f"cut to {n}": (BYTES[:n], f"expected a header of 16 bytes, found {n} in all") for n in (2, 3, 4, 8, 15)},
    **{f"cut to {n}": (BYTES[:n], f"expected 40 bytes for 4 x 2 x 3 elements, found {n}") for n in (16, 39)},
    "too long": (BYTES + b"x", "is too long: expected 40 bytes for 4 x 2 x 3 elements, found 41"),
    "2^31 images": (idx(IMAGES, LARGE), "is cut short: expected 1683627180048 bytes for 2147483648 x 28 x 28"),
    "2^31 images, gzip": (gzip.compress(idx(IMAGES, LARGE)), "expected 1683627180048 bytes"),
    "2^96 pixels": (idx(IMAGES, (2**32 - 1,) * 3), f"expected {16 + (2**32 - 1) ** 3} bytes"),
    "no images": (idx(IMAGES, (0, 2, 3)), "is empty (0 x 2 x 3); every size must be at least 1"),
    "one image more": (idx(IMAGES, (5, 2, 3)), "is cut short: expected 46 bytes for 5 x 2 x 3 elements, found 40"),
    "one image less": (idx(IMAGES, (3, 2, 3)), "is too long: expected 34 bytes for 3 x 2 x 3 elements, found 40"),
    **{f"type 0x{n:02x}": (idx(IMAGES, kind=n), f"elements of type 0x{n:02x}; it must") for n in (0, 9, 11, 13)},
    "255 dimensions": (BYTES[:3] + b"\xff" + BYTES[4:], "has 255 dimensions; it must have 3"),
    "HTML": (b"<html>not found</html>", "begins with the bytes 3c 68 74 6d; right would be 00 00 08 03"),
    "an archive": (GOOD, "begins with the bytes 50 4b 03 04; right would be 00 00 08 03"),
    "bzip2": (bz2.compress(BYTES), "begins with the bytes 42 5a 68 39; right would be 00 00 08 03"),
    **{f"gzip cut to {n}": (GZIP[:n], CUT_GZIP) for n in (2, 9, 10, 11, 30, len(GZIP) - 8, len(GZIP) - 1)},
    "gzip, a wrong checksum": (GZIP[:-8] + b"\0" * 8, "cannot be decompressed (CRC check failed"),
    "gzip, a hole": (GZIP[:12] + b"\xff" * 8 + GZIP[20:], "is damaged and cannot be decompressed"),
    "gzip and more": (GZIP + b"more", "cannot be decompressed (Not a gzipped file (b'mo')); copy it anew"),
    "gzip twice": (gzip.compress(GZIP), "begins with the bytes 1f 8b 08 00; right would be 00 00 08 03"),
}


def idx_folder(here: Path, **changed: bytes | None) -> str:
    """Write a folder of IDX files, some changed by their place in NAMES or left out."""
    (here / "mine").mkdir()
    for place, (name, content) in enumerate(zip(NAMES, CONTENT, strict=True)):
        new = changed.get(f"f{place}", content)
        if new is not None:
            (here / "mine" / name).write_bytes(new)
    return "mine"


@pytest.mark.parametrize(("content", "expected"), DAMAGED_IMAGES.values(), ids=DAMAGED_IMAGES)
def test_a_damaged_file_of_images_is_refused(here: Path, content: bytes, expected: str) -> None:
    with little_memory():
        message = described(here, idx_folder(here, f0=content))
    assert message.startswith(f"the file 'mine/{NAMES[0]}' ")
    assert expected in message


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"f0": CONTENT[1], "f1": CONTENT[0]}, "is cut short: expected a header of 16 bytes, found 12 in all"),
        ({"f0": idx(np.zeros(60, np.uint8))}, "has 1 dimensions; it must have 3"),
        ({"f1": CONTENT[0]}, "has 3 dimensions; it must have 1"),
        ({"f0": CONTENT[2], "f2": CONTENT[0]}, "the training labels are 4 for 2 images"),
        ({"f1": CONTENT[3], "f3": CONTENT[1]}, "the training labels are 2 for 4 images"),
        (
            {"f1": idx(DIGITS[[0, 1, 2, 3, 3]])},
            "the training labels are 5 for 4 images; there must be one for each",
        ),
        ({"f2": idx(IMAGES[:2, :, :2])}, "a training image has shape [2, 3] and a test image [2, 2]"),
        ({"f3": idx(DIGITS[:2] + 1)}, "test labels 4, 8 never occur in training"),
        (
            {"f1": idx(0 * DIGITS), "f3": idx(0 * DIGITS[:2])},
            "every training label is 0; there must be two classes",
        ),
        ({"f2": None}, f"lacks {NAMES[2]}; it must hold four IDX files under MNIST's names"),
        ({f"f{place}": None for place in range(4)}, f"lacks {', '.join(NAMES)}; it must hold four IDX files"),
    ],
    ids=[
        *("images for labels", "labels for images", "images as labels", "images swapped", "labels swapped"),
        *("a label too many", "other sizes", "unknown digits", "one digit", "one missing", "all missing"),
    ],
)
def test_files_that_do_not_fit_are_refused(here: Path, changed: dict[str, bytes | None], expected: str) -> None:
    assert expected in described(here, idx_folder(here, **changed))


def test_what_is_no_file_is_missing(here: Path) -> None:
    folder = here / idx_folder(here, f0=None, f1=None, f2=None)
    (folder / NAMES[0]).mkdir()
    (folder / NAMES[1]).symlink_to("nowhere")
    os.mkfifo(folder / NAMES[2])
    assert f"lacks {', '.join(NAMES[:3])}; it must hold" in described(here, "mine")


def test_data_that_do_not_fit_into_memory_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    (here / "mine.npz").write_bytes(archive())
    monkeypatch.setattr("ladder_ebgan.data.loading.make_dataset", full)
    message = refused(here, "data", "describe", "mine.npz", code=1)
    assert message == "'mine.npz' does not fit into memory: give fewer or smaller images"


@pytest.mark.parametrize(
    "name", ["a b.npz", "it's.npz", 'a"b.npz', "[bold]x.npz", "\udcff.npz", "a\nb.npz", "–.npz"]
)
def test_a_strange_name_is_no_reason_to_refuse(here: Path, name: str) -> None:
    (here / name).write_bytes(archive())
    assert "n_train       30\n" in tiny.done("data", "describe", name).stdout
    (here / name).write_bytes(b"damaged")
    assert NO_ARCHIVE in described(here, name)
