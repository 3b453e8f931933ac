"""T9: several embedders, rows and views, one verdict and one ranking (docs/theory.md, Several tests, one verdict)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.numerics import round_up
from ..core.types import Score, UpperBound
from .compared import Compared, compare
from .ranking import topk_radius
from .rounding import Array, check_budget, down, gammas, length_bounds, up
from .verdicts import (
    VerdictRadii,
    cone_error_of,
    cone_slope,
    copy_radius,
    nothing_radius,
    signed_of,
    unseen_nothing_radius,
)


@dataclass(frozen=True, slots=True)
class Margins:
    """Signed T4/T5 distances in pixels, positive inside "copy", and how far rounding can move them.

    Attributes:
        values: (m,) as computed in float64: what items are ranked by.
        errors: (m,) bounds on |computed − exact| at the query.
        growth: at an image ‖δ‖ away the error is at most errors + growth·‖δ‖.
    """

    values: Array
    errors: Array
    growth: float

    def __post_init__(self) -> None:
        if self.values.shape != self.errors.shape or self.values.ndim != 1:
            raise UsageError(f"margins and errors must be (m,) alike, got {self.values.shape}, {self.errors.shape}")
        if np.isnan(self.values).any() or not (self.errors >= 0).all() or not self.growth >= 0:
            raise UsageError("margins must be numbers, their errors and growth ≥ 0")


def margins(
    z: Array, rows: Array, *, score: Score, threshold: float | Array, lipschitz: UpperBound, forward_error: float
) -> Margins:
    """The signed distance of T4/T5 per row, divided by L: 1-Lipschitz in the query, so comparable across channels.

    Args:
        z: (d,) computed query embedding of this channel.
        rows: (m, d), unit rows for cosine.
        score: cosine or euclidean.
        threshold: τ of this channel; one number or (m,), one for each row.
        lipschitz: proved bound on this channel's L.
        forward_error: e ≥ 0 in embedding units.

    Returns:
        Margins in pixels of the query.

    Raises:
        UsageError: for inputs no theorem holds for.
    """
    return margins_of(compare(z, rows, score), threshold, lipschitz=lipschitz, forward_error=forward_error)


def margins_of(met: Compared, threshold: float | Array, *, lipschitz: UpperBound, forward_error: float) -> Margins:
    """:func:`margins` of rows that were compared already."""
    check_budget(lipschitz, forward_error)
    distances = signed_of(met, threshold)
    if met.score == "cosine":
        slopes = cone_slope(met.dim, met.nu)
        slope, error = float(slopes.max(initial=0.0)), cone_error_of(met.longest, slopes)
    else:
        slope = gammas(met.dim, 8)
        error = up(slope * up(threshold + length_bounds(met.across, met.dim)[1]))
    # the path's own error, twice what it adds to ‖z‖ or ‖z−e‖, and the roundings of the division
    path = up(error + round_up(forward_error * (1.0 + 3.0 * slope)))
    return Margins(distances / lipschitz.value, up(up(path / lipschitz.value) * (1.0 + 1e-15)), round_up(slope))


def unseen_margins(
    b: float, *, z_norm: float, dim: int, score: Score, threshold: float, lipschitz: UpperBound, forward_error: float
) -> Margins:
    """One margin that stands for any row at least b away: append it as a rival item. For top-k count it k times.

    Args:
        b: lower bound on ‖ẑ − u_j‖ (cosine) or ‖z − e_j‖ (euclidean) of every unseen row, finite.
        z_norm: ‖z‖ as ``core.numerics.norm`` computes it (cosine only).
        dim: d.
        score: cosine or euclidean.
        threshold: τ of this channel.
        lipschitz: proved bound on this channel's L.
        forward_error: e ≥ 0 in embedding units.
    """
    exact = UpperBound(1.0, "embedding units")
    outside = unseen_nothing_radius(
        b, z_norm=z_norm, dim=dim, score=score, threshold=threshold, lipschitz=exact, forward_error=0.0
    )
    check_budget(lipschitz, forward_error)
    slope = 16.0 * gammas(dim, 8)
    error = slope * (z_norm if score == "cosine" else threshold + b) + forward_error * (1.0 + 3.0 * slope)
    value = -outside / lipschitz.value
    return Margins(np.array([value]), np.array([error / lipschitz.value * (1.0 + 1e-14)]), slope)


def item_margins(
    parts: Sequence[tuple[Margins, npt.NDArray[np.int64]]],
) -> tuple[npt.NDArray[np.int64], Margins]:
    """m_i: per item the max over its rows in every channel and view.

    Args:
        parts: per channel, the margins of its rows and (m,) the item of each row.

    Returns:
        items (g,) in ascending order, and their Margins (g,).

    Raises:
        UsageError: if there is nothing to take a max of, or the shapes do not fit.
    """
    if not parts or any(part.values.shape != items.shape for part, items in parts):
        raise UsageError("item margins need at least one channel, and one item per row")
    items, place = np.unique(np.concatenate([items for _, items in parts]), return_inverse=True)
    values, errors = np.full(items.size, -np.inf), np.zeros(items.size)
    np.maximum.at(values, place, np.concatenate([part.values for part, _ in parts]))
    np.maximum.at(errors, place, np.concatenate([part.errors for part, _ in parts]))
    return items, Margins(values, errors, max(part.growth for part, _ in parts))


def margin_radii(items: Margins, winner: int) -> Array:
    """T9, ranking: the item stays ahead of each other item for ‖δ‖ < (m_i − m_j)/2, rounding taken off.

    Guarantee: for ‖δ‖₂ below the returned radius, the float64 margins computed at the attacked image keep
    m_i > m_j. Norm: ℓ2, pixels. Assumptions: every channel's f is L-Lipschitz with its own bound and forward
    error; all rows of both items are in ``items``. Source: a max of 1-Lipschitz functions is 1-Lipschitz.
    Where one channel decides for both, T1 is tighter (``within_channel``).

    Args:
        items: of :func:`item_margins`.
        winner: position of i.

    Returns:
        (g − 1,) signed, in the order of the items without i. Feed ``ranking.top1_radius`` or ``topk_radius``.

    Raises:
        UsageError: if there is no such position.
    """
    if not 0 <= winner < items.values.size:
        raise UsageError(f"no item at position {winner} of {items.values.size}")
    values, errors = np.delete(items.values, winner), np.delete(items.errors, winner)
    own = (float(items.values[winner]), float(items.errors[winner]))
    return half_leads(*own, Margins(values, errors, items.growth))


def half_leads(value: float | Array, error: float | Array, others: Margins) -> Array:
    """T9, one 1-Lipschitz number against others: it stays above number j for ‖δ‖ < (m − m_j)/2, rounding taken off.

    Args:
        value: m at the query, in pixels; or (n, 1), several.
        error: of m, as in :class:`Margins`; shaped alike.
        others: the m_j; their growth holds for m too.

    Returns:
        (m,), or (n, m), signed, in pixels; the largest float64 or nearly so where a number is −inf: nothing is there.
    """
    lead = down(value - others.values)
    numerator = down(lead - up(2.0 * up(error + others.errors)))
    slower = round_up(2.0 + round_up(2.0 * others.growth))
    return np.where(numerator >= 0, down(numerator / slower), down(numerator * 0.5))


def union_copy_radius(channels: Sequence[VerdictRadii]) -> float:
    """T9: "copy" (some channel accepts some row) holds for ‖δ‖ < the largest copy radius of any of them.

    Args:
        channels: per channel, the radii of all rows, or of one item's rows for "copy of that item".
    """
    return max((copy_radius(one.copy) for one in channels), default=0.0)


def union_nothing_radius(channels: Sequence[VerdictRadii]) -> float:
    """T9: "copy of nothing" (every channel rejects every row) holds for ‖δ‖ < the smallest nothing radius."""
    return min((nothing_radius(one.nothing) for one in channels), default=np.inf)


def stays_first(items: Margins, winner: int) -> float:
    """T9: (m_1 − m_2)/2 with m_2 the best of the others; pixels ≥ 0, inf without rivals."""
    return topk_radius(margin_radii(items, winner), 1)
