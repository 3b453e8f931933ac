"""Negatives that lie within the share of some row's gap: presumed copies are set aside, the rest are false matches.

Nearer than ``certain`` of a gap, unrelated pictures never come, and a negative that does is a copy that nobody knew of.
Up to ``LIKELY`` of it nearly all are copies too, but some are hard cases: other shots of one product. So there a
negative is presumed to be a copy only while such negatives are few, as forgotten copies are; where they are many, it is
how these pictures lie, and they count. Never so near a sheet, where other contents of one layout come as near.

What a calibration promises, it promises of images that would not be set aside. Given how many are, those that count and
a new image that would count are as exchangeable as before, so theorem 1 of ``conformal`` holds for them; with none set
aside here it holds for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.progress import Progress, begin
from ..indexer.gaps import Gaps
from ..indexer.reference import Reference
from ..indexer.snapshot import Threshold
from ..indexer.thresholds import Measured
from ..indexer.vectors import Float32, Ids
from .channel import ORIGINAL, Float64, reach_of_gaps
from .engine import Engine
from .known_pairs import KnownPairs
from .scopes import Scope
from .survey import Pairs, certain, within

PRESUMED, COUNTED = "presumed", "counted"
"""What becomes of such a negative: it is left out as a presumed copy, or it counts as a false match."""
LIKELY = 0.6
"""Of a row's gap; for the sets that come with the package, whose shares were measured. Of 4,474 photographs 28 came
nearer to stored ones of their sources; 25 were copies (docs/benchmarks/verdicts.md)."""
FEW = 0.01
"""Of all negatives. Forgotten copies were 0.5 % of photographs of the same sources, other shots of a product 1.6 %."""


@dataclass(frozen=True, slots=True)
class NearPair:
    """A negative and the gallery image that it is nearest to, of those whose share of their gap it lies within.

    Attributes:
        negative: its path; stored: the path of the gallery's image; id: of that in the catalog.
        channel: that sees them so near.
        nearness: how near, as a part of the row's gap.
        relation: ``presumed`` or ``counted``.
    """

    negative: str
    stored: str
    id: str
    channel: str
    nearness: float
    relation: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of negatives.

    Attributes:
        kept: numbers of those that count.
        counted: per channel, their pairs; negatives are numbered as in ``kept``.
        pairs: one for each negative that is near a row, nearest first.
        sure, likely: how many were left out in any case, and how many because they are few.
    """

    kept: Ids
    counted: tuple[Pairs, ...]
    pairs: tuple[NearPair, ...]
    sure: int
    likely: int


def near_rows(engine: Engine, measured: Measured, zs: Sequence[Float64], progress: Progress) -> list[Pairs]:
    """Per channel, the negatives and rows that lie within the share of the row's gap, by any view that it allows.

    How far a pair is apart is said as part of what its class allows: where rows accept within half of their reach,
    twice as far. So the rule for the query itself serves for all, and one false match is one, whatever view made it.

    Args:
        engine: the opened index.
        measured: the gaps of its rows.
        zs: per test (n, d) of ``survey.searched``.
        progress: told how far it is, in negatives, test after test.
    """
    found: list[list[Pairs]] = [[] for _ in engine.channels]
    for (number, view), own in zip(engine.tests, zs, strict=True):
        named = engine.channels[number].name + ("" if view == ORIGINAL.name else f", {view}")
        begin(progress, f"comparing negatives: {named}", len(own))
        scope = engine.scope((number, view))
        share = Threshold(0.0, "reference", None, 0, share=measured.references[number].share)
        gaps = measured.gaps[number].gap
        reach = reach_of_gaps(share, gaps if scope.ids is None else gaps[scope.ids])
        found[number].append(_by_view(scope, own, reach, progress))
    return [Pairs.joined(parts) for parts in found]


def _by_view(scope: Scope, zs: Float64, reach: Float64, progress: Progress) -> Pairs:
    parts = scope.channel.parts
    if parts is None:
        return within(scope.channel, zs, reach, progress)
    near = within(scope.channel, zs, parts * reach, progress)
    return Pairs(near.negatives, scope.outward(near.rows), near.far / parts[near.rows])


