"""Which images known to be absent come within a row's share of its gap, in blocks of one matrix product each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.numerics import norm
from ..core.progress import Progress, Silent
from ..indexer.neighbours import Others
from ..indexer.reference import Reference
from ..indexer.vectors import Float32, Ids, RowStore
from .channel import Channel, Float64

_ROWS, _QUERIES = 8192, 2048


@dataclass(frozen=True, slots=True)
class Pairs:
    """Negatives that are nearer to rows of one channel than those rows allow unrelated pictures to be.

    Attributes:
        negatives, rows: (p,) numbers.
        far: (p,) angles in radians, or distances.
    """

    negatives: Ids
    rows: Ids
    far: Float64

    def take(self, which: np.ndarray) -> Pairs:
        """Some of them."""
        return Pairs(self.negatives[which], self.rows[which], self.far[which])

    @staticmethod
    def joined(parts: Sequence[Pairs]) -> Pairs:
        """One after the other."""
        return Pairs(*(np.concatenate([getattr(one, name) for one in parts]) for name in Pairs.__slots__))


def searched(zs: Float64, channel: Channel) -> Float64:
    """(n, d) embeddings as rows are compared with them: unit vectors for cosine, zeros where there is no direction."""
    if channel.score != "cosine" or not len(zs):
        return zs
    lengths = norm(zs)[:, None]
    return np.divide(zs, lengths, out=np.zeros_like(zs), where=lengths > 0.0)


def within(channel: Channel, zs: Float64, reach: Float64, progress: Progress | None = None) -> Pairs:
    """All pairs of an embedding and a live row that are no farther apart than the row's reach. Exact but for rounding.

    Args:
        channel: its rows.
        zs: (n, d) of :func:`searched`.
        reach: (rows,) angles below π/2, or distances.
        progress: told how much is done, as a part of n.
    """
    live = np.flatnonzero(channel.groups >= 0)
    found, told = [Pairs(live[:0], live[:0], np.zeros(0))], progress or Silent()
    for start in range(0, len(live), _ROWS):
        rows = live[start : start + _ROWS]
        others = Others.of(channel.store.take(rows), channel.score)
        found += [_block(others, rows, zs, first, reach[rows]) for first in range(0, len(zs), _QUERIES)]
        through = [len(zs) * end // len(live) for end in (start, start + len(rows))]
        told.advance(through[1] - through[0])
    return Pairs.joined(found)


def _block(others: Others, rows: Ids, zs: Float64, first: int, reach: Float64) -> Pairs:
    own = zs[first : first + _QUERIES]
    single = own.astype(np.float32)
    near = others.nearness(single)
    left, right = np.nonzero(near >= others.at(reach) - np.float32(others.slack(single)))
    far = others.distances(own, left, right)
    inside = far <= reach[right]
    return Pairs(left[inside] + first, rows[right[inside]], far[inside])


def in_reference(reference: Reference, zs: Float64) -> Ids:
    """(m,) numbers of the embeddings that are pictures of the set itself: such a one cannot stand for a new picture.

    Args:
        reference: a set.
        zs: (n, d) of :func:`searched`.
    """
    rows: Float32 = reference.rows()
    reach = reference.certain * np.minimum(reference.near.astype(np.float64), reference.farthest)
    store = RowStore((rows,), (0, len(rows)), rows.shape[1], reference.score)
    every = np.arange(len(rows))
    others = Others.of(store.take(every), reference.score)
    found = [_block(others, every, zs, first, reach).negatives for first in range(0, len(zs), _QUERIES)]
    return np.unique(np.concatenate([every[:0], *found]))


def levels(pairs: Sequence[Pairs], gaps: Sequence[Float32], count: int) -> Float64:
    """(n, c) least offset of each channel that would accept each negative; inf where the share alone refuses it.

    −inf for a stored row itself, which every offset accepts.

    Args:
        pairs: per channel, of the negatives that count.
        gaps: per channel, of its rows.
        count: n.
    """
    found = np.full((count, len(pairs)), np.inf)
    for number, (own, gap) in enumerate(zip(pairs, gaps, strict=True)):
        level = np.where(own.far > 0.0, own.far - 0.5 * gap[own.rows].astype(np.float64), -np.inf)
        np.minimum.at(found[:, number], own.negatives, level)
    return found


def certain(pairs: Pairs, gaps: Float32, part: float) -> np.ndarray:
    """(p,) which pairs are nearer than unrelated pictures come: presumed copies (``indexer.gaps``)."""
    return pairs.far <= part * gaps[pairs.rows].astype(np.float64)
