"""Many queries as one part's filter sees them: :meth:`row_filter.RowFilter.ask` of all of them at once.

The theorem is that of ``row_filter`` (THEORY §6.4): ⟨y,e⟩ ≤ base + unit·I for every query y and every row e of a part.
Its rounding allowance holds for sums in any order, so for products of matrices too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .row_filter import LONG, LOST, PEAK, REST, ROUNDING, Float32, Float64, Int8, Int32, RowFilter

_OUTWARD = 1.0 + 1e-12
_LEAST, _MOST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class Questions:
    """Queries: see :class:`row_filter.Question`.

    Attributes:
        codes: (b, D) int8.
        base, unit: (b,) of the bounds.
    """

    codes: Int8
    base: Float64
    unit: Float64

    def least(self, bounds: npt.NDArray[np.floating]) -> Int32:
        """(b,) rows whose integer is below a query's have an inner product below its bound; NaN passes nothing over."""
        with np.errstate(invalid="ignore"):  # of a query of which nothing is claimed
            steps = (bounds.astype(np.float64) - self.base) / self.unit
        steps = np.clip(np.where(np.isnan(steps), _LEAST, steps), 2.0 * _LEAST, 2.0 * _MOST)
        return np.clip(np.floor(steps - 1e-6 * np.abs(steps)) - 1.0, _LEAST, _MOST).astype(np.int32)


def ask_all(codes: RowFilter, queries: Float32) -> Questions:
    """Write queries (b, d) as codes. Of those that are longer than the theorem says, every row is kept."""
    y = queries.astype(np.float64)
    known = np.sqrt(np.square(y).sum(axis=1)) <= LONG  # not where there is a NaN
    y[~known] = 0.0
    seen = y @ codes.turn.T
    length, unseen = _longer(seen), _longer(y - seen @ codes.turn)
    step = np.abs(seen).max(axis=1, initial=0.0) / PEAK
    step[step == 0.0] = 1.0
    while True:
        unit = step * codes.scale
        rest, lost = (np.ceil(one / unit * _OUTWARD) for one in (unseen * codes.rest, length * codes.lost))
        small = (rest > REST * PEAK) | (lost > LOST * PEAK)
        if not small.any():
            break
        step[small] *= 1.25
    parts = np.clip(np.rint(seen / step[:, None]), -PEAK, PEAK)
    left = _longer(seen - step[:, None] * parts)
    base = y @ codes.centre + left * codes.longest + ROUNDING * (1.0 + codes.spread * codes.longest)
    padding = np.zeros((len(y), codes.width - parts.shape[1] - REST - LOST))
    whole = np.concatenate([parts, _spread(rest, REST), _spread(lost, LOST), padding], axis=1).astype(np.int8)
    whole[~known] = 0
    return Questions(whole, np.where(known, base, np.inf), np.where(known, unit, 1.0))


def _longer(rows: Float64) -> Float64:
    """(b,) upper bounds on norms, and on what rounding made of the vectors."""
    return np.sqrt(np.square(rows).sum(axis=1)) * _OUTWARD + ROUNDING


def _spread(totals: Float64, places: int) -> Float64:
    """(b, places) numbers as sums of at most PEAK each."""
    return np.clip(totals[:, None] - PEAK * np.arange(places), 0, PEAK)
