import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from ladder_ebgan.report.mosaic import mosaic_png


def pixels_of(images: np.ndarray) -> np.ndarray:
    with Image.open(io.BytesIO(mosaic_png(images)), formats=["PNG"]) as image:
        return np.asarray(image)


def test_images_stand_row_by_row_with_a_gap_between() -> None:
    """Five images of 2 x 3 in a grid of 2 x 3, whose pixels are 6 x 6: 6 * (2 + 2 + 2) by 6 * (3 * 3 + 2 * 2)."""
    images = np.arange(5)[:, None, None] / 4 * np.ones((5, 2, 3))
    pixels = pixels_of(images)
    assert pixels.shape == (36, 78)
    assert pixels.dtype == np.uint8
    small = pixels[::6, ::6]
    assert_array_equal(np.kron(small, np.ones((6, 6))), pixels)
    for i in range(5):
        row, column = divmod(i, 3)
        tile = small[4 * row : 4 * row + 2, 5 * column : 5 * column + 3]
        assert_array_equal(tile, np.full((2, 3), round(255 * i / 4)))
    gap = small[2]
    assert len(np.unique(gap)) == 1
    assert_array_equal(small[4:, 10:], np.full((2, 3), gap[0]))  # where a sixth would be


def test_one_image_is_alone() -> None:
    pixels = pixels_of(np.array([[[0.0, 0.2], [0.6, 1.0]]]))
    assert_array_equal(pixels[::6, ::6], [[0, 51], [153, 255]])


def test_many_images_are_not_enlarged() -> None:
    assert pixels_of(np.zeros((900, 28, 28))).shape == (30 * 30 - 2, 30 * 30 - 2)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_channels(channels: int, mode: str) -> None:
    images = np.random.default_rng(0).random((4, 2, 3, channels))
    with Image.open(io.BytesIO(mosaic_png(images)), formats=["PNG"]) as image:
        assert image.mode == mode
        pixels = np.asarray(image).reshape(36, 48, channels)
    assert_array_equal(pixels[:12:6, :18:6], np.rint(255 * images[0]))


def test_what_is_brighter_than_white_is_white() -> None:
    images = np.array([[[-2.0, 0.5], [1.5, 1.0]]])
    assert mosaic_png(images) == mosaic_png(images.clip(0, 1))
