"""What a family of edits is to a proof: finitely many members, or a box of parameters that can be cut into cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...core.errors import UsageError

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB, as decoded."""
Levels = npt.NDArray[np.float64]
"""(H, W, 3) float64 in 8-bit levels, 0…255."""
Cell = tuple[tuple[float, float], ...]
"""A closed interval for each parameter."""
Point = tuple[float, ...]

OUTWARD = 1e-7
"""Levels by which ends are moved outward before they are rounded to 8 bits: far more than float64 loses on the way."""


@dataclass(frozen=True)
class Finite:
    """A family with finitely many members.

    Attributes:
        name: of the family, as asked for.
        program: what makes a member, with versions.
        values: (n,) the parameter of each member; several may share one (crops of one share).
        identity: the value that leaves the image as it is, or would.
        sizes: (n, 2) height and width of each member.
        make: number of a member → its pixels as our decoder returns them.
        label: number of a member → the member in words.
        names: what the value is called.
        ordered: whether "from the identity outwards" means anything; else each member stands for itself.
    """

    name: str
    program: str
    values: npt.NDArray[np.float64]
    identity: float
    sizes: npt.NDArray[np.int64]
    make: Callable[[int], Pixels]
    label: Callable[[int], str]
    names: tuple[str, ...] = ("quality",)
    ordered: bool = True

    @property
    def span(self) -> Cell:
        """From the least to the largest value."""
        return ((float(self.values.min()), float(self.values.max())),)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Enclosure:
    """Every member of a cell is within ``half`` of ``centre``, value by value, as it is decoded.

    Attributes:
        centre: (H, W, 3) in levels, need not be 8-bit values.
        half: (H, W, 3) in levels, ≥ 0.
    """

    centre: Levels
    half: Levels


@dataclass(frozen=True)
class Continuous:
    """A family with one or more real parameters, whose members have the query's size.

    Attributes:
        name, program: as in :class:`Finite`.
        span: the asked interval of each parameter.
        identity: the point that leaves the image as it is; inside of ``span`` or at its nearest end.
        enclose: a cell → bounds that hold for every member of it, roundings of the program included.
        member: a point → the member's pixels.
        names: of the parameters.
        depth: how often a cell may be halved.
    """

    name: str
    program: str
    span: Cell
    identity: Point
    enclose: Callable[[Cell], Enclosure]
    member: Callable[[Point], Pixels]
    names: tuple[str, ...] = field(default=("factor",))
    depth: int = 7

    def __post_init__(self) -> None:
        for low, high in self.span:
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise UsageError(f"{self.name}: a range goes from its lower to its upper end, got {low}..{high}")


def to_8_bits(levels: Levels) -> Pixels:
    """Clip to 0…255 and round to the nearest whole level."""
    return np.rint(np.clip(levels, 0.0, 255.0)).astype(np.uint8)


def between(low: Levels, high: Levels) -> Enclosure:
    """The enclosure of all that lies between two images before it is clipped and rounded to 8 bits.

    Both steps keep order, so they are done to the ends, which are first moved outward by what float64 may lose.
    """
    least, most = to_8_bits(low - OUTWARD).astype(np.float64), to_8_bits(high + OUTWARD).astype(np.float64)
    return Enclosure((least + most) * 0.5, (most - least) * 0.5)
