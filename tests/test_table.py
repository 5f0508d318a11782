import subprocess
import sys

import pytest
from table_results import result, results, two_models

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.table import BOTTOM, Divergence, Table, build_table, model_order


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


def test_known_variants_come_after_the_models_in_their_order() -> None:
    models = ["alpha", "zeta", "noise", "ebgan-ladder", "frozen", "ladder"]
    assert model_order(models, ["noise", "ladder", "frozen", "absent"]) == [
        *["ladder", "ebgan-ladder", "noise", "frozen", "alpha", "zeta"],
    ]


VARIANTS = {"noise": "ebgan-ladder", "frozen": "ebgan-ladder", "slow": "ladder"}


def with_variants() -> Table:
    """Differences of noise, frozen and slow: 1, 2, 3; 0.1, 0.2, 0.4; -1, -1, -1."""
    of_100 = {
        "ladder": [2.0, 3.0, 4.0],
        "ebgan-ladder": [1.0, 2.0, 4.0],
        "frozen": [1.1, 2.2, 4.4],
        "noise": [2.0, 4.0, 7.0],
        "slow": [1.0, 2.0, 3.0],
        "other": [1.0, 1.0, 1.0],
    }
    of_20 = {"ebgan-ladder": [1.0, 2.0, 4.0], "noise": [2.0, 4.0, 7.0], "slow": [3.0, None]}
    rows = results(of_100) + results(of_20, 20)
    return build_table([*rows, result("ladder", 20, 1, 5.0)], "digits", variants=VARIANTS)


def test_a_variant_is_compared_with_the_model_that_it_is_of() -> None:
    table = with_variants()
    assert [row.model for row in table.rows if row.labels == 100] == [
        *["ladder", "ebgan-ladder", "noise", "frozen", "slow", "other"],
    ]
    assert [(each.labels, each.baseline, each.model, each.n_variants) for each in table.comparisons] == [
        (20, "ladder", "ebgan-ladder", None),
        (20, "ebgan-ladder", "noise", 2),  # slow was tried too
        (100, "ladder", "ebgan-ladder", None),
        (100, "ladder", "other", None),
        (100, "ebgan-ladder", "noise", 3),
        (100, "ebgan-ladder", "frozen", 3),
        (100, "ladder", "slow", 3),
    ]


def test_p_of_variants_is_corrected_for_their_number_at_each_number_of_labels() -> None:
    """Of 100 labels: 1, 2, 3 has t = 2 sqrt(3), p = 0.0742; 0.1, 0.2, 0.4 has t = sqrt(7), p = 0.1181; slow none.

    Holm of three: 3 * 0.0742 = 0.2225 and 2 * 0.1181 = 0.2362. Of 20 labels there are
    two, one without a seed to compare.
    """
    by_key = {(each.labels, each.model): each for each in with_variants().comparisons}
    noise, frozen, slow = (by_key[100, model] for model in ("noise", "frozen", "slow"))
    assert noise.paired.p_paired_t == pytest.approx(0.07418, abs=1e-5)
    assert frozen.paired.p_paired_t == pytest.approx(0.11808, abs=1e-5)
    assert noise.p_paired_t_holm == pytest.approx(0.22254, abs=3e-5)
    assert frozen.p_paired_t_holm == pytest.approx(0.23616, abs=2e-5)
    assert slow.p_paired_t_holm is None
    assert by_key[20, "noise"].p_paired_t_holm == pytest.approx(2 * 0.07418, abs=2e-5)
    assert by_key[100, "other"].p_paired_t_holm is None


def test_notes_say_how_many_variants_p_is_corrected_for() -> None:
    assert with_variants().notes == (
        "20 labels: 1 of 2 seeds of slow diverged and is left out (seed 1)",
        "20 labels: slow and ladder have no finished seed in common",
        "20 labels: p called Holm is that of the paired t test, corrected by Holm's method for all 2 variants "
        "that were tried",
        "100 labels: p called Holm is that of the paired t test, corrected by Holm's method for all 3 variants "
        "that were tried",
    )


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
    assert ladder.diverged == (Divergence(2, 70), Divergence(3, None))
    assert table.rows[1].diverged == (Divergence(0, 30),)


def test_a_model_that_always_diverged_is_a_row_without_numbers() -> None:
    table = build_table(results({"ladder": [1.0], "ebgan-ladder": [None]}), "digits", n_test=100)
    ebgan = table.rows[1]
    assert (ebgan.n_seeds, ebgan.n_diverged) == (0, 1)
    assert (ebgan.mean, ebgan.std, ebgan.median, ebgan.min, ebgan.max, ebgan.sampling_error) == (None,) * 6
    assert table.comparisons == ()
    assert table.notes == (
        "100 labels: 1 of 1 seed of ebgan-ladder diverged and is left out (seed 0)",
        "100 labels: ebgan-ladder and ladder have no finished seed in common",
    )


