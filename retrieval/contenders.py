"""Which of the rows that are known may decide how far an item keeps its place (T2, T3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..certificates.ranking import topk_radius
from ..core.numerics import gamma, norm
from ..indexer.vectors import Ids
from .channel import Float64
from .evidence import Evidence


def contenders(seen: Evidence, groups: Ids, own: Sequence[Ids], k: int) -> list[npt.NDArray[np.bool_]]:
    """Per item which listed rows of others may decide its radius; the rest lie farther than the k nearest rival items.

    Half-space distances h are estimated by one matrix product. With S bounding twice a row's norm, and rows at least
    S/1000 apart, ‖u_i − u_j‖² is off by γ_d·S² or less, so h by a relative 10⁶·γ_d, and what ``pair_radii`` takes off
    for rounding is less still. A row is left out only where its h exceeds the k-th smallest one over items by ten
    times that, so its radius exceeds every radius that is claimed. Closer rows are always kept, and taken as
    infinitely far when the k-th smallest is looked for.

    Args:
        seen: what is known.
        groups: (listed,) item of each row.
        own: per item, places of some of its rows.
        k: how many items are returned.

    Returns:
        per item (listed,).
    """
    rows, scores, cosine = seen.listed.numbers, seen.listed.scores, seen.probe.score == "cosine"
    every = np.concatenate(own)
    size = 2.0 if cosine else 2.0 * seen.longest
    squares = seen.listed.vectors.squares
    products = rows[every] @ rows.T  # all views, rows
    width = np.sqrt(np.maximum(squares[every, None] + squares - 2.0 * products, 0.0))
    lead = (scores[every, None] - scores) * (1.0 if cosine else 0.5)
    h = np.divide(lead, width, out=np.full_like(lead, np.inf), where=width > 1e-3 * size)
    items, per_item = _per_item(h, groups)
    far = float(seen.listed.distances.max())
    reach = float(norm(seen.probe.z)) if cosine else far + (far * far / size if size > 0.0 else 0.0)
    slack, found, start = 1e7 * gamma(len(seen.probe.z) + 8) * reach, [], 0
    for views in own:
        some, item = slice(start, start + len(views)), groups[views[0]]
        limit = topk_radius(per_item[some].max(axis=0)[items != item], k) + slack
        near = (h[some] <= limit) | (width[some] <= 1e-3 * size)
        found.append((groups != item) & near.any(axis=0))
        start = some.stop
    return found


def _per_item(h: Float64, groups: Ids) -> tuple[Ids, Float64]:
    """The items in ascending order, and (views, items) the least h of the rows of each (T3)."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return groups[order[starts]], np.minimum.reduceat(h[:, order], starts, axis=1)
