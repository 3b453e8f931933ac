"""Gaps, measured: rows of some items against reference sets and against the unedited rows of other items.

The rule stands in ``indexer.gaps``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..core.progress import Progress
from .gap_blocks import Block, Side, begin_items, blocks, least_of, measure_blocks
from .gap_codes import TOGETHER, codes_of
from .gap_pairs import PART, Scan, Short
from .gaps import KIND
from .items import Keys
from .neighbours import BLOCK, Others, nearest, places_of, rounded_down
from .reference import Reference
from .row_filter import RowFilter
from .sheets import FAINT, Taken, cut_sheets, of_layouts, outvoted
from .stored_rows import StoredRows, let_go
from .vectors import Float32, Ids

_WORTH = 2048
"""Rows on both sides for which short rows are made first."""


def against_references(sides: Sequence[Side], rows: Ids, keys: Keys, progress: Progress) -> None:
    """Set the reference gaps of some items' rows, and their gaps and limits as if no other item were there.

    Args:
        sides: the channels.
        rows: (m,) all rows of some items.
        keys: (m,) the name of each row's item.
        progress: told of every item, channel after channel.
    """
    taken = [_against_reference(side, rows, keys, progress) for side in sides]
    cut_sheets([side.reference for side in sides], [side.known for side in sides], taken, rows)


def _against_reference(side: Side, rows: Ids, keys: Keys, progress: Progress) -> Taken:
    """One channel, and what it takes the rows for."""
    reference = side.reference
    others = Others.of(reference.rows(), reference.score)
    names = np.array([f"{KIND}{name}" for name in reference.kinds] or [""], dtype="S64")[reference.kind]
    caps = rounded_down(np.minimum(reference.caps, reference.farthest))
    farthest = rounded_down(np.array([reference.farthest]))[0]
    within = reference.certain * np.minimum(reference.near.astype(np.float64), reference.farthest)
    layouts, sure = np.zeros(len(side.known), dtype="S64"), np.zeros(len(side.known), dtype=np.bool_)

    def measure(block: Block) -> Block:
        own = side.store.take(block.rows)
        near = others.nearness(own)
        left, right = _same(others, own, near, within)
        for item in np.unique(block.items[left]):  # few, if any
            taken = right[block.items[left] == item]
            near[np.ix_(block.items == item, taken)] = -np.inf
        far, first = least_of(len(own), *nearest(others, own, near))
        found = np.isfinite(far)
        limit = np.where(found, names[first] if len(names) else b"", b"").astype("S64")
        if reference.sheet is not None:
            taken = _taken(reference, others, own, near, limit)
            layouts[block.rows], sure[block.rows] = taken.layouts, taken.sure
        uncut = np.minimum(far, farthest)
        far[found] = np.minimum(far[found], caps[first[found]])
        beyond = ~(far < farthest)
        far[beyond], limit[beyond] = farthest, b""
        side.known.uncut[block.rows] = uncut
        side.known.reference[block.rows] = side.known.gap[block.rows] = far
        side.known.limit[block.rows] = limit
        side.known.presumed[block.rows] = b""
        let_go(side.store)
        return block

    begin_items(progress, "measuring gaps to the reference set", keys)
    measure_blocks(measure, blocks(rows, keys, len(names)), progress)
    return Taken(layouts[rows], sure[rows])


def _taken(reference: Reference, others: Others, own: Float32, near: Float32, kinds: Keys) -> Taken:
    """What rows are taken for.

    Args:
        reference: a set that states what a sheet is.
        others: its vectors.
        own: (m, dim) rows.
        near: (m, n) how near they are, −inf where a vector does not count.
        kinds: (m,) ``kind:`` and the kind of the nearest.
    """
    if reference.votes is None:
        return Taken(of_layouts(reference, kinds), np.zeros(len(own), dtype=np.bool_))
    taken = np.flatnonzero(outvoted(reference, others, own, near))
    in_layouts = np.where(reference.opened, np.float32(-np.inf), near[taken])
    _, first = least_of(len(taken), *nearest(others, own[taken], in_layouts))
    names = np.array([f"{KIND}{name}" for name in reference.kinds], dtype="S64")[reference.kind]
    found = np.zeros(len(own), dtype="S64")
    found[taken] = names[first]
    sure = np.zeros(len(own), dtype=np.bool_)
    sure[taken] = outvoted(reference, others, own[taken], near[taken], by=FAINT)
    return Taken(found, sure)


def _same(others: Others, own: Float32, near: Float32, within: npt.NDArray[np.float64]) -> tuple[Ids, Ids]:
    """Pairs (row, vector) within the vector's limit, (n,); where float32 leaves it open, float64 decides."""
    edge, slack = others.at(within), np.float32(others.slack(own))
    left, right = places_of(near >= edge - slack)
    inside = near[left, right] >= edge[right] + slack
    unsure = np.flatnonzero(~inside)
    inside[unsure] = others.distances(own, left[unsure], right[unsure]) <= within[right[unsure]]
    return left[inside], right[inside]


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
    many = len(others) >= _WORTH  # they stay where they are stored, and are read in parts
    worth = many and len(rows) >= _WORTH
    stored = [StoredRows(side.store, others) if many else side.store.take(others) for side in sides]
    prepared = [Others.of(own, side.reference.score) for own, side in zip(stored, sides, strict=True)]
    short = tuple((codes_of(one) or Short.of(one)) if worth else None for one in prepared)
    begin_items(progress, "measuring gaps between images", keys)
    held = _held(short, len(others))
    measure_blocks(Scan(sides, prepared, short, others, names).measure, blocks(rows, keys, held), progress)


def _held(short: Sequence[Short | RowFilter | None], others: int) -> int:
    """How many products of a row there are at a time."""
    if all(isinstance(one, RowFilter) for one in short):
        return BLOCK // TOGETHER
    return others if any(isinstance(one, Short) for one in short) else min(others, PART)
