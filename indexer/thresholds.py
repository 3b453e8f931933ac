"""The provisional threshold: what the gallery's own nearest neighbours say, before anyone shows known negatives."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .gallery import Gallery, open_gallery
from .gaps import measure_gaps, read_gaps, write_gaps
from .snapshot import ChannelSpec, Snapshot, Threshold
from .vectors import RowStore

FPR = 0.01
SAMPLES = 2000


def renew_thresholds(index: Path, snapshot: Snapshot) -> tuple[ChannelSpec, ...]:
    """The channels of a snapshot whose rows have changed, with thresholds from the gallery itself.

    A calibrated one stays, marked as older than the rows; where it is local, new rows get their gaps.
    """
    gallery = open_gallery(index, snapshot)
    return tuple(_with_threshold(index, gallery, number) for number in range(len(snapshot.channels)))


def _with_threshold(index: Path, gallery: Gallery, number: int) -> ChannelSpec:
    channel = gallery.snapshot.channels[number]
    if channel.threshold is not None and channel.threshold.source == "calibrated":
        threshold = replace(channel.threshold, stale=True)
        if threshold.gaps is not None:  # rows that are new have none yet
            gaps = measure_gaps(gallery, number, old=read_gaps(index, threshold.gaps))
            threshold = replace(threshold, gaps=write_gaps(index, gallery.snapshot, gaps))
        return replace(channel, threshold=threshold)
    return replace(channel, threshold=leave_one_out(gallery.stores[number], gallery.groups, gallery.originals()))


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
