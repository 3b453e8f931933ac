"""Numbers as text that never says more than the number: bounds are rounded in the safe direction, budgets not at all.

A printed number is a decimal, and a decimal is a real number. What these functions promise holds for that real number
and the exact value of the float64, so nothing here is rounded twice.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

_EXACT = Context(prec=1200)
"""Room for every digit of every float64, and for every decimal place that is asked for."""
_SMALLEST_PLAIN = -4
"""Below 1e-4 a number is written with an exponent."""


def radius_text(x: float, *, digits: int = 4, decimals: int | None = None) -> str:
    """A certified radius, rounded **down**: no change within what is printed is outside what is proved.

    Args:
        x: the radius in any unit of length (ℓ2, RMSE, an angle).
        digits: significant digits, without the zeros at the end; the whole part is always shown in full.
        decimals: places after the point instead, with the zeros at the end. A radius that would read 0 gets as many
            significant digits, so that only a radius of 0 reads 0.

    Returns:
        A decimal ≤ x, "∞" or "–∞" for the infinities, "–" for what is not a number.
    """
    return lower_text(x, digits=digits, decimals=decimals)


def psnr_text(x: float, *, decimals: int = 1) -> str:
    """A PSNR floor in dB, rounded **up**: every image at least this close is covered. A decimal ≥ x."""
    return upper_text(x, decimals=decimals)


def budget_text(x: float) -> str:
    """A number that somebody gave, exactly as given: the shortest decimal that is read as the same float64."""
    if not math.isfinite(x):
        return _special(x)
    text = repr(float(x))
    return "0" if x == 0 else text.removesuffix(".0")


def lower_text(x: float, *, digits: int = 4, decimals: int | None = None) -> str:
    """A proved lower bound as a decimal ≤ x; the arguments of :func:`radius_text`."""
    return _rounded(x, digits, decimals, ROUND_FLOOR)


def upper_text(x: float, *, digits: int = 4, decimals: int | None = None) -> str:
    """A proved upper bound (a Lipschitz bound, an error, a slack) as a decimal ≥ x."""
    return _rounded(x, digits, decimals, ROUND_CEILING)


def nearest_text(x: float, *, digits: int = 4, decimals: int | None = None) -> str:
    """A plain measurement, rounded to nearest; only 0 reads 0."""
    return _rounded(x, digits, decimals, ROUND_HALF_EVEN)


def percent_text(share: float, *, decimals: int = 1) -> str:
    """A share of counts in percent, rounded to nearest, without the sign.

    Only none of them reads 0 and only all of them reads 100: where rounding would say so of 9,999 in 10,000, more
    decimals are shown.
    """
    if not math.isfinite(share):
        return _special(share)
    exact, edges = Decimal(share).scaleb(2, _EXACT), (Decimal(0), Decimal(100))
    places = decimals
    while (text := _quantized(exact, places, ROUND_HALF_EVEN)) in edges and exact not in edges:
        places += 1
    return f"{text:f}"


def _rounded(x: float, digits: int, decimals: int | None, rounding: str) -> str:
    if not math.isfinite(x):
        return _special(x)
    if x == 0:
        return f"{0:.{decimals or 0}f}"
    exact = Decimal(x)
    if decimals is not None:
        fixed = _quantized(exact, decimals, rounding)
        if fixed != 0:
            return f"{fixed:f}"
        digits = max(1, decimals)
    return _significant(exact, digits, rounding)


def _significant(exact: Decimal, digits: int, rounding: str) -> str:
    places = digits - 1 - exact.adjusted()
    short = _quantized(exact, max(0, places), rounding)
    if short.adjusted() >= _SMALLEST_PLAIN:
        text = f"{short:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{short:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"


def _quantized(exact: Decimal, places: int, rounding: str) -> Decimal:
    return exact.quantize(Decimal(1).scaleb(-places), rounding=rounding, context=_EXACT)


def _special(x: float) -> str:
    return "–" if math.isnan(x) else "∞" if x > 0 else "–∞"
