"""The benchmark of waiting threads: it trains in processes of its own, and ends them."""

import multiprocessing

import pytest
from ladder_ebgan_benchmarks import waiting_threads


def test_rates_are_measured_for_each_number_of_spins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trainers = []

    class Kept(waiting_threads.Trainer):
        def __init__(self, spins: str, recipe_name: str) -> None:
            super().__init__(spins, recipe_name)
            trainers.append(self)

    monkeypatch.setattr(waiting_threads, "Trainer", Kept)
    waiting_threads.main(["0", "1000", "--rounds", "1", "--seconds", "0.1"])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["0", "1000"]
    assert all(float(rate) > 0 for row in rows for rate in row[1:])
    assert [len(row) for row in rows] == [4, 4]
    assert len(trainers) == 4
    assert all(trainer.process.returncode is not None for trainer in trainers)
    assert not multiprocessing.active_children()


def test_a_process_that_cannot_train_is_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="a training process ended with exit code 1"):
        waiting_threads.main(["0", "--recipe", "nosuch"])
    assert "nosuch" in capfd.readouterr().err
