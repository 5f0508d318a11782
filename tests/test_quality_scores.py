"""Scores of generated images against closed forms, scipy and plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from torch import Tensor

from ladder_ebgan.quality import scores
from ladder_ebgan.quality.scores import (
    class_kl,
    class_shares,
    inception_score,
    modified_inception_score,
    n_modes,
    precision_and_recall,
    radii,
)

patient = settings(deadline=None)


def log_of(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).log()


@st.composite
def logits(draw: st.DrawFn) -> Tensor:
    n, classes, scale = draw(st.integers(1, 8)), draw(st.integers(2, 5)), draw(st.sampled_from([0.1, 3.0, 40.0]))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    return torch.from_numpy(scale * random.standard_normal((n, classes)))


@st.composite
def clouds(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Two sets of points on a small grid: ties, and points that are the same, are common."""
    sizes, d = draw(st.tuples(st.integers(4, 9), st.integers(4, 9))), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 9999)))
    first, second = (torch.from_numpy(random.integers(0, 5, (n, d)).astype(np.float32)) for n in sizes)
    return first, second


def test_two_images_by_hand() -> None:
    """p(y|x) = (1/4, 3/4) and (3/4, 1/4), so p(y) = (1/2, 1/2).

    KL( p(y) || p(y|x) ) = 1/2 log(1/2 / (1/4)) + 1/2 log(1/2 / (3/4)) = 1/2 log 2 + 1/2 log(2/3) = 1/2 log(4/3).
    KL( p(y|x) || p(y) ) = 1/4 log(1/2) + 3/4 log(3/2).
    """
    log_p = log_of([[1 / 4, 3 / 4], [3 / 4, 1 / 4]])
    assert modified_inception_score(log_p) == pytest.approx(math.log(4 / 3) / 2, rel=1e-12)
    assert inception_score(log_p) == pytest.approx(
        math.exp(math.log(1 / 2) / 4 + 3 * math.log(3 / 2) / 4), rel=1e-12
    )


@pytest.mark.parametrize("confidence", [0.9, 1 - 1e-9])
def test_sure_and_balanced_over_ten_classes(confidence: float) -> None:
    """One image a class, probability c for it and (1 - c) / 9 for each other: p(y) = 1/10.

    I' = -log 10 - (log c + 9 log((1 - c) / 9)) / 10, which grows without limit as c goes to 1; the standard score
    is 10 exp(c log c + (1 - c) log((1 - c) / 9)) and goes to 10.
    """
    rest = (1 - confidence) / 9
    log_p = torch.full((10, 10), math.log(rest), dtype=torch.float64).fill_diagonal_(math.log(confidence))
    expected = -math.log(10) - (math.log(confidence) + 9 * math.log(rest)) / 10
    assert modified_inception_score(log_p) == pytest.approx(expected, rel=1e-9)
    other = 10 * math.exp(confidence * math.log(confidence) + (1 - confidence) * math.log(rest))
    assert inception_score(log_p) == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("scale", [100.0, 2000.0, 1e6])
def test_a_classifier_beyond_all_doubt_gives_a_number(scale: float) -> None:
    """Logits 0 and -s: exp(-s) is 0 in floating point, its logarithm is -s.

    With two classes in equal shares I' = log(1/2) + s / 2, up to exp(-s).
    """
    log_p = torch.log_softmax(torch.tensor([[0.0, -scale], [-scale, 0.0]]).double(), dim=1)
    assert modified_inception_score(log_p) == pytest.approx(scale / 2 - math.log(2), rel=1e-12)
    assert inception_score(log_p) == pytest.approx(2, rel=1e-12)


def test_collapse_to_one_image_has_the_lowest_scores() -> None:
    log_p = log_of([[0.001, 0.999]]).expand(7, 2)
    assert modified_inception_score(log_p) == pytest.approx(0, abs=1e-12)
    assert inception_score(log_p) == pytest.approx(1, rel=1e-12)


