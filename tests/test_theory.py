"""Lemma 1, Theorems 1 and 2 against brute force and linear programs; the numbers of docs/theory.md.

Probabilities and energies are multiples of powers of 1/2 and the margins whole numbers wherever sums are compared
exactly: no rounding happens then.
"""

import ast
import doctest
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drawing import is_whole
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.optimize import linprog

from ladder_ebgan.report.figures.drawing import save
from ladder_ebgan.report.figures.theory import lemma_1
from ladder_ebgan.theory import (
    Vector,
    best_energies,
    best_energies_without_hinge,
    best_points,
    discriminator_value,
    generator_value,
    is_equilibrium,
    least_discriminator_value,
    least_value_without_hinge,
    meets_theorem_2,
    point_cost,
    regrets,
    total_variation,
    value_without_hinge,
)

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
P_DATA = np.array([0.5, 0.25, 0.25, 0])
P_GENERATED = np.array([0.25, 0.25, 0.375, 0.125])
MARGIN = 10.0
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure


def distributions(n: int, steps: int) -> list[Vector]:
    """All distributions on n points whose probabilities are multiples of 1 / steps."""
    counts = itertools.product(range(steps + 1), repeat=n)
    return [np.array(one) / steps for one in counts if sum(one) == steps]


@st.composite
def distribution(draw: st.DrawFn, n: int) -> Vector:
    """Multiples of 1/64: the gaps between n - 1 cuts; zeros and ties are common."""
    cuts = sorted(
        draw(
            st.lists(
                st.integers(0, 8).map(lambda cut: 8 * cut) | st.integers(0, 64), min_size=n - 1, max_size=n - 1
            )
        )
    )
    return np.diff([0, *cuts, 64]) / 64


@st.composite
def games(draw: st.DrawFn) -> tuple[Vector, Vector, Vector, float]:
    """p_data, p_G, D and m; the two distributions are the same in one case of four, and so are all energies."""
    n = draw(st.integers(1, 6))
    p_data, p_generated = draw(distribution(n)), draw(distribution(n))
    p_generated = p_data if draw(st.integers(0, 3)) == 0 else p_generated
    energy = np.array(draw(st.lists(st.integers(0, 48), min_size=n, max_size=n))) / 8
    energy = np.full(n, energy[0]) if draw(st.integers(0, 3)) == 0 else energy
    return p_data, p_generated, energy, float(draw(st.integers(1, 5)))


def test_values_by_hand() -> None:
    """D = 2, 12, 0, 4 and m = 10.

    V = 1/2 2 + 1/4 8, + 1/4 12 + 0, + 0 + 3/8 10, + 0 + 1/8 6 = 3 + 3 + 3.75 + 0.75.
    U = 1/4 2 + 1/4 12 + 0 + 1/8 4 = 4. Without the hinge the second point costs 1/4 12 - 1/4 2 instead of 3.
    """
    energy = np.array([2.0, 12, 0, 4])
    assert point_cost(energy, P_DATA, P_GENERATED, MARGIN).tolist() == [3, 3, 3.75, 0.75]
    assert discriminator_value(P_DATA, P_GENERATED, energy, MARGIN) == 10.5
    assert generator_value(P_GENERATED, energy) == 4
    assert value_without_hinge(P_DATA, P_GENERATED, energy, MARGIN) == 10


def test_values_are_the_means_of_the_two_losses_over_independent_samples() -> None:
    """The double sum over x and G(z) of Eq. (1), before Eq. (5) and (6) make one sum of it."""
    energy = np.array([2.0, 12, 0, 4])
    pairs = list(itertools.product(range(4), repeat=2))
    mean = sum(P_DATA[x] * P_GENERATED[g] * (energy[x] + max(0, MARGIN - energy[g])) for x, g in pairs)
    assert discriminator_value(P_DATA, P_GENERATED, energy, MARGIN) == mean
    mean = sum(P_DATA[x] * P_GENERATED[g] * (energy[x] + MARGIN - energy[g]) for x, g in pairs)
    assert value_without_hinge(P_DATA, P_GENERATED, energy, MARGIN) == mean


def test_best_energies_and_their_value_by_hand() -> None:
    """More data: 0. As much: [0, 10]. Less: 10. None: 10 or more. V = 10 (1/4 + 1/4 + 1/4 + 0)."""
    lowest, highest = best_energies(P_DATA, P_GENERATED, MARGIN)
    assert lowest.tolist() == [0, 0, 10, 10]
    assert highest.tolist() == [0, 10, 10, np.inf]
    assert least_discriminator_value(P_DATA, P_GENERATED, MARGIN) == 7.5
    assert total_variation(P_DATA, P_GENERATED) == 0.25


