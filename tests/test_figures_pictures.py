from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawing import catch_figures, is_whole
from matplotlib.figure import Figure

from ladder_ebgan.report.figures import generated_images, labeled_images, sheet
from ladder_ebgan.report.figures.sheet import PAGE_HEIGHT, Sheet, fitting_scale, is_picture, pictures

SHAPES = [(8, 8), (28, 28), (20, 36), (8, 200), (200, 8), (64, 64), (32, 32, 3), (1, 1)]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return catch_figures(monkeypatch, sheet)


def paper(figure: Figure) -> np.ndarray:
    """The pixels of a sheet."""
    (axes,) = figure.axes
    return np.asarray(axes.images[0].get_array())


def written(figure: Figure) -> dict[str, tuple[float, float]]:
    """The words on a sheet: where each begins, and the row of its middle."""
    return {text.get_text(): text.get_position() for text in figure.axes[0].texts}


def note(figure: Figure) -> str:
    (text,) = [text for text in figure.texts if text is not figure._suptitle]
    return str(text.get_text()).replace("\n", " ")


def grey(images: np.ndarray) -> np.ndarray:
    """Images of one channel in [0, 1] as they should be printed."""
    return np.repeat(np.rint(255 * images).astype(int)[..., None], 3, axis=-1)


@pytest.mark.parametrize(
    ("shape", "can"), [((28, 28), True), ((8, 8, 1), True), ((8, 8, 3), True), ((8, 8, 2), False), ((64,), False)]
)
def test_what_can_be_shown(shape: tuple[int, ...], can: bool) -> None:
    assert is_picture(shape) == can


def test_one_channel_is_grey_and_three_are_colours() -> None:
    images = np.array([[0.0, 1.0, 0.5]])
    assert pictures(images, (1, 3))[0, 0].tolist() == [[0] * 3, [255] * 3, [128] * 3]
    assert pictures(images, (1, 3, 1))[0, 0].tolist() == [[0] * 3, [255] * 3, [128] * 3]
    assert pictures(images, (1, 1, 3))[0, 0].tolist() == [[0, 255, 128]]
    assert pictures(np.array([[0, 255, 128]], np.uint8), (1, 1, 3))[0, 0].tolist() == [[0, 255, 128]]
    assert pictures(np.zeros((0, 6)), (2, 3)).shape == (0, 2, 3, 3)


def test_large_images_are_reduced_to_means() -> None:
    """129 pixels are one too many: 2 x 2 squares become one, and at the odd edge what there is."""
    image = np.zeros((129, 2))
    image[:2] = [[1.0, 0.0], [1.0, 1.0]]
    image[128] = [0.0, 1.0]
    reduced = pictures(image.reshape(1, -1), (129, 2))
    assert reduced.shape == (1, 65, 1, 3)
    assert reduced[0, [0, 1, 64], 0, 0].tolist() == [191, 0, 128]  # 3/4, nothing and 1/2 of 255, rounded
    assert pictures(image[:128].reshape(1, -1), (128, 2)).shape == (1, 128, 2, 3)


@pytest.mark.parametrize(
    ("sizes", "scale"), [((75, 1.0), 2), ((76, 1.0), 1), ((1, 1.0), 12), ((500, 1.0), 1), ((25, 1.0, 50, 1.0), 3)]
)
def test_the_scale_is_the_largest_that_fits(sizes: tuple[Any, ...], scale: int) -> None:
    """At 150 dots an inch."""
    assert fitting_scale(*sizes) == scale


def test_a_pixel_of_an_image_is_a_square_of_screen_pixels(tmp_path: Path) -> None:
    """Scale 3: the one black pixel of the sheet is 3 x 3 dark pixels of the PNG, and nothing between the two."""
    from matplotlib.image import imread

    paper = Sheet(9, 300, 3)
    paper.put(np.zeros((1, 1, 1, 3), np.uint8), 4, 100, 1)
    paper.save(tmp_path / "sheet", "", "")
    dark = np.argwhere(imread(tmp_path / "sheet.png")[..., 0] < 1)
    assert len(dark) == 9
    assert (np.ptp(dark, axis=0) == 2).all()


def test_notes_stay_inside_the_sheet(drawn: list[Figure], tmp_path: Path) -> None:
    Sheet(1, 1, 1).save(tmp_path / "sheet", "A title", "The first 10 of each class, of up to 12. " * 12)
    (figure,) = drawn
    figure.draw_without_rendering()
    for text in figure.texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
        assert 0 < box.y0 < box.y1 <= figure.bbox.height
    title, below = (text.get_window_extent() for text in figure.texts)
    assert below.y1 < title.y0
    assert below.y0 > figure.axes[0].get_window_extent().y1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_replicas", [1, 15])
def test_generated_images_keep_to_a_page(
    shape: tuple[int, ...], n_replicas: int, drawn: list[Figure], tmp_path: Path
) -> None:
    images = np.random.default_rng(0).random((n_replicas, 20, int(np.prod(shape))))
    generated_images(images, shape, [f"seed {seed}" for seed in range(n_replicas)], tmp_path / "g", "A title")
    width, height = drawn[0].get_size_inches()
    assert width <= 9.5
    assert height <= PAGE_HEIGHT + 1
    n_shown = len(written(drawn[0]))
    assert note(drawn[0]) == ("" if n_shown == n_replicas else f"The first {n_shown} of {n_replicas} seeds.")


