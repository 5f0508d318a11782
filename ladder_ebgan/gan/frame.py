"""Images as GANs see them: zero-padded (appendix D) and scaled to [-1, 1] (C), and the way back."""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import pad

from ladder_ebgan.errors import UsageError


def framed_size(image_shape: Sequence[int], padding: int) -> int:
    """Return the number of values of a padded image.

    Raises:
        UsageError: what has no height and width cannot be padded.
    """
    if padding and len(image_shape) < 2:
        raise UsageError(
            f"padding is {padding}, but the data has {image_shape[0]} features and no image shape: "
            "set the model's padding to 0"
        )
    height_and_width = [size + 2 * padding for size in image_shape[:2]]
    return math.prod([*height_and_width, *image_shape[2:]])


def framed(images: Tensor, image_shape: Sequence[int], padding: int) -> Tensor:
    """Return images `[..., features]` in [0, 1] as `[..., padded features]` in [-1, 1]; the padding is -1."""
    scaled = 2 * images - 1
    if not padding:
        return scaled
    channels = [0, 0] * (len(image_shape) - 2)
    padded = pad(scaled.unflatten(-1, tuple(image_shape)), [*channels, *[padding] * 4], value=-1.0)
    return padded.flatten(-len(image_shape))


def unframed(generated: Tensor, image_shape: Sequence[int], padding: int) -> Tensor:
    """Return images `[..., features]` in [0, 1], without padding, for `[..., padded features]` in [-1, 1]."""
    images = (generated + 1) / 2
    if not padding:
        return images
    height, width = image_shape[:2]
    shape = (height + 2 * padding, width + 2 * padding, *image_shape[2:])
    inner = images.unflatten(-1, shape).movedim((-len(shape), 1 - len(shape)), (0, 1))
    cut = inner[padding : padding + height, padding : padding + width]
    flat: Tensor = cut.movedim((0, 1), (-len(shape), 1 - len(shape))).flatten(-len(shape))
    return flat
