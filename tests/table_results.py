"""Results to make tables of."""

from collections.abc import Mapping

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
