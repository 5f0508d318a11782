"""Rows of a table to be predicted: features as they are, from an .npy or .npz file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ladder_ebgan.data.dataset import label_values
from ladder_ebgan.data.images import NPZ_PAIRS, Images
from ladder_ebgan.data.npz import listed, read_archive, read_npy
from ladder_ebgan.errors import UsageError

NAMES = [*NPZ_PAIRS, *NPZ_PAIRS.values()]


def read_rows(sources: Sequence[str], n_features: int) -> Images:
    """Read the rows of a model that takes features, not pixels: nothing is divided by 255.

    Raises:
        UsageError: it is not one .npy or .npz file, or holds no finite numbers of the right shape.
    """
    right = (
        f"the model takes rows of {n_features} features: give one .npy file with an array [n, {n_features}], or an "
        f".npz file with it under {', '.join(NPZ_PAIRS)} (and labels under {', '.join(NPZ_PAIRS.values())})"
    )
    path = Path(sources[0])
    try:
        if len(sources) > 1 or not path.is_file():
            raise UsageError(f"cannot read {' '.join(sources)}: {right}")
        with path.open("rb") as file:
            is_array = file.read(6) == b"\x93NUMPY"
        arrays, present = ({"x": read_npy(path)}, {"x"}) if is_array else read_archive(path, NAMES, right)
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    found = [name for name in NPZ_PAIRS if name in arrays]
    if len(found) != 1:
        raise UsageError(f"the archive {str(path)!r} holds {listed(present)}; {right}")
    features, what = arrays[found[0]], f"the rows of {str(path)!r}"
    if features.ndim != 2 or features.shape[1] != n_features or features.dtype.kind not in "buif":
        raise UsageError(f"{what} are of type {features.dtype} and shape {list(features.shape)}; {right}")
    if not len(features) or not np.isfinite(features).all():
        raise UsageError(f"{what} are none, or have values that are missing or infinite: fill them in first")
    labels = arrays.get(NPZ_PAIRS[found[0]])
    if labels is not None:
        labels = label_values(labels, len(features), f"the labels of {str(path)!r}")
    return Images(features.astype(np.float64), tuple(map(str, range(len(features)))), labels)
