"""T1, T2, T3: how far the query must move before another row comes first (docs/theory.md, Ranking)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.numerics import dot, norm, round_up
from ..core.types import Score, UpperBound
from .rounding import (
    UNDERFLOW,
    UNDERFLOW_NORM,
    Array,
    check_budget,
    check_embedding,
    check_rows,
    divide_down,
    down,
    gammas,
    norm_bounds,
    to_pixels,
    up,
)


def half_space_distances(z: Array, winner: Array, rivals: Array, score: Score) -> Array:
    """Signed distances h from z to the half-spaces where a rival beats the winner (T1, the geometry).

    Cosine: ⟨z, u_i − u_j⟩/‖u_i − u_j‖. Euclidean: ⟨(z−e_i) + (z−e_j), e_i − e_j⟩/(2‖e_i − e_j‖), which equals
    (‖z−e_j‖² − ‖z−e_i‖²)/(2‖e_i − e_j‖) without its cancellation. Differences are taken before products, so the
    error is a few 1e-15 of ‖z‖ (or of the two distances) however close the rows are. These are the nearest
    float64 values, for people and tests; :func:`pair_radii` is what a certificate may use.

    Args:
        z: (d,) query embedding, not normalised.
        winner: (d,) row i (a unit row for cosine).
        rivals: (m, d) rows j.
        score: cosine or euclidean.

    Returns:
        (m,) float64 in embedding units; positive where the winner leads; exactly 0.0 for an identical row.

    Raises:
        UsageError: for a zero embedding under cosine, NaN or infinity, or shapes that do not fit.
    """
    _check(z, winner, rivals, score)
    w = winner - rivals
    width = norm(w)
    numerator = dot(z, w) if score == "cosine" else _euclidean_numerator(z, winner, rivals, w)
    return np.divide(numerator, width, out=np.zeros_like(width), where=width > 0)


def pair_radii(
    z: Array, winner: Array, rivals: Array, *, score: Score, lipschitz: UpperBound, forward_error: float
) -> Array:
    """T1 per rival, rigorous: the winner's computed score stays strictly above rival j's for every ‖δ‖ < r_j.

    Guarantee: for each j with r_j > 0 and each δ with ‖δ‖₂ < r_j, the scores that ``decision.ranking_scores``
    computes in float64 at the attacked image satisfy score_i > score_j. Norm: ℓ2 over all values of the query
    as decoded, pixels in [0, 1]. Assumptions: f is L-Lipschitz; ``forward_error`` bounds ‖computed f − f‖ at
    the query and at the attacked image; rows are exact numbers. Units: pixels. Source: Tsuzuku et al.
    (arXiv 1802.04034) and LipSim (arXiv 2310.18274), without unit norm; rounding by docs/theory.md.

    Args:
        z: (d,) computed query embedding.
        winner: (d,) row i; or (m, d), one for each rival.
        rivals: (m, d) rows j.
        score: cosine or euclidean.
        lipschitz: proved bound on L of resize and network together.
        forward_error: e ≥ 0 in embedding units.

    Returns:
        (m,) signed, at most h_ij/L; exactly 0.0 for an identical row, never NaN.

    Raises:
        UsageError: as :func:`half_space_distances`, and for L = 0 or a bad forward error.
    """
    _check(z, winner, rivals, score)
    check_budget(lipschitz, forward_error)
    reach = _cosine_reach(z, winner, rivals) if score == "cosine" else _euclidean_reach(z, winner, rivals)
    identical = (rivals == winner).all(axis=-1)
    return np.where(identical, 0.0, to_pixels(reach, lipschitz, forward_error))


def top1_radius(radii: Array) -> float:
    """T1: the winner stays first for every ‖δ‖ < the smallest pair radius.

    Args:
        radii: signed :func:`pair_radii` over *every* rival of the gallery, or proved floors of them.

    Returns:
        Pixels ≥ 0; 0 on a tie; inf without rivals (the caller caps it: no two images are farther than √n).
    """
    return topk_radius(radii, 1)


def topk_radius(radii: Array, k: int) -> float:
    """T2: the row stays among the first k for every ‖δ‖ < the k-th smallest pair radius. Sound, not tight for k > 1.

    Inside it fewer than k rivals can have overtaken.

    Args:
        radii: one signed radius per rival *item* (:func:`pair_radii`, or :func:`item_radii` with views).
        k: ≥ 1.

    Returns:
        Pixels ≥ 0; inf where there are fewer than k rivals.

    Raises:
        UsageError: if k < 1 or a radius is NaN.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, got {k}")
    if np.isnan(radii).any():
        raise UsageError("a pair radius is NaN")
    if radii.size < k:
        return math.inf
    return max(0.0, float(np.partition(radii.ravel(), k - 1)[k - 1]))


