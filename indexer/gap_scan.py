"""Gaps, measured: rows of some items against reference sets and against the unedited rows of other items.

The rule stands in ``indexer.gaps``. Blocks hold whole items, since what is set aside is set aside for all of an item's
rows, in all channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.progress import Progress, begin
from . import neighbours
from .gaps import KIND, Gaps
from .items import Keys
from .neighbours import Others, nearest, rounded_down
from .reference import Reference
from .sheets import cut_sheets, of_layouts, outvoted
from .vectors import Float32, Ids, RowStore

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """One channel: its rows, its reference set, and what is known so far, which a scan changes in place."""

    store: RowStore
    reference: Reference
    known: Gaps

    @property
    def certain(self) -> float:
        """See :class:`reference.Reference`."""
        return self.reference.certain


@dataclass(frozen=True)
class Block:
    """Rows of some items, item after item.

    Attributes:
        rows: global numbers.
        starts: (items,) where each item's rows begin.
        keys: (items,) their names, ascending.
    """

    rows: Ids
    starts: Ids
    keys: Keys

    def every(self, of_items: Mask) -> Mask:
        """(rows, n) of (items, n): what holds for an item holds for its rows."""
        return np.repeat(of_items, np.diff(np.append(self.starts, len(self.rows))), axis=0)

    def some(self, of_rows: Mask) -> Mask:
        """(items, n) of (rows, n): what holds for some row of an item."""
        return np.logical_or.reduceat(of_rows, self.starts, axis=0)


def blocks(rows: Ids, keys: Keys, others: int) -> Iterator[Block]:
    """Cut rows into blocks of whole items, in the order of their names.

    Args:
        rows: (m,) global numbers.
        keys: (m,) the name of each row's item.
        others: how many rows each will be compared with.
    """
    order = np.lexsort((rows, keys))
    rows, keys = rows[order], keys[order]
    names, starts = np.unique(keys, return_index=True)
    most, first = max(1, neighbours.BLOCK // max(1, others)), 0
    ends = np.append(starts[1:], len(rows))
    while first < len(names):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + most, "right")))
        cut = slice(int(starts[first]), int(ends[last - 1]))
        yield Block(rows[cut], starts[first:last] - starts[first], names[first:last])
        first = last


def against_references(sides: Sequence[Side], rows: Ids, keys: Keys, progress: Progress) -> None:
    """Set the reference gaps of some items' rows, and their gaps and limits as if no other item were there.

    Args:
        sides: the channels.
        rows: (m,) all rows of some items.
        keys: (m,) the name of each row's item.
        progress: told of every item, channel after channel.
    """
    layouts = [_against_reference(side, rows, keys, progress)[rows] for side in sides]
    cut_sheets([side.reference for side in sides], [side.known for side in sides], layouts, rows)


def _against_reference(side: Side, rows: Ids, keys: Keys, progress: Progress) -> Keys:
    """One channel; of all its rows the kind in layouts that they are taken for, empty for none."""
    reference = side.reference
    others = Others.of(reference.rows(), reference.score)
    names = np.array([f"{KIND}{name}" for name in reference.kinds] or [""], dtype="S64")[reference.kind]
    caps = rounded_down(np.minimum(reference.caps, reference.farthest))
    farthest = rounded_down(np.array([reference.farthest]))[0]
    within = reference.certain * np.minimum(reference.near.astype(np.float64), reference.farthest)
    layouts = np.zeros(len(side.known), dtype="S64")
    _begin(progress, "measuring gaps to the reference set", keys)
    for block in blocks(rows, keys, len(names)):
        own = side.store.take(block.rows)
        near = others.nearness(own)
        same = _within(others, own, near, others.at(within)[None], lambda _, right: within[right])
        if same.any():
            near[block.every(block.some(same))] = -np.inf
        far, first = _least(len(own), *nearest(others, own, near))
        found = np.isfinite(far)
        limit = np.where(found, names[first] if len(names) else b"", b"").astype("S64")
        if reference.sheet is not None:
            layouts[block.rows] = _layouts(reference, others, own, near, limit)
        far[found] = np.minimum(far[found], caps[first[found]])
        beyond = ~(far < farthest)
        far[beyond], limit[beyond] = farthest, b""
        side.known.reference[block.rows] = side.known.gap[block.rows] = far
        side.known.limit[block.rows] = limit
        side.known.presumed[block.rows] = b""
        progress.advance(len(block.keys))
    return layouts


def _layouts(reference: Reference, others: Others, own: Float32, near: Float32, kinds: Keys) -> Keys:
    """(m,) the kind in layouts that each row is taken for; empty for none.

    Args:
        reference: a set that states what a sheet is.
        others: its vectors.
        own: (m, dim) rows.
        near: (m, n) how near they are, −inf where a vector does not count.
        kinds: (m,) ``kind:`` and the kind of the nearest.
    """
    if reference.votes is None:
        return of_layouts(reference, kinds)
    taken = np.flatnonzero(outvoted(reference, others, own, near))
    in_layouts = np.where(reference.opened, np.float32(-np.inf), near[taken])
    _, first = _least(len(taken), *nearest(others, own[taken], in_layouts))
    names = np.array([f"{KIND}{name}" for name in reference.kinds], dtype="S64")[reference.kind]
    found = np.zeros(len(own), dtype="S64")
    found[taken] = names[first]
    return found


def against_items(sides: Sequence[Side], rows: Ids, keys: Keys, others: Ids, names: Keys, progress: Progress) -> None:
    """Let rows of other items make the gaps of some items' rows smaller; reference gaps are known already.

    Args:
        sides: the channels.
        rows: (m,) all rows of some items.
        keys: (m,) the name of each row's item.
        others: (n,) unedited rows.
        names: (n,) the name of each one's item.
        progress: told of every item.
    """
    order = np.lexsort((others, names))
    others, names = others[order], names[order]
    if not len(others):
        return
    prepared = [Others.of(side.store.take(others), side.reference.score) for side in sides]
    _begin(progress, "measuring gaps between images", keys)
    for block in blocks(rows, keys, len(others)):
        owns = [side.store.take(block.rows) for side in sides]
        nears = [one.nearness(own) for one, own in zip(prepared, owns, strict=True)]
        itself = _own(block, names)
        aside = np.zeros_like(itself)
        for side, one, own, near in zip(sides, prepared, owns, nears, strict=True):
            aside |= block.some(_certain(side, one, own, near, block.rows, others))
        aside &= ~itself
        left_out = block.every(aside | itself)
        _presume(sides, block, aside, names)
        for side, one, own, near in zip(sides, prepared, owns, nears, strict=True):
            near[left_out] = -np.inf
            _leave_out_far(near, one, own, side.known.gap[block.rows])
            far, first = _least(len(own), *nearest(one, own, near))
            _lower(side, block.rows, far, np.where(np.isfinite(far), names[first], b"").astype("S64"))
        progress.advance(len(block.keys))


def _leave_out_far(near: Float32, others: Others, own: Float32, gap: Float32) -> None:
    """What lies beyond a row's gap by float32 already cannot lower it: its distance need not be known."""
    near[near < (others.at(gap) - np.float32(others.slack(own)))[:, None]] = -np.inf


