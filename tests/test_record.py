import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import examples

from ladder_ebgan.errors import UsageError
from ladder_ebgan.record import parse_record

PATH = Path("run/run.json")
RIGHT: dict[str, Any] = {
    "format": 1,
    "identity": {
        "data": {"name": "digits", "fingerprint": "1f"},
        "recipe": {
            "network": {"input_noise": 0.3},
            "training": {"batch_size": 20},
            "ladder": {"n_steps": 20, "learning_rate": 0.01},
            "ebgan-ladder": None,
        },
        "precision": "float32",
    },
    "image_shape": [8, 8],
    "n_test": 500,
    "resolved": {
        "replicas_at_once": 4,
        "compiled": False,
        "n_threads": 1,
        "n_processes": 1,
        "measured": [
            {
                "n_processes": 1,
                "n_threads": 2,
                "n_replicas": 2,
                "replica_steps_per_second": 10.5,
                "busy_share": 1.0,
            }
        ],
    },
    "groups": [{"model": "ladder", "replicas": [[20, 0], [20, 1]]}],
    "starts": [
        {
            "command": ["run", "--data", "digits"],
            "time": "2025-01-01T10:00:00+00:00",
            "recipe_name": "table2",
            "overrides": ["ladder.n_steps=20"],
            "device": "a processor, 2 cores",
            "versions": {"torch": "2.13.0"},
        }
    ],
}


def changed(path: str, value: Any) -> str:
    """The record as text with something else at a path such as `groups.0.model`; KeyError: nothing there."""
    record = copy.deepcopy(RIGHT)
    part: Any = record
    *keys, last = [int(key) if key.isdecimal() else key for key in path.split(".")]
    for key in keys:
        part = part[key]
    if value is KeyError:
        del part[last]
    else:
        part[last] = value
    return json.dumps(record)


def damage(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_record(text, PATH)
    message = str(caught.value)
    assert message.startswith("run/run.json is damaged (")
    assert message.endswith("): restore it, or start anew with 'run --fresh'")
    return message


def test_a_record_is_read_as_it_is() -> None:
    assert parse_record(json.dumps(RIGHT), PATH) == RIGHT
    later = {**RIGHT, "note": "more", "identity": {**RIGHT["identity"], "more": 1}}
    assert parse_record(json.dumps(later), PATH) == later


VARIANT = {"of": "ladder", "set": ["n_steps=30", "margin.values.0=8"]}


def with_variant(variant: Any) -> str:
    recipe = {**RIGHT["identity"]["recipe"], "variants": {"long": variant}}
    return json.dumps({**RIGHT, "identity": {**RIGHT["identity"], "recipe": recipe}})


def test_a_record_may_have_variants() -> None:
    parsed = parse_record(with_variant(VARIANT), PATH)
    assert parsed["identity"]["recipe"]["variants"] == {"long": VARIANT}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (None, "identity.recipe.variants.long: "),
        ({"set": []}, "identity.recipe.variants.long.of: field required"),
        ({"of": "ladder"}, "identity.recipe.variants.long.set: field required"),
        ({**VARIANT, "of": "lader"}, "identity.recipe.variants.long.of: input should be 'ladder'"),
        ({**VARIANT, "set": "n_steps=30"}, "identity.recipe.variants.long.set: "),
        ({**VARIANT, "set": ["n_steps"]}, "variants.long: n_steps: must be key=value, for example n_steps=1000"),
        ({**VARIANT, "set": ["n_steps.x=3"]}, "variants.long: n_steps.x=3: 'n_steps' is not a section"),
        ({**VARIANT, "set": ["n_steps=true"]}, "variants.long has no number of steps"),
        ({**VARIANT, "set": ["n_steps=-5"]}, "variants.long has no number of steps"),
        ({**VARIANT, "of": "ladder-matched"}, "variants.long is of ladder-matched, which has no section"),
    ],
)
def test_a_damaged_variant_is_refused(variant: Any, expected: str) -> None:
    assert expected in damage(with_variant(variant))


def test_what_an_earlier_version_did_not_write_may_be_missing() -> None:
    earlier = copy.deepcopy(RIGHT)
    del earlier["n_test"], earlier["starts"][0]["overrides"]
    earlier["resolved"] = {"replicas_at_once": 4, "compiled": False, "n_threads": 1}
    assert parse_record(json.dumps(earlier), PATH) == earlier


