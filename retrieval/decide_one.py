"""One probe: the exact ranking, and for each returned item how far the query may move (T1, T2, T3, T4, T5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..certificates.ranking import half_space_distances, item_radii, pair_radii, topk_radius
from ..certificates.rounding import norm_bounds
from ..certificates.shortlist import needed_separation, unseen_radius
from ..core.numerics import gamma, norm, round_up
from ..indexer.vectors import Ids
from .channel import Float64
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
    _, firsts, [groups] = number_items([seen])
    groups = groups[: len(seen.listed)]
    places = _top_places(groups, k)
    items = [_item(seen, int(place)) for place in places]
    if certify:
        items = _Judge(seen, groups, firsts, k).certify(items, places)
    need = _needed(seen, places, items, k, certify=certify)
    if need > seen.unseen:
        far = max(need, growth * seen.unseen, 1e-6)
        return Decision(Ranking(tuple(items)), needs=(Ask(seen.probe, within=far),))
    ranking = _with_verdict(seen, groups, places, items, certify=certify)
    wish = wish_for_nothing(seen, ranking.listed_nothing) if certify else None
    return Decision(ranking, wishes=() if wish is None else (wish,))


def _top_places(groups: Ids, k: int) -> Ids:
    """The best row of each of the first k items."""
    _, first = np.unique(groups, return_index=True)
    return np.sort(first)[:k]


def _item(seen: Evidence, place: int) -> RankedItem:
    distance = float(seen.listed.distances[place])
    cosine = seen.probe.score == "cosine"
    score = max(-1.0, 1.0 - 0.5 * distance * distance) if cosine else -distance
    return RankedItem(bytes(seen.listed.keys[place]), int(seen.listed.ids[place]), score, distance)


def _needed(seen: Evidence, places: Ids, items: Sequence[RankedItem], k: int, *, certify: bool) -> float:
    """How near an unseen row must not be for the answer to stand."""
    if seen.everything_listed:
        return 0.0
    if len(items) < k:
        return math.nextafter(seen.unseen, math.inf)
    _, farthest = bounds_of_distances(seen.listed.distances[places], len(seen.probe.z), seen.probe.score)
    need = beyond(float(farthest.max()), seen.probe.score)
    if seen.probe.threshold is not None:
        need = max(need, needed_for_verdict(seen))
    if not certify:
        return need
    return max(need, *(_needed_for(seen, item, float(a)) for item, a in zip(items, farthest, strict=True)))


def _needed_for(seen: Evidence, item: RankedItem, a: float) -> float:
    probe, bounds = seen.probe, seen.probe.proved
    z_low = float(norm_bounds(probe.z)[0])
    need = 0.0
    for radius in (item.top1, item.topk):
        if not radius:
            continue
        floor = unseen_radius(
            a,
            seen.unseen,
            score=probe.score,
            z_norm=z_low,
            dim=len(probe.z),
            lipschitz=bounds.lipschitz,
            forward_error=bounds.forward_error,
        )
        if floor < radius:
            h = round_up(round_up(radius * bounds.lipschitz.value) + 2.0 * bounds.forward_error)
            separation = needed_separation(a, h, score=probe.score, z_norm=z_low)
            need = max(need, separation * (1.0 + 1e-9) + 1e-9, seen.unseen * (1.0 + 1e-6) + 1e-9)
    return need


class _Judge:
    """The radii of items against the rows that are listed.

    Args:
        seen: what is known; groups: (listed,) item of each row; firsts: (g,) first row of each item.
        k: how many items are returned.
    """

    def __init__(self, seen: Evidence, groups: Ids, firsts: Ids, k: int) -> None:
        self.seen, self.groups, self.firsts, self.k = seen, groups, firsts, k
        self.cap = seen.probe.proved.cap
        has_threshold = seen.probe.threshold is not None
        self.copies = radii_of(seen.probe, seen.listed).copy if has_threshold else None

    def certify(self, items: Sequence[RankedItem], places: Ids) -> list[RankedItem]:
        """The items, best first, with their radii; places: of the best row of each."""
        if not items:
            return []
        own = [np.flatnonzero(self.groups == self.groups[place])[:VIEWS_TRIED] for place in places]
        rivals = [np.flatnonzero(mask) for mask in contenders(self.seen, self.groups, own, self.k)]
        radii = self._pairs(own, rivals)
        found = [self._topk(*one) for one in zip(items, own, rivals, radii, strict=True)]
        return [self._top1(found[0], own[0], rivals[0], radii[0]), *found[1:]]

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


def contenders(seen: Evidence, groups: Ids, own: Sequence[Ids], k: int) -> list[npt.NDArray[np.bool_]]:
    """Per item which listed rows of others may decide its radius; the rest lie farther than the k nearest rival items.

    Half-space distances h are estimated by one matrix product. With S bounding twice a row's norm, and rows at least
    S/1000 apart, ‖u_i − u_j‖² is off by γ_d·S² or less, so h by a relative 10⁶·γ_d, and what ``pair_radii`` takes off
    for rounding is less still. A row is left out only where its h exceeds the k-th smallest one over items by ten
    times that, so its radius exceeds every radius that is claimed. Closer rows are always kept, and taken as
    infinitely far when the k-th smallest is looked for.

    Args:
        seen: what is known.
        groups: (listed,) item of each row.
        own: per item, places of some of its rows.
        k: how many items are returned.

    Returns:
        per item (listed,).
    """
    rows, scores, cosine = seen.listed.numbers, seen.listed.scores, seen.probe.score == "cosine"
    every = np.concatenate(own)
    size = 2.0 if cosine else 2.0 * seen.longest
    squares = seen.listed.vectors.squares
    products = rows[every] @ rows.T  # all views, rows
    width = np.sqrt(np.maximum(squares[every, None] + squares - 2.0 * products, 0.0))
    lead = (scores[every, None] - scores) * (1.0 if cosine else 0.5)
    h = np.divide(lead, width, out=np.full_like(lead, np.inf), where=width > 1e-3 * size)
    items, per_item = _per_item(h, groups)
    far = float(seen.listed.distances.max())
    reach = float(norm(seen.probe.z)) if cosine else far + (far * far / size if size > 0.0 else 0.0)
    slack, found, start = 1e7 * gamma(len(seen.probe.z) + 8) * reach, [], 0
    for views in own:
        some, item = slice(start, start + len(views)), groups[views[0]]
        limit = topk_radius(per_item[some].max(axis=0)[items != item], k) + slack
        near = (h[some] <= limit) | (width[some] <= 1e-3 * size)
        found.append((groups != item) & near.any(axis=0))
        start = some.stop
    return found


def _per_item(h: Float64, groups: Ids) -> tuple[Ids, Float64]:
    """The items in ascending order, and (views, items) the least h of the rows of each (T3)."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return groups[order[starts]], np.minimum.reduceat(h[:, order], starts, axis=1)


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
