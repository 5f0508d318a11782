import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from table_results import result, results, two_models

from ladder_ebgan.report.latex import table_latex
from ladder_ebgan.report.table import Table, build_table, join_tables
from ladder_ebgan.report.table_formats import table_csv, table_json, table_markdown, table_text


def line_of(text: str, start: str) -> str:
    (line,) = [line for line in text.splitlines() if line.strip().startswith(start)]
    return " ".join(line.split())


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
        *(
            "mean_difference",
            "ci95",
            "p_paired_t",
            "p_wilcoxon",
            "p_paired_t_holm",
            "n_variants",
            "recipe",
            "n_left_out",
        ),
    }
    assert (ladder["recipe"], comparison["recipe"]) == ("", "")
    assert (comparison["p_paired_t_holm"], comparison["n_variants"]) == (None, None)
    assert comparison["ci95"] == pytest.approx([-4.484138, 0.484138], abs=1e-6)
    assert comparison["p_wilcoxon"] is None
    assert len(content["reported"]) == 10
    beside, _ = content["beside_paper"]
    assert (beside["model"], beside["reported"], beside["n_seeds"]) == ("ladder", "LN bottom-layer-cost", [3, 15])
    assert content["notes"] == []
    assert (content["n_test"], content["recipes"]) == (None, [])
    assert ladder["sampling_error"] is None


def test_json_says_what_the_errors_are_of_and_which_seeds_failed() -> None:
    """A mean of 1.04 % on 10,000 images: 100 sqrt(0.0104 * 0.9896 / 10000) = 0.101449."""
    rows = [result("ladder", 100, 0, 1.04), result("ladder", 100, 1, None, 70), result("ladder", 100, 2, None)]
    content = json.loads(table_json(build_table(rows, "digits", n_test=10000, recipes=["table2", "mine"])))
    assert (content["n_test"], content["recipes"]) == (10000, ["table2", "mine"])
    (row,) = content["rows"]
    assert row["recipe"] == "table2, mine"
    assert row["sampling_error"] == pytest.approx(0.101449, abs=1e-6)
    assert row["diverged"] == [{"seed": 1, "step": 70}, {"seed": 2, "step": None}]
    assert content["notes"] == [
        "100 labels: 2 of 3 seeds of ladder diverged and are left out (seed 1 at step 70, seed 2)"
    ]


@pytest.mark.parametrize("write", [table_text, table_markdown])
def test_people_read_how_we_stand_beside_the_paper(write: Callable[[Table], str]) -> None:
    rows = results({"ladder": [1.0, 2.0, 3.0]}, 100)
    text = write(build_table(rows, "mnist"))
    assert (
        "100 labels: ladder beside LN bottom-layer-cost of Zhao et al. 2017: difference +0.64 points "
        "[95 % interval -1.81, +3.09] (3 seeds and 15, not paired)"
    ) in text
    assert "intervals beside them take it as a standard deviation over seeds" in text
    assert "Zhao" not in write(build_table(rows, "digits"))


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
    assert (read[0]["median"], read[0]["min"], read[0]["max"]) == ("4.0", "4.0", "10.0")
    assert {(row["sampling_error"], row["diverged"]) for row in read} == {("", "")}


def with_a_variant() -> Table:
    """Differences of noise 1, 2, 3 from ebgan-ladder: mean 2 ± 2.484138, p = 0.0742; of few 0, of one seed."""
    rows = {"ebgan-ladder": [1.0, 2.0, 4.0], "noise": [2.0, 4.0, 7.0], "few": [1.0]}
    return build_table(results(rows), "digits", variants={"noise": "ebgan-ladder", "few": "ebgan-ladder"})


