"""The checker is exact: it accepts the largest true claim and rejects the next float above it."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from retr.certificates.checker import half_space_distance, signed_distance, top1_violations
from retr.core.errors import UsageError

ROWS = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_the_boundary_is_sharp(score):
    z = [2.0, 0.0]  # h = √2 and 2: √2 is no float, so one neighbour is allowed and the next is not
    low, high = math.sqrt(2), math.nextafter(math.sqrt(2), 2)
    low, high = (low, high) if Decimal(low) ** 2 < 2 else (math.nextafter(low, 0), low)
    for factor in (1.0, 0.5, 4.0):
        assert not top1_violations(z, ROWS[0], ROWS[1:], score=score, radius=low / factor, lipschitz=factor)
        assert [
            v.row for v in top1_violations(z, ROWS[0], ROWS[1:], score=score, radius=high / factor, lipschitz=factor)
        ] == [0]
    assert len(top1_violations(z, ROWS[0], ROWS[1:], score=score, radius=2.5, lipschitz=1.0)) == 2


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_a_distance_that_is_a_float_may_be_claimed_to_the_last_digit(score):
    """h = 2 towards the opposite row, reached from a query of twice its length; and 1 where L is 2."""
    for lipschitz, radius in ((1.0, 2.0), (2.0, 1.0), (0.5, 4.0)):
        claim = {"score": score, "lipschitz": lipschitz}
        assert not top1_violations([2.0, 0.0], ROWS[0], ROWS[2:], radius=radius, **claim)
        found = top1_violations([2.0, 0.0], ROWS[0], ROWS[2:], radius=math.nextafter(radius, 9), **claim)
        assert [(v.row, v.claimed) for v in found] == [(0, math.nextafter(radius, 9))]


def test_ties_and_losers_allow_only_zero():
    for rival in (ROWS[0], [1.0, 1e-300]):
        assert not top1_violations([1.0, 0.0], ROWS[0], [rival], score="cosine", radius=0.0, lipschitz=1.0)
        assert top1_violations([1.0, 0.0], ROWS[0], [rival], score="cosine", radius=5e-324, lipschitz=1.0)
    assert top1_violations([0.0, 1.0], ROWS[0], ROWS[1:2], score="cosine", radius=0.1, lipschitz=1.0)


def test_distances_have_more_digits_than_floats():
    h = half_space_distance([2.0, 0.0], ROWS[0], ROWS[1], "cosine")
    assert abs(h * h - 2) < Decimal("1e-100")
    assert half_space_distance([2.0, 0.0], ROWS[0], ROWS[0], "euclidean") == 0
    s = signed_distance([0.0, 3.0], ROWS[0], score="cosine", threshold=0.5)  # 90° − 60° outside: 3·sin 30°
    assert abs(s + Decimal("1.5")) < Decimal("1e-15")
    s = signed_distance([3.0, 4.0], ROWS[0], score="cosine", threshold=0.5)  # 5·(sin 60°·0.6 − cos 60°·0.8)
    assert abs(s - (Decimal(27).sqrt() / 2 - 2)) < Decimal("1e-25")
    assert signed_distance([-3.0, 0.0], ROWS[0], score="cosine", threshold=0.5) == -3
    assert signed_distance([3.0, 4.0], [0.0, 0.0], score="euclidean", threshold=6.0) == 1


def test_it_agrees_with_plain_arithmetic_on_random_rows():
    random = np.random.default_rng(5)
    z, rows = random.normal(size=64), random.normal(size=(20, 64))
    for row in rows[1:]:
        w = rows[0] - row
        assert float(half_space_distance(z, rows[0], row, "cosine")) == pytest.approx(
            z @ w / np.linalg.norm(w), rel=1e-9
        )
        plain = ((z - row) @ (z - row) - (z - rows[0]) @ (z - rows[0])) / (2 * np.linalg.norm(w))
        assert float(half_space_distance(z, rows[0], row, "euclidean")) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize(
    ("radius", "lipschitz"), [(-1.0, 1.0), (math.inf, 1.0), (math.nan, 1.0), (1.0, 0.0), (1.0, math.nan)]
)
def test_claims_must_be_numbers(radius, lipschitz):
    with pytest.raises(UsageError, match="claim"):
        top1_violations([1.0, 0.0], ROWS[0], ROWS[1:], score="cosine", radius=radius, lipschitz=lipschitz)
