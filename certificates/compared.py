"""What the float64 path computes of a query and of some rows: once, for every theorem that is asked about them.

Scores, verdict values, signed distances and their error bounds all follow from three numbers a row, which take one pass
over its d numbers each. An answer asks many theorems about the same rows; with these numbers at hand each of them is
arithmetic on arrays of (m,), and gives the bits that it gives where it starts from the rows themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.numerics import dot, norm, row_blocks, tree_sum
from ..core.types import Score
from .rounding import Array, check_embedding, check_rows, length_bounds, unit_tolerance


@dataclass(frozen=True, slots=True)
class Compared:
    """A query embedding z and m rows, compared.

    Attributes:
        z: (d,) float64, not normalised.
        score: cosine or euclidean.
        length: ‖z‖ as ``core.numerics.norm`` computes it.
        scores: (m,) see ``decision.ranking_scores``: ⟨z,u⟩, or −‖z−e‖².
        across: (m,) ‖z − ⟨z,u⟩u‖ for cosine, ‖z − e‖ for Euclidean.
        nu: (m,) proved bounds on |‖u‖ − 1| for cosine; 0 for Euclidean.
    """

    z: Array
    score: Score
    length: float
    scores: Array
    across: Array
    nu: Array

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def dim(self) -> int:
        """How many numbers z has: d."""
        return len(self.z)

    @property
    def longest(self) -> float:
        """A proved upper bound on ‖z‖."""
        return float(length_bounds(np.float64(self.length), self.dim)[1])

    def verdict_values(self) -> Array:
        """(m,) see ``decision.verdict_values``."""
        return self.scores / self.length if self.score == "cosine" else self.across

    def take(self, places: npt.NDArray[np.int64]) -> Compared:
        """Some of the rows, in that order."""
        some = (part[places] for part in (self.scores, self.across, self.nu))
        return Compared(self.z, self.score, self.length, *some)

    @staticmethod
    def none(z: Array, score: Score) -> Compared:
        """A query and no rows; of the query nothing is asked."""
        return Compared(z, score, 0.0, np.zeros(0), np.zeros(0), np.zeros(0))

    @staticmethod
    def stack(parts: Sequence[Compared]) -> Compared:
        """Rows one after the other, all compared with one query; at least one part."""
        first = parts[0]
        if any(part.z is not first.z and not np.array_equal(part.z, first.z) for part in parts):
            raise UsageError("rows that were compared with different queries cannot be put together")
        every = (np.concatenate([getattr(part, name) for part in parts]) for name in ("scores", "across", "nu"))
        return Compared(first.z, first.score, first.length, *every)


def compare(z: Array, rows: Array, score: Score) -> Compared:
    """Compare a query with rows.

    Args:
        z: (d,) query embedding, not normalised.
        rows: (m, d) float64; unit rows for cosine.
        score: cosine or euclidean.

    Raises:
        UsageError: for inputs that no theorem holds for: a zero embedding under cosine, NaN or infinity, rows that are
            not of unit length, shapes that do not fit.
    """
    check_embedding(z, score)
    check_rows(rows, z.shape[0])
    length = float(norm(z))
    if score == "cosine":
        along, across = polar(z, rows)
        return Compared(z, score, length, along, across, unit_tolerance(rows))
    with np.errstate(over="ignore"):
        squares = tree_sum(np.square(z - rows))
    if not np.isfinite(squares).all():
        raise UsageError("an embedding is too long: the square of its distance to a row overflows float64")
    return Compared(z, score, length, -squares, np.sqrt(squares), np.zeros(len(rows)))


def polar(z: Array, rows: Array) -> tuple[Array, Array]:
    """(m,) ⟨z,u⟩ and (m,) ‖z − ⟨z,u⟩u‖ of unit rows."""
    along = dot(z, rows)
    parts = [norm(z - along[some, np.newaxis] * rows[some]) for some in row_blocks(rows)]
    return along, np.concatenate([np.zeros(0), *parts])
