"""Small constants that stand for a few roundings: what is computed is on the careful side of the formula in fractions.

They are too small for any attack to feel, and for the coarse arithmetic of ``test_formulas`` to show.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from retr.certificates import channels, ranking, rounding, triplets, verdicts, within_channel
from retr.certificates.within_channel import Surroundings
from retr.core.errors import UsageError
from retr.core.types import UpperBound

ULP = Fraction(2) ** -52
ROW = np.array([[0.6, 0.8]])


@pytest.fixture
def exactly(monkeypatch):
    """Arithmetic without an error of its own: γ = 0, and nothing for underflow."""
    for module in (rounding, ranking, verdicts, channels, within_channel):
        for name, value in {"gammas": lambda dim, count: 0.0, "UNDERFLOW": 0.0, "UNDERFLOW_NORM": 0.0}.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


def draws(seed, count=300):
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield random.uniform(0.1, 3, size=4).tolist()


def just_above(value, exact, ulps):
    assert exact <= Fraction(float(value)) <= exact * (1 + ulps * ULP), float(
        (Fraction(float(value)) / exact - 1) / ULP
    )


def test_the_error_of_a_margin_covers_its_division(exactly):
    """(E + e)/L·(1 + 1e-15), and e alone is left here."""
    for e, constant, *z in draws(1):
        given = {"threshold": 0.5, "lipschitz": UpperBound(constant, "test"), "forward_error": e}
        exact = Fraction(e) / Fraction(constant) * (1 + Fraction(1e-15))
        got = channels.margins(np.array(z), np.array([[0.5, 0.1]]), score="euclidean", **given)
        just_above(got.errors[0], exact, 8)
        assert 0.0 <= got.growth < 1e-300


def test_the_error_of_an_unseen_margin_covers_its_roundings(exactly):
    for e, constant, b, _ in draws(2):
        given = {"threshold": 0.5, "lipschitz": UpperBound(constant, "test"), "forward_error": e}
        got = channels.unseen_margins(b, z_norm=1.0, dim=2, score="euclidean", **given)
        exact = Fraction(e) / Fraction(constant) * (1 + Fraction(1e-14))
        assert abs(Fraction(float(got.errors[0])) - exact) <= 4 * ULP * exact
        assert Fraction(e) / Fraction(constant) < Fraction(float(got.errors[0]))


def test_rows_off_by_nu_count_at_the_farthest_query(exactly):
    """2ν·(2‖z‖ + 2e), with room for its own roundings."""
    for length, e, nu, constant in draws(3):
        around = Surroundings(0.6, UpperBound(constant, "test"), e, 0.0)
        need = around.needed(np.array([length]), np.zeros(1), nu)[0]
        farthest = 2 * Fraction(length) + 2 * Fraction(e)
        just_above(need, 2 * Fraction(nu) * farthest, 5000)
        lower = (
            2 * Fraction(nu) * (2 * Fraction(length) * (1 + Fraction(1e-15)) + 2 * Fraction(e)) * (1 + Fraction(1e-12))
        )
        just_above(need, lower, 16)


def test_unseen_rows_are_off_by_a_trillionth_more_than_the_winner(monkeypatch):
    said = []
    plain = Surroundings.needed

    def spied(self, z, errors, nu):
        said.append(nu)
        return plain(self, z, errors, nu)

    monkeypatch.setattr(Surroundings, "needed", spied)
    around = Surroundings(0.6, UpperBound(1.0, "test"), 0.0, 0.0)
    within_channel.unseen_within_channel(2 * ROW[0], ROW[0], a=0.1, b=0.9, errors=np.zeros(1), surroundings=around)
    assert said[0] == pytest.approx(float(rounding.unit_tolerance(ROW)[0]) + 1e-12, rel=1e-6, abs=0)


def test_unseen_rows_within_a_channel_are_bounded_by_the_formula(coarse):
    """The floor of T1 less need/((b − a)·L), and the half-space ⟨z, u_i⟩ > need."""
    z, L, e = np.array([1.2, 0.3]), 1.5, 1e-3
    around = Surroundings(0.6, UpperBound(L, "test"), e, 0.01)
    errors = np.array([0.002])
    z_low, z_high = coarse.bounds(z)
    u_low, u_high = coarse.bounds(ROW[0])
    need = around.needed(z, errors, max(abs(1 - u_low), abs(1 - u_high)) + 1e-12)[0]
    for a, b in ((0.1, 0.5), (0.1, 0.9), (0.0, 1.9)):
        half = z_low * (b - a) / 2 - 8 * coarse.gammas(2, 8) * z_low / (a + b) * (1 + 1e-12)
        front = ROW[0] @ z - coarse.gammas(2, 3) * z_high * u_high - coarse.under - need
        expected = min((half - 2 * e) / L - need / (b - a) / L, (front / (u_high if front >= 0 else u_low) - 2 * e) / L)
        got = within_channel.unseen_within_channel(z, ROW[0], a=a, b=b, errors=errors, surroundings=around)
        assert got == pytest.approx(expected, rel=1e-12, abs=0)
    none = {"errors": errors, "surroundings": around}
    assert within_channel.unseen_within_channel(z, ROW[0], a=0.5, b=0.5, **none) == -math.inf
    assert within_channel.unseen_within_channel(z, ROW[0], a=0.0, b=5e-324, **none) == -math.inf
    assert within_channel.unseen_within_channel(np.array([1e-4, 0.0]), ROW[0], a=0.1, b=0.9, **none) < 0


def test_a_query_of_no_certain_length_says_nothing_of_unseen_rows(coarse):
    around = Surroundings(0.6, UpperBound(1.0, "test"), 0.0, 0.0)
    z = np.array([1.00001 * coarse.short, 0.0])
    got = within_channel.unseen_within_channel(z, ROW[0], a=0.1, b=0.9, errors=np.zeros(1), surroundings=around)
    assert got == -math.inf


def test_a_cone_without_an_inside_needs_everything():
    z = np.array([1.0, 0.2])
    for threshold, finite in ((0.999999, True), (1.0, False)):
        around = Surroundings(threshold, UpperBound(1.0, "test"), 0.0, 0.0)
        assert bool(np.isfinite(around.needed(z, np.zeros(2), np.zeros(2))).all()) == finite


def test_a_margin_that_is_no_number_is_refused_whatever_else_is_wrong():
    for errors, growth in ((np.ones(2), 0.0), (np.full(2, -1.0), 0.0), (np.ones(2), -1.0), (np.full(2, -1.0), -1.0)):
        with pytest.raises(UsageError, match="numbers"):
            channels.Margins(np.array([1.0, math.nan]), errors, growth)
    with pytest.raises(UsageError, match="alike"):
        channels.Margins(np.ones((1, 1)), np.ones((1, 1)), 0.0)
    assert channels.Margins(np.array([-math.inf]), np.zeros(1), 0.0).growth == 0.0


def test_a_query_shorter_than_underflow_is_zero():
    for length, zero in ((rounding.UNDERFLOW_NORM, True), (2 * rounding.UNDERFLOW_NORM, False)):
        z = np.array([length, 0.0])
        if zero:
            with pytest.raises(UsageError, match="zero"):
                rounding.check_embedding(z, "cosine")
        else:
            rounding.check_embedding(z, "cosine")
        rounding.check_embedding(z, "euclidean")


def test_constants_for_underflow_cover_what_is_lost():
    """Squares below the float64 range vanish: a vector of 2²⁰ numbers of 1e-162 has a computed norm of 0."""
    lost = np.full(2**20, 1e-162)
    low, high = rounding.norm_bounds(lost)
    assert low == 0.0
    assert Fraction(2**10) * Fraction(1e-162) <= Fraction(float(high))
    assert float(high) == pytest.approx(rounding.UNDERFLOW_NORM, rel=1e-9, abs=0)
    assert float(2**60 * Fraction(2) ** -1075) <= rounding.UNDERFLOW
    assert (rounding.UNDERFLOW, rounding.UNDERFLOW_NORM) == (1e-300, 1e-140)


def test_the_last_length_before_zero_is_ten_constants():
    z = np.array([30.0 * rounding.UNDERFLOW_NORM, 0.0])
    one = {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0}
    # the norm's own bound takes one more
    assert ranking.answer_radius(z, score="cosine", **one) == pytest.approx(
        19.0 * rounding.UNDERFLOW_NORM, rel=1e-9, abs=0
    )
    own = np.array([1.0, 0.0])
    pair = ranking.pair_radii(z, own, -own[None], score="cosine", **one)
    assert pair[0] == pytest.approx(19.0 * rounding.UNDERFLOW_NORM, rel=1e-9, abs=0)


def test_the_least_radius_of_a_pair_is_minus_the_length():
    z = np.array([3.0, 4.0])
    rows = np.array([[-0.6, -0.8], [0.6, 0.8]])
    one = {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0}
    got = ranking.pair_radii(z, rows[0], rows[1:], score="cosine", **one)[0]
    assert -5.0 * (1 + 1e-12) <= got <= -5.0 * (1 - 1e-12)
    far = ranking.pair_radii(z, rows[0], np.array([[-0.6, -0.8 + 1e-9]]), score="euclidean", **one)[0]
    assert -10.0 <= far <= 0.0


def test_a_sphere_or_cone_is_left_out_only_beyond_one(exactly):
    z, one = np.array([0.6, 0.8]) * 2, {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0}
    inside = verdicts.verdict_radii(z, np.array([[1.0, 0.0]]), score="cosine", threshold=1 - 1e-12, **one)
    assert inside.copy[0] == pytest.approx(-1.6, rel=1e-5, abs=0)  # a thin cone still has its distance
    outside = verdicts.verdict_radii(z, np.array([[1.0, 0.0]]), score="cosine", threshold=-1 + 1e-12, **one)
    assert outside.nothing[0] == pytest.approx(-2.0, rel=1e-5, abs=0)


def test_thresholds_of_rows_are_checked_at_both_ends():
    z, rows = np.array([1.0, 0.0]), np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    for bad in (1.1, -1.1):
        with pytest.raises(UsageError, match="cosine threshold"):
            verdicts.signed_distances(z, rows, score="cosine", threshold=np.array([0.5, bad, 0.2]))
    assert verdicts.signed_distances(z, rows, score="cosine", threshold=np.array([1.0, -1.0, 0.2])).shape == (3,)
    assert verdicts.signed_distances(z, rows[:0], score="cosine", threshold=np.zeros(0)).shape == (0,)
    with pytest.raises(UsageError, match="one for each"):
        verdicts.signed_distances(z, rows, score="cosine", threshold=np.zeros(2))


@pytest.mark.parametrize(("b", "z_norm"), [(-0.1, 1.0), (math.nan, 1.0), (0.1, -1.0), (0.1, math.inf), (0.1, math.nan)])
def test_what_is_no_separation_or_length_is_refused(b, z_norm):
    one = {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0}
    with pytest.raises(UsageError, match="separation"):
        verdicts.unseen_nothing_radius(b, z_norm=z_norm, dim=2, score="cosine", threshold=0.5, **one)


def test_nothing_and_a_length_of_nothing_are_allowed():
    one = {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0}
    assert verdicts.unseen_nothing_radius(0.0, z_norm=0.0, dim=2, score="cosine", threshold=0.5, **one) <= 0.0
    assert rounding.check_budget(UpperBound(5e-324, "test"), 0.0) is None
    assert verdicts.verdict_at(0.0, copy=0.0, nothing=0.5) == "not-a-copy"
    assert verdicts.verdict_at(0.5, copy=0.0, nothing=0.5) == "undecided"


def test_nothing_divided_by_what_may_be_nothing_is_nothing():
    got = rounding.divide_down(np.zeros(2), np.array([0.0, 0.5]), np.full(2, 0.7))
    assert got.tolist() == [-5e-324, -5e-324]


@pytest.mark.parametrize("moving", triplets.MOVERS)
@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_the_bisection_ends_between_two_neighbours(score, moving):
    random = np.random.default_rng(4)
    z = random.normal(size=(50, 4))
    prey, other = z + 0.3 * random.normal(size=(50, 4)), -z + random.normal(size=(50, 4))
    corner = (triplets._Cosine if score == "cosine" else triplets._Euclidean).of(z, prey, other)
    reach = triplets.triplet_reach(z, prey, other, score=score, moving=moving)
    found = reach > 0
    assert found.mean() > 0.5
    for step, holds in ((reach, True), (np.nextafter(reach, np.inf), False)):
        assert (corner.holds(triplets._Steps.of(moving, step, 0.0)) == holds)[found].all()


def test_a_length_of_one_is_enough_for_the_published_radius():
    z = np.zeros((400, 2))
    z[:, 0] = 1.0 + np.arange(400) * 2.0**-52
    one = {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0}
    first = int(np.argmax(triplets.published_radii(np.zeros(400), z, **one)[1]))
    assert first > 0
    # the least length that is proved, rounded down twice more, is 1 and no more
    assert rounding.down(rounding.down(rounding.norm_bounds(z[first])[0])) == 1.0


def test_items_need_one_name_for_each_row_of_every_channel():
    rows = channels.Margins(np.array([1.0, 2.0]), np.zeros(2), 0.0)
    for parts in ([], [(rows, np.array([1]))], [(rows, np.array([1, 2])), (rows, np.array([1, 2, 3]))]):
        with pytest.raises(UsageError, match="at least one channel"):
            channels.item_margins(parts)
    for winner in (-1, 2):
        with pytest.raises(UsageError, match="no item at position"):
            channels.margin_radii(rows, winner)
    assert channels.margin_radii(rows, 0)[0] < 0 < channels.margin_radii(rows, 1)[0]
