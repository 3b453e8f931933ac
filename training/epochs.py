"""Which rows a step trains on: every row once an epoch, in an order that is a function of the seed and the epoch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError

Rows = npt.NDArray[np.int64]


class Epochs:
    """Batches without replacement; what does not fill the last batch of an epoch waits for the next epoch.

    Args:
        rows: what there is to draw from.
        batch: rows of a step, at most all of them.
        seed: of the orders.

    Raises:
        UsageError: where there are fewer rows than a batch holds.
    """

    def __init__(self, rows: Rows, *, batch: int, seed: int) -> None:
        if not 1 <= batch <= len(rows):
            raise UsageError(f"a batch of {batch} needs as many training items; there are {len(rows)}: lower batch")
        self.rows, self.size, self.seed = rows, batch, seed
        self.per_epoch = len(rows) // batch
        # Batches are made on threads; the last two orders serve them all.
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def at(self, step: int) -> Rows:
        """(batch,) rows of a step; a pure function of it."""
        epoch, place = divmod(step, self.per_epoch)
        return self._order(epoch)[place * self.size : (place + 1) * self.size]

    def _shuffled(self, epoch: int) -> Rows:
        return np.random.default_rng([self.seed, epoch, 1]).permutation(self.rows)
