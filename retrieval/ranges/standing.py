"""What is known at one representative: how far the resized image may move before each claim could fall (T12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...certificates.edit_ranges import Bools, Moves, Rivals, every_probe_holds, some_probe_holds, stays_ahead
from ...certificates.ranking import pair_radii
from ...certificates.rounding import norm_bounds
from ...certificates.shortlist import unseen_radius
from ..candidates import Part as Known
from ..candidates import part_of
from ..channel import Float64
from ..distances import distance_bounds
from ..evidence import Evidence
from ..leads import Carrier, hidden_within, within_rows
from ..ranking import VIEWS_TRIED
from ..verdict import hidden_nothing, radii_of
from .claim import Claim, Part

T1_ROWS = 24
"""Rows of rivals in each probe that T1 is tried on."""
OWN, OTHER = 0, 1
"""Numbers of items here: the one that is to stay first, and all others."""


@dataclass(frozen=True)
class First:
    """How far the first item keeps its place; see ``certificates.edit_ranges``.

    Attributes:
        alone: (1,) with one probe, which ranks by its scores: T1 and T3; None with several.
        own: (p,) the item's margins; rivals: per probe; growth: of the errors of margins.
        threat: number of the row that comes nearest to overtaking.
    """

    alone: Float64 | None
    own: Float64
    rivals: tuple[Rivals, ...]
    growth: float
    threat: int | None

    def holds(self, moves: Moves) -> Bools:
        """(m,) which members it stays first at."""
        if self.alone is not None:
            return every_probe_holds(self.alone, moves)
        return stays_ahead(self.own, self.rivals, moves, growth=self.growth)


@dataclass(frozen=True)
class Standing:
    """At one representative.

    Attributes:
        cap: (p,) within it no probe refuses the image.
        copy: (p,) *copy* by the named item's rows; nothing: (p,) *not a copy*; whichever is claimed.
        first: None where it is not claimed.
    """

    cap: Float64
    copy: Float64 | None
    nothing: Float64 | None
    first: First | None

    def holds(self, part: Part, moves: Moves) -> Bools:
        """(m,) which members a claim is proved of."""
        allowed = every_probe_holds(self.cap, moves)
        if part == "first":
            assert self.first is not None, "not claimed"
            return allowed & self.first.holds(moves)
        if self.copy is not None:
            return allowed & some_probe_holds(self.copy, moves)
        assert self.nothing is not None, "not claimed"
        return allowed & every_probe_holds(self.nothing, moves)


def standing_of(evidence: Sequence[Evidence], claim: Claim, parts: Sequence[Part]) -> Standing:
    """From the evidence of a representative's probes.

    Args:
        evidence: per probe; what it says of the claimed items is whole.
        claim: what is to be proved.
        parts: which of it.
    """
    if any(seen.probe.refused for seen in evidence):
        nowhere = np.full(len(evidence), -np.inf)
        return Standing(nowhere, nowhere, nowhere, First(nowhere[:1], nowhere, (), 0.0, None))
    cap = np.array([seen.probe.proved.cap for seen in evidence])
    copy = nothing = None
    if "verdict" in parts and claim.verdict == "copy":
        copy = np.array([_copy(seen, claim.copy_of) for seen in evidence])
    elif "verdict" in parts:
        nothing = np.array([_nothing(seen) for seen in evidence])
    first = _first(evidence, claim.first) if "first" in parts else None
    return Standing(cap, copy, nothing, first)


def _copy(seen: Evidence, key: bytes | None) -> float:
    """T4/T5 of the best of the item's rows in this probe."""
    rows = seen.own.take(np.flatnonzero(seen.own.keys == key))
    return float(radii_of(seen.probe, rows).copy.max(initial=-np.inf)) if len(rows) else -np.inf


def _nothing(seen: Evidence) -> float:
    listed = float(radii_of(seen.probe, seen.listed).nothing.min(initial=np.inf))
    return min(listed, hidden_nothing(seen))


