from typing import Any

import pytest

from ladder_ebgan.errors import UsageError
from ladder_ebgan.overrides import apply_changes


def tables() -> dict[str, Any]:
    return {"margin": {"values": [16, 0]}, "n_steps": 5}


def test_changes_are_made_one_after_the_other() -> None:
    changed = tables()
    changes = ["margin.values.0=8", " n_steps = 7 ", "n_steps=9", "new.deeper=[1, {a = 2}]", "word=two words"]
    apply_changes(changed, changes, "", "")
    assert changed == {
        "margin": {"values": [8, 0]},
        "n_steps": 9,
        "new": {"deeper": [1, {"a": 2}]},
        "word": "two words",
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("n_steps", "here: n_steps: must be key=value, for example a=1"),
        (" =3", "here:  =3: must be key=value, for example a=1"),
        ("n_steps.x=3", "here: n_steps.x=3: 'n_steps' is not a section of the recipe"),
        ("margin.values.2=3", "here: margin.values.2=3: '2' is no place in a list of 2, counted from 0"),
        ("margin.values.0.x=3", "here: margin.values.0.x=3: '0' is not a section of the recipe"),
    ],
)
def test_what_is_no_change_is_refused(change: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        apply_changes(tables(), [change], "here: ", "a=1")
    assert str(caught.value) == expected
