"""The lengths of stored rows, and which of them no index of retr holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..certificates.shortlist import stored_row_tolerance
from ..core.errors import IntegrityError
from ..core.numerics import gamma, round_down
from ..core.types import Score

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
_AT_ONCE = 4096


class Stored(Protocol):
    """Rows of one channel as they are opened, see ``vectors.RowStore``."""

    @property
    def parts(self) -> Sequence[Float32]:
        """One array of rows for each segment."""
        ...

    @property
    def starts(self) -> Sequence[int]:
        """Number of the first row of each part, and of all rows."""
        ...

    @property
    def score(self) -> Score:
        """How they are compared."""
        ...

    @property
    def filtered(self) -> Sequence[object | None]:
        """Per part its filter, None where all rows are read; empty for no filters."""
        ...


def row_norms(store: Stored) -> Iterator[tuple[int, Float64]]:
    """(number of the first row, norms) for some thousand rows at a time; relative error at most γ_{d+2}."""
    for part, start in zip(store.parts, store.starts, strict=False):
        for first in range(0, len(part), _AT_ONCE):
            yield start + first, norms(part[first : first + _AT_ONCE])


def norms(rows: Float32) -> Float64:
    """(m,) norms of (m, d) rows; relative error at most γ_{d+2}.

    Squares of float32 numbers are exact in float64, whatever the order of summation.
    """
    exact = rows.astype(np.float64)
    return np.sqrt(np.einsum("ij,ij->i", exact, exact))


def check_rows(store: Stored, name: str) -> None:
    """Refuse rows that a shortlist proves nothing about: not of unit length (cosine), or not finite.

    The floor under what a float32 search did not return takes unit rows for granted (THEORY §6). One pass over every
    row that has no filter, for filters are made of rows that passed: 20 ms for 20,000 rows of 768 numbers.

    Raises:
        IntegrityError: naming the first such row.
    """
    for number, (part, start) in enumerate(zip(store.parts, store.starts, strict=False)):
        if not store.filtered or store.filtered[number] is None:
            for first in range(0, len(part), _AT_ONCE):
                check_lengths(part[first : first + _AT_ONCE], start + first, store.score, name)


def check_lengths(rows: Float32, first: int, score: Score, name: str) -> None:
    """The same of some rows, numbered from ``first``."""
    lengths, dim = norms(rows), rows.shape[1]
    allowed = round_down(stored_row_tolerance(dim) - gamma(dim + 4)) if score == "cosine" else np.inf
    wrong = ~np.isfinite(lengths) | (np.abs(lengths - 1.0) > allowed)
    if wrong.any():
        place = int(wrong.argmax())
        raise IntegrityError(
            f"row {first + place} of {name} has length {lengths[place]:.9g}, which no index of retr holds: "
            "its files are damaged or foreign; check them with: retr info --verify"
        )
