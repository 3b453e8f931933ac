"""A cover of finitely many members: representatives, each with all members that its proof reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...images.families.family import Finite
from .claim import Part
from .front import Front
from .judge import Judge
from .members import Members
from .standing import Standing

FIRST, MOST = 2, 32
"""Representatives at a time: at first, then twice as many each time up to this."""


@dataclass(frozen=True)
class Covered:
    """What a search found.

    Attributes:
        fronts: per claim.
        standings: of representatives where a claim failed, by (claim, member).
        cells: representatives that the proof uses.
    """

    fronts: dict[Part, Front]
    standings: dict[tuple[Part, int], Standing]
    cells: int


def cover_members(family: Finite, members: Members, judge: Judge, parts: Sequence[Part]) -> Covered:
    """Try representatives until every member is proved, has failed itself, or lies behind one that has; or so many.

    Args:
        family: whose members they are.
        members: resized.
        judge: of the query.
        parts: the claims that can be tried.
    """
    side, near = _places(family)
    judge.rounding = members.rounding
    found = Covered({part: Front(part, side, near) for part in parts}, {}, 0)
    cells, batch = 0, FIRST
    while (wanted := _wanted(found.fronts)).any() and not judge.tired:
        chosen = members.pick(np.flatnonzero(wanted), near, batch)
        needed = [part for part in parts if found.fronts[part].open[chosen].any()]
        for place, standing in zip(chosen, judge.stand(members.images(chosen), needed), strict=True):
            cells += _try(found, members, int(place), standing, needed)
        batch = min(2 * batch, MOST)
    return Covered(found.fronts, found.standings, cells)


def _wanted(fronts: dict[Part, Front]) -> np.ndarray:
    return np.logical_or.reduce([front.open for front in fronts.values()]) if fronts else np.zeros(0, dtype=bool)


def _try(found: Covered, members: Members, place: int, standing: Standing, needed: Sequence[Part]) -> bool:
    """Mark what one representative proves; whether that was anything new."""
    fronts = [found.fronts[part] for part in needed]
    among = np.flatnonzero(np.logical_or.reduce([~front.proved for front in fronts]))
    among = np.union1d(among, [place])
    # All claims are wanted of a member, so that which reaches least decides which are worth comparing.
    rooms = [members.room(place, partial(standing.holds, part)) for part in needed]
    moves, gained = members.moves(place, among, min((room for room in rooms if room > 0.0), default=0.0)), False
    for front in fronts:
        holds = standing.holds(front.part, moves)
        gained = gained or bool((holds & ~front.proved[among]).any())
        front.prove(among[holds], by=place)
        if not front.proved[place]:
            front.failed[place] = True
            found.standings[front.part, place] = standing
    return gained


def _places(family: Finite) -> tuple[np.ndarray, np.ndarray]:
    """Side of the identity and distance from it, per member."""
    if not family.ordered:
        return np.zeros(len(family)), np.zeros(len(family))
    away = family.values - family.identity
    largest = np.abs(away).max(initial=0.0) or 1.0
    return np.where(away < 0.0, -1.0, 1.0), np.abs(away) / largest
