"""benchmarks/precision.py on run folders made by hand."""

import json
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ladder_ebgan_benchmarks import precision

from ladder_ebgan.results import Result
from ladder_ebgan.runs import RunFolder

RECIPE = {"network": {}, "training": {}, "ladder": {"n_steps": 5}, "ebgan-ladder": None}
RECORD: dict[str, Any] = {
    "format": 1,
    "identity": {
        "data": {"name": "digits", "fingerprint": "1f"},
        "recipe": RECIPE,
        "precision": "float32",
    },
    "image_shape": [8, 8],
    "resolved": {"replicas_at_once": 4, "compiled": True},
    "groups": [],
    "starts": [],
}
Errors = dict[tuple[str, int], list[float | None]]
ERRORS: Errors = {("ladder", 20): [2.0, 3.0, 4.0]}
CLOSE: Errors = {("ladder", 20): [2.0, 3.01, 4.02]}


def run(path: Path, kind: str = "float32", errors: Errors = ERRORS, **changed: Any) -> Path:
    """Write a run folder; `errors[model, labels][s]` is of seed s, 2.5 seconds a replica in float32, else 1."""
    record = deepcopy(RECORD)
    record["identity"] |= {"precision": kind, **changed.pop("identity", {})}
    record["resolved"] |= changed.pop("resolved", {})
    seconds = 2.5 if kind == "float32" else 1.0
    path.mkdir()
    folder = RunFolder(path, record)
    folder.save_record()
    folder.add_results(
        replace(
            Result(model, labels, seed, "ok", error, None, 5, seconds, "a GPU", kind, "0.2", "2.13"),
            **({"status": "diverged", "diverged_step": 3} if error is None else {}),
            **changed,
        )
        for (model, labels), cell in errors.items()
        for seed, error in enumerate(cell)
    )
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    precision.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as caught:
        precision.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    return err


def test_page_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Differences 0, 0.01, 0.02: those of the hand-worked test 0, 1, 2 of the statistics, a hundredth of them.

    Mean 0.01, s = 0.01, half width 0.01685854; with a margin of 0.04, p = 0.0175494.
    """
    first, second = run(tmp_path / "a"), run(tmp_path / "b", "bfloat16", CLOSE)
    lines = printed(capsys, first, second, "--margin", "0.04").splitlines()
    assert lines[0] == (
        "Test error on digits: bfloat16 against float32, both on a GPU, ladder-ebgan 0.2, torch 2.13; "
        "equivalent means within ±0.04 points."
    )
    assert lines[1] == lines[5] == ""
    assert lines[2:5] == [
        "| model | labels | n | float32 % | bfloat16 % | difference | sd | 90 % interval | p | equivalent "
        "| float32 s | bfloat16 s |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: | --: | :-- | --: | --: |",
        "| ladder | 20 | 3 | 3.000 | 3.010 | +0.010 | 0.010 | -0.007, +0.027 | 0.018 | yes | 2.5 | 1 |",
    ]
    assert lines[6].startswith("Equivalent in every row: yes. ")
    assert len(lines) == 7
    assert str(tmp_path) not in "\n".join(lines)


def test_rows_come_in_the_order_of_tables_and_all_must_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 20 labels the ladder's differences cross the default margin; the EBGAN-ladder's are outside it.

    0, 0.1, 0.2: s = 0.1, ratio margin / s = 1, for which 13 pairs have a power of 0.919 and 12 of 0.889.
    """
    steady: list[float | None] = [2.0, 3.0, 4.0]
    cells = [("ebgan-ladder", 20), ("ladder", 100), ("ladder", 20)]
    first = run(tmp_path / "a", errors=dict.fromkeys(cells, steady))
    errors: Errors = {cells[0]: [3.0, 4.0, 5.01], cells[1]: [2.0, 3.01, 4.0], cells[2]: [2.0, 3.1, 4.2]}
    text = printed(capsys, first, run(tmp_path / "b", "tf32", errors))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"][2:]
    assert [(row[0], row[1], row[9]) for row in rows] == [
        ("ladder", "20", "undecided"),
        ("ladder", "100", "yes"),
        ("ebgan-ladder", "20", "no"),
    ]
    assert "\n- ladder with 20 labels: undecided; with this deviation and no true difference 13 new pairs" in text
    assert "Equivalent in every row: not shown." in text


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run(tmp_path / "a"), run(tmp_path / "b", "bfloat16", CLOSE)
    content = json.loads(printed(capsys, first, second, "--json"))
    machine = "a GPU, ladder-ebgan 0.2, torch 2.13"
    assert content["runs"] == [
        {"precision": "float32", "machine": machine},
        {"precision": "bfloat16", "machine": machine},
    ]
    assert (content["dataset"], content["margin"], content["notes"]) == ("digits", 0.1, [])
    assert content["equivalent_in_every_row"] is True
    (row,) = content["rows"]
    assert row["mean_difference"] == pytest.approx(0.01)
    assert row["standard_deviation"] == pytest.approx(0.01)
    assert row["ci90"] == pytest.approx([0.01 - 0.01685854, 0.01 + 0.01685854])
    assert row["mean_error_percent"] == pytest.approx([3.0, 3.01])
    assert row["mean_seconds"] == [2.5, 1.0]
    assert (row["model"], row["labels"], row["n"], row["n_left_out"]) == ("ladder", 20, 3, 0)
    assert (row["equivalent"], row["verdict"]) == (True, "yes")


