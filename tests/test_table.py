import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.table import (
    Table,
    build_table,
    model_order,
    table_csv,
    table_json,
    table_markdown,
    table_text,
)
from ladder_ebgan.results import Result


def result(model: str, labels: int, seed: int, error: float | None, diverged_step: int | None = None) -> Result:
    status = "diverged" if error is None else "ok"
    return Result(model, labels, seed, status, error, diverged_step, 100, 1.0, "cpu", "float32", "0.1.0", "2.13.0")


def results(errors: Mapping[str, list[float | None]], labels: int = 100) -> list[Result]:
    """One result per model and place in its list; the place is the seed."""
    return [result(model, labels, seed, error) for model, row in errors.items() for seed, error in enumerate(row)]


def two_models() -> list[Result]:
    """Differences -1, -2, -3, as in the test of the paired comparison."""
    return results({"ebgan-ladder": [3.0, 2.0, 7.0], "ladder": [4.0, 4.0, 10.0]})


def line_of(text: str, start: str) -> str:
    (line,) = [line for line in text.splitlines() if line.strip().startswith(start)]
    return " ".join(line.split())


def test_rows_by_hand() -> None:
    """4, 4, 10: mean 6, squares of the deviations 4 + 4 + 16 = 24, s = sqrt(24 / 2); median 4."""
    ladder, ebgan = build_table(two_models(), "digits").rows
    assert (ladder.model, ladder.labels, ladder.n_seeds, ladder.n_diverged) == ("ladder", 100, 3, 0)
    assert (ladder.mean, ladder.median, ladder.min, ladder.max) == (6.0, 4.0, 4.0, 10.0)
    assert ladder.std == pytest.approx(12**0.5)
    assert (ladder.seeds, ladder.errors) == ((0, 1, 2), (4.0, 4.0, 10.0))
    assert (ebgan.model, ebgan.mean) == ("ebgan-ladder", 4.0)


def test_order_of_models() -> None:
    assert model_order(["zeta", "ebgan-ladder", "alpha", "ladder-matched", "ladder", "zeta"]) == [
        "ladder",
        "ladder-matched",
        "ebgan-ladder",
        "alpha",
        "zeta",
    ]


def test_comparisons_are_against_both_baselines() -> None:
    models = {"ladder": [2.0], "ladder-matched": [1.5], "ebgan-ladder": [1.0], "other": [3.0]}
    table = build_table(results(models, 100) + results({"ladder": [1.0]}, 1000), "digits")
    assert [(each.labels, each.baseline, each.model) for each in table.comparisons] == [
        (100, "ladder", "ladder-matched"),
        (100, "ladder", "ebgan-ladder"),
        (100, "ladder", "other"),
        (100, "ladder-matched", "ebgan-ladder"),
    ]
    assert [each.paired.mean_difference for each in table.comparisons] == [-0.5, -1.0, 1.0, -0.5]


def test_the_matched_baseline_alone_is_a_baseline() -> None:
    table = build_table(results({"ladder-matched": [2.0], "ebgan-ladder": [1.0]}), "digits")
    assert [(each.baseline, each.model) for each in table.comparisons] == [("ladder-matched", "ebgan-ladder")]


def test_only_seeds_that_both_have_are_compared_whatever_their_order() -> None:
    """Seeds 2 and 5 are shared: differences 1.0 - 3.0 and 1.5 - 2.0, mean -1.25."""
    rows = [result("ladder", 100, seed, error) for seed, error in [(5, 2.0), (2, 3.0), (9, 70.0)]]
    rows += [result("ebgan-ladder", 100, seed, error) for seed, error in [(2, 1.0), (4, 50.0), (5, 1.5)]]
    (comparison,) = build_table(rows, "digits").comparisons
    assert (comparison.paired.n, comparison.paired.mean_difference) == (2, -1.25)


def test_diverged_seeds_are_left_out_counted_and_named() -> None:
    """The mean of seeds 0 and 1 is 3; of the pair only seed 1 is left, 4.0 against 5.0."""
    rows = [result("ladder", 100, 0, 2.0), result("ladder", 100, 1, 4.0), result("ladder", 100, 2, None, 70)]
    rows += [result("ladder", 100, 3, None), result("ebgan-ladder", 100, 0, None, 30)]
    table = build_table([*rows, result("ebgan-ladder", 100, 1, 5.0)], "digits")
    ladder = table.rows[0]
    assert (ladder.n_seeds, ladder.n_diverged, ladder.mean, ladder.seeds) == (2, 2, 3.0, (0, 1))
    assert (table.comparisons[0].paired.n, table.comparisons[0].paired.mean_difference) == (1, 1.0)
    assert table.notes == (
        "100 labels: 2 of 4 seeds of ladder diverged and are left out (seed 2 at step 70, seed 3)",
        "100 labels: 1 of 2 seeds of ebgan-ladder diverged and is left out (seed 0 at step 30)",
    )
    assert all(note in written for note in table.notes for written in [table_text(table), table_markdown(table)])


