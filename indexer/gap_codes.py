"""Pairs of rows that may be near, by products of small integers: most pairs are never compared in float32.

The filter of ``row_filter`` (THEORY §6.4, whose theorem is its docstring) bounds the inner product of every pair from
above. A pair is passed over only where that bound is below what it would have to reach, so it cannot be nearer: what
is left holds every pair that a comparison of all of them would find, and gaps are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from .filter_make import make_filter
from .gap_blocks import Mask
from .integer_products import integer_products
from .neighbours import Others, places_of, torch_is_here
from .row_filter import DIM, Int32, RowFilter
from .row_questions import Questions, ask_all
from .stored_rows import StoredRows, let_go
from .vectors import Float32, Ids

TOGETHER = 256
"""Rows of a block: their products with some thousand others stay in a processor's cache."""
DEAR = 24
"""How many pairs of a product of matrices cost what one pair costs by itself."""
MOST = 2**21
"""Pairs of a block that are held: some thousand of each row, where two hundred are usual."""
_ALWAYS = np.iinfo(np.int32).max
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Some pairs of rows: (p,) places in the block, (p,) places among the others, and (p,) how near by float32.

    Attributes:
        slack: how far such a number may be off.
    """

    left: Ids
    right: Ids
    near: Float32
    slack: np.float32

    def take(self, kept: Mask) -> Pairs:
        """Some of them."""
        return Pairs(self.left[kept], self.right[kept], self.near[kept], self.slack)

    def within(self, least: Float32) -> Pairs:
        """Those that are at least as near as their row asks, (m,)."""
        return self.take(self.near >= least[self.left])

    def nearest(self, least: Float32) -> Pairs:
        """Of those within, all that may be their row's nearest one."""
        best = _most(self.left, self.near, len(least), np.float32(-np.inf))
        return self.within(np.maximum(best - np.float32(2.0) * self.slack, least))


@dataclass(frozen=True, slots=True)
class Reach:
    """Pairs that were not passed over, of which those are compared in float32 that are asked for.

    Attributes:
        others: what ``right`` are places of; own: (m, dim) what ``left`` are places of.
        questions: the latter, as the filter sees them.
        left, right: (p,) the pairs; integers: (p,) that bound how near they are.
    """

    others: Others
    own: Float32
    questions: Questions
    left: Ids
    right: Ids
    integers: Int32

    def take(self, kept: Mask) -> Reach:
        """Some of them."""
        return Reach(self.others, self.own, self.questions, self.left[kept], self.right[kept], self.integers[kept])

    def within(self, least: Float32) -> Pairs:
        """Those that are at least as near as their row asks, (m,): a pair whose bound is less is none of them."""
        return self._compared(self.integers >= self.questions.least(least)[self.left]).within(least)

    def nearest(self, least: Float32) -> Pairs:
        """Of those within, all that may be their row's nearest one.

        One of each row is compared first. What is proved to be farther than it by more than products in float32 can be
        off, twice over, is not the nearest one.
        """
        largest = _most(self.left, self.integers, len(least), np.int32(np.iinfo(np.int32).min))
        first = self._compared(self.integers == largest[self.left])
        best = _most(first.left, first.near, len(least), np.float32(-np.inf))
        return self.within(np.maximum(best - np.float32(2.0) * first.slack, least))

    def _compared(self, kept: Mask) -> Pairs:
        left, right = self.left[kept], self.right[kept]
        near = self.others.nearness_of(self.own, left, right)
        return Pairs(left, right, near, np.float32(self.others.slack(self.own)))


def _most(left: Ids, numbers: npt.NDArray[Number], rows: int, nothing: Number) -> npt.NDArray[Number]:
    """(rows,) the largest number of each row; what is no number does not count."""
    found = np.full(rows, nothing)
    np.fmax.at(found, left, numbers)
    return found


def codes_of(others: Others) -> RowFilter | None:
    """A filter of others; None where there can be none: of distances, of long rows, and without torch.

    Rows that lie in one segment have theirs already, by which they are searched (``filter_file``).
    """
    rows = others.rows
    if others.score != "cosine" or not torch_is_here() or rows.shape[1] > DIM:
        return None
    held = rows.store.filtered if isinstance(rows, StoredRows) else ()
    if isinstance(rows, StoredRows) and len(held) == 1 and held[0] is not None:
        codes = held[0].codes
        return codes.only(rows.ids, np.flatnonzero(np.isin(rows.ids, codes.always)))

    def read(some: slice) -> Float32:
        own = rows[some]
        if isinstance(rows, StoredRows):
            let_go(rows.store)
        return own

    try:
        return make_filter(cast("Float32", rows), read)
    except ValueError:  # rows that are no unit rows: all of them are compared
        return None


def reach_of(codes: RowFilter, others: Others, own: Float32, least: Float32) -> Reach | None:
    """All pairs (row, other) whose bound does not say that they are farther than the row asks.

    Args:
        codes: the filter of others.
        others: they.
        own: (m, dim) rows.
        least: (m,) least inner products.

    Returns:
        None where they are so many that a product of matrices is cheaper, or that they would take much memory.
    """
    asked = ask_all(codes, own)
    edge, most = asked.least(least), min(len(own) * codes.rows // DEAR, MOST)
    found = [_unbounded(codes, len(own))]
    for start, block in integer_products(codes.codes, asked.codes):
        rows, columns = places_of(block >= edge)
        most -= len(rows)
        if most < 0:
            return None
        found.append((columns, rows + start, block[rows, columns]))
    left, right, integers = (np.concatenate(each) for each in zip(*found, strict=True))
    return Reach(others, own, asked, left, right, integers)


def _unbounded(codes: RowFilter, rows: int) -> tuple[Ids, Ids, Int32]:
    """Pairs of which no bound is known; those that their integers leave too are looked at twice."""
    left, right = np.repeat(np.arange(rows), len(codes.always)), np.tile(codes.always, rows)
    return left, right, np.full(len(left), _ALWAYS, dtype=np.int32)
