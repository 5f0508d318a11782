import errno
import subprocess
import sys
from pathlib import Path

import pytest
from drawing import is_whole
from matplotlib.figure import Figure

from ladder_ebgan.report.figures import drawing
from ladder_ebgan.report.figures.drawing import (
    counted,
    logarithmic,
    new_figure,
    printable,
    save,
    say_nothing_yet,
    stacks_of_panels,
    style_of,
)


def a_figure() -> Figure:
    figure = new_figure("A title", 6, 3, "constrained")
    axes = figure.add_subplot()
    axes.plot([1, 2], [3, 4])
    axes.fill_between([1, 2], [3, 4])  # has a clipping path with an identifier in the SVG
    return figure


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(a_figure(), tmp_path / name)
    for suffix in ("png", "svg"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_an_svg_needs_no_font_and_has_a_title_but_no_date(tmp_path: Path) -> None:
    save(a_figure(), tmp_path / "a")
    svg = (tmp_path / "a.svg").read_text()
    assert "<text" not in svg
    assert "<dc:title>A title</dc:title>" in svg
    assert "<dc:date>" not in svg


def test_a_name_with_a_dot_keeps_it(tmp_path: Path) -> None:
    save(a_figure(), tmp_path / "model-0.5")
    assert is_whole(tmp_path / "model-0.5")


def test_a_figure_replaces_the_old_one_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {tmp_path / "a.png": b"old", tmp_path / "a.svg": b"older"}
    for path, content in old.items():
        path.write_bytes(content)

    def full_disk(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            save(a_figure(), tmp_path / "a")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old
    save(a_figure(), tmp_path / "a")
    assert is_whole(tmp_path / "a")


def test_unknown_models_have_styles_of_their_own() -> None:
    models = ["ladder", "first", "second"]
    assert len({style_of(model, models) for model in models}) == 3
    assert style_of("ladder", ["first", "ladder"]) == style_of("ladder", models)


def test_no_two_styles_share_a_marker() -> None:
    """So that models can be told apart without their colours."""
    styles = [*drawing.STYLES.values(), *drawing.OTHER_STYLES]
    assert len({marker for _, marker, _ in styles}) == len(styles) == len({color for color, _, _ in styles})


def test_ten_further_models_can_be_told_apart() -> None:
    others = [f"variant-{place}" for place in range(10)]
    models = ["ladder", "ladder-matched", "ebgan-ladder", *others]
    styles = [style_of(model, models) for model in models]
    assert styles[3:6] == drawing.OTHER_STYLES
    assert len({marker for _, marker, _ in styles}) == 13
    assert len({(color, line) for color, _, line in styles[3:12]}) == 9
    assert style_of("more", [*others, "more"])[1] == styles[6][1]


def test_numbers_have_their_nouns() -> None:
    assert (counted(1, "seed"), counted(2, "seed"), counted(0, "seed")) == ("1 seed", "2 seeds", "0 seeds")


def test_names_of_classes_are_short_and_in_letters_that_the_font_has() -> None:
    """Fourteen letters stay; of more, the first eight and the last five, with a sign in between."""
    classes = [7, "honeydew-melon", "class number 12", "two\nlines  of it", "äöü $x$", "\u4e00\u4e8c", ""]
    assert printable(classes) == [
        "7",
        "honeydew-melon",
        "class nu…er 12",
        "two line…of it",
        "äöü $x$",
        "class 5",
        "class 6",
    ]


@pytest.mark.parametrize(("n_stacks", "shape"), [(0, (1, 1)), (1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (8, (3, 3))])
def test_stacks_go_on_below_when_the_page_is_full(n_stacks: int, shape: tuple[int, int]) -> None:
    """Panels of 3 inches: three fit beside each other on 9 inches."""
    figure, stacks = stacks_of_panels("t", n_stacks, 2, 3.0, 2.0)
    assert len(stacks) == max(1, n_stacks)
    rows, columns = shape
    places = [[axes.get_subplotspec().get_geometry() for axes in stack] for stack in stacks]
    for number, stack in enumerate(places):
        row, column = divmod(number, columns)
        first = (2 * row) * columns + column
        assert stack == [(2 * rows, columns, first, first), (2 * rows, columns, first + columns, first + columns)]
    assert figure.get_size_inches().tolist() == [max(5.5, 0.8 + 3.0 * columns), 1.0 + 4.0 * rows]


def test_panels_share_their_axes() -> None:
    _, ((above, below), (above2, below2)) = stacks_of_panels("t", 2, 2, 3.0, 2.0)
    above.set_ylim(0, 5)
    below.set_ylim(0, 7)
    below.set_xlim(0, 9)
    assert (above2.get_ylim(), below2.get_ylim(), above.get_xlim()) == ((0, 5), (0, 7), (0, 9))
    _, ((left,), (right,)) = stacks_of_panels("t", 2, 1, 3.0, 2.0, comparable=False)
    left.set_ylim(0, 5)
    assert right.get_ylim() == (0, 1)


@pytest.mark.parametrize(
    ("values", "ticks"), [((6.0, 20.0), [7, 10, 15, 20]), ((0.4, 60.0), [0.5, 1, 2, 5, 10, 20, 50])]
)
def test_a_logarithmic_axis_has_a_few_plain_numbers(values: tuple[float, float], ticks: list[float]) -> None:
    figure = new_figure("t", 6, 4, "constrained")
    axes = figure.add_subplot()
    axes.set_ylim(*values)
    logarithmic(axes, values)
    figure.draw_without_rendering()
    shown = [
        label.get_text() for label in axes.get_yticklabels() if values[0] <= label.get_position()[1] <= values[1]
    ]
    assert shown == [f"{tick:g}" for tick in ticks]
    assert axes.get_yticks(minor=True).tolist() == []


def test_empty_axes_say_so() -> None:
    axes = new_figure("t", 6, 4, "constrained").add_subplot()
    say_nothing_yet(axes)
    assert [text.get_text() for text in axes.texts] == ["nothing to show yet"]


def test_neither_importing_loads_matplotlib_nor_drawing_pyplot(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from ladder_ebgan.report.figures import error_by_seed; "
        "assert 'matplotlib' not in sys.modules; "
        f"error_by_seed([], pathlib.Path({str(tmp_path / 'errors')!r})); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
