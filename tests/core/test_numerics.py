"""The bounds on rounding, against exact fractions, on sums that lose as much as sums can."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.core.numerics import (
    UNIT32,
    UNIT64,
    dot,
    dot_gamma,
    gamma,
    norm,
    round_down,
    round_up,
    row_blocks,
    tree_depth,
    tree_sum,
)

U = Fraction(1, 2**53)
BLOCK = 2**17


def exact_sum(x):
    return sum((Fraction(float(v)) for v in x), Fraction(0))


def test_units_are_those_of_the_formats():
    assert Fraction(UNIT64) == U == Fraction(float(np.finfo(np.float64).eps)) / 2
    assert Fraction(UNIT32) == Fraction(1, 2**24) == Fraction(float(np.finfo(np.float32).eps)) / 2


@given(st.floats(-1e300, 1e300))
def test_rounding_goes_to_the_neighbour(x):
    assert round_down(x) < x < round_up(x)
    assert (round_up(x), round_down(x)) == (math.nextafter(x, math.inf), math.nextafter(x, -math.inf))


@pytest.mark.parametrize("unit", [UNIT64, UNIT32])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 1000, 10**6])
def test_gamma(n, unit):
    exact = n * Fraction(unit) / (1 - n * Fraction(unit))
    assert exact <= Fraction(gamma(n, unit)) <= exact * (1 + 8 * U) + Fraction(2) ** -1000
    assert gamma(n) == gamma(n, UNIT64)


def test_gamma_of_nearly_too_many():
    """Where 1 − n·u is far from 1, each of its three roundings shows."""
    for n in range(2**52 - 300, 2**52):
        exact = n * U / (1 - n * U)
        assert exact <= Fraction(gamma(n)) <= exact * (1 + 8 * U)
    with pytest.raises(ValueError, match="no useful error bound"):
        gamma(2**52)


def test_depth_of_the_tree():
    assert [tree_depth(n) for n in (0, 1, 2, 3, 4, 5, 8, 9, 1024, 1025)] == [0, 0, 1, 2, 2, 3, 3, 4, 10, 11]


def losing(levels):
    """1 and, at each level of the tree, a half unit in the last place that is lost against it."""
    x = np.zeros(2**levels)
    x[0] = 1.0
    for level in range(levels):
        x[2**level] = UNIT64
    return x


@pytest.mark.parametrize("levels", [1, 2, 5, 12])
def test_a_sum_may_lose_a_rounding_at_each_level(levels):
    """The bound holds and is needed: one level less would not cover it."""
    x = losing(levels)
    error = abs(Fraction(float(tree_sum(x))) - exact_sum(x))
    assert error == levels * U
    assert Fraction(gamma(levels - 1)) * exact_sum(x) < error <= Fraction(gamma(tree_depth(x.size))) * exact_sum(x)


def test_a_product_may_lose_one_more():
    """(1 + 2⁻²⁶)·(1 + 2⁻²⁷) ends in a half unit, which is rounded away, and so is one at each level."""
    for levels in (1, 4, 9):
        a = losing(levels)
        b = np.ones_like(a)
        a[0], b[0] = 1 + 2.0**-26, 1 + 2.0**-27
        products = [Fraction(float(p)) * Fraction(float(q)) for p, q in zip(a, b, strict=True)]
        error = abs(Fraction(float(dot(a, b))) - sum(products))
        assert Fraction(gamma(levels)) * sum(products) < error <= Fraction(dot_gamma(a.size)) * sum(products)


@given(st.integers(0, 2**32 - 1), st.integers(0, 70))
@settings(max_examples=60, deadline=None)
def test_sums_products_and_norms_are_within_their_bounds(seed, n):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, n)) * 10.0 ** random.integers(-8, 8, size=(2, n))
    products = [Fraction(p) * Fraction(q) for p, q in zip(a.tolist(), b.tolist(), strict=True)]
    spread = sum(map(abs, products), Fraction(0))
    assert abs(Fraction(float(tree_sum(a))) - exact_sum(a)) <= Fraction(gamma(tree_depth(n))) * exact_sum(np.abs(a))
    assert abs(Fraction(float(dot(a, b))) - sum(products, Fraction(0))) <= Fraction(dot_gamma(n)) * spread
    square = sum((Fraction(v) ** 2 for v in a.tolist()), Fraction(0))
    low, high = (1 - Fraction(dot_gamma(n))) ** 2 * square, (1 + Fraction(dot_gamma(n))) ** 2 * square
    assert low <= Fraction(float(norm(a))) ** 2 <= high


def test_shapes_of_sums():
    assert tree_sum(np.zeros((3, 0))).tolist() == [0.0, 0.0, 0.0]
    assert tree_sum(np.arange(12.0).reshape(2, 2, 3)).tolist() == [[3.0, 12.0], [21.0, 30.0]]
    rows = np.arange(6.0).reshape(2, 3)
    assert dot(rows[0], rows).tolist() == [5.0, 14.0]
    assert dot(rows, rows).tolist() == np.round(norm(rows) ** 2).tolist() == [5.0, 50.0]
    assert dot(rows, rows[0]).tolist() == [5.0, 14.0]
    assert dot(rows[0], rows[:0]).shape == (0,)
    assert dot(rows[:, None], rows[None]).tolist() == [[5.0, 14.0], [14.0, 50.0]]


@pytest.mark.parametrize(("count", "dim"), [(5, 0), (1, 3), (BLOCK + 3, 1), (700, 301), (4, BLOCK + 1), (0, 7)])
def test_blocks_hold_every_row_once_and_fit_the_cache(count, dim):
    rows = np.empty((count, dim))
    slices = list(row_blocks(rows))
    taken = [index for part in slices for index in range(count)[part]]
    assert taken == list(range(count))
    assert all(len(rows[part]) == 1 or len(rows[part]) * dim <= BLOCK for part in slices)
    assert len(slices) <= 1 + count * dim / (BLOCK / 2)
