"""How far rows are from a query: chords ‖ẑ − u‖ for cosine, ‖z − e‖ for Euclidean scores."""

from __future__ import annotations

import math

import numpy as np

from ..certificates.rounding import length_bounds
from ..core.numerics import norm
from ..core.types import Score
from .channel import Float64

_DIRECTION = 1e-14
"""ẑ as computed in float64 is within this of the exact one."""


def distances(z: Float64, rows: Float64, score: Score) -> Float64:
    """(m,) nearest float64 values; rows (m, d)."""
    return norm(_searched(z, score) - rows)


def distance_bounds(z: Float64, rows: Float64, score: Score) -> tuple[Float64, Float64]:
    """(m,) proved lower and upper bounds on them."""
    return bounds_of_distances(distances(z, rows, score), z.shape[0], score)


def bounds_of_distances(far: Float64, dim: int, score: Score) -> tuple[Float64, Float64]:
    """(m,) the same, of :func:`distances` that were computed already."""
    low, high = length_bounds(far, dim)
    margin = _DIRECTION if score == "cosine" else 0.0
    return np.maximum(low - margin, 0.0), high + margin


def lower_bounds(computed: Float64, dim: int, score: Score) -> Float64:
    """(m,) proved lower bounds on the distances of rows, from what :func:`distances` gave: as it falls, so do they."""
    return bounds_of_distances(computed, dim, score)[0]


def beyond(a: float, score: Score) -> float:
    """A distance at which a row's computed score is surely below that of a row at distance a."""
    return math.sqrt(a * a + 1e-12) if score == "cosine" else a * (1.0 + 1e-12) + 1e-140


def reach_of(threshold: float, score: Score) -> float:
    """The distance beyond which no row with this threshold accepts."""
    return math.sqrt(max(0.0, 2.0 - 2.0 * threshold)) if score == "cosine" else threshold


def _searched(z: Float64, score: Score) -> Float64:
    return z / norm(z) if score == "cosine" else z