def test_a_point_without_data_and_without_generated_images_may_have_any_energy() -> None:
    lowest, highest = best_energies(np.array([1.0, 0]), np.array([1.0, 0]), 2.0)
    assert (lowest.tolist(), highest.tolist()) == ([0, 0], [2, np.inf])


@pytest.mark.parametrize(("a", "b"), [*itertools.product([0, 0.25, 0.5, 1], repeat=2)])
def test_lemma_1_is_the_minimum_over_a_grid_of_energies_and_nowhere_else(a: float, b: float) -> None:
    """phi on 0, 1/16, ..., 6 with m = 2: it is piecewise linear with its one corner on the grid."""
    y = np.arange(6 * 16 + 1) / 16
    cost = point_cost(y, np.array(a), np.array(b), 2.0)
    (low,), (high,) = best_energies(np.array([a]), np.array([b]), 2.0)
    assert (cost == cost.min()).tolist() == ((low <= y) & (y <= high)).tolist()
    assert cost.min() == 2 * min(a, b)


@PATIENT
@given(games())
def test_no_discriminator_is_better_than_the_best_and_only_those_of_lemma_1_are_as_good(
    game: tuple[Vector, Vector, Vector, float],
) -> None:
    p_data, p_generated, energy, margin = game
    lowest, highest = best_energies(p_data, p_generated, margin)
    least = least_discriminator_value(p_data, p_generated, margin)
    assert least == margin * (1 - total_variation(p_data, p_generated))
    for best in (lowest, np.minimum(highest, 3 * margin)):
        assert discriminator_value(p_data, p_generated, best, margin) == least
    is_best = bool(((lowest <= energy) & (energy <= highest)).all())
    assert (discriminator_value(p_data, p_generated, energy, margin) <= least) == is_best


@PATIENT
@given(games())
def test_eq_7_as_written_is_the_least_value(game: tuple[Vector, Vector, Vector, float]) -> None:
    p_data, p_generated, _, m = game
    pairs = list(zip(p_data, p_generated, strict=True))
    eq_7 = m * sum(p for p, q in pairs if p < q) + m * sum(q for p, q in pairs if p >= q)
    eq_10 = m + m * sum(p - q for p, q in pairs if p < q)
    assert eq_7 == eq_10 == least_discriminator_value(p_data, p_generated, m)


@settings(PATIENT, max_examples=30)
@given(games())
def test_linear_programs_find_the_same_values(game: tuple[Vector, Vector, Vector, float]) -> None:
    """D: minimise p_data D + p_G t over t >= m - D, t >= 0. G: minimise p_G D over the simplex."""
    p_data, p_generated, energy, margin = game
    n, eye = len(p_data), np.eye(len(p_data))
    hinge = linprog(np.r_[p_data, p_generated], A_ub=np.c_[-eye, -eye], b_ub=np.full(n, -margin))
    assert hinge.fun == pytest.approx(least_discriminator_value(p_data, p_generated, margin))
    generator = linprog(energy, A_eq=np.ones((1, n)), b_eq=[1])
    assert generator.fun == pytest.approx(energy.min())
    assert best_points(energy)[generator.x > 1e-9].all()


@settings(PATIENT, max_examples=30)
@given(games())
def test_without_the_hinge_the_linear_program_is_unbounded_unless_the_distributions_agree(
    game: tuple[Vector, Vector, Vector, float],
) -> None:
    p_data, p_generated, _, margin = game
    program = linprog(p_data - p_generated)
    assert program.status == (0 if np.array_equal(p_data, p_generated) else 3)
    assert (least_value_without_hinge(p_data, p_generated, margin) == -np.inf) == (program.status == 3)
    bounded = linprog(p_data - p_generated, bounds=(0, 7))
    assert margin + bounded.fun == pytest.approx(least_value_without_hinge(p_data, p_generated, margin, 7))


def all_games() -> Iterator[tuple[Vector, Vector, Vector]]:
    """All games of quarters on three points with energies 0, 1, 2, 3: 15 * 15 * 64 = 14,400."""
    for p_data, p_generated in itertools.product(distributions(3, 4), repeat=2):
        for energy in itertools.product(range(4), repeat=3):
            yield p_data, p_generated, np.array(energy, dtype=float)


