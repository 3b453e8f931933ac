"""Pairs of rows that are near: those that may lower a gap, and those presumed to be copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from .gap_blocks import Block, Mask, Side, blocks, least_of, lower
from .gap_codes import DEAR, Pairs, Reach, reach_of
from .items import Keys
from .neighbours import Float64, Others, places_of
from .row_filter import RowFilter
from .sheets import BOTH_CUT, ONE_CUT
from .short_rows import Shortening, shortening
from .stored_rows import let_go
from .vectors import Float32, Ids


@dataclass(frozen=True)
class Short:
    """Other rows, shortened: see ``indexer.short_rows``."""

    how: Shortening
    others: Others

    @staticmethod
    def of(others: Others) -> Short | None:
        """Short rows of others; None where they would not be short."""
        how = shortening(others.rows)
        return None if how is None else Short(how, Others.of(how.of(others.rows), others.score))


@dataclass(frozen=True)
class Scan:
    """Blocks of rows against the unedited rows of other items.

    Few pairs matter: those near enough to lower a row's gap, or to be presumed copies. One comparison of a product
    finds them, and nothing else is asked of all pairs.

    Attributes:
        sides: the channels; prepared: the others in each of them; short: their filter, or the same shortened, where
            that is worth it.
        others: (n,) their rows.
        names: (n,) ascending, the name of each one's item.
    """

    sides: Sequence[Side]
    prepared: Sequence[Others]
    short: Sequence[Short | RowFilter | None]
    others: Ids
    names: Keys

    def measure(self, block: Block) -> Block:
        """Lower the gaps of a block's rows, in place."""
        owns = [side.store.take(block.rows) for side in self.sides]
        found: list[Pairs | Reach] = []
        for channel, own in enumerate(owns):
            near = self._near(channel, own, block)
            if near is None:
                return self._measure_crowd(block)
            found.append(near)
        item = block.items
        set_aside = self._aside(owns, found, block)
        coded = [item[near.left] * len(self.names) + near.right for near in found]
        _presume(self.sides, block, set_aside // len(self.names), self.names[set_aside % len(self.names)])
        for side, one, own, near, codes in zip(self.sides, self.prepared, owns, found, coded, strict=True):
            pairs = near.take(~np.isin(codes, set_aside)).nearest(_least(one, own, side.known.gap[block.rows]))
            far, first = least_of(len(own), pairs.left, pairs.right, one.distances(own, pairs.left, pairs.right))
            lower(side, block.rows, far, np.where(np.isfinite(far), self.names[first], b"").astype("S64"))
            let_go(side.store)
        return block

    def _measure_crowd(self, block: Block) -> Block:
        """By products of all pairs; of fewer rows at a time, since nearly all of the pairs may have to be held."""
        bare = replace(self, short=(None,) * len(self.sides))
        for piece in blocks(block.rows, block.of_rows(block.keys), len(self.names)):
            bare.measure(piece)
        return block

    def _near(self, channel: int, own: Float32, block: Block) -> Pairs | Reach | None:
        """Pairs of other items' rows that may lower a gap or be presumed copies; None of a crowd."""
        side, others = self.sides[channel], self.prepared[channel]
        wide = np.maximum(side.known.gap[block.rows], _reach_of_copies(side, block.rows))
        near = _within_reach(others, self.short[channel], own, _least(others, own, wide))
        if near is None:
            return None
        first, last = (block.of_rows(np.searchsorted(self.names, block.keys, side)) for side in ("left", "right"))
        return near.take((near.right < first[near.left]) | (near.right >= last[near.left]))

    def _aside(self, owns: Sequence[Float32], found: Sequence[Pairs | Reach], block: Block) -> Ids:
        """Pairs of an item of the block and another row that are presumed copies, ascending: item · n + row."""
        sure, doubtful = [], []
        for side, others, own, near in zip(self.sides, self.prepared, owns, found, strict=True):
            pairs = near.within(_least(others, own, _reach_of_copies(side, block.rows)))
            certain, uncut = self._limits(side, block.rows[pairs.left], self.others[pairs.right])
            inside = _inside(others, own, pairs, certain)
            sure.append(block.items[pairs.left[inside]] * len(self.names) + pairs.right[inside])
            inside = _inside(others, own, pairs, uncut)
            doubtful.append(pairs.left[inside] * len(self.names) + pairs.right[inside])
        rows = reduce(np.intersect1d, doubtful)  # near in every channel
        in_all = block.items[rows // len(self.names)] * len(self.names) + rows % len(self.names)
        return np.unique(np.concatenate([*sure, in_all]))

    def _limits(self, side: Side, left: Ids, right: Ids) -> tuple[Float64, Float64]:
        """(p,) how near unrelated pictures never come, of pairs whose kinds are believed, and where they are not."""
        known = side.known
        cut = known.reference < known.uncut
        cuts = cut[left].astype(np.intp) + cut[right]
        part = np.array([side.certain, *self._doubtful(side)])[cuts]
        parts = (known.reference, known.uncut)
        reference, uncut = (np.minimum(of[left], of[right]).astype(np.float64) for of in parts)
        return side.certain * reference, part * uncut

    def _doubtful(self, side: Side) -> tuple[float, float]:
        """The parts for pairs of which one row is cut, and both are; never more than is looked at (``_pairs``)."""
        one_cut, both_cut = min(ONE_CUT, side.certain), min(BOTH_CUT, side.certain)
        if side.reference.votes is not None:
            return one_cut, both_cut
        if any(one.reference.votes is not None for one in self.sides):
            return side.certain, side.certain
        return one_cut, 0.0  # no sheet is known to be a faint one


def _least(others: Others, own: Float32, far: Float32 | Float64) -> Float32:
    """(m,) how near, by float32, whatever is no farther than (m,) angles or distances is at least."""
    return others.at(far) - np.float32(others.slack(own))


def _reach_of_copies(side: Side, rows: Ids) -> Float64:
    """(m,) no presumed copy is farther: no limit of :meth:`Scan._limits` is larger."""
    known = side.known
    return side.certain * np.maximum(known.reference[rows], known.uncut[rows]).astype(np.float64)


def _inside(others: Others, own: Float32, pairs: Pairs, limit: Float64) -> Mask:
    """(p,) which pairs are no farther apart than their limits."""
    edge, slack = others.at(limit), np.float32(others.slack(own))
    inside = pairs.near >= edge + slack
    left_open = np.flatnonzero((pairs.near >= edge - slack) & ~inside)
    far = others.distances(own, pairs.left[left_open], pairs.right[left_open])
    inside[left_open] = far <= limit[left_open]
    return inside


def _within_reach(
    others: Others, short: Short | RowFilter | None, own: Float32, least: Float32
) -> Pairs | Reach | None:
    """Pairs (row, other) whose nearness by float32 is at least the row's, (m,), and maybe some others.

    None where a filter leaves too many.
    """
    slack = np.float32(others.slack(own))
    if isinstance(short, RowFilter):
        return reach_of(short, others, own, least)
    if short is not None:
        left, right = places_of(short.others.nearness(short.how.of(own)) >= least[:, None])
        if len(left) * DEAR <= len(own) * len(others.rows):
            return Pairs(left, right, others.nearness_of(own, left, right), slack).within(least)
    parts = [_part_within(others, own, least, first) for first in range(0, len(others.rows), PART)]
    left, right, near = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Pairs(left, right, near, slack)


def _part_within(others: Others, own: Float32, least: Float32, first: int) -> tuple[Ids, Ids, Float32]:
    products = others.nearness(own, slice(first, first + PART))
    left, right = places_of(products >= least[:, None])
    return left, right + first, products[left, right]


PART = 2**13
"""Others compared with at a time where short rows do not help: they are read from where they are stored."""


def _presume(sides: Sequence[Side], block: Block, items: Ids, names: Keys) -> None:
    """Note the first name of those set aside, unless an earlier one is known.

    Args:
        sides: the channels.
        block: the rows.
        items: (p,) ascending, places of items in the block.
        names: (p,) what is set aside for each, in the order of names for each item.
    """
    if not len(items):
        return
    which, first = np.unique(items, return_index=True)
    found = np.zeros(len(block.keys), "S64")
    found[which] = names[first]
    found = block.of_rows(found)
    for side in sides:
        held = side.known.presumed[block.rows]
        take = (found != b"") & ((held == b"") | (found < held))
        side.known.presumed[block.rows[take]] = found[take]
