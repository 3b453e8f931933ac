"""One probe: the exact ranking, and for each returned item how far the query may move (T1, T2, T3, T4, T5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..certificates.decision import ranking as ranked
from ..certificates.ranking import half_space_distances, item_radii, pair_radii, topk_radius
from ..certificates.rounding import norm_bounds
from ..certificates.shortlist import needed_separation, unseen_radius
from ..core.numerics import round_up
from ..indexer.items import NO_KEYS, Keys
from ..indexer.vectors import Ids
from .channel import Float64
from .claims import Claims
from .compared_rows import Rows
from .contenders import contenders
from .distances import beyond, bounds_of_distances
from .evidence import Evidence, number_items
from .probe import Probe
from .ranking import VIEWS_TRIED, Decision, RankedItem, Ranking
from .source import Ask
from .verdict import accepting, hidden_nothing, needed_for_verdict, radii_of, wish_for_nothing


def decide_one(seen: Evidence, k: int, *, certify: bool, growth: float) -> Decision:
    """The first k items by the score of one probe.

    Args:
        seen: what is known of the rows.
        k: how many items.
        certify: also give radii.
        growth: how many times as far, at least, a source is to look next.
    """
    judged = _with_all_rows(seen) if certify else seen
    _, firsts, [groups] = number_items([judged])
    groups, near = groups[: len(judged.listed)], len(seen.listed)
    places = _top_places(groups[:near], k)
    items = [_item(seen, int(place)) for place in places]
    # Any of its rows may carry an item, near or not.
    own = np.array([item.key for item in items], dtype=seen.listed.keys.dtype) if certify else NO_KEYS
    # With k rivals for each of the first k items, no radius ends only where there is no image.
    need = _needed(seen, places, enough=len(np.unique(groups[:near])) >= k + certify)
    if need > seen.unseen:
        return Decision(Ranking(tuple(items)), needs=(_look(seen, need, growth, own),))
    if not np.isin(own, seen.whole).all():
        return Decision(Ranking(tuple(items)), needs=(Ask(seen.probe, own=own),))
    if not certify:
        return Decision(_with_verdict(seen, groups[:near], places, items, certify=False))
    judge = _Judge(judged, groups, firsts, k)
    items = judge.certify(items, places)
    ranking = _with_verdict(seen, groups[:near], places, items, certify=True)
    wish, open_ = wish_for_nothing(seen, ranking.listed_nothing), judge.unproved(items)
    if not open_:
        return Decision(ranking, wishes=() if wish is None else (wish,))
    if seen.probe.score != "cosine":
        return Decision(ranking, needs=(_look(seen, judge.needed_for(open_), growth, own),))
    # What is worth asking once is asked beside what must be.
    return Decision(ranking, needs=(replace(wish or Ask(seen.probe), claims=judge.claims(open_)),))


def _look(seen: Evidence, need: float, growth: float, own: Keys) -> Ask:
    """For all rows that are so near, and those of some items."""
    return Ask(seen.probe, within=max(need, growth * seen.unseen, 1e-6), own=own)


def _with_all_rows(seen: Evidence) -> Evidence:
    """With what else is known, best first, behind what it lists: the rows of whole items, and rivals."""
    listed = seen.listed
    for more in (seen.own, seen.rivals):
        if more is not None and len(more):
            more = more.take(ranked(more.scores, more.ids))
            listed = Rows.stack([listed, more.take(np.flatnonzero(~np.isin(more.ids, listed.ids)))])
    return replace(seen, listed=listed)


def _top_places(groups: Ids, k: int) -> Ids:
    """The best row of each of the first k items."""
    _, first = np.unique(groups, return_index=True)
    return np.sort(first)[:k]


def _item(seen: Evidence, place: int) -> RankedItem:
    distance = float(seen.listed.distances[place])
    cosine = seen.probe.score == "cosine"
    score = max(-1.0, 1.0 - 0.5 * distance * distance) if cosine else -distance
    return RankedItem(bytes(seen.listed.keys[place]), int(seen.listed.ids[place]), score, distance)


def _needed(seen: Evidence, places: Ids, *, enough: bool) -> float:
    """How near an unseen row must not be for the answer to stand, whatever is proved of it.

    Args:
        seen: what is known.
        places: of the best row of each item.
        enough: whether as many items are listed as are needed.
    """
    if seen.everything_listed:
        return 0.0
    if not enough:
        return math.nextafter(seen.unseen, math.inf)
    farthest = _farthest(seen, seen.listed.distances[places])
    need = beyond(float(farthest.max()), seen.probe.score)
    return need if seen.probe.threshold is None else max(need, needed_for_verdict(seen))


def _farthest(seen: Evidence, distances: Float64) -> Float64:
    """Upper bounds on distances of rows, from what was computed."""
    return bounds_of_distances(distances, len(seen.probe.z), seen.probe.score)[1]


def _claimed(item: RankedItem) -> float:
    """The larger of its radii: a row that is not known may be of any item, so it must lie outside of both."""
    return max(item.top1 or 0.0, item.topk or 0.0)


class _Judge:
    """The radii of items against the rows that are listed.

    Args:
        seen: what is known; groups: (listed,) item of each row; firsts: (g,) first row of each item.
        k: how many items are returned.
    """

    def __init__(self, seen: Evidence, groups: Ids, firsts: Ids, k: int) -> None:
        self.seen, self.groups, self.firsts, self.k = seen, groups, firsts, k
        self._enough: dict[bytes, Ids] = {}
        self.cap = seen.probe.proved.cap
        has_threshold = seen.probe.threshold is not None
        self.copies = radii_of(seen.probe, seen.listed).copy if has_threshold else None

    def certify(self, items: Sequence[RankedItem], places: Ids) -> list[RankedItem]:
        """The items, best first, with their radii; places: of the best row of each."""
        if not items:
            return []
        own = [self._carriers(int(place)) for place in places]
        rivals = [np.flatnonzero(mask) for mask in contenders(self.seen, self.groups, own, self.k)]
        radii = self._pairs(own, rivals)
        found = [self._topk(*one) for one in zip(items, own, rivals, radii, strict=True)]
        found = [self._top1(found[0], own[0], rivals[0], radii[0]), *found[1:]]
        for item, rows, others, each in zip(found, own, rivals, radii, strict=True):
            self._enough[item.key] = rows[: self._shortest(item, others, each)]
        return found

    def unproved(self, items: Sequence[RankedItem]) -> list[RankedItem]:
        """Those of which a row that is not known might lower a radius."""
        seen, z_low = self.seen, float(norm_bounds(self.seen.probe.z)[0])
        if seen.everything_listed:
            return []
        found = []
        for item in items:
            radius, ids = _claimed(item), seen.listed.ids[self._enough[item.key]]
            if not radius or (seen.claims is not None and seen.claims.cover(ids, radius)):
                continue
            floor = unseen_radius(
                self._farthest_carrier(item),
                seen.unseen,
                score=seen.probe.score,
                z_norm=z_low,
                dim=len(seen.probe.z),
                lipschitz=seen.probe.proved.lipschitz,
                forward_error=seen.probe.proved.forward_error,
            )
            if floor < radius:
                found.append(item)
        return found

    def needed_for(self, items: Sequence[RankedItem]) -> float:
        """How near a row must be to lower a radius of one of the items, wherever it lies."""
        seen, z_low, need = self.seen, float(norm_bounds(self.seen.probe.z)[0]), 0.0
        bounds = seen.probe.proved
        for item in items:
            h = round_up(round_up(_claimed(item) * bounds.lipschitz.value) + 2.0 * bounds.forward_error)
            far = needed_separation(self._farthest_carrier(item), h, score=seen.probe.score, z_norm=z_low)
            need = max(need, far * (1.0 + 1e-9) + 1e-9)
        return max(need, seen.unseen * (1.0 + 1e-6) + 1e-9)

    def claims(self, items: Sequence[RankedItem]) -> Claims:
        """What is claimed of some of the items, for the rows that are enough; and what was claimed before."""
        every = [self._enough[item.key] for item in items]
        rows, radii = np.concatenate(every), np.repeat([_claimed(item) for item in items], [len(own) for own in every])
        fresh = Claims(self.seen.listed.ids[rows], self.seen.listed.vectors.stored(rows), radii)
        return fresh if self.seen.claims is None else self.seen.claims.and_also(fresh)

    def _farthest_carrier(self, item: RankedItem) -> float:
        """An upper bound on the distance of the rows that carry an item: which one does may differ by rival (T3)."""
        return float(_farthest(self.seen, self.seen.listed.distances[self._enough[item.key]]).max())

    def _shortest(self, item: RankedItem, rivals: Ids, radii: Float64) -> int:
        """How many of an item's best rows give its radii (rows, rivals). Of a far row nearly every row is a rival."""
        for count in range(1, len(radii)):
            _, per_item = item_radii(radii[:count], self.groups[rivals])
            topk = min(topk_radius(per_item, self.k), self.cap)
            top1 = min(float(radii[:count].min(axis=1, initial=math.inf).max()), self.cap)
            if topk >= (item.topk or 0.0) and (not item.top1 or top1 >= item.top1):
                return count
        return len(radii)

    def _carriers(self, place: int) -> Ids:
        """The best rows of an item, wherever they are known from."""
        rows = np.flatnonzero(self.groups == self.groups[place])
        return rows[ranked(self.seen.listed.scores[rows], self.seen.listed.ids[rows])[:VIEWS_TRIED]]

    def _pairs(self, own: Sequence[Ids], rivals: Sequence[Ids]) -> list[Float64]:
        """Per item (views, rivals) the radius of each of its views against each rival: all in one go."""
        pairs = [
            np.stack(np.meshgrid(views, others, indexing="ij"), axis=-1)
            for views, others in zip(own, rivals, strict=True)
        ]
        winners, others = np.concatenate([one.reshape(-1, 2) for one in pairs]).T
        radii = _pair_radii(self.seen.probe, self.seen.listed.some(winners), self.seen.listed.some(others))
        ends = np.cumsum([one.shape[0] * one.shape[1] for one in pairs])[:-1]
        return [flat.reshape(one.shape[:2]) for flat, one in zip(np.split(radii, ends), pairs, strict=True)]

    def _topk(self, item: RankedItem, own: Ids, rivals: Ids, radii: Float64) -> RankedItem:
        _, per_item = item_radii(radii, self.groups[rivals])
        carriers = tuple((0, int(row)) for row in self.seen.listed.ids[own])
        copy = None
        if self.copies is not None:  # T4/T5 "copy of this item": any of its rows may keep it
            every = self.groups == self.groups[own[0]]
            copy = min(max(0.0, float(self.copies[every].max())), self.cap)
        return replace(item, topk=min(topk_radius(per_item, self.k), self.cap), copy=copy, carriers_k=carriers)

    def _top1(self, item: RankedItem, own: Ids, rivals: Ids, radii: Float64) -> RankedItem:
        """T3 in its cheaper form: one view must beat every row of every other item."""
        probe, least = self.seen.probe, radii.min(axis=1, initial=math.inf)
        view = int(least.argmax())
        top1 = min(max(0.0, float(least[view])), self.cap)
        item = replace(item, top1=top1, carriers=(item.carriers_k[view],))
        if not rivals.size:
            return item
        [winner] = self.seen.listed.some(own[[view]])
        raw = half_space_distances(probe.z, winner, self.seen.listed.some(rivals), probe.score)
        raw_top1 = min(max(float(raw.min()), 0.0) / probe.proved.lipschitz.value, self.cap)
        limit = int(self.firsts[self.groups[rivals[radii[view].argmin()]]]) if least[view] <= self.cap else None
        return replace(item, raw_top1=raw_top1, limited_by=limit)


def _pair_radii(probe: Probe, winners: Float64, rivals: Float64) -> Float64:
    return pair_radii(
        probe.z,
        winners,
        rivals,
        score=probe.score,
        lipschitz=probe.proved.lipschitz,
        forward_error=probe.proved.forward_error,
    )


def _with_verdict(seen: Evidence, groups: Ids, places: Ids, items: Sequence[RankedItem], *, certify: bool) -> Ranking:
    found = Ranking(tuple(items), certified=certify)
    if seen.probe.threshold is None:
        return found
    accepts = accepting(seen)
    of_item = np.isin(groups[places], groups[accepts])
    marked = (replace(item, accepted=bool(yes)) for item, yes in zip(items, of_item, strict=True))
    found = replace(found, items=tuple(marked), point_verdict="copy" if accepts.any() else "not-a-copy")
    if not certify:
        return found
    radii, cap = radii_of(seen.probe, seen.listed), seen.probe.proved.cap
    copy = min(max(0.0, float(radii.copy.max())), cap)  # a sound floor: some listed row accepts
    listed = min(max(0.0, float(radii.nothing.min())), cap)
    return replace(found, copy=copy, nothing=min(listed, hidden_nothing(seen)), listed_nothing=listed)
