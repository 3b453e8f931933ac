"""Searches rows through their filter (``row_filter``): the answers of a scan of all rows, of which few are read.

What is found is what float32 products of *all* rows would find, as far as any proof may use it: a row that was not read
has an inner product with the query below the least one that is asked for or returned.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .integer_products import integer_products
from .row_filter import Float32, Float64, Ids, Int32, Question, RowFilter

FEW = 2
"""Queries at once whose integers are all kept: a later question about one of them then reads no code again."""
POOL = 4096
"""Of more queries, about so many of the largest integers of each, over all parts."""
_SAMPLED = 4096
_LEAST_RANK = 8
_KEPT = 4
"""Integers that are kept, in multiples of the rows; and _KEPT_OF_FEW more."""
_KEPT_OF_FEW = 2**19


_READ = 2**13
"""Rows that are read at a time."""
_LEAST, _MANY = 2**7, 2**14
"""Numbers of rows between which those of which products are asked are rounded up."""

Matters = Callable[[Ids, Float64], npt.NDArray[np.bool_]]


def every_row(rows: Ids, _: Float64) -> npt.NDArray[np.bool_]:
    """That each of them matters."""
    return np.ones(len(rows), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one scan tells of one query.

    Attributes:
        question: the query as the filter sees it.
        rows: numbers of the rows that ``integers`` are of, ascending; None for all rows, in order.
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

    def of(self, rows: Ids) -> Int32:
        """(m,) the integers of some rows; what stands for those of rows that were not kept is never too small."""
        if self.rows is None:
            return self.integers[rows]
        if not len(self.rows):
            return np.full(len(rows), self.floor, dtype=np.int32)
        place = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[place] == rows, self.integers[place], np.int32(self.floor))

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

    def put(self, query: Float32, seen: Seen, most: int) -> None:
        """Keep it, and forget the oldest where that is more than so many integers."""
        with self._lock:
            old = self._seen.pop(query.tobytes(), None)
            self._seen[query.tobytes()] = seen
            self._size += len(seen.integers) - (0 if old is None else len(old.integers))
            while self._size > most and len(self._seen) > 1:
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
        """:func:`nearest` of these rows alone."""
        return nearest([(0, self)], queries, count)

    def only(self, rows: Float32, kept: Ids | slice) -> FilteredRows:
        """Some of them; ``rows`` are they, ``kept`` says which."""
        which = np.arange(len(self.rows))[kept]
        always = np.flatnonzero(np.isin(which, self.codes.always))
        return FilteredRows(rows, self.codes.only(kept, always))

    def within(self, query: Float32, bound: float) -> Ids:
        """Numbers of all rows with a float32 inner product of at least ``bound``, ascending."""
        return np.sort(self.scored(query, bound)[0])

    def scored(self, query: Float32, bound: float, matters: Matters = every_row) -> tuple[Ids, Float64]:
        """:meth:`within`, in any order, with the products; only rows are read whose filter says that they may matter.

        Args:
            query: (d,).
            bound: the least product.
            matters: (numbers, (m,) upper bounds on products) → which of them do.
        """
        [seen] = self.scan(query[None], POOL)
        rows = self.above(query, seen, bound)
        if matters is not every_row:
            rows = rows[matters(rows, self._ceilings(query, rows))]
        products = self.products(rows, query)
        kept = products >= np.nextafter(np.float32(bound), np.float32(-np.inf))
        return rows[kept], products[kept].astype(np.float64)

    def ceilings(self, queries: Float32, rows: Ids) -> Float64:
        """(b, m) upper bounds on products of queries (b, d) with some rows, by the filter alone; inf for none known."""
        if not len(rows):
            return np.empty((len(queries), 0))
        questions = [self.codes.ask(query) for query in queries]
        padded = np.concatenate([rows, np.repeat(rows[:1], _round(len(rows)) - len(rows))])
        asked = np.stack([one.code for one in questions])
        found = np.concatenate([block.copy() for _, block in integer_products(self.codes.codes[padded], asked)])
        high = np.stack([one.bounds(found[: len(rows), place]) for place, one in enumerate(questions)])
        if len(self.codes.always):
            high[:, np.isin(rows, self.codes.always)] = np.inf
        return high

    def _ceilings(self, query: Float32, rows: Ids) -> Float64:
        """(m,) upper bounds on products, by the filter alone; inf where it knows none."""
        [seen] = self.scan(query[None], POOL)
        high = seen.question.bounds(seen.of(rows))
        return np.where(np.isin(rows, self.codes.always), np.inf, high) if len(self.codes.always) else high

    def first(self, query: Float32, seen: Seen, count: int) -> Ids:
        """Some rows with large bounds, ``count`` of them or more, if there are so many."""
        rows = seen.first(count)
        if rows is None:
            rows = self._whole(query).first(count)
        assert rows is not None, "all rows are known"
        return self._with_always(rows)

    def above(self, query: Float32, seen: Seen, bound: float) -> Ids:
        """All rows whose inner product may be ``bound`` or more, and some others."""
        least = seen.question.least(bound)
        rows = seen.at_least(least)
        if rows is None:
            rows = self._whole(query).at_least(least)
        assert rows is not None, "all rows are known"
        return self._with_always(rows)

    def _with_always(self, rows: Ids) -> Ids:
        return rows if not len(self.codes.always) else np.union1d(rows, self.codes.always)

    def products(self, rows: Ids, query: Float32) -> Float32:
        """(m,) in float32; NaN, which only damaged rows give, counts as largest."""
        chunks = (self.rows[rows[start : start + _READ]] @ query for start in range(0, len(rows), _READ))
        found = np.concatenate([np.empty(0, dtype=np.float32), *chunks])
        return np.where(np.isnan(found), np.float32(np.inf), found)

    def scan(self, queries: Float32, pool: int) -> list[Seen]:
        """What is known of queries, read anew for those of which nothing is; of many, about ``pool`` integers each."""
        found = [self.recent.get(query) for query in queries]
        new = [place for place, seen in enumerate(found) if seen is None]
        if new:
            questions = [self.codes.ask(queries[place]) for place in new]
            few = len(new) <= FEW
            seen = _all_integers(self.codes, questions) if few else _large_integers(self.codes, questions, pool)
            for place, one in zip(new, seen, strict=True):
                found[place] = one
                self._keep(queries[place], one)
        return [seen for seen in found if seen is not None]

    def _whole(self, query: Float32) -> Seen:
        [seen] = _all_integers(self.codes, [self.codes.ask(query)])
        self._keep(query, seen)
        return seen

    def _keep(self, query: Float32, seen: Seen) -> None:
        self.recent.put(query, seen, _KEPT * self.codes.rows + _KEPT_OF_FEW)


def _round(count: int) -> int:
    """Few different numbers of rows: a product of integers is tried once for every shape."""
    return count if count >= _MANY else max(_LEAST, 1 << (count - 1).bit_length())


Part = tuple[int, FilteredRows]
"""The number of its first row, and some rows."""


def nearest(parts: Sequence[Part], queries: Float32, count: int) -> tuple[Float32, Ids]:
    """The largest inner products of all rows of all parts.

    Args:
        parts: at least one.
        queries: (b, d) float32.
        count: at most the number of rows.

    Returns:
        (b, count) float32 products, largest first, and (b, count) row numbers.
    """
    total = sum(part.codes.rows for _, part in parts)
    shares = [part.codes.rows / max(1, total) for _, part in parts]
    pools = [max(2 * count, round(POOL * share)) for share in shares]
    seen = [part.scan(queries, pool) for (_, part), pool in zip(parts, pools, strict=True)]
    counts = [math.ceil(count * share) for share in shares]
    found = [_nearest(parts, query, [own[place] for own in seen], count, counts) for place, query in enumerate(queries)]
    return np.stack([scores for scores, _ in found]), np.stack([ids for _, ids in found])


def _nearest(
    parts: Sequence[Part], query: Float32, seen: Sequence[Seen], count: int, counts: Sequence[int]
) -> tuple[Float32, Ids]:
    """Some rows with large bounds say how large a product must be; rows with a bound below are behind that many."""
    pairs = [(start, part, own) for (start, part), own in zip(parts, seen, strict=True)]
    first = [part.first(query, own, some) for (_, part, own), some in zip(pairs, counts, strict=True)]
    known = [part.products(rows, query) for (_, part), rows in zip(parts, first, strict=True)]
    worst = _largest(np.concatenate(known), count)
    rest = [
        np.setdiff1d(part.above(query, one, worst), own, assume_unique=True)
        for (_, part, one), own in zip(pairs, first, strict=True)
    ]
    scores = np.concatenate([*known, *(part.products(own, query) for (_, part), own in zip(parts, rest, strict=True))])
    starts = [start for start, _ in parts]
    ids = np.concatenate([own + start for start, own in zip(starts * 2, [*first, *rest], strict=True)])
    order = np.lexsort((ids, -scores))[:count]
    return scores[order], ids[order]


def _all_integers(codes: RowFilter, questions: list[Question]) -> list[Seen]:
    every = np.empty((len(questions), codes.rows), dtype=np.int32)
    for start, block in codes.integers(questions):
        every[:, start : start + len(block)] = block.T
    return [Seen(one, None, own, np.iinfo(np.int32).min) for one, own in zip(questions, every, strict=True)]


def _large_integers(codes: RowFilter, questions: list[Question], pool: int) -> list[Seen]:
    floors = _floors(codes, questions, pool)
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


def _floors(codes: RowFilter, questions: list[Question], pool: int) -> Int32:
    """Per query an integer that about ``pool`` rows reach, as a sample tells."""
    sample = np.ascontiguousarray(codes.codes[:: max(1, codes.rows // _SAMPLED)])
    asked = np.stack([one.code for one in questions])
    integers = np.concatenate([block.copy() for _, block in integer_products(sample, asked)])
    rank = min(len(sample), max(_LEAST_RANK, round(pool * len(sample) / codes.rows)))
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
