"""Outward rounding of arrays, and the checks that every theorem makes of its inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.numerics import gamma, norm, round_down, round_up, tree_depth
from ..core.types import Score, UpperBound

Array = npt.NDArray[np.float64]

UNDERFLOW = 1e-300
"""More than all the underflow that one inner product of up to 2⁶⁰ float64 terms can lose (each ≤ 2⁻¹⁰⁷⁵)."""
UNDERFLOW_NORM = 1e-140
"""Far more than the underflow of a squared norm can move its root; vectors this short are treated as zero."""


def up(x: Any) -> Array:
    """Next float64 above, elementwise: at least the exact result of the one operation that gave x."""
    return np.nextafter(x, np.inf)


def down(x: Any) -> Array:
    """Next float64 below, elementwise: at most the exact result of the one operation that gave x."""
    return np.nextafter(x, -np.inf)


def gammas(dim: int, roundings: int) -> float:
    """γ for a tree of additions over dim terms, plus some elementwise roundings before and after it."""
    return gamma(tree_depth(dim) + roundings)


def norm_bounds(a: Array) -> tuple[Array, Array]:
    """Proved bounds low ≤ ‖a‖ ≤ high, also when each entry of a carries one rounding of a difference.

    Args:
        a: (..., d) float64.

    Returns:
        low, high: (...) float64, apart by a relative 2·γ.

    Raises:
        UsageError: where ‖a‖² overflows float64.
    """
    with np.errstate(over="ignore"):
        length = norm(a)
    if not np.isfinite(length).all():
        raise UsageError("an embedding is too long: the square of its norm overflows float64")
    return length_bounds(length, a.shape[-1])


def length_bounds(length: Any, dim: int) -> tuple[Array, Array]:
    """As :func:`norm_bounds`, of norms that were computed already: (...) float64, of vectors of ``dim`` numbers."""
    g = gammas(dim, 5)
    low = np.maximum(down(down(length * round_down(1.0 - g)) - UNDERFLOW_NORM), 0.0)
    return low, up(up(length * round_up(1.0 + g)) + UNDERFLOW_NORM)


def divide_down(numerator: Array, low: Array, high: Array) -> Array:
    """A lower bound of numerator/x for every x in [low, high], low ≥ 0 < high; −∞ where it has none."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        negative = down(numerator / low)
    return np.where(numerator >= 0, down(numerator / high), negative)


def to_pixels(reach: Array, lipschitz: UpperBound, forward_error: float) -> Array:
    """The pixel radius r for which ‖δ‖ < r keeps the computed embedding closer than ``reach`` to the computed z.

    ‖f̂(q+δ) − f̂(q)‖ ≤ L·‖δ‖ + 2·e, so r = (reach − 2·e)/L, rounded down (docs/theory.md, Rounding).
    """
    return down(down(reach - round_up(2.0 * forward_error)) / lipschitz.value)


def check_budget(lipschitz: UpperBound, forward_error: float) -> None:
    """Refuse a Lipschitz constant of 0 (a constant map tells no image from another) and a bad forward error.

    Raises:
        UsageError: for either.
    """
    if not lipschitz.value > 0:
        raise UsageError(f"the Lipschitz bound must be positive, got {lipschitz.value}")
    if not (math.isfinite(forward_error) and forward_error >= 0):
        raise UsageError(f"the forward error must be finite and ≥ 0, got {forward_error}")


def check_embedding(z: Array, score: Score) -> None:
    """Refuse what no theorem holds for.

    Args:
        z: (d,) float64.
        score: cosine also needs a direction.

    Raises:
        UsageError: wrong shape or dtype, NaN or infinity, overflow, or (cosine) a zero embedding.
    """
    _check_array(z, 1, "the query embedding")
    with np.errstate(over="ignore"):
        length = float(norm(z))
    if not math.isfinite(length):
        raise UsageError("the query embedding is too long: the square of its norm overflows float64")
    if score == "cosine" and length <= UNDERFLOW_NORM:
        raise UsageError("the query embedding is zero: it has no direction, so no cosine to any row")
    if score not in ("cosine", "euclidean"):
        raise UsageError(f"unknown score {score!r}; choose cosine or euclidean")


def check_rows(rows: Array, dim: int) -> None:
    """Refuse rows that are not (m, dim) finite float64.

    Raises:
        UsageError: naming what is wrong.
    """
    _check_array(rows, 2, "the gallery rows")
    if rows.shape[1] != dim:
        raise UsageError(f"gallery rows have {rows.shape[1]} numbers, the query embedding has {dim}")


def unit_tolerance(rows: Array) -> Array:
    """(m,) proved bounds ν on |‖u‖ − 1|.

    Raises:
        UsageError: where a row is not a unit vector at all (ν > 1e-3).
    """
    with np.errstate(over="ignore"):
        lengths = norm(rows)
    return unit_tolerance_of(lengths, rows.shape[-1])


def unit_tolerance_of(lengths: Array, dim: int) -> Array:
    """:func:`unit_tolerance` of rows of ``dim`` numbers whose norms ``core.numerics.norm`` computed already.

    Raises:
        UsageError: where a row is not a unit vector at all (ν > 1e-3).
    """
    low, high = length_bounds(lengths, dim)
    nu = np.maximum(up(np.abs(high - 1.0)), up(np.abs(1.0 - low)))
    if not (nu <= 1e-3).all():
        raise UsageError(
            f"cosine needs unit rows, but row {int(np.argmax(nu))} of those given is off by {nu.max():.3g}"
        )
    return nu


def _check_array(a: Array, ndim: int, what: str) -> None:
    if a.ndim != ndim or a.dtype != np.float64 or a.shape[-1] == 0:
        raise UsageError(f"{what} must be a non-empty float64 array of {ndim} axes, got {a.dtype} {a.shape}")
    if not np.isfinite(a).all():
        raise UsageError(f"{what} hold NaN or infinity")
