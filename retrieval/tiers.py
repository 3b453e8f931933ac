"""Two tiers: what certified channels accept comes first, and a companion never changes that (THEORY T11).

1. Items that a certified channel accepts, by their certified margins alone.
2. Items that only a companion accepts, by how far inside of their thresholds. They are *copies, not proved*.
3. The rest, by their certified margins.

Theorem. Let m_i be the certified margin of item i, and let i be accepted by a certified channel for every ‖δ‖ < c_i.
Both are functions of certified evidence alone, whatever a companion says at q + δ. For ‖δ‖ < min(c_i, min_j (m_i −
m_j)/2) item i stays in the first tier and ahead of every item j, wherever that is: of the first tier it is ahead by its
margin, and the other tiers come after. So j runs over *all* items, accepted or not, listed or not; one that only a
companion lists is bounded like everything else that no certified probe lists. T1 may stand in place of a half lead.
Outside of the first tier nothing is proved of ranks, and *not a copy* is not proved: after any change the companion
might accept. *Copy* is proved by the certified channels, as without a companion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .companions import Named, Voice
from .ranking import CERTIFIED, COMPANION, REST, RankedItem, Ranking


@dataclass(frozen=True, slots=True)
class Spoken:
    """What became of the companion's voice; part of the answer.

    Attributes:
        names: whether the verdict *copy* is the companion's alone.
        silent: whether it did not answer for all rows; why: the reason.
    """

    names: bool
    silent: bool
    why: str | None


def tiered(ranking: Ranking, voice: Voice, k: int, *, probes: int) -> tuple[Ranking, Spoken]:
    """The ranking in two tiers, and what the companion had to do with it.

    Args:
        ranking: of the certified channels, those items first that they accept; see ``decide.decide``.
        voice: of the companions.
        k: how many items.
        probes: how many the certified channels have: the companions' come after them.
    """
    first = [_of_first_tier(item) for item in ranking.items if item.accepted]
    known = {item.key for item in first}
    second = [_named(one, probes) for one in voice.named if one.key not in known] if len(first) < k else []
    known |= {item.key for item in second}
    rest = [_unproved(item, REST) for item in ranking.items if item.key not in known]
    names = ranking.point_verdict != "copy" and bool(second)
    point = "copy" if second and ranking.point_verdict is not None else ranking.point_verdict
    found = replace(
        ranking,
        items=tuple([*first, *second, *rest][:k]),
        point_verdict=point,
        nothing=None if ranking.nothing is None else 0.0,
        listed_nothing=0.0,
    )
    return found, Spoken(names, voice.silent, voice.why)


def _of_first_tier(item: RankedItem) -> RankedItem:
    """Its ranks hold for as long as a certified channel accepts it: the cap of the theorem."""
    radii = {
        name: None if radius is None else min(radius, item.copy or 0.0)
        for name, radius in (("top1", item.top1), ("topk", item.topk), ("raw_top1", item.raw_top1))
    }
    return replace(item, tier=CERTIFIED, **radii)


def _unproved(item: RankedItem, tier: str) -> RankedItem:
    return replace(
        item, tier=tier, top1=None, topk=None, copy=None, raw_top1=None, carriers=(), carriers_k=(), limited_by=None
    )


def _named(one: Named, probes: int) -> RankedItem:
    return RankedItem(
        one.key, one.row, one.score, one.distance, probe=probes + one.probe, accepted=True, tier=COMPANION
    )
