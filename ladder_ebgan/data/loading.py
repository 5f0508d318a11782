"""A data set by its name, or from a folder of PNG or IDX files or an .npz archive."""

import difflib
import hashlib
import re
from importlib import resources
from pathlib import Path

from ladder_ebgan.data.dataset import Dataset, RawArrays, make_dataset
from ladder_ebgan.data.idx import IDX_FILES, decompressed, parse_idx, read_idx_folder
from ladder_ebgan.data.npz import read_npz
from ladder_ebgan.data.png_folders import has_pngs, read_png_folder
from ladder_ebgan.data.tables import is_table
from ladder_ebgan.errors import MachineError, UsageError

DATASET_NAMES = {
    "mnist": "MNIST: 60,000 + 10,000 handwritten digits, 28 x 28 (LeCun, Cortes and Burges 1998); packaged",
    "digits": "scikit-learn's digits: 1,297 + 500 handwritten digits, 8 x 8 (Alpaydin and Kaynak 1998)",
}

_MNIST_SHA256 = {  # of the files as published, uncompressed
    "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_dataset(name_or_path: str, without_labels: bool = False) -> Dataset:
    """Load a data set by name (see DATASET_NAMES) or path; a name wins over a path of that name.

    With `without_labels` the images of a path need none, as those of a GAN.

    Raises UsageError for whatever is wrong with the name, the files or what they hold.
    """
    if name_or_path == "mnist":
        return make_dataset("mnist", DATASET_NAMES["mnist"], _packaged_mnist(), "mnist")
    if name_or_path == "digits":
        return make_dataset("digits", DATASET_NAMES["digits"], _sklearn_digits(), "digits")
    path = Path(name_or_path)
    try:
        if not name_or_path or not path.exists():
            raise _unknown(name_or_path)
        source = repr(name_or_path)
        if path.is_dir():
            of_pngs = not any(path.glob("t10k-images*")) and has_pngs(path)
            kind, arrays = ("PNG", read_png_folder(path)) if of_pngs else ("IDX", read_idx_folder(path))
            return make_dataset(short_name(path), f"{kind} files of {source}", arrays, source, without_labels)
        if is_table(name_or_path):
            raise UsageError(
                f"{source} is a table, which has no images: 'ladder-ebgan run' and 'data describe' take it, with "
                "--label-column NAME"
            )
        if path.is_file():
            arrays = read_npz(path, without_labels)
            return make_dataset(short_name(path), f"arrays of {source}", arrays, source, without_labels)
    except MemoryError as error:
        raise MachineError(f"{name_or_path!r} does not fit into memory: give fewer or smaller images") from error
    except OSError as error:
        where = error.filename or name_or_path
        raise UsageError(f"cannot read {str(where)!r}: {error.strerror or error}") from error
    raise UsageError(
        f"{source} is neither a folder nor a file; data must be a folder of PNG or IDX files, or an .npz archive"
    )


def _unknown(name: str) -> UsageError:
    close = difflib.get_close_matches(name.lower(), DATASET_NAMES, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UsageError(
        f"there is no data set or path {name!r}; names are {', '.join(DATASET_NAMES)}; "
        f"a path must be an existing folder of PNG or IDX files, or an .npz archive{hint}"
    )


def short_name(path: Path) -> str:
    """Return the last part of a path, reduced to what is safe in the name of a folder."""
    named = path if path.name not in {"", ".."} else path.resolve()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", named.name if path.is_dir() else named.stem).strip("-.") or "data"
    return f"own-{plain}" if plain in DATASET_NAMES else plain  # so that no other data passes for MNIST


def _packaged_mnist() -> RawArrays:
    return RawArrays(*(parse_idx(_packaged_file(stem, rank), rank, stem) for stem, rank in IDX_FILES))


def _packaged_file(stem: str, n_dimensions: int) -> bytes:
    file_name = f"{stem}-idx{n_dimensions}-ubyte.gz"
    try:
        compressed = resources.files("ladder_ebgan.data").joinpath("mnist", file_name).read_bytes()
        content = decompressed(compressed, file_name)
        if hashlib.sha256(content).hexdigest() == _MNIST_SHA256[stem]:
            return content
        problem = "its checksum is wrong"
    except (OSError, UsageError) as error:
        problem = str(error)
    raise UsageError(f"the installed file {file_name} of mnist is damaged ({problem}); reinstall ladder-ebgan")


def _sklearn_digits() -> RawArrays:
    # Imported here: scikit-learn takes longer to import than everything else in this package together.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.images / 16, digits.target, test_size=500, random_state=0, stratify=digits.target
    )
    return RawArrays(train_images, train_labels, test_images, test_labels)
