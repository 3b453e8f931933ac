"""T2, T3 for labels: how far the query must move before a label loses its places (docs/theory.md, Ranking)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from .ranking import item_radii
from .rounding import Array


def label_radius(
    rivals: Array,
    own: Array,
    *,
    rival_labels: npt.NDArray[np.int64],
    floors: Array,
    k: int,
    needed: int,
) -> float:
    """T2, T3 for labels: at least ``needed`` rows of a label stay among the first k for every ‖δ‖ < this radius.

    Guarantee: by the scores that ``decision.ranking_scores`` computes, ties counted against the label. The largest of
    three sound radii: (a) the needed-th largest, over rows s of the label, of the (k − needed + 1)-th smallest radius
    by which s stays ahead of a row of another label; (b) the needed-th largest T2 radius of such rows; (c) for
    k = needed = 1, T3 in full. More than half of k needed makes the label win any vote among the first k. Norm and
    assumptions: those of ``ranking.pair_radii``, which the radii are. Source: docs/theory.md.

    Args:
        rivals: (V, m) ``pair_radii`` of some rows s of the label against the listed rows of other labels.
        own: (V, w) the same against the label's other listed rows; inf where s meets itself.
        rival_labels: (m,) label numbers.
        floors: (V,) proved floors under the radii of s against every row that is not listed; inf where all are.
        k: first places.
        needed: rows of the label that shall be among them, ≥ 1.

    Returns:
        Pixels ≥ 0; inf where there are too few rivals to take the places.

    Raises:
        UsageError: for numbers or shapes that do not fit.
    """
    if not 1 <= needed <= k:
        raise UsageError(f"of {k} places at least 1 and at most {k} can be asked for, got {needed}")
    views = len(floors)
    if rivals.ndim != 2 or rivals.shape != (views, len(rival_labels)) or own.ndim != 2 or len(own) != views:
        raise UsageError(f"label radii need (V, m), (V, w), (m,), (V,); got {rivals.shape}, {own.shape} and {views}")
    by_votes = _nth_largest(_nth_smallest(rivals, floors, k - needed + 1), needed)
    by_rows = _nth_largest(_nth_smallest(np.concatenate([rivals, own], axis=1), floors, k), needed)
    by_items = _every_view(rivals, rival_labels, floors) if k == 1 and views else 0.0
    return max(0.0, by_votes, by_rows, by_items)


def majority(k: int) -> int:
    """Rows of one label among k that no other label can match."""
    return k // 2 + 1


def _nth_smallest(radii: Array, floors: Array, n: int) -> Array:
    """(V,) n-th smallest of each row, every unlisted radius being at least the floor; inf where there are fewer."""
    listed = np.partition(radii, n - 1, axis=1)[:, n - 1] if radii.shape[1] >= n else np.full(len(radii), np.inf)
    return np.minimum(listed, floors)


def _nth_largest(values: Array, n: int) -> float:
    return float(np.sort(values)[-n]) if len(values) >= n else -math.inf


def _every_view(rivals: Array, labels: npt.NDArray[np.int64], floors: Array) -> float:
    """T3: against each other label the best view counts; labels that are not listed meet the best floor."""
    _, per_label = item_radii(np.minimum(rivals, floors[:, None]), labels)
    return float(min(per_label.min(initial=np.inf), floors.max()))