def judge(engine: Engine, measured: Measured, near: Sequence[Pairs], names: Sequence[str], known: KnownPairs) -> Judged:
    """Set presumed copies aside, unless a person says otherwise.

    Args:
        engine: the opened index.
        measured: the gaps of its rows.
        near: of :func:`near_rows`.
        names: of the negatives.
        known: what people say of pairs.
    """
    aside, likely = np.zeros(len(names), dtype=np.bool_), np.zeros(len(names), dtype=np.bool_)
    for pairs, gaps, reference in zip(near, measured.gaps, measured.references, strict=True):
        for found, sure in (
            (aside, certain(pairs, gaps.gap, reference.certain)),
            (likely, _likely(pairs, gaps, reference)),
        ):
            found[pairs.negatives[_unless_different(engine, pairs, sure, names, known)]] = True
    sure, few = int(aside.sum()), most_of(len(names))
    likely &= ~aside
    if likely.sum() <= few:
        aside |= likely
    kept = np.flatnonzero(~aside)
    number = np.cumsum(~aside) - 1
    counted = (pairs.take(~aside[pairs.negatives]) for pairs in near)
    noted = _noted(engine, measured, near, names, aside)
    renumbered = tuple(replace(own, negatives=number[own.negatives]) for own in counted)
    return Judged(kept, renumbered, noted, sure, int(aside.sum()) - sure)


def most_of(negatives: int) -> int:
    """How many likely copies are few."""
    return math.floor(FEW * negatives)


def _likely(pairs: Pairs, gaps: Gaps, reference: Reference) -> np.ndarray:
    """(p,) which pairs are nearer than all but a few unrelated pictures come, where that was measured."""
    if reference.rate is None or reference.sheet is None:
        return np.zeros(len(pairs.rows), dtype=np.bool_)
    return certain(pairs, gaps.gap, LIKELY) & (gaps.gap[pairs.rows] > reference.sheet)


def _unless_different(
    engine: Engine, pairs: Pairs, sure: np.ndarray, names: Sequence[str], known: KnownPairs
) -> np.ndarray:
    if known.different:
        stored = engine.gallery.catalog["path"]
        for place in np.flatnonzero(sure):
            path = stored[int(pairs.rows[place])].as_py()
            sure[place] = not known.says_different(names[int(pairs.negatives[place])], path)
    return sure


def _noted(
    engine: Engine, measured: Measured, near: Sequence[Pairs], names: Sequence[str], aside: np.ndarray
) -> tuple[NearPair, ...]:
    best: dict[int, tuple[float, int, int]] = {}
    for number, (pairs, gaps) in enumerate(zip(near, measured.gaps, strict=True)):
        for negative, nearness, row in _nearest(pairs, gaps.gap):
            best[negative] = min(best.get(negative, (np.inf, 0, 0)), (nearness, number, row))
    return tuple(
        _pair(engine, names[negative], best[negative], PRESUMED if aside[negative] else COUNTED)
        for negative in sorted(best, key=lambda n: (best[n], n))
    )


def _nearest(pairs: Pairs, gaps: Float32) -> Iterator[tuple[int, float, int]]:
    """For each negative the row it is nearest to, as a part of its gap."""
    wide = gaps[pairs.rows].astype(np.float64)
    parts = np.divide(pairs.far, wide, out=np.zeros_like(pairs.far), where=wide > 0.0)
    order = np.lexsort((pairs.rows, parts, pairs.negatives))
    for place in order[np.unique(pairs.negatives[order], return_index=True)[1]]:
        yield int(pairs.negatives[place]), float(parts[place]), int(pairs.rows[place])


def _pair(engine: Engine, name: str, best: tuple[float, int, int], relation: str) -> NearPair:
    nearness, channel, row = best
    stored = engine.gallery.describe(row)
    return NearPair(name, str(stored["path"]), str(stored["id"]), engine.channels[channel].name, nearness, relation)
