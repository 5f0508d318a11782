import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from ladder_ebgan.data.png import read_png
from ladder_ebgan.errors import UsageError

GREY = np.array([[0, 51, 102], [153, 204, 255]], dtype=np.uint8)  # 0, 0.2, ... 1
COLORED = np.stack([GREY, GREY[::-1], np.full((2, 3), 10, dtype=np.uint8)], axis=-1)
SHAPE = (2, 3)


def written(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, format="png", **options)
    return path


def grey() -> Image.Image:
    return Image.fromarray(GREY)


def refusal(path: Path, shape: tuple[int, ...] = SHAPE) -> str:
    with pytest.raises(UsageError) as caught:
        read_png(path, shape)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"the file {str(path)!r} ")


def with_alpha(alpha: int) -> Image.Image:
    image = grey().convert("RGBA")
    image.putalpha(Image.new("L", (3, 2), alpha))
    return image


@pytest.mark.parametrize(
    "image",
    [
        grey(),
        grey().convert("RGB"),
        grey().convert("P"),
        grey().convert("LA"),
        with_alpha(255),
        Image.fromarray(GREY.astype(np.uint16) * 257),
    ],
    ids=["8 bits", "grey as colours", "palette", "grey with alpha", "opaque", "16 bits"],
)
def test_grey_however_it_is_stored(tmp_path: Path, image: Image.Image) -> None:
    picture = read_png(written(tmp_path / "a.png", image), SHAPE)
    assert picture.pixels.dtype == np.float32
    assert_allclose(picture.pixels, [[0, 0.2, 0.4], [0.6, 0.8, 1]], atol=1e-6)
    assert not picture.was_colored


def test_black_and_white(tmp_path: Path) -> None:
    picture = read_png(written(tmp_path / "a.png", Image.fromarray(GREY > 110)), SHAPE)
    assert_array_equal(picture.pixels, [[0, 0, 0], [1, 1, 1]])
    assert not picture.was_colored


def test_sixteen_bits_are_not_cut_to_eight(tmp_path: Path) -> None:
    levels = np.array([[0, 1, 300], [12345, 40000, 65535]], dtype=np.uint16)
    path = written(tmp_path / "a.png", Image.fromarray(levels))
    assert_allclose(read_png(path, SHAPE).pixels, levels / 65535, rtol=1e-6)
    assert_allclose(read_png(path, (2, 3, 3)).pixels, np.stack([levels / 65535] * 3, axis=-1), rtol=1e-6)


def test_colours_become_their_luma(tmp_path: Path) -> None:
    """0.299 red + 0.587 green + 0.114 blue, rounded to a level."""
    picture = read_png(written(tmp_path / "a.png", Image.fromarray(COLORED)), SHAPE)
    assert_allclose(picture.pixels, COLORED @ [0.299, 0.587, 0.114] / 255, atol=0.51 / 255)
    assert picture.was_colored


def test_colours_stay_for_a_model_of_colours(tmp_path: Path) -> None:
    picture = read_png(written(tmp_path / "a.png", Image.fromarray(COLORED)), (2, 3, 3))
    assert_allclose(picture.pixels, COLORED / 255, rtol=1e-6)
    assert not picture.was_colored
    of_grey = read_png(written(tmp_path / "b.png", grey()), (2, 3, 3)).pixels
    assert_allclose(of_grey, np.stack([GREY] * 3, axis=-1) / 255, rtol=1e-6)


def test_the_shape_is_the_models(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", grey())
    assert read_png(path, (2, 3, 1)).pixels.shape == (2, 3, 1)
    assert_array_equal(read_png(path, (6,)).pixels, read_png(path, SHAPE).pixels.ravel())


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 2), "has 3 x 2 pixels (width x height); the model takes 2 x 3"),
        ((2, 4, 3), "has 3 x 2 pixels (width x height); the model takes 4 x 2"),
        ((7,), "has 3 x 2 = 6 pixels; the model takes 7"),
        ((2, 3, 2), "the model's images have 2 channels, and PNG files are read as 1 or 3; give an .npz file"),
    ],
)
def test_another_size_is_refused(tmp_path: Path, shape: tuple[int, ...], expected: str) -> None:
    assert refusal(written(tmp_path / "a.png", grey()), shape) == expected


@pytest.mark.parametrize(
    ("image", "options"),
    [(with_alpha(254), {}), (grey().convert("P"), {"transparency": 51}), (grey(), {"transparency": 51})],
)
def test_transparent_pixels_are_refused(tmp_path: Path, image: Image.Image, options: dict[str, Any]) -> None:
    """What they look like depends on what is behind them: black digits on nothing would all be black."""
    path = written(tmp_path / "a.png", image, **options)
    assert refusal(path) == "has transparent pixels; save it on a background, without transparency"


def test_a_transparency_that_no_pixel_has_is_none(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", grey(), transparency=7)
    assert_array_equal(read_png(path, SHAPE).pixels, GREY / np.float32(255))


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_png_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert refusal(path) == "is no PNG file: give PNG files only, or one file of arrays"


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)))
    path.write_bytes(path.read_bytes()[:50])
    assert refusal(path).startswith("is damaged (")
    assert refusal(path).endswith("); save it anew")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_gives_an_image_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    grey().save(buffer, format="png")
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.png"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        pixels = read_png(path, SHAPE).pixels
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert pixels.shape == SHAPE
        assert pixels.min() >= 0
        assert pixels.max() <= 1


def test_a_missing_file_is_the_callers_to_tell(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_png(tmp_path / "none.png", SHAPE)
