"""A cover of a box of parameters by closed cells, halved where their middle does not speak for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...certificates.edit_ranges import Moves, cover_radius
from ...images.families.family import Cell, Continuous, Enclosure
from .claim import Part
from .judge import Judge
from .members import Sizes
from .optics import Optics
from .standing import Standing

AT_ONCE = 8
"""Cells whose middles the network sees at a time."""
_SHARE = 0.7
"""Cells are halved unseen while they are larger than this share of what the identity's own standing allows."""


@dataclass
class Piece:
    """A cell of the range and what is known of it.

    Attributes:
        cell: closed intervals.
        side, near, far: on which side of the identity, and from where to where (1 is the end of the range).
        depth: how often it was halved.
        proved: claims that hold on all of it; doubtful: claims that its middle itself does not support.
        failed: claims that could not be proved at the smallest size.
        standing: at its middle.
    """

    cell: Cell
    side: float
    near: float
    far: float
    depth: int = 0
    proved: set[Part] = field(default_factory=set)
    doubtful: set[Part] = field(default_factory=set)
    failed: set[Part] = field(default_factory=set)
    standing: Standing | None = None


class CellCover:
    """The search over one family.

    Args:
        family: to be covered.
        optics: of the engine.
        judge: of the query.
        sizes: of one image of the query's size.
        parts: the claims that can be tried.
    """

    def __init__(self, family: Continuous, optics: Optics, judge: Judge, sizes: Sizes, parts: Sequence[Part]) -> None:
        self.family, self.optics, self.judge, self.sizes, self.parts = family, optics, judge, sizes, parts
        self.pieces = [piece_of(cell, family) for cell in _orthants(family)]
        self.identity: Standing | None = None

    def search(self) -> list[Piece]:
        """All pieces, which cover the range; each is proved, failed, behind one that failed, or not reached."""
        self.judge.rounding = self.sizes.rounding
        if not self.parts:
            return self.pieces
        start = self.family.enclose(_at(self.family.identity))
        (self.identity,) = self._stand([start])
        moves = self._moves(start)
        self.parts = [part for part in self.parts if self.identity.holds(part, moves)[0]]
        if not self.parts:
            for piece in self.pieces:
                piece.standing = self.identity
        while (todo := self._todo()) and not self.judge.tired:
            self._step(todo[:AT_ONCE])
        return self.pieces

    def wants(self, piece: Piece, part: Part) -> bool:
        """Whether a claim is still worth trying on a piece."""
        if part in piece.proved or part in piece.failed:
            return False
        return not any(
            other.side == piece.side and other.near < piece.near and (part in other.failed or part in other.doubtful)
            for other in self.pieces
        )

    def _todo(self) -> list[Piece]:
        found = [piece for piece in self.pieces if any(self.wants(piece, part) for part in self.parts)]
        return sorted(found, key=lambda piece: (piece.near, piece.far))

    def _step(self, todo: list[Piece]) -> None:
        """Halve the pieces that are surely too large; let the network see the middles of the others."""
        seen = [(piece, self.family.enclose(piece.cell)) for piece in todo]
        fitting = []
        for piece, enclosure in seen:
            moves = self._moves(enclosure)
            if self._too_large(moves) and piece.depth < self.family.depth:
                self._halve(piece)
            else:
                fitting.append((piece, enclosure, moves))
        if not fitting:
            return
        standings = self._stand([enclosure for _, enclosure, _ in fitting])
        for (piece, _, moves), standing in zip(fitting, standings, strict=True):
            self._judge(piece, moves, standing)

    def _judge(self, piece: Piece, moves: Moves, standing: Standing) -> None:
        piece.standing, unmoved = standing, Moves(moves.covered * 0.0, moves.resize, moves.budget)
        for part in [part for part in self.parts if self.wants(piece, part)]:
            if standing.holds(part, moves)[0]:
                piece.proved.add(part)
                piece.doubtful.discard(part)
            elif piece.depth == self.family.depth:
                piece.failed.add(part)
            elif not standing.holds(part, unmoved)[0]:
                piece.doubtful.add(part)
        if any(part not in piece.proved and part not in piece.failed for part in self.parts):
            self._halve(piece)

    def _halve(self, piece: Piece) -> None:
        at = self.pieces.index(piece)
        self.pieces[at : at + 1] = [
            piece_of(cell, self.family, depth=piece.depth + 1, like=piece) for cell in halves(piece.cell, self.family)
        ]

    def _too_large(self, moves: Moves) -> bool:
        """Whether no claim that the identity supports leaves room for as large a cell, were its middle as good."""
        assert self.identity is not None
        shrunk = Moves(moves.covered / _SHARE, moves.resize, moves.budget)
        return not any(self.identity.holds(part, shrunk)[0] for part in self.parts)

    def _moves(self, enclosure: Enclosure) -> Moves:
        seen = zip(self.optics.see(enclosure.half), self.sizes.rounding, strict=True)
        distances = [cover_radius(one[None], rounding=rounding) for one, rounding in seen]
        return self.sizes.moves(distances, np.zeros(1, dtype=np.int64), self.optics.of_probe)

    def _stand(self, enclosures: Sequence[Enclosure]) -> list[Standing]:
        return self.judge.stand(self.optics.see_all([one.centre for one in enclosures]), self.parts)


def piece_of(cell: Cell, family: Continuous, *, depth: int = 0, like: Piece | None = None) -> Piece:
    """A cell with its place relative to the identity; what is proved or doubtful of a larger one comes with it."""
    near, far = _distances(cell, family)
    side = 1.0
    if len(cell) == 1 and sum(cell[0]) < 2.0 * family.identity[0]:
        side = -1.0
    if like is None:
        return Piece(cell, side, near, far, depth)
    return Piece(cell, side, near, far, depth, set(like.proved), set(like.doubtful), set(like.failed))


def halves(cell: Cell, family: Continuous) -> list[Cell]:
    """Two closed cells that cover this one: cut across the parameter that is widest for its range."""
    widths = [
        (high - low) / ((top - bottom) or 1.0) for (low, high), (bottom, top) in zip(cell, family.span, strict=True)
    ]
    axis = int(np.argmax(widths))
    low, high = cell[axis]
    middle = 0.5 * (low + high)
    return [(*cell[:axis], part, *cell[axis + 1 :]) for part in ((low, middle), (middle, high))]


def _orthants(family: Continuous) -> list[Cell]:
    """The range, cut at the identity."""
    cells: list[Cell] = [()]
    for (low, high), at in zip(family.span, family.identity, strict=True):
        parts = [(low, high)] if at in (low, high) else [(low, at), (at, high)]
        cells = [(*cell, part) for cell in cells for part in parts]
    return cells


def _at(point: Sequence[float]) -> Cell:
    return tuple((value, value) for value in point)


def _distances(cell: Cell, family: Continuous) -> tuple[float, float]:
    """From where to where a cell goes, seen from the identity: the largest parameter counts, as a share of its way."""
    near = far = 0.0
    for (low, high), at, (bottom, top) in zip(cell, family.identity, family.span, strict=True):
        way = (top - at if low + high >= 2.0 * at else at - bottom) or 1.0
        ends = sorted((abs(low - at) / way, abs(high - at) / way))
        near, far = max(near, ends[0]), max(far, ends[1])
    return near, far
