"""Items: rows of files with the same pixels are one, named by the SHA-256 of the pixels wherever it is stored.

Built for many millions of rows: arrays and columns only, no Python object for a row, and no look at every row for an
answer. What needs one pass over all rows is made when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.errors import IntegrityError
from .vectors import Ids

DIGITS = 64
"""Hex digits of a SHA-256."""
Keys = npt.NDArray[np.bytes_]
"""(m,) names of items, ``S64``: the hex digits of the pixels' SHA-256."""
NO_KEYS: Keys = np.empty(0, dtype=f"S{DIGITS}")
_AT_ONCE = 2**20
_SLICE = 2**16
_VALUES = np.zeros(256, dtype=np.uint8)
_VALUES[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16)


@dataclass(frozen=True)
class Items:
    """Which item each row is of, and which rows each item has.

    Attributes:
        digests: (rows,) the SHA-256 of each row's pixels, as hex digits.
        groups: (rows,) number of each row's item, counted in the order of their first live rows; −1 for rows that are
            no longer part of the gallery.
        declared: pixels → the pixels that name their item, where these are others (``indexer.declared``).
    """

    digests: pa.ChunkedArray
    groups: Ids
    declared: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(digests: pa.ChunkedArray, live: npt.NDArray[np.bool_]) -> Items:
        """Number the items of a gallery.

        Args:
            digests: (rows,) strings of 64 hex digits.
            live: (rows,) False for rows that are no longer part of it.
        """
        groups = np.full(len(digests), -1, dtype=np.int64)
        if live.any():
            kept = digests if live.all() else digests.filter(pa.array(live))
            groups[live] = _numbered(kept)
        return Items(digests, groups)

    @cached_property
    def count(self) -> int:
        """Number of distinct live items."""
        return int(self.groups.max(initial=-1)) + 1

    @cached_property
    def live_rows(self) -> int:
        """Number of rows that are part of the gallery."""
        return int((self.groups >= 0).sum())

    @cached_property
    def _order(self) -> Ids:
        """Live rows, item after item, by number within each."""
        order = np.argsort(self.groups, kind="stable")
        return order[len(order) - self.live_rows :]

    @cached_property
    def _offsets(self) -> Ids:
        """(items + 1,) where the rows of each item begin in that order."""
        sizes = np.bincount(self.groups[self.groups >= 0], minlength=self.count)
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])

    def rows_of(self, item: int) -> Ids:
        """Numbers of an item's rows, ascending."""
        return self._order[self._offsets[item] : self._offsets[item + 1]]

    def sizes(self, items: Ids) -> Ids:
        """(m,) how many rows each of these items has."""
        return self._offsets[items + 1] - self._offsets[items]

    def first_rows(self, items: Ids) -> Ids:
        """(m,) the first row of each of these items."""
        return self._order[self._offsets[items]]

    def keys(self, items: Ids) -> Keys:
        """(m,) names of these items."""
        return self._names.take(self.first_rows(items))

    @cached_property
    def _names(self) -> Names:
        return Names.of(self.digests)

    def numbers(self, keys: Keys) -> Ids:
        """(m,) numbers of the items of these names; −1 for one that is not here."""
        starts, order = self._sorted
        wanted = _starts(keys)
        left, right = np.searchsorted(starts, wanted, "left"), np.searchsorted(starts, wanted, "right")
        found = np.full(len(keys), -1, dtype=np.int64)
        for step in range(int((right - left).max(initial=0))):  # once, but for digests that begin alike
            places = np.flatnonzero(left + step < right)
            items = order[left[places] + step]
            same = self.keys(items) == keys[places]
            found[places[same]] = items[same]
        return found

    def holds(self, digest: str) -> bool:
        """Whether an item with these pixels, or that was declared to be one with them, is part of the gallery."""
        name = self.declared.get(digest, digest)
        return bool(self.numbers(np.array([name], dtype=NO_KEYS.dtype))[0] >= 0)

    @cached_property
    def _sorted(self) -> tuple[npt.NDArray[np.uint64], Ids]:
        """The first 64 bits of the items' names in ascending order, and the item of each."""
        blocks = [np.arange(at, min(at + _AT_ONCE, self.count)) for at in range(0, self.count, _AT_ONCE)]
        starts = np.concatenate([np.zeros(0, dtype=np.uint64), *(_starts(self.keys(block)) for block in blocks)])
        order = np.argsort(starts, kind="stable")
        return starts[order], order