def _first(evidence: Sequence[Evidence], key: bytes | None) -> First:
    if len(evidence) == 1:
        return _first_by_scores(evidence[0], key)
    parts = [part_of(seen, _numbered(seen, key), 1 + OTHER) for seen in evidence]
    own = np.array([_own_level(part) for part in parts])
    rivals = [_rivals(part) for part in parts]
    nearest = [(float(part.margins.values[part.items == OTHER].max(initial=-np.inf)), part) for part in parts]
    _, worst = max(nearest, key=lambda one: one[0])
    others = np.flatnonzero(worst.items == OTHER)
    threat = int(worst.rows.ids[others[worst.margins.values[others].argmax()]]) if others.size else None
    growth = max(one for part, rival in zip(parts, rivals, strict=True) for one in (part.margins.growth, rival[1]))
    return First(None, own, tuple(rival for rival, _ in rivals), growth, threat)


def _numbered(seen: Evidence, key: bytes | None) -> np.ndarray:
    keys = np.concatenate([seen.listed.keys, seen.own.keys])
    return np.where(keys == key, OWN, OTHER)


def _own_level(part: Known) -> float:
    """A lower bound on the item's margin as computed near: its error may be one way here and the other way there."""
    mine = part.items == OWN
    return float((part.margins.values - 2.0 * part.margins.errors)[mine].max(initial=-np.inf))


def _rivals(part: Known) -> tuple[Rivals, float]:
    """All rows of other items in one probe, with one that stands for what is not listed; and how errors grow there."""
    rows = np.flatnonzero(part.items == OTHER)
    margins = part.margins.values[rows] + 2.0 * part.margins.errors[rows]
    own, around = part.best_rows(OWN), part.surroundings
    carrier = Carrier(part, own, around) if own.size and around is not None else None
    within = np.full(len(rows), -np.inf)
    if carrier is not None:
        # T1 for the strongest alone: the others are far behind, and half of the lead is sound for them too.
        best = np.argsort(-margins, kind="stable")[:T1_ROWS]
        within[best] = np.maximum.reduce([within_rows(carrier, int(row), rows[best]) for row in own])
    far, growth = part.unseen, 0.0
    if far is not None:
        hidden = max((hidden_within(carrier, int(row), far) for row in own), default=-np.inf) if carrier else -np.inf
        margins = np.append(margins, far.values + 2.0 * far.errors)
        within, growth = np.append(within, hidden), far.growth
    return Rivals.of(margins, within), growth


def _first_by_scores(seen: Evidence, key: bytes | None) -> First:
    """T3 in its cheaper form: one of the item's rows beats every row of every other item, listed or not."""
    mine = seen.own.take(np.flatnonzero(seen.own.keys == key))
    own = mine.take(np.argsort(-mine.scores, kind="stable")[:VIEWS_TRIED])
    others = seen.listed.take(np.flatnonzero(seen.listed.keys != key))
    best, threat = -np.inf, int(others.ids[0]) if len(others) else None
    for row in own.numbers:
        radii = pair_radii(
            seen.probe.z,
            row,
            others.numbers,
            score=seen.probe.score,
            lipschitz=seen.probe.proved.lipschitz,
            forward_error=seen.probe.proved.forward_error,
        )
        reach = min(float(radii.min(initial=np.inf)), _hidden_by_scores(seen, row))
        if reach > best:
            best, threat = reach, int(others.ids[radii.argmin()]) if len(others) else None
    return First(np.array([best]), np.zeros(0), (), 0.0, threat)


def _hidden_by_scores(seen: Evidence, row: Float64) -> float:
    if seen.everything_listed:
        return np.inf
    probe = seen.probe
    _, farthest = distance_bounds(probe.z, row[None], probe.score)
    return unseen_radius(
        float(farthest[0]),
        seen.unseen,
        score=probe.score,
        z_norm=float(norm_bounds(probe.z)[0]),
        dim=len(probe.z),
        lipschitz=probe.proved.lipschitz,
        forward_error=probe.proved.forward_error,
    )
