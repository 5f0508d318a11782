import json
from dataclasses import replace

import pytest

from ladder_ebgan.alone import Measured
from ladder_ebgan.margin import SETTLED_BELOW_PERCENT, Proposal, fall_percent, followed, has_settled
from ladder_ebgan.report.margin import ROWS, Asked, margin_json, margin_text, point_line

POINTS = [
    Measured(0, (20.0, 22.0)),
    Measured(100, (10.0, 12.0)),
    Measured(200, (8.0, 9.6)),
    Measured(300, (8.0, 9.0)),
]
ASKED = Asked("figure4-ebgan", "ebgan", "ebgan", None, "mnist", False, 10.0, 2000, range(2))
OF_LADDER = Asked("table2", "late", "ebgan-ladder", ["n_steps=9"], "mnist", True, 16.0, 2000, range(2))


def test_the_fall_compares_the_last_half_of_the_steps_with_the_quarter_before() -> None:
    """From 11 to 8.8 is 20 %. Then step 300 is beyond 150, and 100 is not beyond 75: (8.8 + 8.5) / 2 against 11."""
    assert fall_percent(POINTS[:3]) == pytest.approx(20)
    assert fall_percent(POINTS) == pytest.approx(100 * (1 - 8.65 / 11))
    assert fall_percent(points(30, 12, 11, 10, 9, 8, 7)) == pytest.approx(100 * (1 - 8 / 10.5))
    assert fall_percent(POINTS[:1]) is None
    assert fall_percent(POINTS[:2]) is None


def points(*energies: float) -> list[Measured]:
    return [Measured(100 * step, (energy,)) for step, energy in enumerate(energies)]


def test_it_has_settled_when_doubling_the_steps_changes_little() -> None:
    """10 to 8.9 is 11 %, which is not less than 10; to 9.1 is less. So of rises."""
    assert SETTLED_BELOW_PERCENT == 10
    assert not has_settled(points(30, 10, 8.9), 100)
    assert has_settled(points(30, 10, 9.1), 100)
    assert has_settled(points(30, 10, 10.9), 100)
    assert not has_settled(points(30, 10, 11.1), 100)
    assert not has_settled(points(30, 10, 9.1), 201)
    assert not has_settled(points(30, 10), 100)
    assert not has_settled(points(30, 20, 12, 7, 12), 100)  # 12 again by chance


def test_it_is_followed_until_it_has_settled() -> None:
    """At the second point of 9.1; nothing is measured after that."""
    measurements = iter(points(30, 10, 9.1, 9.0))
    proposals = list(followed(measurements, 100))
    assert [proposal.settled for proposal in proposals] == [False, False, True]
    assert [len(proposal.points) for proposal in proposals] == [1, 2, 3]
    assert len(list(measurements)) == 1
    assert [proposal.settled for proposal in followed(points(30, 10, 5), 100)] == [False] * 3


def test_margins_begin_with_the_energy() -> None:
    """The mean of 8 and 9 is 8.5; times 1, 1.5, 2, 3, 4, to two digits."""
    proposal = Proposal(tuple(POINTS), True)
    assert proposal.margins == [8.5, 13, 17, 26, 34]
    assert (proposal.start, proposal.energy) == (21, 8.5)
    assert proposal.deviation == pytest.approx(0.5**0.5)
    assert Proposal(tuple(points(1, 0.01234)), True).margins[0] == 0.012
    assert Proposal(tuple(points(1, 0.01234)), True).deviation is None


