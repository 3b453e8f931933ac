"""A cover of finitely many members: representatives, each with all members that its proof reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...images.families.family import Finite
from .claim import Part
from .front import Front
from .judge import Judge
from .members import Members
from .standing import Standing

FIRST, MORE = 2, 8
"""Representatives at a time: at first, and then."""


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
    """Try representatives until every member is proved, has failed itself, or lies behind one that has.

    Args:
        family: whose members they are.
        members: resized.
        judge: of the query.
        parts: the claims that can be tried.
    """
    side, near = _places(family)
    judge.rounding = members.rounding
    found = Covered({part: Front(part, side, near) for part in parts}, {}, 0)
    cells, batch, room = 0, FIRST, np.inf
    while (wanted := _wanted(found.fronts)).any():
        chosen = members.pick(np.flatnonzero(wanted), near, batch, room)
        needed = [part for part in parts if found.fronts[part].open[chosen].any()]
        for place, standing in zip(chosen, judge.stand(members.images(chosen), needed), strict=True):
            gained, reached = _try(found, members, int(place), standing, needed, room)
            cells, room = cells + gained, reached if np.isinf(room) else max(room, reached)
        batch = MORE
    return Covered(found.fronts, found.standings, cells)


def _wanted(fronts: dict[Part, Front]) -> np.ndarray:
    return np.logical_or.reduce([front.open for front in fronts.values()]) if fronts else np.zeros(0, dtype=bool)


def _try(
    found: Covered, members: Members, place: int, standing: Standing, needed: Sequence[Part], room: float
) -> tuple[int, float]:
    """Mark what one representative proves: whether that was anything new, and the farthest member that it reached."""
    fronts = [found.fronts[part] for part in needed]
    among = np.flatnonzero(np.logical_or.reduce([~front.proved for front in fronts]))
    among = np.union1d(among, [place])
    moves, gained, farthest = members.moves(place, among, room), False, 0.0
    for front in fronts:
        holds = standing.holds(front.part, moves)
        farthest = max(farthest, float(moves.covered[holds].min(axis=1).max(initial=0.0)))
        gained = gained or bool((holds & ~front.proved[among]).any())
        front.prove(among[holds], by=place)
        if not front.proved[place]:
            front.failed[place] = True
            found.standings[front.part, place] = standing
    return int(gained), farthest


def _places(family: Finite) -> tuple[np.ndarray, np.ndarray]:
    """Side of the identity and distance from it, per member."""
    if not family.ordered:
        return np.zeros(len(family)), np.zeros(len(family))
    away = family.values - family.identity
    largest = np.abs(away).max(initial=0.0) or 1.0
    return np.where(away < 0.0, -1.0, 1.0), np.abs(away) / largest
