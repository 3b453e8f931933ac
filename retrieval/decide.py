"""The decision over all probes of a query: pure, a function of the evidence alone (THEORY T1 to T5, T9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .decide_one import decide_one
from .decide_several import decide_several
from .evidence import Evidence
from .probe import Blind
from .ranking import Decision

GROWTH = 1.05
"""How much farther, at least, the first widening of a shortlist looks; the next ones its square, and so on."""


def decide(
    evidence: Sequence[Evidence],
    k: int,
    *,
    certify: bool,
    growth: float = GROWTH,
    blind: Blind | None = None,
    tiers: bool = False,
) -> Decision:
    """The first k items, the verdict, and what must still be asked for them to stand.

    One probe ranks by its scores, several by their margins, which need thresholds and certified channels: without
    them the first one ranks, and nothing is proved. Nor is anything proved of rows that were not scanned.

    Args:
        evidence: per probe, of all sources.
        k: how many items.
        certify: also give radii, where all of the above allows it.
        growth: how many times as far sources look next, at least (one probe) or at most (several).
        blind: views of the query that show nothing.
        tiers: rank by margins, and what accepts the query before what does not (THEORY T11).
    """
    certify = certify and all(not seen.silent and seen.probe.bounds is not None for seen in evidence)
    if (len(evidence) > 1 or tiers) and all(_comparable(seen) for seen in evidence):
        found = decide_several(evidence, k, certify=certify, growth=growth, blind=blind, tiers=tiers)
    else:
        found = decide_one(evidence[0], k, certify=certify and len(evidence) == 1 and blind is None, growth=growth)
    scanned, total = (min(seen.scanned for seen in evidence), max(seen.total for seen in evidence))
    missing = tuple(dict.fromkeys(name for seen in evidence for name in seen.missing))
    return replace(found, ranking=replace(found.ranking, scanned=scanned, total=total, missing=missing))


def _comparable(seen: Evidence) -> bool:
    return seen.probe.threshold is not None and seen.probe.bounds is not None
