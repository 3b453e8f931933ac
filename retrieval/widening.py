"""Several channels: how much farther each of them must look before an answer is settled.

A row that is not listed lies at least ``unseen`` away, and the farther that is, the less such a row can do: it can be
among the first k items, accept the query, or lower a radius. How far is far enough follows from the answer that the
listed rows give, since more rows can only lower its radii. So only channels that must look farther do, and no farther
than they must: with many views the rows within reach grow very fast with distance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..certificates.channels import half_leads
from ..core.numerics import round_up
from .channel_leads import Part, hidden_lead
from .rank import RankedItem, beyond, least_distance, needed_for_verdict
from .shortlist import distance_bounds

_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class Standing:
    """An item of the answer that the listed rows give.

    Attributes:
        item: with the radii that are claimed.
        margin, error: its margin over all channels.
    """

    item: RankedItem
    margin: float
    error: float

    @property
    def claimed(self) -> float:
        """Up to here what is not listed must not matter."""
        return max(self.item.top1 or 0.0, self.item.topk or 0.0)


def distances_to_look(parts: Sequence[Part], standings: Sequence[Standing], k: int, growth: float) -> list[float]:
    """Per channel, how far to look next: ``unseen`` itself where it is far enough already.

    Args:
        parts: per channel, as listed.
        standings: the items of the answer, best first.
        k: how many items were asked for.
        growth: how many times as far, at most, a channel looks for the sake of radii and ranks.

    Returns:
        Chords or distances. At least one is larger than ``unseen`` if any channel has rows that are not listed.
    """
    found = [_distance(part, parts, standings, k, growth) for part in parts]
    if any(far > part.short.unseen for far, part in zip(found, parts, strict=True)):
        return found
    # Each channel by itself is far enough, but not all together: different channels carry the lead.
    return [math.inf if math.isinf(part.short.unseen) else _farthest(part, growth) for part in parts]


def _distance(part: Part, parts: Sequence[Part], standings: Sequence[Standing], k: int, growth: float) -> float:
    unseen = part.short.unseen
    if math.isinf(unseen):
        return unseen
    if not len(part.short.ids):
        return _farthest(part, growth)
    for_verdict = max(needed_for_verdict(part.channel), _beyond_nearest(part))
    near, far = max(unseen, for_verdict), max(_farthest(part, growth), for_verdict)
    return least_distance(lambda b: _enough(part, parts, standings, k, b), near, far)


def _beyond_nearest(part: Part) -> float:
    """No row that is not listed may be nearer than the nearest: it decides the verdict with one threshold for all."""
    return beyond(float(distance_bounds(part.channel, part.proof.z, part.short.rows[:1])[1][0]), part.channel)


def _farthest(part: Part, growth: float) -> float:
    return max(growth * part.short.unseen, part.short.unseen + _LEAST)


def _enough(part: Part, parts: Sequence[Part], standings: Sequence[Standing], k: int, b: float) -> bool:
    """Whether rows of this channel that are at least b away cannot matter; what other channels hide is left aside."""
    moved = replace(part, short=replace(part.short, unseen=b))
    far = moved.unseen()
    if far is None:
        return True
    if len(standings) < k:
        return False
    ceiling = round_up(float(far.values[0] + 2.0 * far.errors[0]))
    if any(one.margin - 2.0 * one.error <= ceiling for one in standings):
        return False
    alone = [moved if one is part else replace(one, short=replace(one.short, unseen=math.inf)) for one in parts]
    for number, one in enumerate(standings):
        if not one.claimed:
            continue
        hidden = float(half_leads(one.margin, one.error, far)[0])
        if number == 0 and hidden < one.claimed:
            hidden = max(hidden, hidden_lead(alone, one.item.group, one.margin, one.error))
        if hidden < one.claimed:
            return False
    return True