NECESSARY = [
    *["identity", "identity.data", "identity.data.name", "identity.data.fingerprint", "identity.precision"],
    *["identity.recipe", "identity.recipe.network", "identity.recipe.training", "identity.recipe.ladder"],
    *["identity.recipe.ladder.n_steps", "identity.recipe.ebgan-ladder", "image_shape", "resolved", "groups"],
    *["groups.0.model", "groups.0.replicas", "starts", "starts.0.command", "starts.0.time"],
    *["starts.0.recipe_name", "starts.0.device", "starts.0.versions", "resolved.measured.0.n_threads"],
]


@pytest.mark.parametrize("path", NECESSARY)
def test_a_missing_key_is_named(path: str) -> None:
    assert f"({path}: field required)" in damage(changed(path, KeyError))


NUMBERS = [0, -1, 1.5, "1", None, True, [], 10**30]
WRONG: dict[str, list[Any]] = {
    "format": ["1", None, 1.0, []],
    "identity": [None, 3, "x", [], {}],
    "identity.data": [None, 3, "x", [], {}],
    "identity.data.name": [None, 3, []],
    "identity.data.fingerprint": [None, 3, []],
    "identity.precision": [None, 32],
    "identity.recipe": [None, 3, "x", [], {}],
    "identity.recipe.network": [None, 3, "x", []],
    "identity.recipe.training": [None, 3, "x", []],
    "identity.recipe.ladder": [3, "x", [], {}],
    "identity.recipe.ladder.n_steps": NUMBERS,
    "image_shape": [None, 3, "x", [], {}],
    "image_shape.0": NUMBERS,
    "n_test": NUMBERS,
    "resolved": [None, 3, "x", [], {"other": 1}],
    "resolved.replicas_at_once": NUMBERS,
    "resolved.compiled": [None, 0, "no"],
    "resolved.n_threads": NUMBERS,
    "resolved.n_processes": NUMBERS,
    "resolved.measured": [None, 3, [{}]],
    "resolved.measured.0.n_replicas": NUMBERS,
    "resolved.measured.0.busy_share": [-1, "x", None, float("nan"), float("inf")],
    "groups": [None, 3, "x", {}, [1], [{}]],
    "groups.0.model": [None, 3, []],
    "groups.0.replicas": [None, 3, "x", [], {}, [[20]], [[20, 0, 1]], [20, 0]],
    "groups.0.replicas.0.0": NUMBERS,
    "groups.0.replicas.0.1": [-1, 0.5, "0", None, 10**30],
    "starts": [None, 3, "x", {}, [1], [{}]],
    "starts.0.command": [None, "run", [3]],
    "starts.0.time": [None, 3, "yesterday", ""],
    "starts.0.recipe_name": [None, 3],
    "starts.0.overrides": [None, "x", [3]],
    "starts.0.device": [None, 3],
    "starts.0.versions": [None, [], {"torch": 2}],
}
CASES = [(path, value) for path, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("path", "value"), CASES, ids=[f"{path} = {str(value)[:12]}" for path, value in CASES])
def test_something_else_is_refused(path: str, value: Any) -> None:
    message = damage(changed(path, value))
    assert "it has no format" in message if path == "format" else path.partition(".")[0] in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "Expecting value"),
        ("hello", "Expecting value"),
        ("[]", "it has no format"),
        ("null", "it has no format"),
        ("3", "it has no format"),
        ('"x"', "it has no format"),
        ("NaN", "it has no format"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
        (json.dumps(RIGHT) * 2, "Extra data"),
        ("\ufeff" + json.dumps(RIGHT), "Unexpected UTF-8 BOM"),
        ('{"other": "json"}', "it has no format"),
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_record_is_refused(text: str, expected: str) -> None:
    assert f"({expected}" in damage(text)


def test_a_later_format_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        parse_record(json.dumps({**RIGHT, "format": 2}), PATH)
    assert str(caught.value) == (
        "run/run.json has format 2, and this version of ladder-ebgan knows format 1: install a later one"
    )


@examples
@given(st.integers(0, len(json.dumps(RIGHT)) - 1), st.characters(), st.booleans())
def test_a_record_with_a_letter_changed_or_cut_off_is_right_or_refused(at: int, letter: str, cut: bool) -> None:
    text = json.dumps(RIGHT)
    with suppress(UsageError):
        assert parse_record(text[:at] + ("" if cut else letter + text[at + 1 :]), PATH)["format"] == 1