def test_generated_images_stand_beside_their_seed(drawn: list[Figure], tmp_path: Path) -> None:
    """Two replicas of two 3 x 4 images, two pixels apart."""
    images = np.random.default_rng(0).random((2, 2, 12))
    generated_images(images, (3, 4), ["seed 7", "seed 12"], tmp_path / "g", "A title")
    shown, words = paper(drawn[0]), written(drawn[0])
    expected, left, block = grey(images.reshape(2, 2, 3, 4)), shown.shape[1] - 12, len(shown) // 2
    for replica in range(2):
        for number in range(2):
            row, column = replica * block, left + number * 6
            np.testing.assert_array_equal(shown[row : row + 3, column : column + 4], expected[replica, number])
            shown[row : row + 3, column : column + 4] = 255
        assert words[["seed 7", "seed 12"][replica]] == (-0.5, replica * block + 2.0)
    assert (shown == 255).all()
    assert drawn[0].get_suptitle() == "A title"


def test_many_images_are_a_block_of_lines_in_order(drawn: list[Figure], tmp_path: Path) -> None:
    """23 images of one pixel: two lines of 12, the last place blank; pixels stand three apart."""
    images = np.arange(1.0, 24.0).reshape(1, 23, 1) / 23
    generated_images(images, (1, 1), ["seed 0"], tmp_path / "g", "A title")
    shown = paper(drawn[0])[0:6:3, -36::3, 0]
    np.testing.assert_array_equal(shown.ravel(), [*np.rint(255 * images.ravel()), 255])


def labeled(n_seeds: int, n_classes: int, a_class: int, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """Draw labelled images, `a_class` of each class and seed, shuffled, and return all training images."""
    rng = np.random.default_rng(0)
    n = n_classes * a_class * n_seeds
    images, labels = rng.random((n, int(np.prod(shape)))), np.arange(n) % n_classes
    of_seed = np.arange(n).reshape(n_seeds, -1)
    indices = rng.permuted(of_seed, axis=1)
    names, seeds = [f"name {index}" for index in range(n_classes)], [f"seed {10 + i}" for i in range(n_seeds)]
    labeled_images(indices, labels, images, shape, names, seeds, path, "A title")
    return np.stack([images[of[labels[of] == index]] for of in indices for index in range(n_classes)])


def test_labelled_images_are_in_the_line_of_their_class(drawn: list[Figure], tmp_path: Path) -> None:
    """Two seeds, three classes, two images of each; panels beside each other."""
    expected = grey(labeled(2, 3, 2, (5, 4), tmp_path / "l").reshape(2, 3, 2, 5, 4))
    shown, words = paper(drawn[0]), written(drawn[0])
    assert list(words) == ["seed 10", "name 0", "name 1", "name 2", "seed 11"]
    for panel, seed in enumerate(("seed 10", "seed 11")):
        left = round(words[seed][0] + 0.5)
        for index in range(3):
            top = round(words[f"name {index}"][1] + 0.5 - 2.5)
            for number in range(2):
                column = left + number * 6
                np.testing.assert_array_equal(
                    shown[top : top + 5, column : column + 4], expected[panel, index, number]
                )
                shown[top : top + 5, column : column + 4] = 255
    assert (shown == 255).all()
    assert note(drawn[0]) == "A line for each class."


def test_what_is_left_out_of_the_labelled_images_is_said(drawn: list[Figure], tmp_path: Path) -> None:
    labeled(15, 80, 12, (8, 8), tmp_path / "l")
    n_panels = sum(word.startswith("seed") for word in written(drawn[0]))
    assert note(drawn[0]) == (
        "A line for each class. The first 10 of each class, of up to 12. The first 72 of 80 classes. "
        "The first 6 of 15 panels."
    )
    assert n_panels == 6
    assert {"name 71", "seed 15"} <= set(written(drawn[0]))


def test_a_class_without_an_image_has_an_empty_line(drawn: list[Figure], tmp_path: Path) -> None:
    indices, labels = np.array([[0, 1]]), np.array([0, 2])
    labeled_images(indices, labels, np.zeros((2, 16)), (4, 4), "abc", ["seed 0"], tmp_path / "l", "")
    words = written(drawn[0])
    inked = [(paper(drawn[0])[round(words[name][1] + 0.5)] < 255).any() for name in "abc"]
    assert inked == [True, False, True]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("n_seeds", "n_classes", "a_class"), [(1, 2, 1), (15, 10, 10), (15, 26, 4)])
def test_labelled_images_keep_to_a_page(
    n_seeds: int, n_classes: int, a_class: int, shape: tuple[int, ...], drawn: list[Figure], tmp_path: Path
) -> None:
    labeled(n_seeds, n_classes, a_class, shape, tmp_path / "l")
    width, height = drawn[0].get_size_inches()
    assert width <= 9.5
    assert height <= PAGE_HEIGHT + 1
    rows = [text.get_window_extent() for text in drawn[0].axes[0].texts if text.get_text().startswith("name")]
    for above, below in pairwise(rows):
        assert below.y1 <= above.y0 or below.y0 > above.y1  # of the next row of panels


def test_sheets_are_stored(tmp_path: Path) -> None:
    labeled(2, 3, 2, (5, 4), tmp_path / "l" / "labeled")
    assert is_whole(tmp_path / "l" / "labeled")
