"""The provisional threshold: what the gallery's own nearest neighbours say, before anyone shows known negatives."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .snapshot import Threshold
from .vectors import RowStore

FPR = 0.01
SAMPLES = 2000


def leave_one_out(store: RowStore, groups: npt.NDArray[np.int64], originals: npt.NDArray[np.int64]) -> Threshold | None:
    """Set a threshold so that at most 1 % of gallery items would match another item.

    Each of up to 2,000 sampled items is searched against all rows that are not its own; the threshold lies just
    beyond the ⌈(1 − 0.01)(n + 1)⌉-th of those n best scores (the worst of them where n < 99). It assumes that the
    gallery's items are not copies of one another and that queries look like the gallery: hence *provisional*.

    Args:
        store: a channel's rows.
        groups: (rows,) item number of each row, −1 for tombstoned rows.
        originals: global numbers of the rows that hold the unedited view of a live item.

    Returns:
        The threshold, or None where fewer than two items are there to compare.
    """
    sample = _sample(originals)
    chunks = np.array_split(sample, max(1, math.ceil(len(sample) / 256)))
    best = [score for chunk in chunks for score in _best_others(store, groups, chunk)]
    if len(best) < 2:
        return None
    ranked = np.sort(np.asarray(best)) if store.score == "cosine" else -np.sort(-np.asarray(best))
    place = min(len(ranked), math.ceil((1 - FPR) * (len(ranked) + 1)))
    edge = float(ranked[place - 1])
    value = math.nextafter(edge, math.inf) if store.score == "cosine" else math.nextafter(edge, -math.inf)
    if store.score == "cosine":
        value = min(value, 1.0)  # float32 products of near-duplicates may exceed 1, which no cosine does
    return Threshold(value=max(value, 0.0), source="leave-one-out", fpr=FPR, samples=len(best))


def _sample(originals: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if len(originals) <= SAMPLES:
        return originals
    return np.sort(np.random.default_rng(0).choice(originals, SAMPLES, replace=False))


def _best_others(store: RowStore, groups: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> list[float]:
    """For each row the best score of another item's row; rows without any other item are left out."""
    left, count, best = rows, 64, []
    while len(left):
        scores, ids = store.nearest(store.take(left), count)
        other = (groups[ids] != groups[left][:, None]) & (groups[ids] >= 0)
        found = other.any(axis=1)
        first = other.argmax(axis=1)
        best.extend(scores[found, first[found]].tolist())
        left = left[~found] if count < store.rows else left[:0]
        count *= 8
    return best if store.score == "cosine" else [math.sqrt(max(score, 0.0)) for score in best]
