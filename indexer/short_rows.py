"""Rows shortened so that their products bound those of the whole rows: most pairs need no more to be told far apart.

Let C have orthonormal columns, y = Cᵀa and r = a − C·y. Then a·b = y_a·y_b + r_a·r_b, and by Cauchy–Schwarz this is at
most y_a·y_b + ‖r_a‖·‖r_b‖: the product of the short rows (y, ‖r‖), which also have the lengths of the whole ones. So
they are never farther apart than those, by angle or distance. C only decides how often that helps: it spans what most
of the rows are made of, the leading eigenvectors of their second moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .stored_rows import SomeRows
from .vectors import Float32

Float64 = npt.NDArray[np.float64]

LEFT = 0.05
"""Share of the squared lengths that the short rows may only hold as a length."""
_STEP = 16
_SAMPLE = 4096
_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Shortening:
    """A map of rows to short ones: ``basis`` is C, (dim, k) float64."""

    basis: Float64

    def of(self, rows: SomeRows) -> Float32:
        """(n, dim) → (n, k + 1) float32, never farther from each other than the rows are, up to rounding."""
        short = np.empty((len(rows), self.basis.shape[1] + 1), dtype=np.float32)
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE].astype(np.float64)
            along = some @ self.basis
            beside = np.einsum("ij,ij->i", some, some) - np.einsum("ij,ij->i", along, along)
            short[first : first + _AT_ONCE, :-1] = along
            short[first : first + _AT_ONCE, -1] = np.sqrt(np.maximum(beside, 0.0))
        return short


def shortening(rows: SomeRows) -> Shortening | None:
    """What shortens rows like these well; None where half of their numbers would not hold enough of them."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)].astype(np.float64)
    values, vectors = np.linalg.eigh(sample.T @ sample)
    held = np.cumsum(values[::-1]) / max(float(values.sum()), np.finfo(np.float64).tiny)
    few = -(-(int(np.searchsorted(held, 1.0 - LEFT)) + 1) // _STEP) * _STEP
    return Shortening(np.ascontiguousarray(vectors[:, ::-1][:, :few])) if 2 * few <= sample.shape[1] else None
