"""A cosine with the same bits on every machine: a threshold that is an angle must not depend on a mathematical library.

``numpy.cos`` and the C library's differ in their last digit between processors and versions. Here nothing is used but
float64 additions, subtractions and products, each rounded as IEEE 754 says, in a fixed order.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from .errors import UsageError

Float64 = npt.NDArray[np.float64]
Pair = tuple[Float64, Float64]
"""An unevaluated sum of two float64 numbers, the second at most half a last digit of the first."""

_SPLIT = 2.0**27 + 1.0
_PAIRS, _TERMS = 8, 15
"""Terms of the series; of these, from the constant on, how many are computed with twice the digits."""


def _coefficient(k: int) -> tuple[float, float]:
    exact = Fraction((-1) ** k, math.factorial(2 * k))
    high = float(exact)
    return high, float(exact - Fraction(high))


_SERIES = tuple(_coefficient(k) for k in range(_TERMS))


def cosine(angles: Float64) -> Float64:
    """The float64 nearest to cos x: it is computed to 1e-29, then rounded.

    Taylor's series at x/4 in double-double arithmetic (Dekker 1971), then cos 2y = 2·cos² y − 1 twice.

    Args:
        angles: radians in [0, π], any shape.

    Raises:
        UsageError: for another angle.
    """
    if angles.size and not (angles.min() >= 0.0 and angles.max() <= math.pi):
        raise UsageError(f"an angle of a cone lies in [0, π], got {angles.min()} to {angles.max()}")
    quarter = angles * 0.25
    square = _product(quarter, quarter)
    found = _series(square)
    for _ in range(2):
        twice = _multiply(found, found)
        found = _add((2.0 * twice[0], 2.0 * twice[1]), -1.0, 0.0)
    return found[0]


def _series(square: Pair) -> Pair:
    tail = np.zeros_like(square[0])
    for high, _ in reversed(_SERIES[_PAIRS:]):
        tail = tail * square[0] + high
    found = (tail, np.zeros_like(tail))
    for high, low in reversed(_SERIES[:_PAIRS]):
        found = _add(_multiply(found, square), high, low)
    return found


def _product(a: Float64, b: Float64) -> Pair:
    """a·b without an error, by splitting both into halves of 26 digits (Veltkamp, Dekker)."""
    product = a * b
    a_high, b_high = _high(a), _high(b)
    a_low, b_low = a - a_high, b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _high(a: Float64) -> Float64:
    wide = _SPLIT * a
    return wide - (wide - a)


def _multiply(a: Pair, b: Pair) -> Pair:
    high, low = _product(a[0], b[0])
    return _normal(high, low + (a[0] * b[1] + a[1] * b[0]))


def _add(a: Pair, high: float, low: float) -> Pair:
    total = a[0] + high
    part = total - a[0]
    error = (a[0] - (total - part)) + (high - part)
    return _normal(total, error + (a[1] + low))


def _normal(high: Float64, low: Float64) -> Pair:
    total = high + low
    return total, low - (total - high)
