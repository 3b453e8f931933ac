"""Several probes: items ranked by their margin in pixels, and radii that hold for all probes together (T9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..certificates.channels import Margins, half_leads, union_copy_radius, union_nothing_radius
from ..certificates.ranking import topk_radius
from ..certificates.verdicts import VerdictRadii
from ..core.numerics import round_up
from ..indexer.items import NO_KEYS, Keys
from ..indexer.vectors import Ids
from .candidates import UNSEEN, Candidates
from .channel import ORIGINAL, Float64
from .evidence import Evidence
from .leads import carrying_rows, lead_radii, raw_lead
from .looking import Standing, distances_to_look, nearest_is_listed
from .probe import Blind
from .ranking import Decision, RankedItem, Ranking
from .source import Ask
from .verdict import accepting, hidden_nothing, radii_of, wish_for_nothing


def decide_several(
    evidence: Sequence[Evidence],
    k: int,
    *,
    certify: bool,
    growth: float,
    blind: Blind | None = None,
    tiers: bool = False,
) -> Decision:
    """The first k items by their margins over all probes.

    A view of the query without a direction accepts nothing and ranks nothing, here and after every change. So a radius
    may reach beyond the image at which some view loses its direction, unless it is this view that carries the claim;
    and where one has none yet, it is taken for a rival with as large a margin as it can have (``probe.Blind``).

    Args:
        evidence: per probe; each has a threshold and is certified.
        k: how many items.
        certify: also give radii.
        growth: how many times as far, at most, sources look next.
        blind: views of the query that show nothing.
        tiers: what accepts the query comes before what does not, each by its margin (THEORY T11).
    """
    found = Candidates.of(evidence)
    first = found.first(k, ahead=_accepted_items(evidence) if tiers else NO_KEYS)
    names = found.keys[found.items[first]]
    missing = [not np.isin(names, seen.whole).all() for seen in evidence]
    wishes = _wishes(evidence, blind) if certify else [None] * len(evidence)
    if any(missing):
        # What is worth asking once is asked beside what must be: each decision costs as much as a search.
        asks = [
            replace(wish or Ask(seen.probe), own=names if lacks else NO_KEYS)
            for seen, lacks, wish in zip(evidence, missing, wishes, strict=True)
            if lacks or wish
        ]
        return Decision(Ranking(()), needs=tuple(asks))
    standings, settled = _stand(found, first, k, certify=certify, blind=blind)
    if not settled:
        reach = distances_to_look(found.parts, standings, k, growth)
        pairs = zip(evidence, reach, strict=True)
        asks = (Ask(seen.probe, within=far, own=names) for seen, far in pairs if far > seen.unseen)
        return Decision(Ranking(tuple(one.item for one in standings)), needs=tuple(asks))
    ranking = _with_verdict(evidence, [one.item for one in standings], certify=certify, blind=blind)
    return Decision(ranking, wishes=tuple(wish for wish in wishes if wish is not None))


def _stand(found: Candidates, first: Ids, k: int, *, certify: bool, blind: Blind | None) -> tuple[list[Standing], bool]:
    """The first items as far as is known; False where what is not listed might change them."""
    items = [_item(found, int(place)) for place in first]
    settled = _unseen_ranks_below(found, first, k) and all(nearest_is_listed(part.seen) for part in found.parts)
    if certify:
        items, limits = _certify(found, first, items, k, blind)
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
    best = int(np.argmax([part.best_margin(item) for part in parts]))
    part = parts[best]
    row = part.rows_of(item)[0]
    return RankedItem(
        bytes(found.keys[item]),
        int(part.rows.ids[row]),
        float(found.total.values[place]),
        float(part.rows.distances[row]),
        probe=best,
    )


def _certify(
    found: Candidates, first: Ids, items: Sequence[RankedItem], k: int, blind: Blind | None
) -> tuple[list[RankedItem], bool]:
    """Radii of the returned items over the items seen; False where what is not listed might lower one of them."""
    done, settled, seen = [], True, found.items != UNSEEN
    leads, copies = _leads(found, first), [part.copy_radii for part in found.parts]
    for number, (place, item, halves) in enumerate(zip(first, items, leads, strict=True)):
        cap = _cap(found, int(place), item, blind)
        own = [(part.seen, float(radii[found.items[place]])) for part, radii in zip(found.parts, copies, strict=True)]
        item = replace(item, topk=min(topk_radius(halves[seen], k), cap), copy=_copy(own))
        hidden = halves[~seen]
        if number == 0:
            # Only the first place is worth the tighter radii: they look much farther, item by item.
            radii = lead_radii(found, int(place))
            item = _with_top1(item, found, int(place), radii, cap)
            hidden = radii[np.delete(found.items, place) == UNSEEN]
        # What is not listed may be many items, so it must lie outside of every radius, that of the top k as well.
        claimed = max(item.topk or 0.0, item.top1 or 0.0)
        settled = settled and (claimed == 0.0 or float(hidden.min(initial=math.inf)) >= claimed)
        done.append(item)
    return done, settled


def _leads(found: Candidates, first: Ids) -> Float64:
    """(k, g) T9: how far each of the first items stays ahead of every item; of itself for ever."""
    total = found.total
    leads = half_leads(total.values[first, None], total.errors[first, None], total)
    leads[np.arange(len(first)), first] = math.inf
    return leads


def _cap(found: Candidates, place: int, item: RankedItem, blind: Blind | None) -> float:
    """How far an item's rank may hold at all: its best view must keep its direction, and blind ones stay behind it."""
    cap = min(asked_cap([part.seen for part in found.parts]), found.parts[item.probe].seen.probe.proved.cap)
    if blind is None:
        return cap
    total = found.total
    rival = Margins(np.array([blind.margin]), np.array([blind.error]), total.growth)
    lead = float(half_leads(float(total.values[place]), float(total.errors[place]), rival)[0])
    return max(0.0, min(cap, lead))


