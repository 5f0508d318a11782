from pathlib import Path

import numpy as np
import pytest
from drawing import catch_figures
from matplotlib.figure import Figure
from test_figures_pictures import SHAPES, grey, note, paper, written

from ladder_ebgan.report.figures import sheet, worst_mistakes
from ladder_ebgan.report.figures.mistakes import percent, wrong_by_confidence


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return catch_figures(monkeypatch, sheet)


def test_mistakes_come_by_their_probability() -> None:
    """Image 1 is right; of the wrong ones 3 is the most certain; 0 and 2 are equally so, and stay in order."""
    certain = np.array([[0.25, 0.75], [0.1, 0.9], [0.75, 0.25], [0.05, 0.95]])
    assert wrong_by_confidence(certain, np.array([0, 1, 1, 0])).tolist() == [3, 0, 2]
    assert wrong_by_confidence(certain, np.array([1, 1, 0, 1])).tolist() == []


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (1.0, "100 %"),
        (0.99999, ">99.9 %"),
        (0.9995, ">99.9 %"),
        (0.9994, "99.9 %"),
        (0.123, "12.3 %"),
        (0.0005, "0.1 %"),
        (1e-9, "<0.1 %"),
        (0.0, "0 %"),
    ],
)
def test_a_probability_is_certain_only_if_it_is(probability: float, said: str) -> None:
    assert percent(probability) == said


def test_a_mistake_is_shown_with_both_classes_and_their_mean_probabilities(
    drawn: list[Figure], tmp_path: Path
) -> None:
    """Means over two seeds: image 0 is cat with 0.5, not dog; image 1 is dog with 0.6; image 2 is cat with 0.8."""
    first = [[0.25, 0.5, 0.25], [0.5, 0.4, 0.1], [0.9, 0.1, 0.0]]
    second = [[0.75, 0.0, 0.25], [0.1, 0.8, 0.1], [0.7, 0.1, 0.2]]
    images = np.random.default_rng(0).random((3, 12))
    labels, shape, classes = np.array([1, 1, 2]), (3, 4), ["cat", "dog", "eel"]
    certain, names = np.mean([first, second], axis=0), ["test image 0", "test image 7", "image 9"]
    worst_mistakes(certain, labels, images, shape, classes, tmp_path / "w", "A title", names, "means over 2 seeds")
    words, shown = written(drawn[0]), paper(drawn[0])
    assert list(words) == [
        *("cat: 80.0 %", "true eel: 10.0 %", "image 9"),
        *("cat: 50.0 %", "true dog: 25.0 %", "test image 0"),
    ]
    for index, word in ((2, "cat: 80.0 %"), (0, "cat: 50.0 %")):
        left = round(words[word][0] + 0.5)
        np.testing.assert_array_equal(shown[:3, left : left + 4], grey(images.reshape(3, 3, 4))[index])
        shown[:3, left : left + 4] = 255
    assert (shown == 255).all()
    assert drawn[0].get_suptitle() == "A title"
    assert note(drawn[0]) == (
        "2 mistakes on 3 test images. Bold: the predicted class and its probability; below it the true class and "
        "its probability, means over 2 seeds."
    )
    (bold,) = [text for text in drawn[0].axes[0].texts if text.get_text() == "cat: 80.0 %"]
    assert bold.get_weight() == "bold"


def test_without_a_mistake_the_sheet_says_so(drawn: list[Figure], tmp_path: Path) -> None:
    for means in ("", "means over 3 seeds"):
        few = (np.eye(2), np.array([0, 1]), np.zeros((2, 4)), (2, 2), "ab")
        worst_mistakes(*few, tmp_path / "w", "", ["a", "b"], means)
    assert [note(figure) for figure in drawn] == [
        "None on 2 test images, by the largest probability.",
        "None on 2 test images, by the largest probability, means over 3 seeds.",
    ]
    assert [written(figure) for figure in drawn] == [{}, {}]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["{}", "one of several long words {}"])
def test_words_and_images_do_not_meet(
    name: str, shape: tuple[int, ...], drawn: list[Figure], tmp_path: Path
) -> None:
    classes = [name.format(index) for index in range(12)]
    images = np.random.default_rng(0).random((300, int(np.prod(shape))))
    wrong, names = np.tile([0.0001] * 11 + [0.9989], (300, 1)), [f"test image {i}" for i in range(300)]
    worst_mistakes(wrong, np.arange(300) % 11, images, shape, classes, tmp_path / "w", "", names, "")
    width, height = drawn[0].get_size_inches()
    assert width <= 9.6
    assert height <= 11
    drawn[0].draw_without_rendering()
    boxes = [text.get_window_extent() for text in drawn[0].axes[0].texts]
    n_shown = len(boxes) // 3
    assert note(drawn[0]).startswith(f"The {n_shown} most certain of 300 mistakes on 300 test images. ")
    for number, box in enumerate(boxes):
        assert box.x1 <= drawn[0].bbox.width
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
