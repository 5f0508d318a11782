from hypothesis import given
from hypothesis import strategies as st

from ladder_ebgan.report.lines import NARROWEST, columns, hanging, p_value, plus_minus, signed


def test_a_text_hangs_below_its_beginning() -> None:
    assert hanging("ok  a  ", "one two three four five six", 20 + 7) == "ok  a  one two three four\n       five six"
    assert hanging("ok  a  ", "one two three four five six", None) == "ok  a  one two three four five six"
    assert hanging("ok  a  ", "", 40) == hanging("ok  a  ", "", None) == "ok  a"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns(("name", "n", "steps"), [("a b", 1234, 5), ("", 1, None)]) == [
        "name     n  steps",
        "a b   1234      5",
        "         1   None",
    ]
    assert columns(("name", "n"), []) == ["name  n"]


def test_a_mean_stands_beside_its_deviation() -> None:
    assert plus_minus(6.009, 0.476) == "6.01 ± 0.48"
    assert plus_minus(6.009, None) == "6.01"
    assert plus_minus(0.012345, 0.00678, ".4g", ".2g") == "0.01235 ± 0.0068"
    assert plus_minus(6.009, 0.476, ".1f") == "6.0 ± 0.5"


def test_a_p_value_has_two_digits_unless_it_is_very_small() -> None:
    assert [p_value(p) for p in (1.0, 0.0437, 0.0001, 0.00009, 0.0)] == ["1", "0.044", "0.0001", *["< 0.0001"] * 2]


def test_a_p_value_shows_on_which_side_of_the_level_it_lies() -> None:
    p_values = (0.0494, 0.0496, 0.04996, 0.05, 0.0504)
    assert [p_value(p) for p in p_values] == ["0.049", "0.0496", "0.04996", "0.05", "0.05"]


def test_a_difference_is_a_zero_only_if_it_is_one() -> None:
    differences = (-0.184, -0.005, -0.0049, 0.0013, 0.0, -0.0, 1e-17, 0.128)
    expected = ["-0.18", "-0.01", "-0.005", "+0.001", "+0.00", "+0.00", "+0.00", "+0.13"]
    assert [signed(difference) for difference in differences] == expected
    assert signed(-0.0004, 3) == "-0.0004"


@given(st.text("ab- ", max_size=80), st.integers(0, 60))
def test_every_word_stays_and_no_line_is_too_long(body: str, width: int) -> None:
    text = hanging("head: ", body, width)
    assert text.split() == ["head:", *body.split()]
    longest = max(map(len, body.split()), default=0)
    assert max(map(len, text.splitlines())) <= len("head: ") + max(width - len("head: "), NARROWEST, longest)
