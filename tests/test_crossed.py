"""Variance components of a crossed design, and the run that is one."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ladder_ebgan_benchmarks import spread as benchmark

from ladder_ebgan.crossed import spread


def test_worked_by_hand() -> None:
    """Rows 1 2 / 3 6: mean 3, of rows 1.5 and 4.5, of columns 2 and 4, rest 0.5 -0.5 / -0.5 0.5."""
    found = spread([[1, 2], [3, 6]])
    assert found.mean == 3
    assert found.std_both == pytest.approx(1)  # 4 x 0.25 over one degree of freedom
    assert found.std_subset == pytest.approx(((2 * 4.5 - 1) / 2) ** 0.5)
    assert found.std_seed == pytest.approx(((2 * 2.0 - 1) / 2) ** 0.5)
    # F = 9 and 4 with one degree of freedom each: t = 3 and 2, whose distribution is Cauchy's
    assert found.p_subset == pytest.approx(1 - 2 * np.arctan(3) / np.pi)
    assert found.p_seed == pytest.approx(1 - 2 * np.arctan(2) / np.pi)


def test_a_negative_estimate_is_no_spread() -> None:
    found = spread([[1, 2], [2, 1]])
    assert (found.std_subset, found.std_seed) == (0, 0)
    assert found.std_both == pytest.approx(1)
    assert found.p_subset == found.p_seed == 1


def test_without_a_rest_there_is_nothing_to_test_against() -> None:
    found = spread([[1, 2], [3, 4]])
    assert (found.std_both, found.p_subset, found.p_seed) == (0, None, None)
    assert found.std_subset == pytest.approx(2**0.5)
    assert found.std_seed == pytest.approx(0.5**0.5)
    assert spread([[1.1, 1.2], [1.3, 1.4]]).p_subset is None  # though 1.4 - 1.3 is not 1.2 - 1.1 to the last bit


@given(
    arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(2, 5)), elements=st.integers(0, 20).map(float)),
    st.integers(-5, 5),
)
def test_the_two_factors_are_alike_and_the_mean_does_not_matter(errors: np.ndarray, shift: int) -> None:
    found, turned = spread((errors + shift).tolist()), spread(errors.T.tolist())
    assert found.mean == pytest.approx(turned.mean + shift)
    assert found.std_both == pytest.approx(turned.std_both, abs=1e-7)
    assert found.std_subset == pytest.approx(turned.std_seed, abs=1e-6)


def test_it_finds_the_components_that_were_put_in() -> None:
    """Means over 2,000 designs: the mean squares are unbiased, and few of them are cut at 0 here."""
    rng = np.random.default_rng(0)
    variances = []
    for _ in range(2000):
        effects = 0.3 * rng.standard_normal((6, 1)) + 0.2 * rng.standard_normal((1, 6))
        found = spread((1.4 + effects + 0.1 * rng.standard_normal((6, 6))).tolist())
        variances.append([found.std_subset**2, found.std_seed**2, found.std_both**2])
    np.testing.assert_allclose(np.mean(variances, axis=0), [0.09, 0.04, 0.01], rtol=0.06)


@pytest.mark.parametrize("errors", [[], [[1, 2]], [[1], [2]], [[1, 2], [3, float("nan")]]])
def test_a_design_with_holes_is_refused(errors: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="the error of every pair"):
        spread(errors)


CROSSED = ["--set", "ladder.labeled_subset_seed=0", "--set", 'variants.other.of="ladder"', "--set"]
CROSSED += ['variants.other.set=["labeled_subset_seed=1"]', "--model", "ladder", "--model", "other"]


def test_a_run_that_is_a_crossed_design(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replicas have the labelled images of the seed that is said, and everything else of their own."""
    folder = tmp_path / "run"
    assert tiny.invoke(*tiny.arguments(folder, *CROSSED)).code == 0
    subsets = {}
    for name in ("ladder-20-0", "ladder-20-1", "other-20-0", "other-20-1"):
        with np.load(folder / "predictions" / f"{name}.npz") as stored:
            subsets[name] = stored["labeled_indices"].tolist()
    assert subsets["ladder-20-0"] == subsets["ladder-20-1"] != subsets["other-20-0"] == subsets["other-20-1"]
    with (folder / "results.csv").open() as file:
        errors = {(row["model"], row["seed"]): float(row["test_error_percent"]) for row in csv.DictReader(file)}
    assert errors["ladder", "0"] != errors["ladder", "1"]

    monkeypatch.setattr(sys, "argv", ["spread", str(folder)])
    benchmark.main()
    first, *rows, summary = capsys.readouterr().out.splitlines()
    assert first.startswith("ladder, 20 labels:")
    shown = [[float(number) for number in row.split()] for row in rows]
    assert shown == [[round(errors[model, seed], 2) for seed in "01"] for model in ("ladder", "other")]
    assert f"mean {np.mean(list(errors.values())):.2f} %" in summary

    (folder / "results.csv").write_text("".join((folder / "results.csv").read_text().splitlines(True)[:-1]))
    with pytest.raises(SystemExit, match="ladder, 20 labels: a crossed design needs"):
        benchmark.main()


def test_a_run_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    assert tiny.invoke(*tiny.arguments(folder, "--model", "ladder", "--seed-list", "0")).code == 0
    monkeypatch.setattr(sys, "argv", ["spread", str(folder)])
    with pytest.raises(SystemExit, match="it is no crossed design"):
        benchmark.main()
