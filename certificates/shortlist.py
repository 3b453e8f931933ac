"""What a float32 shortlist proves about the rows it did not return (docs/theory.md, Exact answers)."""

from __future__ import annotations

import math

import numpy as np

from ..core.errors import UsageError
from ..core.numerics import UNIT32, UNIT64, gamma, round_down, round_up
from ..core.types import Score, UpperBound
from .rounding import Array, check_budget, down, gammas, to_pixels, up

TF32_UNIT = 2.0**-10
"""Input roundoff where the device may multiply in TF32 (truncation of a 10-bit fraction)."""
_FLUSH = 2.0**-124  # per term: a few float32 underflows, also where the device flushes subnormals to zero


def score_slack(dim: int, input_unit: float = UNIT32) -> float:
    """γ' with |computed32⟨y, e⟩ − ⟨y, e⟩| ≤ γ'·‖y‖·‖e‖, any order of float32 additions, fused or not (§6.1).

    Both inputs may be rounded to ``input_unit`` first (y from float64 to float32; both to TF32 on some devices).
    Products and sums are float32; where inputs are TF32, sums may be truncated, at twice the roundoff:
    γ' = (1 + input_unit)²·(1 + γ_{d+4}(2⁻²⁴)) − 1. It holds for squared distances as well, times (‖y‖ + ‖e‖)²,
    whether computed from differences or as ‖y‖² + ‖e‖² − 2⟨y, e⟩.

    Raises:
        ValueError: for dim so large that float32 says nothing.
    """
    sums = gamma(dim + 4, UNIT32 if input_unit <= UNIT32 else 2.0 * UNIT32)
    inputs = round_up(input_unit * (2.0 + input_unit))
    return round_up(round_up(inputs + sums) + round_up(inputs * sums))


def stored_row_tolerance(dim: int, unit: float = UNIT64) -> float:
    """|‖e‖ − 1| ≤ this for a stored cosine row: a vector normalised at roundoff ``unit``, then rounded to float32.

    The default is normalisation in float64 (what the indexer does): about 2⁻²⁴ whatever the dimension. The row
    used by every decision is u = e/‖e‖, recomputed in float64 from the stored numbers.
    """
    return round_up(round_up(1.001 * UNIT32) + round_up(gamma(dim + 8, unit) + dim * _FLUSH))


def unseen_chords(worst: Array, *, y_norm: float, dim: int, input_unit: float = UNIT32) -> Array:
    """:func:`unseen_chord` for each of several scores, (m,) → (m,)."""
    row = stored_row_tolerance(dim)
    # smallest norms make a positive score mean the most; y_norm is within a relative 1e-13 of the truth
    scale = y_norm * np.where(worst > 0, 1.0 - row - 1e-12, 1.0 + row + 1e-12)
    cosine = up(up((worst + dim * _FLUSH) / scale) + score_slack(dim, input_unit) + 1e-15)
    with np.errstate(over="ignore"):
        chord = np.sqrt(np.maximum(0.0, down(2.0 - 2.0 * cosine)))
    return np.maximum(0.0, down(chord * (1.0 - 1e-15) - gammas(dim, 8)))


def unseen_chord(worst: float, *, y_norm: float, dim: int, input_unit: float = UNIT32) -> float:
    """Lower bound b on ‖ẑ − u_j‖ of every row whose float32 score is at most ``worst`` (cosine).

    Args:
        worst: the smallest float32 inner product that the search returned, s_K.
        y_norm: upper bound on the norm of the vector that was searched for (z or ẑ), > 0.
        dim: d.
        input_unit: see :func:`score_slack`.

    Returns:
        b ≥ 0, for u_j the float64 unit row.
    """
    return float(unseen_chords(np.array([worst]), y_norm=y_norm, dim=dim, input_unit=input_unit)[0])


def unseen_distance(worst: float, *, z_norm: float, row_norm: float, dim: int, input_unit: float = UNIT32) -> float:
    """Lower bound b on ‖z − e_j‖ of every row whose float32 squared distance is at least ``worst`` (euclidean).

    Args:
        worst: the largest float32 squared distance that the search returned.
        z_norm: upper bound on ‖z‖.
        row_norm: upper bound on every ‖e_j‖ in the gallery.
        dim: d.
        input_unit: see :func:`score_slack`.
    """
    far = unseen_distances(np.array([worst]), z_norm=z_norm, row_norm=row_norm, dim=dim, input_unit=input_unit)
    return float(far[0])


def unseen_distances(worst: Array, *, z_norm: float, row_norm: float, dim: int, input_unit: float = UNIT32) -> Array:
    """:func:`unseen_distance` for each of several scores, (m,) → (m,)."""
    spread = round_up(round_up(z_norm + row_norm) ** 2)
    error = round_up(round_up(score_slack(dim, input_unit) * spread) + dim * _FLUSH)
    return np.maximum(0.0, down(np.sqrt(np.maximum(0.0, down(worst - error))) * (1.0 - 1e-15)))


