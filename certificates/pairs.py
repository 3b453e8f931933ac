"""T6, T7: triplets, and galleries that move too (docs/theory.md, Pairs and triplets)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..core.errors import UsageError
from ..core.numerics import round_up
from ..core.types import Score, UpperBound
from .ranking import pair_radii, top1_radius
from .rounding import Array, check_budget, check_embedding, check_rows, down, gammas, norm_bounds, to_pixels, up
from .verdicts import VerdictRadii, verdict_radii

Moving = Literal["one-candidate", "all"]


def reference_moves(
    reference: Array, prey: Array, other: Array, *, score: Score, lipschitz: UpperBound, forward_error: float
) -> float:
    """T6, only the reference x moves: T1 with two rows.

    Args:
        reference: (d,) embedding of x.
        prey: (d,) embedding (cosine: its unit row) of the candidate now judged nearer.
        other: (d,) the same of the other one.
        score: cosine or euclidean.
        lipschitz: proved bound on L.
        forward_error: e ≥ 0 in embedding units.

    Returns:
        Pixels ≥ 0: the judgement computed in float64 stands for every ‖δ‖ < it.
    """
    rivals = other[np.newaxis]
    radii = pair_radii(reference, prey, rivals, score=score, lipschitz=lipschitz, forward_error=forward_error)
    return top1_radius(radii)


def triplet_radius(
    reference: Array, prey: Array, other: Array, *, moving: Moving, lipschitz: UpperBound, forward_error: float
) -> float:
    """T6, Euclidean distance, other things than the reference alone move.

    Guarantee: the candidate now nearer stays nearer, as ``core.numerics.norm`` of the differences computes it.
    One candidate moves by ‖δ‖ < (d_other − d_prey)/L; or all three images move by less than
    (d_other − d_prey)/(4L) each. Norm: ℓ2, pixels. Assumptions: f is L-Lipschitz at the size of every image
    that moves; ``forward_error`` bounds the float64 path of each. Source: triangle inequality (Ghildyal & Liu's
    setting, arXiv 2305.08840).

    Args:
        reference: (d,) embedding of x.
        prey: (d,) embedding of the candidate now judged nearer.
        other: (d,) embedding of the other one.
        moving: one-candidate or all.
        lipschitz: proved bound on L.
        forward_error: e ≥ 0 in embedding units.

    Returns:
        Pixels ≥ 0.

    Raises:
        UsageError: for inputs no theorem holds for.
    """
    if moving not in ("one-candidate", "all"):
        raise UsageError(f"unknown setting {moving!r}; choose one-candidate or all")
    differences = distance_differences(reference, prey, other[np.newaxis])
    movers = 1 if moving == "one-candidate" else 4
    return max(0.0, float(_shared(differences, movers, lipschitz, forward_error)[0]))


def moving_gallery_ranking(
    z: Array, winner: Array, rivals: Array, *, lipschitz: UpperBound, forward_error: float
) -> Array:
    """T7, Euclidean ranking when query and every gallery image move: (d_j − d_i)/(4L) per rival, signed pixels.

    Args:
        z: (d,) query embedding.
        winner: (d,) row i.
        rivals: (m, d) rows j.
        lipschitz: proved bound on L, the largest over the sizes of query and gallery images.
        forward_error: e ≥ 0, bounding the path of query and gallery alike, the float32 rounding of rows included.

    Returns:
        (m,): i stays ahead of j while every image moves by less; exactly 0.0 for an identical row.
    """
    radii = _shared(distance_differences(z, winner, rivals), 4, lipschitz, forward_error)
    return np.where((rivals == winner).all(axis=-1), 0.0, radii)


def moving_gallery_verdicts(
    z: Array, rows: Array, *, threshold: float, lipschitz: UpperBound, forward_error: float
) -> VerdictRadii:
    """T7 for T4: query and gallery images move by less than the radius each, so L·ε becomes 2·L·ε.

    Args:
        z: (d,) query embedding.
        rows: (m, d) Euclidean rows.
        threshold: τ ≥ 0.
        lipschitz: proved bound on L, the largest over the sizes of query and gallery images.
        forward_error: e ≥ 0, bounding the path of query and gallery alike, the float32 rounding of rows included.
    """
    both = UpperBound(2.0 * lipschitz.value, f"2 × {lipschitz.method}")
    return verdict_radii(
        z, rows, score="euclidean", threshold=threshold, lipschitz=both, forward_error=round_up(2.0 * forward_error)
    )


def distance_differences(z: Array, near: Array, far: Array) -> Array:
    """(m,) lower bounds on d_far − d_near, less all that rounding can do to both after either has moved.

    While distances stay below twice d_near + d_far (they do inside any radius given here), each computed one is
    within γ of the exact one.
    """
    check_embedding(z, "euclidean")
    check_rows(near[np.newaxis], z.shape[0])
    check_rows(far, z.shape[0])
    near_high = norm_bounds(z - near)[1]
    far_low, far_high = norm_bounds(z - far)
    error = up(round_up(4.0 * gammas(z.shape[0], 5)) * up(near_high + far_high))
    return down(down(far_low - near_high) - error)


def _shared(differences: Array, movers: int, lipschitz: UpperBound, forward_error: float) -> Array:
    check_budget(lipschitz, forward_error)
    each = down(differences / movers)
    return to_pixels(each, lipschitz, forward_error)
