"""Claims: rows that are said to stay ahead of all others, and how far (THEORY T1, T2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..indexer.vectors import Float32, Ids
from .channel import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """What is claimed of some rows, for sources to say which others might contradict it.

    Attributes:
        ids: (w,) their global numbers.
        rows: (w, d) as they are stored: whoever is asked need not hold them.
        radii: (w,) pixels, > 0: how far the query may move.
    """

    ids: Ids
    rows: Float32
    radii: Float64

    def are(self, other: Claims | None) -> bool:
        """Whether these are the same, to the last bit."""
        return other is not None and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("ids", "rows", "radii")
        )

    def and_also(self, more: Claims) -> Claims:
        """These and others."""
        ids, radii = np.concatenate([self.ids, more.ids]), np.concatenate([self.radii, more.radii])
        return Claims(ids, np.concatenate([self.rows, more.rows]), radii)

    def cover(self, ids: Ids, radius: float) -> bool:
        """Whether as much is claimed of each of these rows."""
        return bool(np.isin(ids, self.ids[self.radii >= radius]).all())
