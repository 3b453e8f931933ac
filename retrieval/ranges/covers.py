"""What the proof of one claim about a family consists of: kept with the answer, so that somebody else can follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...images.families.family import Cell, Continuous, Finite
from ..evidence import Ids
from .claim import Part
from .cover_cells import Piece
from .front import Front
from .result import Reach


@dataclass(frozen=True)
class MemberCover:
    """Of finitely many members.

    Attributes:
        family: whose members they are.
        places: (m,) the members that the claim is proved of, in the family's order.
        by: (m,) for each the member whose standing proves it.
    """

    family: Finite
    places: Ids
    by: Ids


@dataclass(frozen=True)
class CellsCover:
    """Of a box of parameters.

    Attributes:
        family: whose range it is.
        cells: closed, which cover what is proved.
    """

    family: Continuous
    cells: tuple[Cell, ...]


Cover = MemberCover | CellsCover


def cover_of_members(family: Finite, front: Front, reach: Reach) -> MemberCover | None:
    """Of the members in the proved range; None where there is none, or a part of a family that has no order."""
    inside = front.proved.copy()
    if family.ordered and reach.low is not None and reach.high is not None:
        inside = (family.values >= reach.low[0]) & (family.values <= reach.high[0])
    elif not reach.whole:
        return None
    places = np.flatnonzero(inside)
    return MemberCover(family, places, front.by[places])


def cover_of_cells(family: Continuous, pieces: Sequence[Piece], part: Part, reach: Reach) -> CellsCover | None:
    """Of the proved range; None where there is none."""
    low, high = reach.low, reach.high
    if low is None or high is None:
        return None
    cells = [
        piece.cell
        for piece in pieces
        if part in piece.proved
        and all(a <= top and b >= bottom for (a, b), bottom, top in zip(piece.cell, low, high, strict=True))
    ]
    return CellsCover(family, tuple(sorted(cells)))