def _begin(progress: Progress, title: str, keys: Keys) -> None:
    if len(keys):  # of nothing there is nothing to say
        begin(progress, title, len(np.unique(keys)))


def _own(block: Block, names: Keys) -> Mask:
    """(items, n) which of the others are rows of the item itself."""
    left, right = np.searchsorted(names, block.keys, "left"), np.searchsorted(names, block.keys, "right")
    places = np.arange(len(names))
    return (places >= left[:, None]) & (places < right[:, None])


def _certain(side: Side, others: Others, own: Float32, near: Float32, rows: Ids, columns: Ids) -> Mask:
    """(rows, n) which of the others are nearer than unrelated pictures come."""
    mine, theirs = side.known.reference[rows].astype(np.float64), side.known.reference[columns].astype(np.float64)
    edge = np.maximum(others.at(side.certain * mine)[:, None], others.at(side.certain * theirs)[None])
    return _within(others, own, near, edge, lambda left, right: side.certain * np.minimum(mine[left], theirs[right]))


def _within(
    others: Others,
    own: Float32,
    near: Float32,
    edge: Float32,
    limit: Callable[[Ids, Ids], npt.NDArray[np.float64]],
) -> Mask:
    """(m, n) which pairs are within a limit; where float32 leaves it open, float64 decides."""
    slack = np.float32(others.slack(own))
    inside = near >= edge + slack
    left, right = np.nonzero((near >= edge - slack) & ~inside)
    if len(left):
        inside[left, right] = others.distances(own, left, right) <= limit(left, right)
    return inside


def _least(rows: int, left: Ids, right: Ids, far: npt.NDArray[np.float64]) -> tuple[Float32, Ids]:
    """Per row the least distance, rounded down, and of equals the first of the others; inf where there is none."""
    single = rounded_down(far)
    order = np.lexsort((right, single, left))
    found, first = np.unique(left[order], return_index=True)
    best, place = np.full(rows, np.inf, dtype=np.float32), np.zeros(rows, dtype=np.int64)
    best[found], place[found] = single[order][first], right[order][first]
    return best, place


def _lower(side: Side, rows: Ids, far: Float32, limit: Keys) -> None:
    """Of equally near things a reference vector limits before an item, and of items the one with the first name."""
    gap, held = side.known.gap[rows], side.known.limit[rows]
    earlier = (held != b"") & (np.char.startswith(held, KIND.encode()) | (held <= limit))
    nearer = (far < gap) | ((far == gap) & (limit != b"") & ~earlier & (held != b""))
    side.known.gap[rows[nearer]], side.known.limit[rows[nearer]] = far[nearer], limit[nearer]


def _presume(sides: Sequence[Side], block: Block, aside: Mask, names: Keys) -> None:
    """Note the first name of those set aside, unless an earlier one is known."""
    if not aside.any():
        return
    found = np.where(aside.any(axis=1), names[aside.argmax(axis=1)], np.zeros(1, "S64"))
    found = np.repeat(found, np.diff(np.append(block.starts, len(block.rows))))
    for side in sides:
        held = side.known.presumed[block.rows]
        take = (found != b"") & ((held == b"") | (found < held))
        side.known.presumed[block.rows[take]] = found[take]