@patient
@given(logits())
def test_both_scores_against_a_plain_loop(x: Tensor) -> None:
    log_p = torch.log_softmax(x, dim=1)
    p = np.maximum(log_p.exp().numpy(), 1e-300)
    mean = p.mean(axis=0)
    assert modified_inception_score(log_p) == pytest.approx(
        np.mean([entropy(mean, row) for row in p]), rel=1e-9, abs=1e-9
    )
    assert inception_score(log_p) == pytest.approx(np.exp(np.mean([entropy(row, mean) for row in p])), rel=1e-9)


def test_shares_modes_and_their_divergence_by_hand() -> None:
    """Shares 1/2, 1/2, 0 against 1/2, 1/4, 1/4: 1/2 log 1 + 1/2 log 2 + 0."""
    shares = class_shares(log_of([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.9, 0.05, 0.05]]))
    assert shares.tolist() == [0.5, 0.5, 0.0]
    reference = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    assert class_kl(shares, reference) == pytest.approx(math.log(2) / 2)
    assert class_kl(reference, reference) == 0
    assert class_kl(reference, shares) == math.inf
    assert [n_modes(shares), n_modes(shares, 0.5), n_modes(shares, 0.6), n_modes(reference)] == [2, 2, 0, 3]
    assert n_modes(torch.tensor([0.01, 0.0099, 0.9801])) == 2


def test_collapse_to_a_class_of_balanced_data() -> None:
    shares = torch.zeros(10, dtype=torch.float64)
    shares[3] = 1
    assert class_kl(shares, torch.full((10,), 0.1, dtype=torch.float64)) == pytest.approx(math.log(10))


def test_precision_and_recall_by_hand() -> None:
    """On a line, k = 3. Real: 0, 1, 2, 3, their balls reach 3, 2, 2, 3, so from -3 to 6.

    Generated: 5, 6, 7, 8, which reach 3, 2, 2, 3, so from 2 to 11. Of the generated 5 and 6 lie within the real
    ones' balls, of the real ones 2 and 3 within the generated ones'.
    """
    real, generated = torch.tensor([[0.0], [1], [2], [3]]), torch.tensor([[5.0], [6], [7], [8]])
    assert radii(real).tolist() == [3, 2, 2, 3]
    assert precision_and_recall(generated, radii(generated), real, radii(real)) == (0.5, 0.5)


def test_a_repeated_image_has_precision_and_no_recall() -> None:
    real = torch.arange(8.0)[:, None]
    repeated = torch.full((5, 1), 3.0)
    assert radii(repeated).tolist() == [0] * 5
    assert precision_and_recall(repeated, radii(repeated), real, radii(real)) == (1.0, 1 / 8)


@patient
@given(clouds(), st.integers(1, 3), st.sampled_from([1, 20, 10**6]))
def test_precision_and_recall_against_a_plain_loop(clouds: tuple[Tensor, Tensor], k: int, entries: int) -> None:
    generated, real = clouds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "BLOCK_ENTRIES", entries)
        reaches = [radii(generated, k), radii(real, k)]
        found = precision_and_recall(generated, reaches[0], real, reaches[1])

    def squared(a: Tensor, b: Tensor) -> float:
        return sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True))

    def reach(points: Tensor, i: int) -> float:
        return sorted(squared(points[i], other) for j, other in enumerate(points) if j != i)[k - 1]

    for points, computed in zip((generated, real), reaches, strict=True):
        assert computed.tolist() == pytest.approx([math.sqrt(reach(points, i)) for i in range(len(points))])

    def share(points: Tensor, centres: Tensor) -> float:
        within = [any(squared(p, c) <= reach(centres, i) for i, c in enumerate(centres)) for p in points]
        return sum(within) / len(within)

    assert found == (share(generated, real), share(real, generated))


def test_close_points_far_from_the_origin_are_told_apart() -> None:
    """Squares of 1e6 and differences of 1/8: single precision would have noise where there is a distance."""
    points = torch.tensor([[1000.0], [1000.125], [1000.25], [1000.5], [1001]])
    assert radii(points).tolist() == [0.5, 0.375, 0.25, 0.5, 0.875]