def test_theorems_1_and_2_hold_for_all_games_on_a_grid() -> None:
    """With m = 2, energies are below, at and above it.

    What either player gains is the best of all its replies on the grid, found by trying: every energy of each point
    (the discriminator's cost is a sum over points), every distribution of quarters.

    How many equilibria: gamma is 0, 1 or 2, and the energy of a point without data gamma or more, one of 4, 3 or 2.
    Three distributions have no such point, 3 equilibria each; nine have one, 4 + 3 + 2; three two, 16 + 9 + 4.
    """
    replies = np.array(distributions(3, 4))
    energies = np.arange(4.0)
    n_equilibria = 0
    for p, q, energy in all_games():
        least_v = sum(min(a * y + b * max(0, 2 - y) for y in energies) for a, b in zip(p, q, strict=True))
        gain_d = discriminator_value(p, q, energy, 2.0) - least_v
        gain_g = generator_value(q, energy) - (replies @ energy).min()
        assert regrets(p, q, energy, 2.0) == (gain_d, gain_g)
        equilibrium = gain_d == 0 and gain_g == 0
        assert is_equilibrium(p, q, energy, 2.0) == equilibrium
        assert meets_theorem_2(p, q, energy, 2.0) == equilibrium
        if equilibrium:
            assert np.array_equal(p, q)
            assert discriminator_value(p, q, energy, 2.0) == 2
        n_equilibria += equilibrium
    assert n_equilibria == 3 * 3 + 9 * 9 + 3 * 29


def test_without_the_hinge_the_equilibria_are_those_of_theorem_2_with_the_bound_of_d_in_place_of_the_margin() -> (
    None
):
    """D in [0, 3]: the same constants, up to 3, whatever the margin."""
    for p, q, energy in all_games():
        least = least_value_without_hinge(p, q, 2.0, 3.0)
        gain_d = value_without_hinge(p, q, energy, 2.0) - least
        equilibrium = gain_d == 0 and generator_value(q, energy) == energy.min()
        assert equilibrium == meets_theorem_2(p, q, energy, 3.0)


@PATIENT
@given(games())
def test_theorem_2_describes_the_equilibria(game: tuple[Vector, Vector, Vector, float]) -> None:
    assert is_equilibrium(*game, tolerance=0.0) == meets_theorem_2(*game)


@PATIENT
@given(games(), st.integers(0, 8))
def test_any_constant_up_to_the_margin_and_none_above_is_an_equilibrium(
    game: tuple[Vector, Vector, Vector, float], gamma: int
) -> None:
    p_data, _, _, margin = game
    assert is_equilibrium(p_data, p_data, np.full(len(p_data), float(gamma)), margin) == (gamma <= margin)


@PATIENT
@given(games())
def test_near_an_equilibrium_the_distributions_are_near(game: tuple[Vector, Vector, Vector, float]) -> None:
    p_data, p_generated, energy, margin = game
    gains = regrets(p_data, p_generated, energy, margin)
    assert min(gains) >= 0
    assert margin * total_variation(p_data, p_generated) <= sum(gains)


def test_the_tolerance_is_of_what_a_player_gains() -> None:
    """D = 11 everywhere: V is 11, and 10 at best."""
    energy = np.full(4, 11.0)
    assert regrets(P_DATA, P_DATA, energy, MARGIN) == (1, 0)
    assert not is_equilibrium(P_DATA, P_DATA, energy, MARGIN, tolerance=0.99)
    assert is_equilibrium(P_DATA, P_DATA, energy, MARGIN, tolerance=1)


def test_where_there_is_no_data_the_energy_has_a_floor_and_no_ceiling() -> None:
    """The footnote of Theorem 2 has [0, m]. From 5 the generator would move to a 2; from a 99 no one gains."""
    for energy, expected in ((2.0, False), (5.0, True), (99.0, True)):
        d = np.array([5.0, 5, 5, energy])
        assert is_equilibrium(P_DATA, P_DATA, d, MARGIN) is expected
        assert meets_theorem_2(P_DATA, P_DATA, d, MARGIN) is expected


