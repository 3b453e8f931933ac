"""How far rows are from each other: float32 products propose, float64 differences decide.

A product of matrices gives other last digits for other blocks of rows. A gap must be the same whenever and in whatever
company it is measured, so each number that is kept comes from one pair of rows alone, summed in one fixed order.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.numerics import dot
from ..core.types import Score
from .stored_rows import SomeRows
from .vectors import Float32, Ids

Float64 = npt.NDArray[np.float64]

SLACK = 2.0**-13
"""Of float32 products, relative to the lengths of the rows: far above what 16,000 of their roundings can add up to."""
BLOCK = 2**20
"""Products held at a time, by each thread: 4 MB, a few times over. Four times as many are no quicker, and an allocator
keeps half a gigabyte of them."""
_PAIRS = 2**12
_ROWS = 2**13
_LIKE = 0.99
"""Share of the vectors of a set that are nearer to the next one than its ``farthest``."""


@dataclass(frozen=True, slots=True)
class Others:
    """Rows that others are compared with.

    Attributes:
        rows: n of them, (n, dim) float32 or still stored; unit rows for cosine.
        score: how they are compared.
        squares: (n,) squared lengths (Euclidean).
    """

    rows: SomeRows
    score: Score
    squares: Float32

    @staticmethod
    def of(rows: SomeRows, score: Score) -> Others:
        """Prepare rows to be compared with."""
        if score == "cosine":
            return Others(rows, score, np.zeros(0, np.float32))
        parts = (rows[first : first + _ROWS] for first in range(0, len(rows), _ROWS))
        return Others(rows, score, np.concatenate([np.zeros(0, "f4"), *(np.einsum("ij,ij->i", p, p) for p in parts)]))

    def nearness(self, own: Float32, places: slice = slice(None)) -> Float32:
        """(m, n) float32: inner products, or minus the squared distances; larger is nearer. Of all, or of some."""
        products = _products(own, self.rows[places])
        if self.score == "cosine":
            return products
        products *= 2.0
        products -= np.einsum("ij,ij->i", own, own)[:, None]
        products -= self.squares[places]
        return products

    def nearness_of(self, own: Float32, left: Ids, right: Ids) -> Float32:
        """(p,) the same of pairs (own[left], rows[right]) alone, up to rounding."""
        parts = [np.zeros(0, np.float32)]
        for start in range(0, len(left), _PAIRS):
            one, other = left[start : start + _PAIRS], right[start : start + _PAIRS]
            parts.append(np.einsum("ij,ij->i", own[one], self.rows[other]))
        products = np.concatenate(parts)
        if self.score == "cosine":
            return products
        return 2.0 * products - np.einsum("ij,ij->i", own, own)[left] - self.squares[right]

    def slack(self, own: Float32) -> float:
        """How far such a number may be off."""
        if self.score == "cosine":
            return SLACK
        largest = float(np.einsum("ij,ij->i", own, own).max(initial=0.0)) + float(self.squares.max(initial=0.0))
        return SLACK * largest

    def at(self, far: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The nearness of angles in [0, π] or distances."""
        far = np.asarray(far, dtype=np.float64)
        return (np.cos(np.minimum(far, math.pi)) if self.score == "cosine" else -(far**2)).astype(np.float32)

    def distances(self, own: Float32 | Float64, left: Ids, right: Ids) -> Float64:
        """(p,) angles in radians, or distances, of pairs (own[left], rows[right]); the same for each pair alone."""
        parts = [np.zeros(0)]
        for start in range(0, len(left), _PAIRS):
            pairs = slice(start, start + _PAIRS)
            apart = own[left[pairs]].astype(np.float64) - self.rows[right[pairs]]
            parts.append(np.sqrt(dot(apart, apart)))
        return to_angles(np.concatenate(parts)) if self.score == "cosine" else np.concatenate(parts)


def places_of(mask: npt.NDArray[np.bool_]) -> tuple[Ids, Ids]:
    """(rows, columns) where an (m, n) mask is true, as ``np.nonzero`` has them, ten times as fast where few are."""
    if not mask.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    left, right = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return left, right


def torch_is_here() -> bool:
    """Whether something has loaded torch: its products stay within a thread, where numpy's start threads that spin."""
    return "torch" in sys.modules


def _products(own: Float32, rows: Float32) -> Float32:
    """(m, dim) and (n, dim) → (m, n). To take an item out of an index needs no torch, and does not load it."""
    if not torch_is_here():
        return own @ rows.T
    import torch

    mine, theirs = (torch.from_numpy(one if one.flags.writeable else one.copy()) for one in (own, rows))
    return torch.mm(mine, theirs.T).numpy()


def to_angles(chords: Float64) -> Float64:
    """Angles of chords between unit vectors; a chord is as exact for the smallest of them as for any."""
    return 2.0 * np.arcsin(np.minimum(0.5 * chords, 1.0))


def nearest(others: Others, own: Float32, near: Float32) -> tuple[Ids, Ids, Float64]:
    """The nearest of the others for each row, where any is left.

    Args:
        others: n of them.
        own: (m, dim) rows.
        near: (m, n) of :meth:`Others.nearness`, −inf where one does not count.

    Returns:
        Pairs (row, other) in the order of rows, and their distances: of every row all others that may be the nearest
        one, so that the least of them is exact.
    """
    best = near.max(axis=1, initial=-np.inf)
    # Where nothing is left the best is −inf; a number that is larger than all finite ones is reached by none.
    least = np.where(np.isfinite(best), best - np.float32(2.0 * others.slack(own)), np.float32(np.inf))
    left, right = places_of(near >= least[:, None])
    return left, right, others.distances(own, left, right)


def least(rows: int, left: Ids, far: Float64) -> Float64:
    """(rows,) the least number of each row; inf where there is none."""
    found = np.full(rows, np.inf)
    np.minimum.at(found, left, far)
    return found


def measure_near(rows: Float32, score: Score) -> Float32:
    """(n,) how far each row is from the nearest other one, rounded down; inf where there is no other."""
    others, found = Others.of(rows, score), []
    for start in _starts(len(rows), len(rows)):
        own = rows[start.start : start.stop]
        near = others.nearness(own)
        near[np.arange(len(own)), np.arange(start.start, start.start + len(own))] = -np.inf
        left, _, far = nearest(others, own, near)
        found.append(least(len(own), left, far))
    return rounded_down(np.concatenate([np.zeros(0), *found]))


def constants_of(near: Float32) -> dict[str, float]:
    """``typical`` and ``farthest`` of a reference set whose vectors are so near to each other."""
    finite = np.sort(near[np.isfinite(near) & (near > 0.0)])
    if not len(finite):
        return {}
    return {"typical": float(np.median(finite)), "farthest": float(finite[int(_LIKE * (len(finite) - 1))])}


def rounded_down(numbers: Float64) -> Float32:
    """The largest float32 numbers that are no larger."""
    single = numbers.astype(np.float32)
    return np.where(single > numbers, np.nextafter(single, np.float32(-np.inf)), single)


def _starts(rows: int, others: int) -> Iterator[slice]:
    step = max(1, BLOCK // max(1, others))
    return (slice(start, min(rows, start + step)) for start in range(0, rows, step))
