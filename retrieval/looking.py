"""Several probes: how much farther each of them must look before an answer is settled.

A row that is not listed lies at least ``unseen`` away, and the farther that is, the less such a row can do: it can be
among the first k items, accept the query, or lower a radius. How far is far enough follows from the answer that the
listed rows give, since more rows can only lower its radii. So only probes that must look farther do, and no farther
than they must: with many views the rows within reach grow very fast with distance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..certificates.channels import half_leads
from ..core.numerics import round_up
from .candidates import Part
from .distances import beyond, bounds_of_distances
from .evidence import Evidence
from .leads import hidden_lead
from .ranking import RankedItem
from .verdict import least_distance, needed_for_verdict

_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class Standing:
    """An item of the answer that the listed rows give.

    Attributes:
        item: with the radii that are claimed.
        number: of the item among the candidates.
        margin, error: its margin over all probes.
    """

    item: RankedItem
    number: int
    margin: float
    error: float

    @property
    def claimed(self) -> float:
        """Up to here what is not listed must not matter."""
        return max(self.item.top1 or 0.0, self.item.topk or 0.0)


def distances_to_look(parts: Sequence[Part], standings: Sequence[Standing], k: int, growth: float) -> list[float]:
    """Per probe, how far to look next: ``unseen`` itself where it is far enough already.

    Args:
        parts: per probe, as listed.
        standings: the items of the answer, best first.
        k: how many items were asked for.
        growth: how many times as far, at most, a probe looks for the sake of radii and ranks.

    Returns:
        Chords or distances. At least one is larger than ``unseen`` if any probe has rows that are not listed.
    """
    found = [_distance(part, parts, standings, k, growth) for part in parts]
    if any(far > part.seen.unseen for far, part in zip(found, parts, strict=True)):
        return found
    # Each probe by itself is far enough, but not all together: different probes carry the lead.
    return [math.inf if part.seen.everything_listed else _farthest(part, growth) for part in parts]


def nearest_is_listed(seen: Evidence) -> bool:
    """Whether no other row of this probe can be nearer than the nearest listed, or accept: the verdict needs both."""
    if seen.everything_listed:
        return True
    if not len(seen.listed) or seen.unseen < needed_for_verdict(seen):
        return False
    return _beyond_nearest(seen) <= seen.unseen


def _distance(part: Part, parts: Sequence[Part], standings: Sequence[Standing], k: int, growth: float) -> float:
    seen = part.seen
    if seen.everything_listed:
        return seen.unseen
    if not len(seen.listed):
        return _farthest(part, growth)
    for_verdict = max(needed_for_verdict(seen), _beyond_nearest(seen))
    near, far = max(seen.unseen, for_verdict), max(_farthest(part, growth), for_verdict)
    return least_distance(lambda b: _enough(part, parts, standings, k, b), near, far)


def _beyond_nearest(seen: Evidence) -> float:
    """No row that is not listed may be nearer than the nearest: it decides the verdict with one threshold for all."""
    _, farthest = bounds_of_distances(seen.listed.distances[:1], len(seen.probe.z), seen.probe.score)
    return beyond(float(farthest[0]), seen.probe.score)


def _farthest(part: Part, growth: float) -> float:
    return max(growth * part.seen.unseen, part.seen.unseen + _LEAST)


def _enough(part: Part, parts: Sequence[Part], standings: Sequence[Standing], k: int, b: float) -> bool:
    """Whether rows of this probe that are at least b away cannot matter; what other probes hide is left aside."""
    moved = _hiding(part, b)
    far = moved.unseen
    if far is None:
        return True
    if len(standings) < k:
        return False
    ceiling = round_up(float(far.values[0] + 2.0 * far.errors[0]))
    if any(one.margin - 2.0 * one.error <= ceiling for one in standings):
        return False
    alone = [moved if one is part else _hiding(one, math.inf) for one in parts]
    for place, one in enumerate(standings):
        if not one.claimed:
            continue
        hidden = float(half_leads(one.margin, one.error, far)[0])
        if place == 0 and hidden < one.claimed:
            hidden = max(hidden, hidden_lead(alone, one.number, one.margin, one.error))
        if hidden < one.claimed:
            return False
    return True


def _hiding(part: Part, b: float) -> Part:
    """The part, if what it does not list were b away."""
    return replace(part, seen=replace(part.seen, unseen=b))