@PATIENT
@given(games(), st.integers(0, 9))
def test_without_the_hinge_best_energies_are_at_the_bound(
    game: tuple[Vector, Vector, Vector, float], bound: int
) -> None:
    p_data, p_generated, energy, margin = game
    least = least_value_without_hinge(p_data, p_generated, margin, bound)
    lowest, highest = best_energies_without_hinge(p_data, p_generated, bound)
    assert value_without_hinge(p_data, p_generated, lowest, margin) == least
    assert value_without_hinge(p_data, p_generated, highest, margin) == least
    energy = np.minimum(energy, bound)
    is_best = bool(((lowest <= energy) & (energy <= highest)).all())
    assert (value_without_hinge(p_data, p_generated, energy, margin) <= least) == is_best


@PATIENT
@given(games())
def test_up_to_the_margin_the_hinge_changes_nothing(game: tuple[Vector, Vector, Vector, float]) -> None:
    p_data, p_generated, energy, margin = game
    energy = np.minimum(energy, margin)
    with_hinge = discriminator_value(p_data, p_generated, energy, margin)
    assert value_without_hinge(p_data, p_generated, energy, margin) == with_hinge
    assert least_value_without_hinge(p_data, p_generated, margin, margin) == least_discriminator_value(
        p_data, p_generated, margin
    )


def test_without_a_bound_no_energy_is_the_best() -> None:
    lowest, highest = best_energies_without_hinge(P_DATA, P_GENERATED)
    assert lowest.tolist() == [0, 0, np.inf, np.inf]
    assert highest.tolist() == [0, np.inf, np.inf, np.inf]
    assert least_value_without_hinge(P_DATA, P_GENERATED, MARGIN) == -np.inf
    assert least_value_without_hinge(P_DATA, P_DATA, MARGIN) == MARGIN


def test_the_examples_of_the_page_give_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the last example leaves its figure
    examples = doctest.DocTestParser().get_doctest(PAGE.replace("```", ""), {}, "theory.md", None, 0)
    said: list[str] = []
    failed, tried = doctest.DocTestRunner().run(examples, out=said.append)
    assert failed == 0, "".join(said)
    assert tried >= 15
    assert is_whole(tmp_path / "lemma_1")


def test_every_sum_in_the_page_s_text_is_right_and_no_other_number_stands_there() -> None:
    """Sums are code like `10 * (1 - 0.25) = 7.5`; else there are numbers of equations, theorems and papers."""
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    sums = re.findall(r"`([\d .+*/()-]+) = ([\d.-]+)`", text)
    assert len(sums) >= 5
    for left, right in sums:
        assert eval(compile(ast.parse(left, mode="eval"), "theory.md", "eval")) == float(right), left
    text = re.sub(r"`[\d .+*/()-]+ = [\d.-]+`", "", text)
    named = r"(Eq\. |and |to )\(\d+\)|(Theorems?|Lemma|Section|and) \d(\.\d)?|(lemma|theorem)_\d"
    named += r"|abs/1609.03126|ICLR 2017"
    assert re.findall(r".*[1-9].*", re.sub(named, "", text)) == []


def figure() -> Figure:
    return lemma_1(P_DATA[[2, 1, 0]].tolist(), P_GENERATED[[2, 1, 0]].tolist(), MARGIN)


def test_the_figure_has_phi_with_its_minimum() -> None:
    """a, b = 1/4, 3/8: best at 10. 1/4, 1/4: on [0, 10]. 1/2, 1/4: at 0."""
    panels = figure().axes
    assert [panel.get_title() for panel in panels] == [
        "p_data = 0.25, p_G = 0.375", "p_data = 0.25, p_G = 0.25", "p_data = 0.5, p_G = 0.25",
    ]  # fmt: skip
    best = []
    for panel, a, b in zip(panels, (0.25, 0.25, 0.5), (0.375, 0.25, 0.25), strict=True):
        _, plain, hinge, ends = panel.lines
        y = np.asarray(hinge.get_xdata())
        np.testing.assert_allclose(hinge.get_ydata(), [a * e + b * max(0, 10 - e) for e in y])
        np.testing.assert_allclose(plain.get_ydata(), [a * e + b * (10 - e) for e in y])
        np.testing.assert_allclose(ends.get_ydata(), np.min(hinge.get_ydata()))
        best.append(list(ends.get_xdata()))
    assert best == [[10, 10], [0, 10], [0, 0]]


def test_best_energies_beyond_the_figure_end_at_its_edge() -> None:
    _, _, _, ends = lemma_1([0.0], [0.5], MARGIN).axes[0].lines
    assert list(ends.get_xdata()) == [10, 20]


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(figure(), tmp_path / name)
    for suffix in ("png", "svg"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
