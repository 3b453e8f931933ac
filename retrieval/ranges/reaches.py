"""From what a search found to what is said of it: the largest range from the identity outwards, and what ended it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...images.families.family import Continuous, Finite, Point
from ...images.families.words import number
from ..engine import Engine
from .claim import Part
from .cover_cells import Piece
from .cover_members import Covered
from .judge import MOST
from .result import Reach, Stop
from .standing import Standing

_NOT = {"verdict": "the verdict is not proved there", "first": "first place is not proved there"}
_LEFT = f"not tried: the network had seen {MOST} images by then"


def withheld_reach(why: str) -> Reach:
    """Nothing could be tried."""
    return Reach(False, None, None, 0.0, (), why)


def reach_of_members(family: Finite, found: Covered, part: Part, engine: Engine) -> Reach:
    """Of a finite family."""
    front = found.fronts[part]
    share = float(front.proved.mean())
    if not family.ordered:
        failed = np.flatnonzero(~front.proved)
        stops = tuple(_stop_at(family, int(at), found, part, engine) for at in failed)
        return Reach(not failed.size, None, None, share, stops)
    inside = np.zeros(len(family), dtype=bool)
    stops = []
    for side in (-1.0, 1.0):
        limit = front.reach(side)
        inside |= (front.side == side) & (front.near < limit)
        if np.isfinite(limit):
            at = int(np.flatnonzero(~front.proved & (front.side == side) & (front.near == limit))[0])
            stops.append(_stop_at(family, at, found, part, engine))
    values = family.values[inside]
    low, high = ((float(end),) for end in (values.min(), values.max())) if values.size else (None, None)
    return Reach(bool(front.proved.all()), low, high, share, tuple(stops))


def reach_of_cells(family: Continuous, pieces: Sequence[Piece], part: Part, engine: Engine) -> Reach:
    """Of a box of parameters."""
    open_ = [piece for piece in pieces if part not in piece.proved]
    sides = {piece.side for piece in pieces}
    limits = {side: min((piece.near for piece in open_ if piece.side == side), default=1.0) for side in sides}
    stops = []
    for side in sorted(sides):
        failed = [piece for piece in open_ if piece.side == side and piece.near == limits[side]]
        if failed:
            one = failed[0]
            tried = part in one.failed or part in one.doubtful
            stops.append(_stop(_middle(family, one), part, one.standing, engine, tried=tried))
    low, high = (_end(family, limits, way) for way in (-1.0, 1.0))
    nothing = all(limit <= 0.0 for limit in limits.values())
    share = _volume([piece for piece in pieces if part in piece.proved]) / (_volume(pieces) or 1.0)
    if not _volume(pieces):
        share = float(not open_)
    return Reach(not open_, None if nothing else low, None if nothing else high, share, tuple(stops))


def _end(family: Continuous, limits: dict[float, float], way: float) -> Point:
    """One end of the proved range, a little towards the identity where that is not the end of what was asked."""
    limit = limits.get(way if len(family.span) == 1 else 1.0, 0.0)
    share = limit if limit in (0.0, 1.0) else limit * (1.0 - 1e-12)
    return tuple(
        (high if way > 0 else low) if share == 1.0 else at + share * ((high if way > 0 else low) - at)
        for (low, high), at in zip(family.span, family.identity, strict=True)
    )


def _middle(family: Continuous, piece: Piece) -> str:
    named = zip(family.names, piece.cell, strict=True)
    return ", ".join(f"{name} {number(0.5 * (low + high))}" for name, (low, high) in named)


def _volume(pieces: Sequence[Piece]) -> float:
    return float(sum(np.prod([high - low for low, high in piece.cell]) for piece in pieces))


def _stop_at(family: Finite, at: int, found: Covered, part: Part, engine: Engine) -> Stop:
    standing = found.standings.get((part, at))
    return _stop(family.label(at), part, standing, engine, tried=standing is not None or found.fronts[part].behind[at])


def _stop(at: str, part: Part, standing: Standing | None, engine: Engine, *, tried: bool) -> Stop:
    threat = standing.first.threat if standing is not None and standing.first is not None else None
    rival = str(engine.gallery.describe(threat)["path"]) if part == "first" and threat is not None else None
    return Stop(at, _NOT[part] if tried else _LEFT, rival)
