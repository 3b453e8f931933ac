"""Several probes: items ranked by their margin in pixels, and radii that hold for all probes together (T9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..certificates.channels import margin_radii, union_copy_radius, union_nothing_radius
from ..certificates.ranking import topk_radius
from ..core.numerics import round_up
from ..indexer.items import Keys
from ..indexer.vectors import Ids
from .candidates import UNSEEN, Candidates, Part
from .channel import Float64
from .evidence import Evidence
from .leads import carrying_rows, lead_radii, raw_lead
from .looking import Standing, distances_to_look, nearest_is_listed
from .ranking import Decision, RankedItem, Ranking
from .source import Ask
from .verdict import accepting, hidden_nothing, radii_of, wish_for_nothing


def decide_several(evidence: Sequence[Evidence], k: int, *, certify: bool, growth: float) -> Decision:
    """The first k items by their margins over all probes.

    Args:
        evidence: per probe; each has a threshold and is certified.
        k: how many items.
        certify: also give radii.
        growth: how many times as far, at most, sources look next.
    """
    found = Candidates.of(evidence)
    first = found.first(k)
    names = found.keys[found.items[first]]
    missing = [not np.isin(names, seen.whole).all() for seen in evidence]
    if any(missing):
        asks = (Ask(seen.probe, own=names) for seen, lacks in zip(evidence, missing, strict=True) if lacks)
        return Decision(Ranking(()), needs=tuple(asks))
    standings, settled = _stand(found, first, k, certify=certify)
    if not settled:
        reach = distances_to_look(found.parts, standings, k, growth)
        pairs = zip(evidence, reach, strict=True)
        asks = (Ask(seen.probe, within=(far,), own=names) for seen, far in pairs if far > seen.unseen)
        return Decision(Ranking(tuple(one.item for one in standings)), needs=tuple(asks))
    ranking = _with_verdict(evidence, [one.item for one in standings], certify=certify)
    wishes = [wish_for_nothing(seen, ranking, names) for seen in evidence] if certify else []
    return Decision(ranking, wishes=tuple(wish for wish in wishes if wish is not None))


def _stand(found: Candidates, first: Ids, k: int, *, certify: bool) -> tuple[list[Standing], bool]:
    """The first items as far as is known; False where what is not listed might change them."""
    items = [_item(found, int(place)) for place in first]
    settled = _unseen_ranks_below(found, first, k) and all(nearest_is_listed(part.seen) for part in found.parts)
    if certify:
        items, limits = _certify(found, first, items, k)
        settled = settled and limits
    total = found.total
    scores = zip(items, found.items[first], total.values[first], total.errors[first], strict=True)
    return [Standing(item, int(number), float(m), float(error)) for item, number, m, error in scores], settled


def _unseen_ranks_below(found: Candidates, first: Ids, k: int) -> bool:
    """Whether no row that is not listed can be among the first k, as margins are computed."""
    hidden, total = found.items == UNSEEN, found.total
    if not hidden.any():
        return True
    ceiling = round_up(float(total.values[hidden][0] + 2.0 * total.errors[hidden][0]))
    return len(first) == k and bool((total.values[first] - 2.0 * total.errors[first] > ceiling).all())


def _item(found: Candidates, place: int) -> RankedItem:
    """The row and the probe that decide for an item."""
    item, parts = int(found.items[place]), found.parts
    tops = [part.margins.values[part.items == item].max(initial=-math.inf) for part in parts]
    best = int(np.argmax(tops))
    part = parts[best]
    own = np.flatnonzero(part.items == item)
    row = own[part.margins.values[own].argmax()]
    return RankedItem(
        bytes(found.keys[item]),
        int(part.rows.ids[row]),
        float(found.total.values[place]),
        float(part.rows.distances[row]),
        probe=best,
    )


def _certify(found: Candidates, first: Ids, items: Sequence[RankedItem], k: int) -> tuple[list[RankedItem], bool]:
    """Radii of the returned items over the items seen; False where what is not listed might lower one of them."""
    cap = min(part.seen.probe.proved.cap for part in found.parts)
    done, settled = [], True
    for number, (place, item) in enumerate(zip(first, items, strict=True)):
        seen = np.delete(found.items, place) != UNSEEN
        halves = margin_radii(found.total, int(place))
        copy = min(union_copy_radius([_copy_radii(part, int(found.items[place])) for part in found.parts]), cap)
        item = replace(item, topk=min(topk_radius(halves[seen], k), cap), copy=copy)
        hidden = halves[~seen]
        if number == 0:
            # Only the first place is worth the tighter radii: they look much farther, item by item.
            radii = lead_radii(found, int(place))
            item = _with_top1(item, found, int(place), radii, cap)
            hidden = radii[~seen]
        # What is not listed may be many items, so it must lie outside of every radius, that of the top k as well.
        claimed = max(item.topk or 0.0, item.top1 or 0.0)
        settled = settled and (claimed == 0.0 or float(hidden.min(initial=math.inf)) >= claimed)
        done.append(item)
    return done, settled


def _with_top1(item: RankedItem, found: Candidates, place: int, radii: Float64, cap: float) -> RankedItem:
    """T9: the least over the other items. What stays first stays among the first k."""
    others = np.delete(found.items, place)
    radii, others = radii[others != UNSEEN], others[others != UNSEEN]
    top1 = min(topk_radius(radii, 1), cap)
    carriers = carrying_rows(found.parts, int(found.items[place]))
    item = replace(item, top1=top1, topk=max(top1, item.topk or 0.0), carriers=carriers, carriers_k=carriers)
    if not radii.size:
        return item
    limit = int(others[radii.argmin()])
    raw = min(max(top1, raw_lead(found.parts, int(found.items[place]), limit)), cap)
    return replace(item, raw_top1=raw, limited_by=int(found.firsts[limit]) if radii.min() <= cap else None)


def _with_verdict(evidence: Sequence[Evidence], items: Sequence[RankedItem], *, certify: bool) -> Ranking:
    accepted = _accepted_items(evidence)
    marked = tuple(replace(item, accepted=bool((accepted == item.key).any())) for item in items)
    found = Ranking(marked, point_verdict="copy" if accepted.size else "not-a-copy", certified=certify)
    if not certify:
        return found
    radii = [radii_of(seen.probe, seen.listed) for seen in evidence]
    cap = min(seen.probe.proved.cap for seen in evidence)
    hidden = min(hidden_nothing(seen) for seen in evidence)
    listed = min(union_nothing_radius(radii), cap)
    copy = min(union_copy_radius(radii), cap)
    return replace(found, copy=copy, nothing=min(listed, hidden), listed_nothing=listed)


def _accepted_items(evidence: Sequence[Evidence]) -> Keys:
    """Names of the items that accept the query, as it is."""
    return np.concatenate([seen.listed.keys[accepting(seen)] for seen in evidence])


def _copy_radii(part: Part, item: int):
    return radii_of(part.seen.probe, part.rows.take(np.flatnonzero(part.items == item)))