def test_seeds_are_paired_by_number_and_those_left_out_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seeds 0, 1, 2, 4 have two errors; 3 diverged in one run, 5 and 6 are in one only, whose rows are reversed.

    Differences 0.04, 0, 0, 0: mean 0.01, s = 0.02, s / sqrt(4) = 0.01, half width 2.353363 * 0.01;
    t = (0.01 - 0.1) / 0.01 = -9 with 3 degrees of freedom: p = 1/2 - (θ + sin θ cos θ) / π with
    θ = atan(9 / sqrt(3)), = 1/2 - (1.380671 + 0.185577) / π = 0.00145.
    """
    first = run(tmp_path / "a", errors={("ladder", 20): [2.0, 3.0, 4.0, 5.0, 6.0]})
    second = run(tmp_path / "b", "bfloat16", {("ladder", 20): [2.04, 3.0, 4.0, None, 6.0, 7.0, 8.0]})
    lines = (second / "results.csv").read_text().splitlines()
    (second / "results.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    text = printed(capsys, first, second)
    assert "| ladder | 20 | 4 | 3.750 | 3.760 | +0.010 | 0.020 | -0.014, +0.034 | 0.0014 | undecided |" in text
    assert "\n- ladder with 20 labels: seeds 5, 6 only in bfloat16, without a pair: equiv" in text
    assert (
        "\n- ladder with 20 labels: seed 3 diverged in bfloat16: left out, so equivalence is not claimed\n" in text
    )
    assert "new pairs" not in text


def test_a_run_that_has_not_all_seeds_of_the_other_is_not_called_equivalent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever stops at the seeds where it looks best has chosen them by their errors.

    t = -0.09 / (0.01 / sqrt(3)) = -15.59, with two degrees of freedom: p = (1 - |t| / sqrt(2 + t^2)) / 2 = 0.002.
    """
    first = run(tmp_path / "a", errors={("ladder", 20): [2.0, 3.0, 4.0, 5.0]})
    text = printed(capsys, first, run(tmp_path / "b", "bfloat16", CLOSE))
    assert "| +0.010 | 0.010 | -0.007, +0.027 | 0.002 | undecided |" in text
    assert "\n- ladder with 20 labels: seed 3 only in float32, without a pair: equivalence is not claimed\n" in text


