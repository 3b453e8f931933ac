"""T4, T5: how far the query must move before a copy verdict changes (docs/theory.md, Verdicts)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.errors import UsageError
from ..core.numerics import norm, round_down, round_up
from ..core.types import Score, UpperBound
from .compared import Compared, compare, polar
from .rounding import (
    UNDERFLOW_NORM,
    Array,
    check_budget,
    check_embedding,
    check_rows,
    down,
    gammas,
    length_bounds,
    norm_bounds,
    to_pixels,
    unit_tolerance,
    up,
)

Verdict = Literal["copy", "not-a-copy", "undecided"]


@dataclass(frozen=True, slots=True)
class VerdictRadii:
    """Two signed lower bounds per row, in pixels.

    Attributes:
        copy: (m,) the row accepts the query for every ‖δ‖ < copy, where positive.
        nothing: (m,) the row rejects the query for every ‖δ‖ < nothing, where positive.
    """

    copy: Array
    nothing: Array


def signed_distances(z: Array, rows: Array, *, score: Score, threshold: float | Array) -> Array:
    """T4/T5, the geometry: signed distance from z to the edge of each row's copy region, positive inside.

    Euclidean: τ − ‖z−e‖. Cosine, θ = arccos τ, φ = ∠(z, u): ‖z‖·sin(θ−φ) where |θ−φ| < 90°, else ±‖z‖ (the apex
    is the nearest point of the cone). Computed as √(1−τ²)·⟨z,u⟩ − τ·‖z − ⟨z,u⟩u‖: no inverse cosine, so the
    error is a few 1e-15·‖z‖ at every angle.

    Args:
        z: (d,) query embedding, not normalised.
        rows: (m, d), unit rows for cosine.
        score: cosine or euclidean.
        threshold: τ, in [−1, 1] for cosine, ≥ 0 for euclidean; one number, or (m,), one for each row.

    Returns:
        (m,) float64 in embedding units.

    Raises:
        UsageError: for inputs no theorem holds for.
    """
    check_embedding(z, score)
    check_rows(rows, z.shape[0])
    _check_limits(len(rows), score, threshold)
    return _cone_distances(*polar(z, rows), norm(z), threshold) if score == "cosine" else threshold - norm(z - rows)


def signed_of(met: Compared, threshold: float | Array) -> Array:
    """:func:`signed_distances` of rows that were compared already."""
    _check_limits(len(met), met.score, threshold)
    if met.score == "cosine":
        return _cone_distances(met.scores, met.across, met.length, threshold)
    return threshold - met.across


def verdict_radii(
    z: Array, rows: Array, *, score: Score, threshold: float | Array, lipschitz: UpperBound, forward_error: float
) -> VerdictRadii:
    """T4/T5 per row, rigorous.

    Guarantee: for every ‖δ‖₂ < copy_j, ``decision.accepted`` computed in float64 at the attacked image is True
    for row j; for every ‖δ‖₂ < nothing_j it is False. Norm: ℓ2 over all values of the query as decoded, pixels
    in [0, 1]. Assumptions: f is L-Lipschitz; ``forward_error`` bounds ‖computed f − f‖ at both images; rows are
    exact numbers. Units: pixels. Source: docs/theory.md (distance to a ball, distance to a cone).

    Args:
        z: (d,) computed query embedding.
        rows: (m, d), unit rows for cosine.
        score: cosine or euclidean.
        threshold: τ, one number or (m,), one for each row.
        lipschitz: proved bound on L.
        forward_error: e ≥ 0 in embedding units.

    Raises:
        UsageError: for inputs no theorem holds for.
    """
    return verdict_radii_of(compare(z, rows, score), threshold, lipschitz=lipschitz, forward_error=forward_error)


def verdict_radii_of(
    met: Compared, threshold: float | Array, *, lipschitz: UpperBound, forward_error: float
) -> VerdictRadii:
    """:func:`verdict_radii` of rows that were compared already."""
    _check_limits(len(met), met.score, threshold)
    check_budget(lipschitz, forward_error)
    if met.score == "cosine":
        inside, outside = _cone_reach(met, threshold, met.dim)
    else:
        inside, outside = _ball_reach(length_bounds(met.across, met.dim), threshold, met.dim)
    return VerdictRadii(
        copy=to_pixels(inside, lipschitz, forward_error), nothing=to_pixels(outside, lipschitz, forward_error)
    )


def copy_radius(copy: Array) -> float:
    """Existence, "copy of something" holds for ‖δ‖ < the *largest* copy radius: duplicates cannot spoil it.

    Returns:
        Pixels ≥ 0; 0 for no rows.
    """
    return max(0.0, float(np.max(copy))) if copy.size else 0.0


def nothing_radius(nothing: Array) -> float:
    """The verdict "copy of nothing" holds for ‖δ‖ < the *smallest* nothing radius over every row of the gallery.

    Returns:
        Pixels ≥ 0; inf for an empty gallery.
    """
    return max(0.0, float(np.min(nothing))) if nothing.size else math.inf


def unseen_nothing_radius(
    b: float, *, z_norm: float, dim: int, score: Score, threshold: float, lipschitz: UpperBound, forward_error: float
) -> float:
    """A floor, in pixels, under the nothing radius of every row at least b away (T4/T5 are monotone in distance).

    Args:
        b: lower bound on ‖ẑ − u_j‖ (cosine) or ‖z − e_j‖ (euclidean) of every unseen row; inf for no unseen row.
        z_norm: ‖z‖ as ``core.numerics.norm`` computes it (cosine only).
        dim: d.
        score: cosine or euclidean.
        threshold: τ.
        lipschitz: proved bound on L.
        forward_error: e ≥ 0 in embedding units.

    Raises:
        UsageError: for inputs no theorem holds for.
    """
    radii = unseen_nothing_radii(
        np.array([b]),
        z_norm=z_norm,
        dim=dim,
        score=score,
        threshold=threshold,
        lipschitz=lipschitz,
        forward_error=forward_error,
    )
    return float(radii[0])


def unseen_nothing_radii(
    b: Array,
    *,
    z_norm: float,
    dim: int,
    score: Score,
    threshold: float | Array,
    lipschitz: UpperBound,
    forward_error: float,
) -> Array:
    """:func:`unseen_nothing_radius` for each of several separations, (m,) → (m,); τ is one number, or one for each."""
    _check_limits(len(b), score, threshold)
    check_budget(lipschitz, forward_error)
    if not ((b >= 0).all() and math.isfinite(z_norm) and z_norm >= 0):
        raise UsageError(f"a separation and a norm must be ≥ 0, got b = {b}, ‖z‖ = {z_norm}")
    near = np.where(np.isinf(b), 0.0, b)
    if score == "cosine":
        outside = _unseen_cone_reach(near, z_norm, threshold, dim)
    else:
        outside = _ball_reach((near, near), threshold, dim)[1]
    return np.where(np.isinf(b), np.inf, to_pixels(outside, lipschitz, forward_error))


def verdict_at(eps: float, *, copy: float, nothing: float) -> Verdict:
    """The verdict that holds for every ‖δ‖ ≤ eps.

    Args:
        eps: ℓ2 budget in pixels, ≥ 0.
        copy: certified radius of "copy of something", 0 where that is not the verdict.
        nothing: certified radius of "copy of nothing", 0 where that is not the verdict.

    Raises:
        UsageError: for a bad eps, or both radii positive (they contradict each other).
    """
    if not (math.isfinite(eps) and eps >= 0):
        raise UsageError(f"a budget must be finite and ≥ 0, got {eps}")
    if math.isnan(copy) or math.isnan(nothing) or (copy > 0 and nothing > 0):
        raise UsageError(f"radii for copy ({copy}) and for not a copy ({nothing}) contradict each other")
    if eps < copy:
        return "copy"
    return "not-a-copy" if eps < nothing else "undecided"


def _check_limits(rows: int, score: Score, threshold: float | Array) -> None:
    if not isinstance(threshold, np.ndarray):
        check_threshold(score, threshold)
        return
    if threshold.shape != (rows,):
        raise UsageError(f"{rows} rows need one threshold or one for each, got shape {threshold.shape}")
    for extreme in (threshold.min(), threshold.max()) if threshold.size else ():
        check_threshold(score, float(extreme))


def check_threshold(score: Score, threshold: float) -> None:
    """Refuse a threshold outside [−1, 1] (cosine) or below 0 (euclidean).

    Raises:
        UsageError: naming the value.
    """
    if score == "cosine" and not -1.0 <= threshold <= 1.0:
        raise UsageError(f"a cosine threshold lies in [-1, 1], got {threshold}")
    if score == "euclidean" and not (math.isfinite(threshold) and threshold >= 0):
        raise UsageError(f"a distance threshold must be finite and ≥ 0, got {threshold}")


def _cone_distances(along: Array, across: Array, length: Array | float, threshold: float | Array) -> Array:
    sine = np.sqrt((1.0 - threshold) * (1.0 + threshold))
    beyond_apex = threshold * along + sine * across <= 0  # |θ − φ| ≥ 90°
    apex = np.where(along > threshold * length, length, -length)
    return np.where(beyond_apex, apex, sine * along - threshold * across)


def cone_error(z: Array, nu: Array) -> Array:
    """(m,) bounds on the rounding error of the cosine :func:`signed_distances`: (5ν + 9γ)·‖z‖ (docs/theory.md).

    Args:
        z: (d,) query embedding.
        nu: (m,) of ``rounding.unit_tolerance``.
    """
    return cone_error_of(float(norm_bounds(z)[1]), cone_slope(z.shape[0], nu))


def cone_error_of(longest: float, slope: Array) -> Array:
    """:func:`cone_error` by an upper bound on ‖z‖ and the relative part of it."""
    return up(up(slope * longest) + UNDERFLOW_NORM)


def cone_slope(dim: int, nu: Array) -> Array:
    """(m,) the relative part of :func:`cone_error`: 5ν + 9γ."""
    return up(up(5.0 * nu) + round_up(9.0 * gammas(dim, 5)))


def cosine_error(dim: int, nu: Array | float) -> Array:
    """κ: how far ⟨z,u⟩/‖z‖, as ``decision.verdict_values`` computes it, can be from cos φ; ν bounds |‖u‖ − 1|."""
    return up(nu + up(up(up(1.0 + np.asarray(nu)) * 3.0) * gammas(dim, 3)))


def _cone_reach(met: Compared, threshold: float | Array, dim: int) -> tuple[Array, Array]:
    """Distances to the cones of τ + κ and τ − κ: between them rounding could turn the computed decision."""
    kappa, longest = cosine_error(dim, met.nu), met.longest
    error = cone_error_of(longest, cone_slope(met.dim, met.nu))
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float64), (len(met),))
    inner, outer = up(limits + kappa), down(limits - kappa)
    # Beyond ±1 there is no cone: nothing is inside, or nothing outside.
    polar = met.scores, met.across, met.length
    inside = down(_cone_distances(*polar, np.minimum(inner, 1.0)) - error)
    outside = down(-_cone_distances(*polar, np.maximum(outer, -1.0)) - error)
    return np.where(inner <= 1.0, inside, -longest), np.where(outer >= -1.0, outside, -longest)


def _ball_reach(distances: tuple[Array, Array], threshold: float | Array, dim: int) -> tuple[Array, Array]:
    """Distances to the spheres of τ/(1+γ) and τ/(1−γ): between them rounding could turn the computed decision."""
    low, high = distances
    g = gammas(dim, 5)
    limits = np.asarray(threshold, dtype=np.float64)
    inner = down(down(limits / round_up(1.0 + g)) - UNDERFLOW_NORM)
    outer = up(up(limits / round_down(1.0 - g)) + UNDERFLOW_NORM)
    return down(inner - high), down(low - outer)


def _unseen_cone_reach(b: Array, z_norm: float, threshold: float | Array, dim: int) -> Array:
    """The same picture in the plane of z and the nearest direction an unseen row can have."""
    g = gammas(dim, 8)
    chord = np.minimum(2.0, np.maximum(0.0, b - g))
    across = chord * np.sqrt((1.0 - 0.5 * chord) * (1.0 + 0.5 * chord))
    rows = np.stack([1.0 - 0.5 * chord * chord, across], axis=1)
    plane = _in_plane(z_norm, rows)
    outside = _cone_reach(plane, down(threshold - g), dim)[1]
    return down(outside - round_up(16.0 * g * z_norm))


def _in_plane(z_norm: float, rows: Array) -> Compared:
    """A query (‖z‖, 0), which may be the origin, and rows (m, 2), compared."""
    z = np.array([z_norm, 0.0])
    return Compared(z, "cosine", float(norm(z)), *polar(z, rows), unit_tolerance(rows))