def test_a_model_that_always_diverged_is_a_row_without_numbers() -> None:
    table = build_table(results({"ladder": [1.0], "ebgan-ladder": [None]}), "digits")
    ebgan = table.rows[1]
    assert (ebgan.n_seeds, ebgan.n_diverged) == (0, 1)
    assert (ebgan.mean, ebgan.std, ebgan.median, ebgan.min, ebgan.max) == (None,) * 5
    assert table.comparisons == ()
    assert table.notes == (
        "100 labels: 1 of 1 seed of ebgan-ladder diverged and is left out (seed 0)",
        "100 labels: ebgan-ladder and ladder have no finished seed in common",
    )
    assert line_of(table_text(table), "ebgan-ladder") == "ebgan-ladder ours –"
    assert json.loads(table_json(table))["rows"][1]["mean"] is None
    assert table_csv(table).splitlines()[2] == "ebgan-ladder,100,0,1,,,,,"


def test_a_row_read_twice_counts_once() -> None:
    assert build_table(two_models() * 2, "digits") == build_table(two_models(), "digits")


def test_two_results_of_one_seed_are_refused() -> None:
    rows = [result("ladder", 100, 3, 1.0), result("ladder", 100, 3, 1.1)]
    with pytest.raises(UsageError, match="ladder with 100 labels has two results of seed 3; make one table per"):
        build_table(rows, "digits")


def test_json_has_the_promised_shape() -> None:
    content = json.loads(table_json(build_table(two_models(), "mnist")))
    assert content["dataset"] == "mnist"
    ladder = content["rows"][0]
    assert {key: ladder[key] for key in ["model", "labels", "n_seeds", "mean", "errors"]} == {
        "model": "ladder",
        "labels": 100,
        "n_seeds": 3,
        "mean": 6.0,
        "errors": [4.0, 4.0, 10.0],
    }
    (comparison,) = content["comparisons"]
    assert set(comparison) == {
        *("labels", "baseline", "model", "n_seeds", "relative_improvement_percent"),
        *("mean_difference", "ci95", "p_paired_t", "p_wilcoxon"),
    }
    assert comparison["ci95"] == pytest.approx([-4.484138, 0.484138], abs=1e-6)
    assert comparison["p_wilcoxon"] is None
    assert len(content["reported"]) == 10
    assert content["notes"] == []


def test_csv_has_one_row_per_model_and_labels() -> None:
    rows = two_models() + results({"ladder": [1.5]}, 1000)
    read = list(csv.DictReader(io.StringIO(table_csv(build_table(rows, "mnist")))))
    assert [(row["model"], row["labels"]) for row in read] == [
        ("ladder", "100"),
        ("ladder", "1000"),
        ("ebgan-ladder", "100"),
    ]
    assert float(read[0]["std"]) == pytest.approx(12**0.5)
    assert (read[1]["mean"], read[1]["std"]) == ("1.5", "")


def test_text_on_mnist_shows_the_paper_s_table_first() -> None:
    text = table_text(build_table(two_models() + results({"ladder": [1.504]}, 50), "mnist"))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[2] == "model source 50 labels 100 labels 200 labels 1000 labels"
    assert lines[4:8] == [
        "LN bottom-layer-cost Pezeshki et al. 2015 – 1.69 ± 0.18 (10) – 1.05 ± 0.02 (10)",
        "LN bottom-layer-cost Rasmus et al. 2015 – 1.09 ± 0.32 (10) – 0.90 ± 0.05 (10)",
        "LN bottom-layer-cost Zhao et al. 2017 – 1.36 ± 0.21 (15) 1.24 ± 0.09 (15) 1.04 ± 0.06 (15)",
        "EBGAN-LN Zhao et al. 2017 – 1.04 ± 0.12 (15) 0.99 ± 0.12 (15) 0.89 ± 0.04 (15)",
    ]
    assert set(lines[8]) == {"─"}
    assert lines[9:11] == [
        "ladder ours 1.50 (1) 6.00 ± 3.46 (3) – –",
        "ebgan-ladder ours – 4.00 ± 2.65 (3) – –",
    ]
    assert "do not all say what theirs is" in text