def test_csv_has_the_comparison_of_a_variant_in_its_row() -> None:
    model, noise, few = csv.DictReader(io.StringIO(table_csv(with_a_variant())))
    assert list(model)[-11:] == [
        *("recipe", "baseline", "n_pairs", "mean_difference", "ci95_low", "ci95_high"),
        *("relative_improvement_percent", "p_paired_t", "p_paired_t_holm", "p_wilcoxon", "n_variants"),
    ]
    assert set(list(model.values())[-10:]) == {""}
    assert (noise["model"], noise["labels"], noise["n_seeds"], noise["mean"]) == ("noise", "100", "3", str(13 / 3))
    assert (noise["baseline"], noise["n_pairs"], noise["n_variants"]) == ("ebgan-ladder", "3", "2")
    numbers = [float(noise[name]) for name in ("mean_difference", "ci95_low", "ci95_high", "p_paired_t_holm")]
    assert numbers == pytest.approx([2.0, -0.484138, 4.484138, 2 * 0.0741799], abs=1e-6)
    assert (few["n_pairs"], few["ci95_low"], few["p_paired_t"], few["p_paired_t_holm"]) == ("1", "", "", "")


def test_csv_keeps_variants_of_two_recipes_apart() -> None:
    """Differences of noise 1, 2, 3 in one recipe, of -1 in the other."""
    other = {"ebgan-ladder": [5.0, 6.0, 9.0], "noise": [4.0, 5.0, 8.0]}
    tables = [
        build_table(results(rows), "digits", recipes=[name], variants={"noise": "ebgan-ladder"})
        for name, rows in (("one", {"ebgan-ladder": [1.0, 2.0, 4.0], "noise": [2.0, 4.0, 7.0]}), ("two", other))
    ]
    read = csv.DictReader(io.StringIO(table_csv(join_tables(tables))))
    found = [(row["recipe"], row["mean_difference"]) for row in read if row["model"] == "noise"]
    assert found == [("one", "2.0"), ("two", "-1.0")]


def test_json_has_corrected_p_values() -> None:
    noise, few = json.loads(table_json(with_a_variant()))["comparisons"]
    assert (noise["baseline"], noise["model"], noise["n_seeds"]) == ("ebgan-ladder", "noise", 3)
    assert noise["p_paired_t_holm"] == pytest.approx(2 * noise["p_paired_t"])
    assert (noise["n_variants"], few["n_variants"], few["p_paired_t_holm"]) == (2, 2, None)


@pytest.mark.parametrize("write", [table_text, table_markdown])
def test_text_and_markdown_have_corrected_p_values(write: Callable[[Table], str]) -> None:
    text = " ".join(write(with_a_variant()).split())
    assert "paired t p = 0.074, Holm p = 0.15 (3 seeds" in text
    assert "corrected by Holm's method for all 2 variants that were tried" in text


def test_csv_columns_are_as_the_design_has_them() -> None:
    """50 % of 400 images: 100 sqrt(0.25 / 400) = 2.5 points."""
    rows = results({"ladder": [50.0, None], "ebgan-ladder": [None]})
    rows.append(result("ladder", 100, 7, None, 90))
    assert table_csv(build_table(rows, "mnist", n_test=400, recipes=["demo"])).splitlines() == [
        "model,labels,n_seeds,n_diverged,mean,std,median,min,max,sampling_error,diverged,recipe",
        "ladder,100,1,2,50.0,,50.0,50.0,50.0,2.5,seed 1; seed 7 at step 90,demo",
        "ebgan-ladder,100,0,1,,,,,,,seed 0,demo",
    ]


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
    assert "(the ± of Pezeshki et al. is a standard error, that of the other papers is not known)" in text


def test_text_of_another_data_set_shows_ours_alone() -> None:
    text = table_text(build_table(two_models(), "digits"))
    assert line_of(text, "model") == "model source 100 labels"
    assert "et al." not in text
    assert "theirs" not in text
    assert "± is the standard deviation over seeds" in text


def test_text_and_markdown_name_the_failed_seeds() -> None:
    table = build_table([result("ladder", 100, 0, 1.0), result("ladder", 100, 4, None, 70)], "digits")
    (note,) = table.notes
    assert note.endswith("(seed 4 at step 70)")
    assert note in table_text(table).splitlines()
    assert f"- {note}" in table_markdown(table).splitlines()


