"""The benchmark of evaluation statistics: those of labelled and of all training images, for the same models."""

import csv
from pathlib import Path

import pytest
import tiny
from ladder_ebgan_benchmarks import calibration


def errors_of(folder: Path) -> dict[tuple[str, str], float]:
    with (folder / "results.csv").open() as file:
        return {(row["model"], row["seed"]): float(row["test_error_percent"]) for row in csv.DictReader(file)}


def test_models_have_the_errors_of_runs_that_are_evaluated_so(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training does not depend on the statistics, so that a run with the others has the same models."""
    labeled, unlabeled = tiny.finished_run(tmp_path_factory), tmp_path / "unlabeled"
    tiny.done(*tiny.arguments(unlabeled, "--quiet", "--set", 'network.evaluation_statistics="unlabeled"'))
    before, after = errors_of(labeled), errors_of(unlabeled)
    assert before != after
    for folder in (labeled, unlabeled):
        calibration.main([str(folder), "--data", "digits"])
        rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
        assert {(model, seed): float(error) for model, _, seed, error, _ in rows if "all" not in seed} == {
            key: pytest.approx(error, abs=0.006) for key, error in before.items()
        }
        assert {(model, seed): float(error) for model, _, seed, _, error in rows if "all" not in seed} == {
            key: pytest.approx(error, abs=0.006) for key, error in after.items()
        }
        ladder = [after["ladder", seed] - before["ladder", seed] for seed in ("0", "1")]
        together = next(row for row in rows if row[0] == "ladder" and "all" in row[2])
        assert together[2] == f"all: {sum(ladder) / 2:+.2f} points"
        assert together[3].startswith(f"{(before['ladder', '0'] + before['ladder', '1']) / 2:.2f} ± ")
