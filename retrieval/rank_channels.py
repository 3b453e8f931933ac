"""Several channels: items ranked by their margin in pixels, and radii that hold for all channels together (T9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..certificates.channels import (
    Margins,
    item_margins,
    margin_radii,
    margins,
    union_copy_radius,
    union_nothing_radius,
)
from ..certificates.ranking import topk_radius
from ..certificates.verdicts import VerdictRadii, verdict_radii
from ..core.numerics import round_up
from ..indexer.vectors import Ids
from .channel import Channel, Float64
from .channel_leads import UNSEEN, Part, lead_radii, raw_lead, unseen_parts
from .rank import (
    GROWTH,
    Proof,
    RankedItem,
    Ranking,
    accepting_items,
    beyond,
    hidden_nothing,
    needed_for_verdict,
    widen_for_nothing,
)
from .shortlist import Shortlist, distance_bounds, distances, widen
from .widening import Standing, distances_to_look


def rank_channels(
    channels: Sequence[Channel], lists: Sequence[Shortlist], k: int, proofs: Sequence[Proof], *, certify: bool
) -> Ranking:
    """Settle the first k items across channels, widening every shortlist until nothing unseen can matter.

    Args:
        channels: each with a threshold.
        lists: a first proposal per channel.
        k: how many items.
        proofs: per channel.
        certify: also give radii.
    """
    lists, growth, looked = list(lists), GROWTH, False
    while True:
        parts = _parts(channels, lists, proofs, k)
        items, total = item_margins([*((part.margins, part.items) for part in parts), *unseen_parts(parts)])
        standings, settled = _settle(parts, items, total, k, certify)
        if settled:
            ranking = _with_verdict(parts, [one.item for one in standings], certify)
            wider = [None if looked else widen_for_nothing(p.channel, p.short, p.proof, ranking) for p in parts]
            if not any(wider):
                return ranking
            lists, looked = [new or old for new, old in zip(wider, lists, strict=True)], True
            continue
        reach = distances_to_look(parts, standings, k, growth)
        lists = [
            widen(c, p.z, far) if far > short.unseen else short
            for short, c, p, far in zip(lists, channels, proofs, reach, strict=True)
        ]
        growth *= growth


def _parts(channels: Sequence[Channel], lists: Sequence[Shortlist], proofs: Sequence[Proof], k: int) -> list[Part]:
    """What is listed, and every row of the items that come first, so that these have their exact margins and radii.

    Rows of other items that a channel does not list are left out, however many there are: with many views they are
    nearly all rows. Like rows of items that no channel lists, they lie beyond that channel's ``unseen`` and count as
    UNSEEN: nothing is settled while that could be first, among the first k, or inside of a radius.
    """
    listed = [_part(c, s, p, np.sort(s.ids)) for c, s, p in zip(channels, lists, proofs, strict=True)]
    items, total = item_margins([(part.margins, part.items) for part in listed])
    first = items[np.lexsort((items, -total.values))][:k]
    own = np.flatnonzero(np.isin(channels[0].groups, first))
    return [
        part if np.isin(own, part.ids).all() else _part(part.channel, part.short, part.proof, np.union1d(part.ids, own))
        for part in listed
    ]


def _part(channel: Channel, short: Shortlist, proof: Proof, ids: Ids) -> Part:
    assert channel.threshold is not None
    rows = channel.rows64(ids)
    found = margins(
        proof.z,
        rows,
        score=channel.score,
        threshold=channel.threshold.value,
        lipschitz=proof.lipschitz,
        forward_error=proof.forward_error,
    )
    return Part(channel, proof, ids, rows, found, short)


def _settle(parts: Sequence[Part], items: Ids, total: Margins, k: int, certify: bool) -> tuple[list[Standing], bool]:
    order = np.lexsort((items, -total.values))
    real = order[items[order] != UNSEEN][:k]
    found = [_item(parts, int(items[place]), float(total.values[place])) for place in real]
    settled = _unseen_ranks_below(items, total, real, k) and all(_nearest_is_listed(part) for part in parts)
    if certify:
        found, limits = _certify(parts, items, total, real, found, k)
        settled = settled and limits
    scores = zip(found, total.values[real], total.errors[real], strict=True)
    return [Standing(item, float(margin), float(error)) for item, margin, error in scores], settled


def _unseen_ranks_below(items: Ids, total: Margins, real: Ids, k: int) -> bool:
    """Whether no row that is not listed can be among the first k, as margins are computed."""
    hidden = items == UNSEEN
    if not hidden.any():
        return True
    ceiling = round_up(float(total.values[hidden][0] + 2.0 * total.errors[hidden][0]))
    return len(real) == k and bool((total.values[real] - 2.0 * total.errors[real] > ceiling).all())


def _nearest_is_listed(part: Part) -> bool:
    """Whether no other row of this channel can be nearer than the nearest listed, or accept: the verdict needs both."""
    short = part.short
    if math.isinf(short.unseen):
        return True
    if not len(short.ids) or short.unseen < needed_for_verdict(part.channel):
        return False
    farthest = distance_bounds(part.channel, part.proof.z, short.rows[:1])[1]
    return beyond(float(farthest[0]), part.channel) <= short.unseen


def _item(parts: Sequence[Part], group: int, margin: float) -> RankedItem:
    """The row and the channel that decide for an item."""
    best = max(range(len(parts)), key=lambda number: parts[number].margins.values[parts[number].items == group].max())
    part = parts[best]
    own = np.flatnonzero(part.items == group)
    place = own[part.margins.values[own].argmax()]
    distance = float(distances(part.channel, part.proof.z, part.rows[place : place + 1])[0])
    return RankedItem(group, int(part.ids[place]), margin, distance, channel=best)


def _certify(
    parts: Sequence[Part], items: Ids, total: Margins, real: Ids, found: list[RankedItem], k: int
) -> tuple[list[RankedItem], bool]:
    """Radii of the returned items over the items seen; False where what is not listed might lower one of them."""
    cap = min(part.proof.cap for part in parts)
    done, settled = [], True
    for number, (place, item) in enumerate(zip(real, found, strict=True)):
        others = np.delete(items, place)
        halves = margin_radii(total, int(place))
        copy = min(union_copy_radius([_verdicts_of(part, item.group) for part in parts]), cap)
        certified = replace(item, topk=min(topk_radius(halves[others != UNSEEN], k), cap), copy=copy)
        hidden = halves[others == UNSEEN]
        if number == 0:
            # Only the first place is worth the tighter radii: they look much farther, item by item.
            radii = lead_radii(parts, item.group, items, total, int(place))
            certified = _with_top1(certified, parts, others[others != UNSEEN], radii[others != UNSEEN], cap)
            hidden = radii[others == UNSEEN]
        # What is not listed may be many items, so it must lie outside of every radius, that of the top k as well.
        claimed = max(certified.topk or 0.0, certified.top1 or 0.0)
        settled = settled and (claimed == 0.0 or float(hidden.min(initial=math.inf)) >= claimed)
        done.append(certified)
    return done, settled


def _with_top1(item: RankedItem, parts: Sequence[Part], others: Ids, radii: Float64, cap: float) -> RankedItem:
    """T9: the least over the other items. What stays first stays among the first k."""
    top1 = min(topk_radius(radii, 1), cap)
    item = replace(item, top1=top1, topk=max(top1, item.topk or 0.0))
    if not radii.size:
        return item
    limit = int(others[radii.argmin()])
    raw = min(max(top1, raw_lead(parts, item.group, limit)), cap)
    return replace(item, raw_top1=raw, limited_by=limit if radii.min() <= cap else None)


def _with_verdict(parts: Sequence[Part], found: list[RankedItem], certify: bool) -> Ranking:
    accepting = np.concatenate([_accepting(part) for part in parts])
    point = "copy" if accepting.size else "not-a-copy"
    found = [replace(item, accepted=bool((accepting == item.group).any())) for item in found]
    if not certify:
        return Ranking(tuple(found), point)
    radii = [_verdicts(part, part.short.ids, part.short.rows) for part in parts]
    cap = min(part.proof.cap for part in parts)
    hidden = min(hidden_nothing(part.channel, part.short, part.proof) for part in parts)
    listed = min(union_nothing_radius(radii), cap)
    return Ranking(tuple(found), point, min(union_copy_radius(radii), cap), min(listed, hidden), listed)


def _accepting(part: Part) -> Ids:
    found = accepting_items(part.channel, part.proof.z, part.short)
    assert found is not None, "channels are ranked by their thresholds"
    return found


def _verdicts_of(part: Part, group: int) -> VerdictRadii:
    own = part.items == group
    return _verdicts(part, part.ids[own], part.rows[own])


def _verdicts(part: Part, ids: Ids, rows: Float64) -> VerdictRadii:
    return verdict_radii(
        part.proof.z,
        rows,
        score=part.channel.score,
        threshold=part.channel.limits(ids),
        lipschitz=part.proof.lipschitz,
        forward_error=part.proof.forward_error,
    )