def test_the_text_says_what_why_and_how() -> None:
    text = margin_text(ASKED, Proposal(tuple(POINTS), True))
    lines = text.splitlines()
    assert lines[0] == (
        "Energy of 2,000 training images of mnist that ebgan of figure4-ebgan, trained alone, does not see"
    )
    assert lines[2:7] == [
        "step      energy",
        "0       21 ± 1.4",
        "100     11 ± 1.4",
        "200    8.8 ± 1.1",
        "300   8.5 ± 0.71",
    ]
    assert "norms, ||Dec(Enc(x)) - x|| of Eq. (13)." in text
    assert (
        "It settles at 8.5 ± 0.71 (seeds 0, 1): it changes by less than 10 % while the number of steps doubles."
        in text
    )
    assert "the first term goes from 21 to 8.5, and the second, [m - D(G(z))]^+, lies between 0 and m" in text
    assert "The recipe has 10, 1.2 times that energy." in text
    assert lines[-3:] == ["Proposed margin: 8.5; search 8.5, 13, 17, 26, 34", "", "    --set ebgan.margin=8.5"]
    assert "decay" not in text


def test_the_margin_of_a_ladder_is_a_squared_error_that_decays() -> None:
    text = margin_text(OF_LADDER, Proposal(tuple(POINTS), True))
    assert "squared errors, summed over pixels, without lambda_L2 (appendix D)." in text
    assert "Begin large, and let the margin decay to 0 (appendix D)." in text
    assert text.endswith('    --set \'variants.late.set=["n_steps=9", "margin.values.0=8.5"]\'\n')
    of_model = margin_text(replace(OF_LADDER, variant=None), Proposal(tuple(POINTS), True))
    assert of_model.endswith("    --set ebgan-ladder.margin.values.0=8.5\n")


def test_what_has_not_settled_is_said_to_fall_still() -> None:
    text = margin_text(ASKED, Proposal(tuple(POINTS[:3]), False))
    assert (
        "It has not settled in 200 steps, where it is 8.8 ± 1.1 (seeds 0, 1) and falls by 20.0 % while the" in text
    )
    assert "The margin may be smaller; give more --max-steps" in text
    rising = tuple(Measured(point.step, tuple(50 - each for each in point.energies)) for point in POINTS[:3])
    assert "The margin may be larger; give more --max-steps" in margin_text(ASKED, Proposal(rising, False))
    assert "(seeds 0, 1). The margin" in margin_text(ASKED, Proposal(tuple(POINTS[:2]), False))


def test_it_fits_a_terminal_and_long_curves_are_thinned_out() -> None:
    many = tuple(Measured(100 * step, (50.0 - step / 10,)) for step in range(200))
    text = margin_text(ASKED, Proposal(many, True), width=60)
    assert max(map(len, text.splitlines())) <= 60
    steps = [line.split()[0] for line in text.splitlines() if line[:1].isdigit()]
    assert len(steps) <= ROWS
    assert steps[-1] == "19,900"


def test_json_has_all_of_it() -> None:
    content = json.loads(margin_json(ASKED, Proposal(tuple(POINTS[:3]), False)))
    assert content == {
        "recipe": "figure4-ebgan",
        "model": "ebgan",
        "data": "mnist",
        "energy": "norm",
        "n_held_out": 2000,
        "seeds": [0, 1],
        "points": [
            {"step": 0, "energies": [20, 22], "mean": 21},
            {"step": 100, "energies": [10, 12], "mean": 11},
            {"step": 200, "energies": [8, 9.6], "mean": 8.8},
        ],
        "settled": False,
        "fall_percent": pytest.approx(20),
        "fall_limit_percent": 10,
        "settled_energy": {"mean": 8.8, "std": pytest.approx(1.6 / 2**0.5)},
        "margin": 8.8,
        "search": [8.8, 13, 18, 26, 35],
        "recipe_margin": 10,
        "set": "ebgan.margin=8.8",
    }


def test_a_line_says_what_was_measured_last() -> None:
    assert point_line(POINTS[:1]) == "  step 0: energy 21 ± 1.4"
    assert point_line(POINTS[:3]) == "  step 200: energy 8.8 ± 1.1, falls by 20.0 % as the steps double"
    assert point_line(points(1, 10, 11)) == "  step 200: energy 11, rises by 10.0 % as the steps double"