def unseen_floor(a: float, b: float, *, score: Score, z_norm: float) -> float:
    """Lower bound on h_tj over every row at least b away (§6.3): ‖z‖(b−a)/2 for cosine, (b−a)/2 for euclidean.

    Because h_tj = (b_j² − a²)/(2‖u_t − u_j‖) (times ‖z‖) and ‖u_t − u_j‖ ≤ a + b_j. Where b < a an unseen row may
    lead, and all that is known is h ≥ −a (times ‖z‖).

    Args:
        a: upper bound on ‖ẑ − u_t‖ (cosine) or ‖z − e_t‖ (euclidean) of the target row t.
        b: lower bound on the same of every unseen row.
        score: cosine or euclidean.
        z_norm: lower bound on ‖z‖ where b ≥ a (cosine only).

    Returns:
        Embedding units, rounded down; unit rows are taken as exactly unit.
    """
    _check(a, b, z_norm)
    scale = z_norm if score == "cosine" else 1.0
    half = round_down(b - a) * 0.5 if b >= a else -a
    return round_down(scale * half)


def unseen_radius(
    a: float, b: float, *, score: Score, z_norm: float, dim: int, lipschitz: UpperBound, forward_error: float
) -> float:
    """A floor, in pixels, under ``ranking.pair_radii`` of every row at least b away: all slack taken.

    Args:
        a: upper bound on the target's own chord or distance.
        b: lower bound on that of every unseen row.
        score: cosine or euclidean.
        z_norm: ‖z‖ (cosine only).
        dim: d.
        lipschitz: proved bound on L.
        forward_error: e ≥ 0 in embedding units.

    Returns:
        Pixels, signed: where positive, no unseen row's computed score reaches the target's for ‖δ‖ < it.
    """
    check_budget(lipschitz, forward_error)
    floor = unseen_floor(a, b, score=score, z_norm=z_norm)
    reach = round_down(floor - _arithmetic(a, b, dim, z_norm if score == "cosine" else None))
    return float(to_pixels(reach, lipschitz, forward_error))  # type: ignore[arg-type]


def _arithmetic(a: float, b: float, dim: int, z_norm: float | None) -> float:
    """What score rounding (and row norms off 1 by ν) can take from the floor; derivation in docs/theory.md."""
    g = gammas(dim, 8)
    if z_norm is None:
        return round_up(round_up(1.25 * g) * round_up(a + b)) + 1e-140
    width = a + b
    return math.inf if width <= 0 else round_up(round_up(8.0 * g * z_norm) / width) * (1.0 + 1e-12) + 1e-140


def needed_separation(a: float, h: float, *, score: Score, z_norm: float) -> float:
    """The b at which :func:`unseen_floor` reaches h: rows farther than this cannot lower an answer of h.

    Args:
        a: upper bound on the target's own chord or distance.
        h: the smallest half-space distance seen, ≥ 0, embedding units.
        score: cosine or euclidean.
        z_norm: ‖z‖ (cosine only).
    """
    _check(a, a, z_norm)
    step = 2.0 * max(0.0, h) / (z_norm if score == "cosine" else 1.0)
    return round_up(round_up(a + round_up(step)) * (1.0 + 1e-14))


def search_score(b: float, *, y_norm: float, dim: int, input_unit: float = UNIT32) -> float:
    """A float32 score that every row with ‖ẑ − u_j‖ ≤ b is sure to exceed: the threshold of a range search (cosine)."""
    row = stored_row_tolerance(dim)
    cosine = 1.0 - 0.5 * round_up(b + gammas(dim, 8)) ** 2 - score_slack(dim, input_unit) - 1e-14
    score = cosine * y_norm * (1.0 + math.copysign(row + 1e-12, -cosine)) - dim * _FLUSH
    return float(np.nextafter(np.float32(round_down(score)), np.float32(-np.inf)))


def search_squared_distance(b: float, *, z_norm: float, row_norm: float, dim: int, input_unit: float = UNIT32) -> float:
    """A float32 squared distance that no row with ‖z − e_j‖ ≤ b reaches: the radius of a range search (euclidean)."""
    spread = round_up(round_up(z_norm + row_norm) ** 2)
    square = round_up(round_up(b * b) + round_up(score_slack(dim, input_unit) * spread))
    with np.errstate(over="ignore"):
        return float(np.nextafter(np.float32(round_up(square + dim * _FLUSH)), np.float32(np.inf)))


def _check(a: float, b: float, z_norm: float) -> None:
    if not (math.isfinite(a) and a >= 0 and not math.isnan(b) and b >= 0):
        raise UsageError(f"separations must be finite and ≥ 0, got a = {a}, b = {b}")
    if not (math.isfinite(z_norm) and z_norm >= 0):
        raise UsageError(f"a norm must be finite and ≥ 0, got {z_norm}")
