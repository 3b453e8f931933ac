"""Searches rows through their filter (``row_filter``): the answers of a scan of all rows, of which few are read.

What is found is what float32 products of *all* rows would find, as far as any proof may use it: a row that was not read
has an inner product with the query below the least one that is asked for or returned.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from .integer_products import integer_products
from .row_filter import Float32, Ids, Int32, Question, RowFilter

FEW = 4
"""Queries at once whose integers are all kept: a later question about one of them then reads no code again."""
POOL = 2048
"""Of more queries, about so many of the largest integers of each."""
_SAMPLED = 4096
_LEAST_RANK = 8
_KEPT = 2**22


@dataclass(frozen=True, slots=True)
class Seen:
    """What one scan tells of one query.

    Attributes:
        question: the query as the filter sees it.
        rows: numbers of the rows that ``integers`` are of; None for all rows, in order.
        floor: every other row has an integer below this.
    """

    question: Question
    rows: Ids | None
    integers: Int32
    floor: int

    def at_least(self, least: int) -> Ids | None:
        """Every row whose integer is no less; None where that was not kept."""
        if self.rows is None:
            return np.flatnonzero(self.integers >= least)
        return self.rows[self.integers >= least] if least >= self.floor else None

    def first(self, count: int) -> Ids | None:
        """Some rows with large integers, ``count`` of them or more; None where too few were kept."""
        if len(self.integers) <= count:
            return np.arange(len(self.integers)) if self.rows is None else None
        found = self.at_least(_rank(self.integers, count))
        return found if found is not None and len(found) >= count else self._exactly(count)

    def _exactly(self, count: int) -> Ids | None:
        place = len(self.integers) - count
        return self.at_least(int(np.partition(self.integers, place)[place]))


class Recent:
    """What the last scans told, by the bytes of their queries: a query is asked about more than once."""

    def __init__(self) -> None:
        self._lock, self._seen = threading.Lock(), OrderedDict[bytes, Seen]()
        self._size = 0

    def get(self, query: Float32) -> Seen | None:
        """What is known of a query."""
        with self._lock:
            return self._seen.get(query.tobytes())

    def put(self, query: Float32, seen: Seen) -> None:
        """Keep it, and forget the oldest where that is too much."""
        with self._lock:
            old = self._seen.pop(query.tobytes(), None)
            self._seen[query.tobytes()] = seen
            self._size += len(seen.integers) - (0 if old is None else len(old.integers))
            while self._size > _KEPT and len(self._seen) > 1:
                self._size -= len(self._seen.popitem(last=False)[1].integers)


@dataclass(frozen=True, slots=True)
class FilteredRows:
    """Some rows with their filter.

    Attributes:
        rows: (n, d) float32, memory-mapped or not: few are read.
        codes: their filter.
        recent: what the last scans told.
    """

    rows: Float32
    codes: RowFilter
    recent: Recent = field(default_factory=Recent, repr=False, compare=False)

    def nearest(self, queries: Float32, count: int) -> tuple[Float32, Ids]:
        """The largest inner products of all rows.

        Args:
            queries: (b, d) float32.
            count: at most the number of rows.

        Returns:
            (b, count) float32 products, largest first, and (b, count) row numbers.
        """
        seen = self._scan(queries)
        found = [self._nearest(query, one, count) for query, one in zip(queries, seen, strict=True)]
        return np.stack([scores for scores, _ in found]), np.stack([ids for _, ids in found])

    def only(self, rows: Float32, kept: Ids | slice) -> FilteredRows:
        """Some of them; ``rows`` are they, ``kept`` says which."""
        which = np.arange(len(self.rows))[kept]
        always = np.flatnonzero(np.isin(which, self.codes.always))
        return FilteredRows(rows, self.codes.only(kept, always))

    def within(self, query: Float32, bound: float) -> Ids:
        """Numbers of all rows with a float32 inner product of at least ``bound``, ascending."""
        [seen] = self._scan(query[None])
        rows = np.sort(self._above(query, seen, bound))
        return rows[self._products(rows, query) >= np.nextafter(np.float32(bound), np.float32(-np.inf))]

    def _nearest(self, query: Float32, seen: Seen, count: int) -> tuple[Float32, Ids]:
        first = seen.first(count)
        if first is None:
            seen = self._whole(query)
            first = seen.first(count)
            assert first is not None, "all rows are known"
        first = self._with_always(first)
        worst = _largest(self._products(first, query), count)
        # Rows whose bound is below this are behind that many; rounding of float32 is the caller's to count.
        rows = np.union1d(first, self._above(query, seen, worst))
        scores = self._products(rows, query)
        order = np.lexsort((rows, -scores))[:count]
        return scores[order], rows[order]

    def _above(self, query: Float32, seen: Seen, bound: float) -> Ids:
        least = seen.question.least(bound)
        rows = seen.at_least(least)
        if rows is None:
            rows = self._whole(query).at_least(least)
        assert rows is not None, "all rows are known"
        return self._with_always(rows)

    def _with_always(self, rows: Ids) -> Ids:
        return rows if not len(self.codes.always) else np.union1d(rows, self.codes.always)

    def _products(self, rows: Ids, query: Float32) -> Float32:
        """(m,) in float32; NaN, which only damaged rows give, counts as largest."""
        found = self.rows[rows] @ query
        return np.where(np.isnan(found), np.float32(np.inf), found)

    def _scan(self, queries: Float32) -> list[Seen]:
        """What is known of queries, read anew for those of which nothing is."""
        found = [self.recent.get(query) for query in queries]
        new = [place for place, seen in enumerate(found) if seen is None]
        if new:
            questions = [self.codes.ask(queries[place]) for place in new]
            scan = _all_integers if len(new) <= FEW else _large_integers
            for place, seen in zip(new, scan(self.codes, questions), strict=True):
                found[place] = seen
                self.recent.put(queries[place], seen)
        return [seen for seen in found if seen is not None]

    def _whole(self, query: Float32) -> Seen:
        [seen] = _all_integers(self.codes, [self.codes.ask(query)])
        self.recent.put(query, seen)
        return seen


def _all_integers(codes: RowFilter, questions: list[Question]) -> list[Seen]:
    every = np.empty((len(questions), codes.rows), dtype=np.int32)
    for start, block in codes.integers(questions):
        every[:, start : start + len(block)] = block.T
    return [Seen(one, None, own, np.iinfo(np.int32).min) for one, own in zip(questions, every, strict=True)]


def _large_integers(codes: RowFilter, questions: list[Question]) -> list[Seen]:
    floors = _floors(codes, questions)
    rows, places, integers = [], [], []
    for start, block in codes.integers(questions):
        flat = np.flatnonzero((block >= floors).ravel())
        own, place = np.divmod(flat, len(questions))
        rows.append(own + start)
        places.append(place)
        integers.append(block[own, place])
    place, number, value = np.concatenate(places), np.concatenate(rows), np.concatenate(integers)
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(1, len(questions)))
    pairs = zip(np.split(number[order], edges), np.split(value[order], edges), strict=True)
    return [Seen(one, own, kept, int(floor)) for one, (own, kept), floor in zip(questions, pairs, floors, strict=True)]


def _floors(codes: RowFilter, questions: list[Question]) -> Int32:
    """Per query an integer that about POOL rows reach, as a sample tells."""
    sample = np.ascontiguousarray(codes.codes[:: max(1, codes.rows // _SAMPLED)])
    asked = np.stack([one.code for one in questions])
    integers = np.concatenate([block.copy() for _, block in integer_products(sample, asked)])
    rank = min(len(sample), max(_LEAST_RANK, round(POOL * len(sample) / codes.rows)))
    return np.partition(integers, len(sample) - rank, axis=0)[len(sample) - rank]


def _rank(integers: Int32, count: int) -> int:
    """About the integer at a rank, from below more often than from above, as a sample tells."""
    sample = integers[:: max(1, len(integers) // _SAMPLED)]
    rank = min(len(sample), round(1.5 * count * len(sample) / len(integers)) + _LEAST_RANK)
    return int(np.partition(sample, len(sample) - rank)[len(sample) - rank])


def _largest(scores: Float32, count: int) -> float:
    """The one at a rank, counted from the largest."""
    place = len(scores) - count
    return float(np.partition(scores, place)[place])
