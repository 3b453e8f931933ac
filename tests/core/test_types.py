"""A bound is a number that a proof gave: finite, not negative, with the proof's name, and products are rounded up."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.core.types import UpperBound


@given(st.floats(1e-100, 1e100), st.floats(1e-100, 1e100))
def test_a_product_is_at_least_the_exact_one(a, b):
    product = UpperBound(a, "one").times(UpperBound(b, "two"))
    exact = Fraction(a) * Fraction(b)
    assert exact <= Fraction(product.value) <= exact * (1 + Fraction(2) ** -51)
    assert product.method == "one × two"


@pytest.mark.parametrize(
    ("value", "method", "words"),
    [(math.nan, "x", "finite"), (math.inf, "x", "finite"), (-1e-9, "x", "non-negative"), (1.0, "", "method")],
)
def test_what_is_no_bound_is_refused(value, method, words):
    with pytest.raises(ValueError, match=words):
        UpperBound(value, method)


def test_nothing_is_a_bound():
    assert UpperBound(0.0, "a constant map").value == 0.0
