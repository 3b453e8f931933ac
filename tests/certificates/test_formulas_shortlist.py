"""What a shortlist proves of the rows it leaves out: the formulas of docs/theory.md, Exact answers, in 60 digits.

The code may only be more careful than the formula, and only by the last digits (of float32, where a search takes it).
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from retr.certificates import shortlist
from retr.certificates.shortlist import TF32_UNIT
from retr.core.numerics import UNIT32, UNIT64, gamma
from retr.core.types import Score, UpperBound

L, E = 1.5, 1e-3
BUDGET: dict[str, Any] = {"lipschitz": UpperBound(L, "test"), "forward_error": E}
FLUSH = Fraction(2) ** -124
ULP = Fraction(2) ** -52
DIMS = (2, 7, 256, 1000)


def exact_gamma(n, unit):
    return Fraction(n) * Fraction(unit) / (1 - Fraction(n) * Fraction(unit))


def root(x):
    with localcontext(Context(prec=60)):
        return Fraction((Decimal(x.numerator) / Decimal(x.denominator)).sqrt())


def slack(dim, unit=UNIT32):
    """(1 + v)²(1 + γ_{d+4}) − 1, with sums at 2⁻²³ where the device may truncate."""
    sums = exact_gamma(dim + 4, UNIT32 if unit <= UNIT32 else 2 * UNIT32)
    return (1 + Fraction(unit)) ** 2 * (1 + sums) - 1


def depth_gamma(dim):
    """γ of a tree and eight roundings, from above."""
    return Fraction(gamma(int(np.ceil(np.log2(dim))) + 8))


def drawn(seed, count=400):
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield random, int(random.choice(DIMS))


def just(value, exact, *, above, room):
    """On the careful side of the exact number, by at most a share ``room`` of it."""
    value = Fraction(value)
    lower, upper = (exact, exact + room * abs(exact)) if above else (exact - room * abs(exact), exact)
    assert lower <= value <= upper, (float(exact), float((value - exact) / ULP))


@pytest.mark.parametrize("dim", [*DIMS, 4096])
@pytest.mark.parametrize("unit", [UNIT32, TF32_UNIT])
def test_score_slack(dim, unit):
    just(shortlist.score_slack(dim, unit), slack(dim, unit), above=True, room=8 * ULP)
    assert Fraction(2) ** -10 == TF32_UNIT


@pytest.mark.parametrize("dim", [*DIMS, 4096])
@pytest.mark.parametrize("unit", [UNIT32, UNIT64])
def test_stored_row_tolerance(dim, unit):
    exact = Fraction(1.001) * Fraction(UNIT32) + exact_gamma(dim + 8, unit) + dim * FLUSH
    just(shortlist.stored_row_tolerance(dim, unit), exact, above=True, room=8 * ULP)


def test_stored_row_tolerance_is_for_rows_normalised_in_float64():
    assert shortlist.stored_row_tolerance(300) == shortlist.stored_row_tolerance(300, UNIT64)


@pytest.mark.parametrize("unit", [UNIT32, TF32_UNIT])
def test_chord_of_unseen_rows(unit):
    """b = √(2 − 2c), c = s_K/(‖y‖‖e‖) + γ' and what the roundings of this line may add."""
    for random, dim in drawn(1):
        y_norm, worst = random.uniform(0.2, 5), random.uniform(-0.9, 0.9)
        chord_is_just(worst * y_norm, y_norm, dim, unit)


def test_chord_where_float32_underflows():
    for random, dim in drawn(2):
        y_norm = dim * 2.0**-124 * random.uniform(3, 30)
        chord_is_just(random.uniform(-0.5, 0.5) * y_norm, y_norm, dim, UNIT32)


def chord_is_just(worst, y_norm, dim, unit):
    row = Fraction(shortlist.stored_row_tolerance(dim)) + Fraction(1e-12)
    scale = Fraction(y_norm) * (1 - row if worst > 0 else 1 + row)
    cosine = (Fraction(worst) + dim * FLUSH) / scale + slack(dim, unit) + Fraction(1e-15)
    exact = root(2 - 2 * cosine) * (1 - Fraction(1e-15)) - depth_gamma(dim)
    just(shortlist.unseen_chord(worst, y_norm=y_norm, dim=dim, input_unit=unit), exact, above=False, room=12 * ULP)


