"""Stored rows compared with a query, a few at a time: what ``compare`` gives for them, to the last bit.

An answer looks at some thousand rows, and each needs ten passes over its numbers. As many rows at once as a processor's
cache holds, number after number in memory, take a third of the time that ten passes over all of them take.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.numerics import norm, tree_sum_first
from ..core.types import Score
from .compared import Compared
from .rounding import Array, check_embedding, check_rows, unit_tolerance_of

Float32 = npt.NDArray[np.float32]
_BLOCK = 2**15
"""Numbers that are worked on at a time, twice over."""


def defined_rows(stored: Float32, score: Score) -> Array:
    """The exact numbers that stored rows (m, d) define: float64, unit rows for cosine.

    Column after column in memory: sums over columns (``core.numerics.tree_sum``) then add long runs.
    """
    m, d = stored.shape
    columns, step = np.empty((d, m)), max(1, _BLOCK // max(1, d))
    for start in range(0, m, step):  # turned while a processor's cache holds them
        columns[:, start : start + step] = stored[start : start + step].T
    rows = columns.T
    return np.divide(rows, norm(rows)[:, None], out=rows) if score == "cosine" else rows


def compare_stored(z: Array, stored: Float32, score: Score) -> tuple[Compared, Array]:
    """Compare a query with the rows that stored ones define.

    Args:
        z: (d,) query embedding, not normalised.
        stored: (m, d) float32.
        score: cosine or euclidean.

    Returns:
        what ``compare(z, defined_rows(stored, score), score)`` gives, and (m,) how far the rows are from ẑ (cosine) or
        z (Euclidean), as ``core.numerics.norm`` computes it.

    Raises:
        UsageError: as ``compare``.
    """
    check_embedding(z, score)
    if stored.ndim != 2 or stored.shape[1] != len(z):
        raise UsageError(f"gallery rows have shape {stored.shape}, the query embedding has {len(z)} numbers")
    length = norm(z)
    blocks = _cosine if score == "cosine" else _euclidean
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # what is not finite is refused below
        scores, across, units, far = blocks(z, length, stored)
    if not (np.isfinite(scores).all() and np.isfinite(across).all()):
        check_rows(stored.astype(np.float64), len(z))
        raise UsageError("a row is zero, or an embedding so long that the square of its distance to a row overflows")
    nu = unit_tolerance_of(units, len(z)) if score == "cosine" else np.zeros(len(stored))
    return Compared(z, score, float(length), scores, across, nu), far


def _cosine(z: Array, length: Array, stored: Float32) -> tuple[Array, Array, Array, Array]:
    """(m,) each: ⟨z,u⟩, ‖z − ⟨z,u⟩u‖, ‖u‖ and ‖ẑ − u‖."""
    m, d = stored.shape
    column, direction = z[:, None], (z / length)[:, None]
    along, across, units, far = np.empty((4, m))
    step = max(1, _BLOCK // d)
    room, spare = np.empty((2, d * step))
    for start in range(0, m, step):
        some = slice(start, min(m, start + step))
        shape = (d, some.stop - start)
        u, work = room[: d * shape[1]].reshape(shape), spare[: d * shape[1]].reshape(shape)
        u[...] = stored[some].T
        np.divide(u, np.sqrt(tree_sum_first(np.multiply(u, u, out=work))), out=u)
        along[some] = tree_sum_first(np.multiply(column, u, out=work))
        np.subtract(column, np.multiply(along[some], u, out=work), out=work)
        across[some] = np.sqrt(tree_sum_first(np.multiply(work, work, out=work)))
        units[some] = np.sqrt(tree_sum_first(np.multiply(u, u, out=work)))
        np.subtract(direction, u, out=work)
        far[some] = np.sqrt(tree_sum_first(np.multiply(work, work, out=work)))
    return along, across, units, far


def _euclidean(z: Array, _length: Array, stored: Float32) -> tuple[Array, Array, Array, Array]:
    """(m,) each: −‖z − e‖², ‖z − e‖, nothing, and ‖z − e‖ again."""
    m, d = stored.shape
    squares = np.empty(m)
    step = max(1, _BLOCK // d)
    for start in range(0, m, step):
        some = slice(start, min(m, start + step))
        apart = np.empty((d, some.stop - start))
        np.subtract(z[:, None], stored[some].T, out=apart)
        squares[some] = tree_sum_first(np.multiply(apart, apart, out=apart))
    far = np.sqrt(squares)
    return -squares, far, squares, far