def asked_cap(evidence: Sequence[Evidence]) -> float:
    """Farther out the query itself could be refused, and there would be no answer."""
    return min(seen.probe.proved.cap for seen in evidence if seen.probe.view == ORIGINAL.name)


def _copy(radii: Sequence[tuple[Evidence, float]]) -> float:
    """T9, *copy*: any test may keep it, as far as its own view keeps a direction."""
    each = [min(one, seen.probe.proved.cap) for seen, one in radii]
    return min(max(each), asked_cap([seen for seen, _ in radii]))


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


def _with_verdict(
    evidence: Sequence[Evidence], items: Sequence[RankedItem], *, certify: bool, blind: Blind | None
) -> Ranking:
    accepted = _accepted_items(evidence)
    marked = tuple(replace(item, accepted=bool((accepted == item.key).any())) for item in items)
    found = Ranking(marked, point_verdict="copy" if accepted.size else "not-a-copy", certified=certify)
    if not certify:
        return found
    radii = [radii_of(seen.probe, seen.listed) for seen in evidence]
    listed = _listed_nothing(evidence, radii, blind)
    # Of a copy nothing is left for rows that are not listed to take away.
    hidden = min(hidden_nothing(seen) for seen in evidence) if listed > 0.0 else 0.0
    copy = _copy([(seen, union_copy_radius([one])) for seen, one in zip(evidence, radii, strict=True)])
    return replace(found, copy=copy, nothing=min(listed, hidden), listed_nothing=listed)


def _listed_nothing(evidence: Sequence[Evidence], radii: Sequence[VerdictRadii], blind: Blind | None) -> float:
    """How far all listed rows reject; what a view without a direction would accept after any change, nobody knows."""
    return min(union_nothing_radius(radii), asked_cap(evidence)) if blind is None else 0.0


def _wishes(evidence: Sequence[Evidence], blind: Blind | None) -> list[Ask | None]:
    """Per probe what might enlarge the radius of "not a copy", where that is the verdict."""
    known = all(seen.everything_listed or seen.rejects > 0.0 for seen in evidence)
    if known or blind is not None or any(accepting(seen).any() for seen in evidence):
        return [None] * len(evidence)
    radii = [radii_of(seen.probe, seen.listed) for seen in evidence]
    wanted = _listed_nothing(evidence, radii, blind)
    return [wish_for_nothing(seen, wanted) for seen in evidence]


def _accepted_items(evidence: Sequence[Evidence]) -> Keys:
    """Names of the items that accept the query, as it is."""
    return np.concatenate([seen.listed.keys[accepting(seen)] for seen in evidence])