def test_distance_of_unseen_rows():
    """b² = the worst squared distance − γ'(‖z‖ + max‖e‖)²."""
    for random, dim in drawn(3):
        scale = random.choice([1.0, 1e-19])
        z_norm, row_norm = random.uniform(0.1, 2, size=2) * scale
        spread = (Fraction(z_norm) + Fraction(row_norm)) ** 2
        error = slack(dim) * spread + dim * FLUSH
        worst = float(error) * random.uniform(1.1, 3)
        exact = root(Fraction(worst) - error) * (1 - Fraction(1e-15))
        got = shortlist.unseen_distance(worst, z_norm=z_norm, row_norm=row_norm, dim=dim)
        just(got, exact, above=False, room=100 * ULP)


def test_distance_of_unseen_rows_to_the_last_digits():
    for random, dim in drawn(4):
        worst = random.uniform(0.5, 3)
        exact = root(Fraction(worst) - dim * FLUSH) * (1 - Fraction(1e-15))
        just(shortlist.unseen_distance(worst, z_norm=0.0, row_norm=0.0, dim=dim), exact, above=False, room=12 * ULP)


def test_a_device_of_less_precision_is_allowed_for():
    tf32 = shortlist.unseen_distance(2.0, z_norm=1.0, row_norm=1.0, dim=64, input_unit=TF32_UNIT)
    assert Fraction(tf32) <= root(2 - 4 * slack(64, TF32_UNIT)) < Fraction(tf32) * (1 + 8 * ULP)
    limit = shortlist.search_squared_distance(1.0, z_norm=1.0, row_norm=1.0, dim=64, input_unit=TF32_UNIT)
    assert 0 <= Fraction(limit) - (1 + 4 * slack(64, TF32_UNIT)) < 4 * Fraction(UNIT32)
    score = shortlist.search_score(1.0, y_norm=1.0, dim=64, input_unit=TF32_UNIT)
    assert 0 <= Fraction(1, 2) - slack(64, TF32_UNIT) - Fraction(score) < 4 * Fraction(UNIT32)


def test_floor_of_unseen_rows():
    """‖z‖(b − a)/2, and −a‖z‖ where a row may be nearer than the target."""
    for random, _ in drawn(5):
        a, b = random.uniform(0, 2, size=2)
        z_norm = random.uniform(0.2, 5)
        half = (Fraction(b) - Fraction(a)) / 2 if b >= a else -Fraction(a)
        just(
            shortlist.unseen_floor(a, b, score="cosine", z_norm=z_norm),
            half * Fraction(z_norm),
            above=False,
            room=6 * ULP,
        )
        just(shortlist.unseen_floor(a, b, score="euclidean", z_norm=z_norm), half, above=False, room=4 * ULP)
    for z_norm in (1.0, 2.0):
        assert -1e-300 < shortlist.unseen_floor(0.5, 0.5, score="cosine", z_norm=z_norm) <= 0.0


def test_radius_of_unseen_rows(coarse):
    """D ≥ ‖z‖(b − a)/2 − 8γ‖z‖/(a + b), and for Euclidean (b − a)/2 − 1.25γ(a + b)."""
    g = coarse.gammas(40, 8)
    for a, b in ((0.1, 0.9), (0.5, 0.5), (0.5, 0.4)):
        half = (b - a) / 2 if b >= a else -a
        got = shortlist.unseen_radius(a, b, score="cosine", z_norm=1.2, dim=40, **BUDGET)
        reach = 1.2 * half - 8 * g * 1.2 / (a + b) * (1 + 1e-12)
        assert got == pytest.approx((reach - 2 * E) / L, rel=1e-14, abs=0)
        got = shortlist.unseen_radius(a, b, score="euclidean", z_norm=1.2, dim=40, **BUDGET)
        assert got == pytest.approx((half - 1.25 * g * (a + b) - 2 * E) / L, rel=1e-14, abs=0)


def test_radius_of_unseen_rows_rounds_its_own_error_up(coarse):
    """At a tie nothing is left but the error of the arithmetic, whose own roundings are covered."""
    sure = {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0}
    g = Fraction(coarse.gammas(40, 8))
    for random, _ in drawn(6):
        a, z_norm = random.uniform(0.01, 2, size=2)
        exact = 8 * g * Fraction(z_norm) / (2 * Fraction(a)) * (1 + Fraction(1e-12))
        got = shortlist.unseen_radius(a, a, score="cosine", z_norm=z_norm, dim=40, **sure)
        just(-got, exact, above=True, room=16 * ULP)
        got = shortlist.unseen_radius(a, a, score="euclidean", z_norm=z_norm, dim=40, **sure)
        just(-got, Fraction(1.25) * g * 2 * Fraction(a), above=True, room=16 * ULP)