def _numbered(digests: pa.ChunkedArray) -> Ids:
    """(rows,) number of each row's digest, counted in the order in which they first come.

    By the first 64 bits, which take an eighth of the memory; where two digests begin alike, by all of them.
    """
    names = Names.of(digests)
    starts = np.concatenate([_starts(names.slice(at, at + _SLICE)) for at in range(0, len(digests), _SLICE)])
    _, firsts, groups = np.unique(starts, return_index=True, return_inverse=True)
    for at in range(0, len(digests), _SLICE):
        first = firsts[groups[at : at + _SLICE]]
        again = at + np.flatnonzero(first != np.arange(at, at + len(first)))
        if (names.take(again) != names.take(firsts[groups[again]])).any():
            return np.asarray(digests.combine_chunks().dictionary_encode().indices, dtype=np.int64)
    order = np.empty(len(firsts), dtype=np.int64)
    order[np.argsort(firsts)] = np.arange(len(firsts))
    return order[groups]


@dataclass(frozen=True)
class Names:
    """A column of digests as names, where it lies: mapped from a file or in memory.

    Attributes:
        parts: one after the other; starts: number of the first of each, and how many there are at the end.
    """

    parts: tuple[Keys, ...]
    starts: Ids

    @staticmethod
    def of(digests: pa.ChunkedArray) -> Names:
        """Of a column of strings.

        Raises:
            IntegrityError: one is no SHA-256.
        """
        parts = tuple(_in_place(chunk) for chunk in digests.chunks if len(chunk))
        return Names(parts, np.cumsum([0, *map(len, parts)]))

    def take(self, rows: Ids) -> Keys:
        """(m,) some of them."""
        if len(self.parts) == 1:
            return self.parts[0][rows]
        found = np.empty(len(rows), dtype=NO_KEYS.dtype)
        for part, start, stop in zip(self.parts, self.starts, self.starts[1:], strict=False):
            inside = (rows >= start) & (rows < stop)
            found[inside] = part[rows[inside] - start]
        return found

    def slice(self, start: int, stop: int) -> Keys:
        """Consecutive ones."""
        return self.take(np.arange(start, min(stop, int(self.starts[-1]))))


def _in_place(chunk: pa.Array) -> Keys:
    """A chunk of strings of DIGITS characters each, without a copy where it lies so."""
    if chunk.type == pa.string() and not chunk.null_count:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, dtype=np.int32, count=len(chunk) + 1, offset=4 * chunk.offset)
        if (np.diff(ends) == DIGITS).all():
            return np.frombuffer(data, dtype=NO_KEYS.dtype, count=len(chunk), offset=int(ends[0]))
    return as_keys(pa.chunked_array([chunk]))


def as_keys(digests: pa.ChunkedArray) -> Keys:
    """(m,) names out of a column of digests.

    Raises:
        IntegrityError: one is no SHA-256.
    """
    try:
        fixed = digests.combine_chunks().cast(pa.binary()).cast(pa.binary(DIGITS))
    except pa.ArrowInvalid as error:
        raise IntegrityError(f"the catalog holds a digest of pixels that is no SHA-256: {error}") from error
    parts = fixed.chunks if isinstance(fixed, pa.ChunkedArray) else [fixed]
    return np.concatenate([NO_KEYS, *map(_bytes_of, parts)])


def _bytes_of(part: pa.Array) -> Keys:
    if not len(part):
        return NO_KEYS
    return np.frombuffer(part.buffers()[1], dtype=NO_KEYS.dtype, count=len(part), offset=part.offset * DIGITS)


def _starts(keys: Keys) -> npt.NDArray[np.uint64]:
    """(m,) the first 16 of the hex digits as a number."""
    digits = _VALUES[np.frombuffer(keys.tobytes(), dtype=np.uint8).reshape(-1, DIGITS)[:, :16]]
    return (digits[:, ::2] << 4 | digits[:, 1::2]).view(">u8").ravel().astype(np.uint64)