def test_a_row_read_twice_counts_once() -> None:
    assert build_table(two_models() * 2, "digits") == build_table(two_models(), "digits")


def test_two_results_of_one_seed_are_refused() -> None:
    rows = [result("ladder", 100, 3, 1.0), result("ladder", 100, 3, 1.1)]
    with pytest.raises(UsageError, match="ladder with 100 labels has two results of seed 3; make one table per"):
        build_table(rows, "digits")


@pytest.mark.parametrize("dataset_name", ["mnist", "digits"])
def test_no_results(dataset_name: str) -> None:
    table = build_table([], dataset_name)
    assert table == Table(dataset_name, None, (), (), (), table.reported, ("no results yet",))
    assert len(table.reported) == (10 if dataset_name == "mnist" else 0)


def test_the_sampling_error_is_that_of_the_mean() -> None:
    """The means are 6 % and 4 % of 900 images: 100 sqrt(0.06 * 0.94 / 900) and 100 sqrt(0.04 * 0.96 / 900)."""
    table = build_table(two_models(), "digits", n_test=900, recipes=["demo"])
    assert (table.n_test, table.recipes) == (900, ("demo",))
    assert [row.sampling_error for row in table.rows] == pytest.approx([0.791623, 0.653197], abs=1e-6)
    assert [row.sampling_error for row in build_table(two_models(), "digits").rows] == [None, None]


def test_rows_stand_beside_the_papers_own_from_three_seeds_on() -> None:
    """1.36 ± 0.21 over 15 and 2 ± 1 over 3: 2.0354 degrees of freedom, t 4.2317, a standard error of 0.57989."""
    rows = results({"ladder": [1.0, 2.0, 3.0], "ebgan-ladder": [1.0, 2.0], "ladder-matched": [1.0, 2.0, 3.0]}, 100)
    rows += results({"ladder": [1.0, 2.0, 3.0]}, 50) + results({"ebgan-ladder": [0.89, 0.89, 0.89]}, 1000)
    first, second = build_table(rows, "mnist", recipes=["mine"]).beside_paper
    assert (first.labels, first.model, first.reported, first.n_seeds) == (100, "ladder", BOTTOM, (3, 15))
    assert first.difference == pytest.approx(0.64)
    assert first.ci95 == pytest.approx((0.64 - 2.45393, 0.64 + 2.45393), abs=1e-4)
    assert (second.labels, second.model, second.reported) == (1000, "ebgan-ladder", "EBGAN-LN")
    assert second.ci95 == pytest.approx((-0.02215, 0.02215), abs=1e-5)  # 0.04 / sqrt(15) * 2.14479
    assert build_table(rows, "digits").beside_paper == ()


def test_importing_loads_no_rich() -> None:
    modules = "ladder_ebgan.report.latex, ladder_ebgan.report.table_formats"
    code = f"import sys, {modules}; sys.exit('rich' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_variant_that_always_diverged_was_tried() -> None:
    """As of 100 labels above, noise has p = 0.0742 and frozen 0.1181; with the two others four were tried."""
    models = {"ebgan-ladder": [1.0, 2.0, 4.0], "noise": [2.0, 4.0, 7.0], "frozen": [1.1, 2.2, 4.4]}
    lost = {"ladder": [1.0] * 3, "slow": [None] * 3, "hot": [None] * 3}
    table = build_table(results(models | lost), "digits", variants=VARIANTS | {"hot": "ladder"})
    noise, frozen = (each for each in table.comparisons if each.model in VARIANTS)
    assert (noise.n_variants, frozen.n_variants) == (4, 4)
    assert noise.p_paired_t_holm == pytest.approx(4 * 0.07418, abs=1e-4)
    assert frozen.p_paired_t_holm == pytest.approx(3 * 0.11808, abs=1e-4)
    assert table.notes[-1].endswith("corrected by Holm's method for all 4 variants that were tried")


def test_seeds_that_either_of_two_models_diverged_with_are_counted() -> None:
    models = {"ladder": [1.0, None, 2.0, None, 3.0], "new": [None, None, 1.0, 2.0, 3.0]}
    (comparison,) = build_table(results(models), "digits").comparisons
    assert (comparison.paired.n, comparison.n_left_out) == (2, 3)