def test_no_pair_with_two_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(tmp_path / "a", errors={("ladder", 20): [None, None]})
    second = run(tmp_path / "b", "bfloat16", {("ladder", 20): [1.0, None]})
    text = printed(capsys, first, second)
    assert "| ladder | 20 | 0 | – | – | – | – | – | – | undecided | – | – |" in text
    assert "seeds 0, 1 diverged in float32" in text
    assert "seed 1 diverged in bfloat16" in text
    assert json.loads(printed(capsys, first, second, "--json"))["rows"][0]["mean_seconds"] is None


def test_other_circumstances_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(tmp_path / "a")
    second = run(tmp_path / "b", "bfloat16", CLOSE, device="a CPU", resolved={"compiled": False})
    text = printed(capsys, first, second)
    assert text.startswith(
        "Test error on digits: bfloat16 on a CPU, ladder-ebgan 0.2, torch 2.13 "
        "against float32 on a GPU, ladder-ebgan 0.2, torch 2.13; equivalent"
    )
    assert "\n- the devices or versions differ: " in text
    assert "\n- compiled is true in float32, false in bfloat16: " in text


@pytest.mark.parametrize(
    ("kind", "changed", "expected"),
    [
        (
            "bfloat16",
            {"identity": {"data": {"name": "digits", "fingerprint": "2e"}}},
            "are runs on different images (digits, digits): only their precision may differ",
        ),
        (
            "bfloat16",
            {"identity": {"recipe": RECIPE | {"ladder": {"n_steps": 6}}}},
            "trained differently (recipe.ladder.n_steps is 5 there, 6 here): only their precision may differ",
        ),
        ("float32", {}, "b is a run in float32 too: name one of another precision second"),
        ("bfloat16", {"errors": {("ladder", 30): [1.0]}}, "a has no result of ladder with 30 labels, "),
        (
            "bfloat16",
            {"errors": ERRORS | {("ladder-matched", 20): [1.0]}},
            "a has no result of ladder-matched with 20 labels, ",
        ),
        ("bfloat16", {"errors": {}}, "b has no finished replica"),
    ],
)
def test_refuses_runs_that_differ_in_more_than_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, changed: dict[str, Any], expected: str
) -> None:
    assert expected in refusal(capsys, run(tmp_path / "a"), run(tmp_path / "b", kind, **changed))


def test_one_model_of_a_run_that_has_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ERRORS | {("ladder-matched", 20): [1.0]}
    first, second = run(tmp_path / "a", errors=more), run(tmp_path / "b", "bfloat16")
    assert "--model names those to compare" in refusal(capsys, first, second)
    text = printed(capsys, first, second, "--model", "ladder")
    assert "| ladder | 20 | 3 |" in text
    assert "matched" not in text
    for models in (("ladder-matched",), ("ladder", "ladder-matched")):
        no_such = refusal(capsys, first, second, *(word for model in models for word in ("--model", model)))
        assert "b has no finished replica of ladder-matched: let the run finish first" in no_such


def test_refuses_runs_in_the_wrong_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run(tmp_path / "a", "bfloat16"), run(tmp_path / "b")
    assert "a is a run in bfloat16: name the run in float32 first" in refusal(capsys, first, second)


def test_refuses_a_seed_with_two_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run(tmp_path / "a"), run(tmp_path / "b", "bfloat16")
    with (second / "results.csv").open("a") as file:
        file.write((second / "results.csv").read_text().splitlines()[-1].replace("4.0", "5.0") + "\n")
    assert "has two results of ladder with 20 labels and seed 2" in refusal(capsys, first, second)


@pytest.mark.parametrize("margin", ["0", "-1", "nan", "inf"])
def test_refuses_a_margin_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], margin: str) -> None:
    assert f"--margin {margin}: must be" in refusal(capsys, tmp_path, tmp_path, f"--margin={margin}")


def test_the_command_refuses_what_is_no_run(tmp_path: Path) -> None:
    command = [sys.executable, precision.__file__, run(tmp_path / "a"), tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"precision.py: {tmp_path} is not a run folder: it has no run.json\n"