def test_radius_of_unseen_rows_where_squares_underflow():
    sure = {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0, "dim": 40}
    assert shortlist.unseen_radius(0.0, 0.0, score="euclidean", z_norm=1.0, **sure) == pytest.approx(
        -1e-140, rel=1e-9, abs=0
    )
    assert shortlist.unseen_radius(0.5, 0.5, score="cosine", z_norm=0.0, **sure) == pytest.approx(
        -1e-140, rel=1e-9, abs=0
    )


def test_needed_separation():
    """b = a + 2h/‖z‖, so far that its own roundings cannot matter."""
    for random, _ in drawn(7):
        a, h = random.uniform(0, 1, size=2)
        z_norm = random.uniform(0.2, 5)
        scales: dict[Score, float] = {"cosine": z_norm, "euclidean": 1.0}
        for score, scale in scales.items():
            exact = (Fraction(a) + 2 * Fraction(h) / Fraction(scale)) * (1 + Fraction(1e-14))
            just(shortlist.needed_separation(a, h, score=score, z_norm=z_norm), exact, above=True, room=8 * ULP)
    assert shortlist.needed_separation(0.25, -1.0, score="cosine", z_norm=1.0) == pytest.approx(0.25, rel=1e-13, abs=0)


@pytest.mark.parametrize("unit", [UNIT32, TF32_UNIT])
def test_score_to_search_for(unit):
    """Below (1 − b²/2 − γ')·‖y‖·‖e‖ for the worst ‖e‖, by no more than two float32 numbers."""
    for random, dim in drawn(8):
        b, y_norm = random.uniform(0, 1.95), random.uniform(0.2, 5)
        score_is_just(b, y_norm, dim, unit)


def test_score_to_search_for_where_float32_underflows():
    for random, dim in drawn(9):
        score_is_just(random.uniform(0, 1.95), dim * 2.0**-124 * random.uniform(2, 9), dim, UNIT32)


def score_is_just(b, y_norm, dim, unit):
    row = Fraction(shortlist.stored_row_tolerance(dim))
    cosine = 1 - (Fraction(b) + depth_gamma(dim)) ** 2 / 2 - slack(dim, unit)
    exact = cosine * Fraction(y_norm) * (1 - row if cosine > 0 else 1 + row) - dim * FLUSH
    got = shortlist.search_score(b, y_norm=y_norm, dim=dim, input_unit=unit)
    assert got == float(np.float32(got))
    room = 3 * Fraction(UNIT32) * abs(exact) + Fraction(y_norm) * Fraction(2e-14) + FLUSH / 2**20
    assert exact - room <= Fraction(got) < exact


def test_score_to_search_for_near_zero():
    """Where float32 is fine enough to see it: 1e-14 is kept for the roundings of the cosine."""
    for random, dim in drawn(10):
        b = float(root(2 - 2 * slack(dim))) + random.uniform(-1e-10, 1e-10)
        cosine = 1 - (Fraction(b) + depth_gamma(dim)) ** 2 / 2 - slack(dim)
        got = Fraction(shortlist.search_score(b, y_norm=1.0, dim=dim))
        assert Fraction(9e-15) < cosine - got < Fraction(1.2e-14)


def test_gamma_is_that_of_eight_roundings(coarse):
    """Of the norms, and of the chord that decisions compute."""
    g = coarse.gammas(64, 8)
    for b in (0.3, 1.2):
        cosine = 1 - (b + g) ** 2 / 2 - float(slack(64))
        assert shortlist.search_score(b, y_norm=1.0, dim=64) == pytest.approx(cosine, rel=1e-6, abs=0)
    for worst in (0.3, -0.4):
        chord = (2 - 2 * (worst + float(slack(64)))) ** 0.5 - g
        assert shortlist.unseen_chord(worst, y_norm=1.0, dim=64) == pytest.approx(chord, rel=1e-7, abs=0)


def test_squared_distance_to_search_for():
    """Above b² + γ'(‖z‖ + max‖e‖)², by no more than two float32 numbers."""
    for random, dim in drawn(11):
        scale = random.choice([1.0, 1e-18])
        b, z_norm, row_norm = random.uniform(0, 2, size=3) * scale
        spread = (Fraction(z_norm) + Fraction(row_norm)) ** 2
        exact = Fraction(b) ** 2 + slack(dim) * spread + dim * FLUSH
        got = shortlist.search_squared_distance(b, z_norm=z_norm, row_norm=row_norm, dim=dim)
        assert got == float(np.float32(got))
        assert exact < Fraction(got) <= exact * (1 + 3 * Fraction(UNIT32))