def item_radii(radii: Array, rival_items: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Array]:
    """T3 per rival item J: max over the winner's views v of the min over J's rows w. Sound.

    Args:
        radii: (V, m) signed pair radii, one row per view of the winner (all of them or a few).
        rival_items: (m,) the item of each rival row; none may be the winner's own item.

    Returns:
        items (g,) in ascending order, and (g,) the radius inside which the winner beats that item.

    Raises:
        UsageError: if the shapes do not fit or there is no view.
    """
    if radii.ndim != 2 or radii.shape[0] == 0 or rival_items.shape != radii.shape[1:]:
        raise UsageError(f"item radii need (views, rows) and (rows,), got {radii.shape} and {rival_items.shape}")
    items, place = np.unique(rival_items, return_inverse=True)
    worst = np.full((radii.shape[0], items.size), np.inf)
    for view, row in zip(worst, radii, strict=True):
        np.minimum.at(view, place, row)
    return items, worst.max(axis=0)


def views_radius(radii: Array) -> float:
    """T3, the cheaper form: fix a view, take the min over every row of other items; then the best view.

    Args:
        radii: (V, m) signed pair radii, rows of the winner's own item left out.

    Returns:
        Pixels ≥ 0, at most the T3 radius of :func:`item_radii`; inf without rivals.
    """
    if radii.ndim != 2 or radii.shape[0] == 0:
        raise UsageError(f"views need a (views, rows) array of radii, got {radii.shape}")
    return max(top1_radius(view) for view in radii)


def answer_radius(z: Array, *, score: Score, lipschitz: UpperBound, forward_error: float) -> float:
    """How far the query may move before cosine must refuse it as a zero embedding; inf for euclidean.

    It caps the radius of an answer that has too few rivals to bound it.
    """
    check_embedding(z, score)
    check_budget(lipschitz, forward_error)
    if score == "euclidean":
        return math.inf
    return max(0.0, float(to_pixels(before_zero(z), lipschitz, forward_error)))


def _check(z: Array, winner: Array, rivals: Array, score: Score) -> None:
    check_embedding(z, score)
    check_rows(np.atleast_2d(winner), z.shape[0])
    check_rows(rivals, z.shape[0])


def before_zero(z: Array) -> Array:
    """How far z may move and still have a direction."""
    return down(norm_bounds(z)[0] - 10.0 * UNDERFLOW_NORM)


def _euclidean_numerator(z: Array, winner: Array, rivals: Array, w: Array) -> Array:
    return 0.5 * dot((z - winner) + (z - rivals), w)


def _cosine_reach(z: Array, winner: Array, rivals: Array) -> Array:
    """Lower bounds on (⟨z,w⟩ − γ‖z‖S)/(‖w‖ + γS), w = u_i − u_j, S = ‖u_i‖ + ‖u_j‖ (docs/theory.md)."""
    g = gammas(z.shape[0], 3)
    w = winner - rivals
    z_high = norm_bounds(z)[1]
    w_low, w_high = norm_bounds(w)
    score_error = up(g * up(norm_bounds(winner)[1] + norm_bounds(rivals)[1]))
    numerator = down(dot(z, w) - up(up(g * z_high) * w_high))
    numerator = down(down(numerator - up(score_error * z_high)) - UNDERFLOW)
    reach = np.maximum(divide_down(numerator, w_low, up(w_high + score_error)), -z_high)
    return np.minimum(reach, before_zero(z))


def _euclidean_reach(z: Array, winner: Array, rivals: Array) -> Array:
    """Lower bounds on (H − γ/2·((d_i+D₀)² + (d_j+D₀)²))/‖w‖, D₀ = (d_i+d_j)/2 (docs/theory.md)."""
    g = gammas(z.shape[0], 5)
    w = winner - rivals
    w_low, w_high = norm_bounds(w)
    own, other = norm_bounds(z - winner)[1], norm_bounds(z - rivals)[1]
    farthest = up(own + other) * 0.5
    numerator = _euclidean_numerator(z, winner, rivals, w) - up(up(g * farthest) * w_high)
    squares = up(up(up(own + farthest) ** 2) + up(up(other + farthest) ** 2))
    numerator = down(down(down(numerator) - up(round_up(0.5 * g) * squares)) - UNDERFLOW)
    return np.maximum(divide_down(numerator, w_low, w_high), -farthest)
