"""Companions: what a channel without a proof finds, asked apart from what the certified channels prove (THEORY T11).

A companion's probes are settled by themselves, and the evidence of certified channels is settled without them: nothing
that a companion lists, scores or leaves out is ever seen by a radius. Only then are both put together
(``retrieval.tiers``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .distances import beyond, reach_of
from .evidence import Evidence
from .probe import Probe
from .settle import Pieces, propose, until_settled
from .source import Ask, Source
from .verdict import accepting

NEAREST = 32
"""Rows proposed before it is known how many accept."""


@dataclass(frozen=True, slots=True)
class Named:
    """An item that a companion accepts.

    Attributes:
        key: name of the item; row: global number of the row that accepts, that which accepts it farthest.
        score, distance: see ``answer.Match``.
        inside: how far inside of the row's own threshold the query lies, as a distance.
        probe: place of the probe among those of the companions.
    """

    key: bytes
    row: int
    score: float
    distance: float
    inside: float
    probe: int


@dataclass(frozen=True, slots=True)
class Voice:
    """What companions say of a query.

    Attributes:
        named: all items that they accept, the one farthest inside of its threshold first; of equals the one stored
            first. Looks accept within parts of a row's reach, and rows within reaches of their own: a score alone
            would prefer what is hardly accepted.
        silent: whether some row was not looked at, or no companion could look at the query.
        why: why it could not; None otherwise.
        needs: what must be asked before this stands.
    """

    named: tuple[Named, ...] = ()
    silent: bool = False
    why: str | None = None
    needs: tuple[Ask, ...] = ()
    wishes: tuple[Ask, ...] = ()


def hear(sources: Sequence[Source], queries: Sequence[Sequence[Probe]]) -> list[Voice]:
    """What companions say of several queries; of one that they cannot look at, why.

    Args:
        sources: that hold the gallery between them.
        queries: the companions' probes of each query; none where the query was not shown to them.
    """
    sources = [source for source in sources if source.rows]
    asked = [[probe for probe in probes if not probe.refused] for probes in queries]
    first = iter(propose(sources, [probe for own in asked for probe in own], NEAREST) if any(asked) else ())
    found = []
    for probes, own in zip(queries, asked, strict=True):
        pieces = [next(first) for _ in own]
        found.append(_heard(sources, probes, pieces) if sources else Voice(silent=True, why="the gallery is empty"))
    return found


def _heard(sources: Sequence[Source], probes: Sequence[Probe], pieces: Sequence[Pieces]) -> Voice:
    refused = next((probe.refused for probe in probes if probe.refused), None)
    if not pieces:
        return Voice(silent=True, why=refused or "the query was not shown to it")
    return until_settled(sources, pieces, decide_named)


def decide_named(evidence: Sequence[Evidence], *, growth: float) -> Voice:
    """The items that the companions accept, once every row that may accept is listed.

    Args:
        evidence: per probe; those without a threshold accept nothing.
        growth: how many times as far sources look next, at least.
    """
    with_threshold = [seen for seen in evidence if seen.probe.threshold is not None]
    silent = any(seen.silent for seen in evidence)
    needs = tuple(
        Ask(seen.probe, within=max(far, growth * seen.unseen))
        for seen in with_threshold
        if not seen.silent and (far := beyond(seen.reach, seen.probe.score)) > seen.unseen
    )
    found = [one for place, seen in enumerate(evidence) if seen in with_threshold for one in _accepted(seen, place)]
    best: dict[bytes, Named] = {}
    for one in sorted(found, key=lambda named: (-named.inside, named.row)):
        best.setdefault(one.key, one)
    why = "a part of the index is silent" if silent else None
    return Voice(tuple(best.values()), silent, why, needs)


def _accepted(seen: Evidence, place: int) -> list[Named]:
    rows, cosine, found = seen.listed, seen.probe.score == "cosine", []
    assert rows.limits is not None, "who accepts has a threshold"
    for at in np.flatnonzero(accepting(seen)).tolist():
        distance = float(rows.distances[at])
        score = max(-1.0, 1.0 - 0.5 * distance * distance) if cosine else -distance
        inside = reach_of(float(rows.limits[at]), seen.probe.score) - distance
        found.append(Named(bytes(rows.keys[at]), int(rows.ids[at]), score, distance, inside, place))
    return found