def test_text_of_another_data_set_shows_ours_alone() -> None:
    text = table_text(build_table(two_models(), "digits"))
    assert line_of(text, "model") == "model source 100 labels"
    assert "et al." not in text
    assert "theirs" not in text
    assert "± is the standard deviation over seeds" in text


def comparison_line(before: list[float | None], after: list[float | None]) -> str:
    table = build_table(results({"ladder": before, "ebgan-ladder": after}), "digits")
    return line_of(table_text(table), "100 labels: ebgan-ladder against ladder")


def test_comparison_line_by_hand() -> None:
    """Six differences of one sign, -0.1 to -0.6: Wilcoxon p = 2 / 64 = 0.03125.

    Mean -0.35, s = 0.187083, t = -0.35 / (s / sqrt(6)) = -4.582576 with 5 degrees of freedom, p = 0.0059 and
    half width 2.570582 * s / sqrt(6) = 0.196331 from Student's tables. 0.35 of 2.0 is 17.5 %.
    """
    assert comparison_line([2.0] * 6, [1.9, 1.8, 1.7, 1.6, 1.5, 1.4]) == (
        "100 labels: ebgan-ladder against ladder: relative improvement 17.5 %, paired difference -0.35 "
        "points [95 % interval -0.55, -0.15], paired t p = 0.0059, Wilcoxon p = 0.031 (6 seeds)"
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([2.0], [2.5], "relative improvement -25.0 %, paired difference +0.50 points (1 seed: too few for"),
        ([2.0, 3.0], [1.0, 2.0], "points (2 seeds: too few for an interval or a test)"),
        ([2.0] * 3, [1.0, 1.1, 1.2], "(3 seeds: too few for the Wilcoxon test)"),
        (
            [2.0] * 7,
            [2.0, 2.0, 1.9, 1.8, 1.7, 1.6, 1.5],
            "(7 seeds: fewer than 6 differ, too few for the Wil",
        ),
        ([2.0] * 3, [1.5] * 3, "interval -0.50, -0.50] (3 seeds: the same difference in each, no test)"),
        ([2.0] * 6, [1.5] * 6, "Wilcoxon p = 0.031 (6 seeds: the same difference in each, no t test)"),
        ([0.0, 0.0], [1.0, 1.0], "ladder: paired difference +1.00 points (2 seeds"),
        ([1.0, 1.001], [1.0, 1.0], "relative improvement 0.0 %, paired difference +0.00 points"),
        ([9.0] * 6, [2.0, 2.001, 2.002, 2.003, 2.004, 2.005], "paired t p < 0.0001, Wilcoxon p = 0.031"),
    ],
)
def test_comparison_line_says_why_a_part_is_missing(
    before: list[float | None], after: list[float | None], expected: str
) -> None:
    assert expected in comparison_line(before, after)


def test_markdown() -> None:
    lines = table_markdown(build_table(two_models(), "digits")).splitlines()
    assert lines[2:6] == [
        "| model | source | 100 labels |",
        "| :-- | :-- | --: |",
        "| ladder | ours | 6.00 ± 3.46 (3) |",
        "| ebgan-ladder | ours | 4.00 ± 2.65 (3) |",
    ]
    assert lines[7].startswith("- 100 labels: ebgan-ladder against ladder: relative improvement 33.3 %")
    assert "" == lines[6] == lines[8]
    assert lines[9].startswith("Error rates in % of the test set")


def test_colour_is_only_there_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    table = build_table(two_models(), "mnist")
    plain, colored = table_text(table), table_text(table, color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in colored
    without_codes = re.sub("\x1b\\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in without_codes.splitlines()] == plain.splitlines()
    assert max(map(len, plain.splitlines())) > 100  # not squeezed into 20 columns


def test_names_are_not_taken_for_markup() -> None:
    table = build_table([result("[bold]own[/bold]", 100, 0, 1.0)], "[red]data")
    assert line_of(table_text(table), "[bold]own[/bold]") == "[bold]own[/bold] ours 1.00 (1)"
    assert table_text(table).startswith("Test error in %, [red]data\n")


@pytest.mark.parametrize("dataset_name", ["mnist", "digits"])
def test_no_results(dataset_name: str) -> None:
    table = build_table([], dataset_name)
    assert table == Table(dataset_name, (), (), table.reported, ("no results yet",))
    assert "no results yet" in table_text(table)
    assert "no results yet" in table_markdown(table)
    assert table_csv(table).splitlines() == ["model,labels,n_seeds,n_diverged,mean,std,median,min,max"]
    assert json.loads(table_json(table))["rows"] == []


def test_importing_loads_no_rich() -> None:
    code = "import sys, ladder_ebgan.report.table; sys.exit('rich' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
