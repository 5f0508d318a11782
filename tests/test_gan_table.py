"""The table of GANs: what it says of seeds, scores, variants, in every format."""

import csv
import io
import json

import pytest

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.gan_table import GANTable, build_gan_table, comparison_line, gan_cells, gan_table_in
from ladder_ebgan.results import Result

LAYOUTS = ["text", "markdown", "latex", "csv", "json"]


def result(model: str, seed: int, score: float | None, n_modes: int | None = None, ok: bool = True) -> Result:
    return Result(
        *(model, 0, seed, "ok" if ok else "diverged", None, None if ok else 7, 30_000, 12.5, "a processor"),
        *("float32", "0.1.0", "2.13.0"),
        modified_inception_score=score,
        n_modes=n_modes,
    )


def table_of(*results: Result, **variants: str) -> GANTable:
    return build_gan_table(results, "mnist", ["figure9"], {k.replace("_", "-"): v for k, v in variants.items()})


def variant_table() -> GANTable:
    scores = {"ebgan": (8.0, 9.0, 10.0), "ebgan-pt": (9.5, 10.0, 12.0)}
    every = [result(m, seed, score, 10) for m, those in scores.items() for seed, score in enumerate(those)]
    return table_of(*every, ebgan_pt="ebgan")


def test_mean_and_deviation_over_seeds() -> None:
    """9 ± 1 and 10.5 ± sqrt(((-1)^2 + 0.5^2 + 1.5^2) / 2) = 10.5 ± 1.32."""
    header, rows = gan_cells(variant_table())
    assert header == ["model", "seeds", "modified inception score", "modes"]
    assert rows == [["ebgan", "3", "9.00 ± 1.00", "10.0 ± 0.0"], ["ebgan-pt", "3", "10.50 ± 1.32", "10.0 ± 0.0"]]


def test_models_stand_before_their_variants() -> None:
    table = table_of(result("m-4", 0, 1.0), result("m-12", 0, 1.0), result("ebgan", 0, 2.0), result("gan", 0, 3.0),
                     m_12="ebgan", m_4="ebgan")  # fmt: skip
    assert [row.model for row in table.rows] == ["gan", "ebgan", "m-12", "m-4"]


def test_one_seed_has_no_deviation() -> None:
    assert gan_cells(table_of(result("gan", 0, 5.0)))[1] == [["gan", "1", "5.00"]]


def test_a_diverged_seed_is_left_out_and_named() -> None:
    table = table_of(result("gan", 0, 5.0), result("gan", 3, None, ok=False))
    (row,) = table.rows
    assert (row.n_seeds, row.n_diverged, row.seeds) == (1, 1, (0,))
    assert table.notes == ("1 of 2 seeds of gan diverged and are left out (seed 3 at step 7)",)
    for layout in ("text", "markdown", "latex"):
        assert "seed 3 at step 7" in gan_table_in(table, layout)


def test_without_scores_it_says_why() -> None:
    table = table_of(result("gan", 0, None), result("gan", 1, None))
    assert gan_cells(table) == (["model", "seeds"], [["gan", "2"]])
    assert "Images were not scored" in gan_table_in(table, "text")


def test_without_a_finished_seed_nothing_is_said_of_scores() -> None:
    diverged = table_of(result("gan", 0, None, ok=False))
    for table in (diverged, build_gan_table([], "mnist")):
        assert "scored" not in gan_table_in(table, "text")


def test_two_results_of_a_seed_are_refused() -> None:
    """The same one read twice counts once."""
    one, other = result("gan", 1, 4.0), result("gan", 1, 9.0)
    assert table_of(one, one).rows[0].seeds == (1,)
    with pytest.raises(UsageError, match=r"^gan has two results of seed 1; make one table per recipe"):
        table_of(one, other)


def test_a_score_that_some_seed_lacks_is_left_out() -> None:
    """A run that an earlier version without scores has begun."""
    table = table_of(result("gan", 0, None), result("gan", 1, 4.0), result("ebgan", 0, 3.0))
    assert gan_cells(table)[1] == [["gan", "2", "–"], ["ebgan", "1", "3.00"]]


def test_a_variant_is_compared_with_what_it_is_of_seed_by_seed() -> None:
    """Differences 1.5, 1, 2: mean 1.5, s = 0.5, t = 1.5 / (0.5 / sqrt 3) = 5.196 with 2 degrees, p = 0.0351."""
    (comparison,) = variant_table().comparisons
    assert (comparison.baseline, comparison.model) == ("ebgan", "ebgan-pt")
    assert comparison.paired.mean_difference == pytest.approx(1.5)
    assert comparison.paired.p_paired_t == pytest.approx(0.0351, abs=1e-4)
    line = comparison_line(comparison)
    assert line.startswith(
        "ebgan-pt against ebgan, modified inception score: difference +1.50 (3), 95 % interval [+0."
    )
    assert "improvement" not in line
    assert comparison.paired.relative_improvement_percent is None  # more is better
    for layout in ("text", "markdown"):
        assert line in gan_table_in(variant_table(), layout)


def test_only_shared_seeds_are_compared_and_p_values_are_corrected() -> None:
    every = [result("ebgan", seed, 5.0 + seed) for seed in range(3)]
    every += [result("a", seed, 6.0 + 2 * seed) for seed in range(3)] + [result("b", 9, 1.0)]
    every += [result("c", seed, 4.0 + 3 * seed) for seed in range(1, 3)]
    table = table_of(*every, a="ebgan", b="ebgan", c="ebgan")
    assert [(each.model, each.paired.n, each.n_variants) for each in table.comparisons] == [
        ("a", 3, 3),  # b was tried too
        ("c", 2, 3),
    ]
    first = table.comparisons[0]
    assert first.paired.p_paired_t is not None
    assert first.p_paired_t_holm == pytest.approx(min(1, 3 * first.paired.p_paired_t))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_table_in_every_format(layout: str) -> None:
    table = build_gan_table([], "mnist")
    assert table.notes == ("no results yet",)
    assert gan_table_in(table, layout).endswith("\n")


def test_csv_has_full_precision() -> None:
    rows = list(csv.DictReader(io.StringIO(gan_table_in(table_of(result("gan", 0, 1 / 3)), "csv"))))
    assert rows == [
        {
            **{"model": "gan", "n_seeds": "1", "n_diverged": "0"},
            **{"modified_inception_score_mean": str(1 / 3), "modified_inception_score_std": ""},
        }
    ]


def test_json_has_every_seed() -> None:
    table = json.loads(gan_table_in(variant_table(), "json"))
    assert table["rows"][1]["seeds"] == [0, 1, 2]
    assert table["rows"][1]["scores"]["modified_inception_score"]["values"] == [9.5, 10.0, 12.0]
    assert table["comparisons"][0]["paired"]["mean_difference"] == 1.5


def test_latex_is_escaped_and_complete() -> None:
    text = gan_table_in(variant_table(), "latex")
    assert r"ebgan-pt & 3 & 10.50 $\pm$ 1.32 & 10.0 $\pm$ 0.0 \\" in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 2


def test_colours_are_on_request() -> None:
    assert "\x1b[" in gan_table_in(variant_table(), "text", color=True)
    assert "\x1b[" not in gan_table_in(variant_table(), "text")