def test_a_row_whose_seeds_all_failed_has_no_cell() -> None:
    table = build_table(results({"ladder": [1.0], "ebgan-ladder": [None]}), "digits")
    assert line_of(table_text(table), "ebgan-ladder") == "ebgan-ladder ours –"
    assert json.loads(table_json(table))["rows"][1]["mean"] is None


@pytest.mark.parametrize("write", [table_text, table_markdown])
def test_the_sampling_error_is_a_line_of_its_own(write: Callable[[Table], str]) -> None:
    """1 % and 90 % of 100 images: 0.994987 and exactly 3 points."""
    rows = results({"ladder": [1.0, 1.0], "ebgan-ladder": [90.0]})
    start = "Beside ±, the 100 test images, which all seeds share, give our means a standard error of at most"
    assert write(build_table(rows, "digits", n_test=100)).splitlines()[-1] == f"{start} 0.99 to 3.00 points."
    alone = results({"ladder": [90.0]})
    assert write(build_table(alone, "digits", n_test=100)).splitlines()[-1] == f"{start} 3.00 points."
    assert "Beside" not in write(build_table(rows, "digits"))
    assert "Beside" not in write(build_table(results({"ladder": [0.0]}), "digits", n_test=100))


@pytest.mark.parametrize("write", [table_text, table_markdown])
def test_no_error_in_few_examples_is_no_rate_of_zero(write: Callable[[Table], str]) -> None:
    """100 (1 - 0.05^(1/100)) = 2.95 %. Five seeds with rows of their own have 1 / (1/40 + (4/5)/40) = 22.2."""
    rows = results({"ladder": [0.0, 0.0], "ebgan-ladder": [1.0, 3.0]})
    table = build_table(rows, "digits", n_test=100)
    assert [row.largest_error for row in table.rows] == [pytest.approx(2.951305), None]
    line = "Where none is wrong, the error rate may still be as high as {} % (95 % confidence)."
    assert write(table).splitlines()[-1] == line.format("3")
    own = [replace(each, labels=32, n_test=8) for each in results({"ladder": [0.0] * 5})]
    assert write(build_table(own, "mine")).splitlines()[-1] == line.format("13")


@pytest.mark.parametrize("write", [table_text, table_markdown, table_latex])
def test_differences_are_said_to_be_of_one_test_set(write: Callable[[Table], str]) -> None:
    line = "Intervals and p-values of differences are over seeds, for this test set; only p-values called Holm are"
    equal = results({"ladder": [2.0] * 6, "ebgan-ladder": [1.5] * 6})  # no interval, but a p of the signed ranks
    for compared in (two_models(), equal):
        assert line in " ".join(write(build_table(compared, "digits")).split())
    assert line not in write(build_table(results({"ladder": [1.0, 2.0], "ebgan-ladder": [2.0, 1.0]}), "digits"))
    own = [replace(each, labels=32, n_test=8) for each in two_models()]
    assert "over seeds, for this test set" not in " ".join(write(build_table(own, "mine")).split())


def test_points_are_compared_as_numbers() -> None:
    """1 % and 10 % of 4 images: 4.974937 and 15 points, in this order although "1" sorts before "4"."""
    table = build_table(results({"ladder": [1.0], "ebgan-ladder": [10.0]}), "digits", n_test=4)
    assert table_text(table).endswith(" 4.97 to 15.00 points.\n")


def test_the_number_of_test_images_has_thousands() -> None:
    assert "the 10,000 test images" in table_text(build_table(results({"ladder": [1.0]}), "digits", n_test=10000))


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
        (
            [2.0] * 3,
            [1.5] * 3,
            "difference -0.50 points (3 seeds: the same difference in each, no interval and no test)",
        ),
        ([2.0] * 6, [1.5] * 6, "p = 0.031 (6 seeds: the same difference in each, no interval and no t test)"),
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


def test_no_results() -> None:
    table = build_table([], "mnist")
    assert "no results yet" in table_text(table)
    assert "no results yet" in table_markdown(table)
    assert table_csv(table).count("\n") == 1
    assert json.loads(table_json(table))["rows"] == []
