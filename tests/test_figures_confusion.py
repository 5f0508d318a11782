from pathlib import Path

import numpy as np
import pytest
from drawing import catch_figures, is_whole, words
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix as reference

from ladder_ebgan.report.figures import confusion, confusion_matrix
from ladder_ebgan.report.figures.confusion import DARKEST, LIGHTEST, mean_confusion


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return catch_figures(monkeypatch, confusion)


def given_classes(*of_seeds: list[int], n_classes: int) -> np.ndarray:
    """Probabilities `[seeds, n, classes]` of models that are sure of these classes."""
    return np.eye(n_classes)[np.array(of_seeds)]


def test_counts_are_means_over_seeds() -> None:
    """Two images of class 0, one of class 1; seed 0 takes one 0 for a 1, seed 1 both, and the 1 for a 0."""
    counts = mean_confusion(given_classes([0, 1, 1], [1, 1, 0], n_classes=2), np.array([0, 0, 1]))
    assert counts.tolist() == [[0.5, 1.5], [0.5, 0.5]]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_counts_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs).T
    counts = mean_confusion(given_classes(predicted, n_classes=4), labels)
    np.testing.assert_array_equal(counts, reference(labels, predicted, labels=range(4)))


def test_colour_is_for_mistakes_and_numbers_are_for_all(drawn: list[Figure], tmp_path: Path) -> None:
    """As above, and a third class that no test image has: its row is empty, and its error unknown."""
    labels = np.array([0, 0, 1])
    confusion_matrix(
        given_classes([0, 1, 1], [1, 1, 0], n_classes=3), labels, ["no", "yes", "so"], tmp_path / "m", "A title"
    )
    axes = drawn[0].axes[0]
    colours = axes.collections[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(colours), np.eye(3, dtype=bool))
    np.testing.assert_array_equal(colours.filled(-1), [[-1, 1.5, 0], [0.5, -1, 0], [0, 0, -1]])
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0.5, 0.5): "0.5",
        (1.5, 0.5): "1.5",
        (0.5, 1.5): "0.5",
        (1.5, 1.5): "0.5",
    }
    assert axes.yaxis.get_inverted()  # the first class is in the first row
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no", "yes", "so"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["no", "yes", "so"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert axes.get_title() == "number of test images, mean over 2 seeds"
    (right,) = axes.child_axes
    assert [label.get_text() for label in right.get_yticklabels()] == ["75.0 %", "50.0 %", "–"]
    assert drawn[0].get_suptitle() == "A title"


def test_counts_of_one_seed_are_whole_and_large_ones_too(drawn: list[Figure], tmp_path: Path) -> None:
    """One seed: 3 of 24 are wrong. Two seeds that differ in one image: 10.5 is written as 10, 9.5 as 9.5."""
    labels = np.repeat([0, 1], [21, 10])
    first, second = [0] * 21 + [0] * 9 + [1], [0] * 20 + [1] + [0] * 10
    confusion_matrix(given_classes(first, n_classes=2), labels, [0, 1], tmp_path / "m", "")
    confusion_matrix(given_classes(first, second, n_classes=2), labels, [0, 1], tmp_path / "m", "")
    assert [words(figure.axes[0]) for figure in drawn] == [["21", "9", "1"], ["20", "0.5", "9.5", "0.5"]]
    assert drawn[0].axes[0].get_title() == "number of test images"


def test_of_many_classes_those_with_most_mistakes_are_shown(drawn: list[Figure], tmp_path: Path) -> None:
    """Of 40 classes the last 20 are taken for one another in pairs, and class 3 for class 30."""
    labels = np.arange(40)
    predicted = np.where(labels < 20, labels, labels ^ 1)
    predicted[3] = 30
    names = [f"class {index}" for index in labels]
    confusion_matrix(given_classes(predicted, n_classes=40), labels, names, tmp_path / "m", "")
    shown = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    expected = [index for index in labels if index >= 20 or index == 3]
    expected += [index for index in labels if index not in expected][: 30 - len(expected)]
    assert shown == [names[index] for index in sorted(expected)]
    assert drawn[0].axes[0].get_title() == "number of test images; the 30 of 40 classes with most mistakes"
    assert {label.get_rotation() for label in drawn[0].axes[0].get_xticklabels()} == {90}


def test_letters_can_be_read_on_every_colour(drawn: list[Figure], tmp_path: Path) -> None:
    """The contrast of WCAG 2.2, (L1 + 0.05) / (L2 + 0.05) of relative luminances, is 3 or more (large text: AA)."""
    labels = np.zeros(120, np.int64)
    predicted = np.repeat(np.arange(1, 16), np.arange(1, 16))
    confusion_matrix(given_classes(predicted, n_classes=16), labels, range(16), tmp_path / "m", "")
    axes = drawn[0].axes[0]
    mesh = axes.collections[0]
    colours = mesh.to_rgba(mesh.get_array()).reshape(16, 16, 4)[0, 1:, :3]
    inks = {"black": 0.0, "white": 1.0}
    assert [text.get_text() for text in axes.texts] == [str(count) for count in range(1, 16)]
    assert {text.get_color() for text in axes.texts} == set(inks)
    for colour, text in zip(colours, axes.texts, strict=True):
        pair = sorted([luminance(colour), inks[text.get_color()]])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3


def test_the_lightness_of_the_colours_falls_evenly() -> None:
    """CIE 1976 lightness, 116 Y^(1/3) - 16, stays within three units of a straight line."""
    colours = LinearSegmentedColormap.from_list("mistakes", [LIGHTEST, DARKEST])(np.linspace(0, 1, 21))[:, :3]
    lightness = np.array([116 * luminance(colour) ** (1 / 3) - 16 for colour in colours])
    np.testing.assert_allclose(lightness, np.linspace(lightness[0], lightness[-1], 21), atol=3)


def luminance(colour: np.ndarray) -> float:
    """Relative luminance of an sRGB colour in [0, 1]."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("n_classes", [2, 26])
def test_it_draws(n_classes: int, tmp_path: Path) -> None:
    """Without a single mistake, and with names that look like mathematics."""
    labels = np.arange(n_classes)
    names = [f"$\\x_{index}" for index in labels]
    confusion_matrix(given_classes(labels, n_classes=n_classes), labels, names, tmp_path / "m", "A title")
    assert is_whole(tmp_path / "m")
