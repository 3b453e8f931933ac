"""A filter of rows by fewer and shorter numbers (THEORY §6.4): what it passes over is proved not to matter.

Every row e of a part is taken apart as e = μ + Pᵀw + r, with P a few turned directions (m × d), w = S·k for integers k
of 8 bits, and r what is left. For any query y

    ⟨y,e⟩ = ⟨y,μ⟩ + ⟨Py,w⟩ + ⟨y − PᵀPy, r⟩ + ⟨Py, Pr⟩ ≤ ⟨y,μ⟩ + ⟨Py,w⟩ + ‖y − PᵀPy‖·t + ‖Py‖·c,

with t ≥ ‖r‖ and c ≥ ‖Pr‖, both from the difference itself. Nothing rests on P being orthogonal, nor on μ being a mean:
both are just numbers, and good ones make t and c small. Py is written as s·κ with integers κ of 8 bits too; what that
leaves, times the longest w, is added. So the bound is base + U·I with U = s·S and I = ⟨κ,k⟩ + a·τ + b·χ, where T·τ ≥ t
and C·χ ≥ c are integers of 8 bits stored with k, and a·U ≥ ‖y − PᵀPy‖·T and b·U ≥ ‖Py‖·C belong to the query: *one
product of integers a row, which is exact on every machine*, in any order of summation. (a and b are spread over some
repeated columns, since each entry of the query's code has 8 bits.)

All other arithmetic is float64. With ‖P‖_F ≤ 64, d ≤ 4096, m ≤ 1024 and numbers of size at most 4, all its roundings
together stay below 1e-8, which ROUNDING adds wherever a bound is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .integer_products import WIDEST, integer_products

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Ids = npt.NDArray[np.int64]

REST, LOST = 6, 2
"""Columns that repeat τ and χ: so many times 127 is the most that a and b can be."""
PEAK = 127
ROUNDING = 1e-8
DIM, LONG, MOST_TURNED = 4096, 4.0, 64.0
"""d, lengths, and ‖P‖_F for which that is enough."""
_OUTWARD = 1.0 + 1e-12


@dataclass(frozen=True, slots=True)
class Question:
    """A query as one part's filter sees it: ⟨y,e⟩ ≤ base + unit·I for the integer I that ``code`` gives with a row.

    Attributes:
        code: (D,) int8.
        base, unit: of the bound.
    """

    code: Int8
    base: float
    unit: float

    def least(self, bound: float) -> int:
        """Rows whose integer is below this have an inner product below ``bound``; NaN passes nothing over."""
        steps = (bound - self.base) / self.unit
        if not math.isfinite(steps):
            return np.iinfo(np.int32).max if steps > 0.0 else np.iinfo(np.int32).min
        return max(np.iinfo(np.int32).min, min(np.iinfo(np.int32).max, math.floor(steps - 1e-6 * abs(steps)) - 1))

    def bound(self, integer: int) -> float:
        """The most that the inner product of a row with this integer, or less, can be."""
        return self.base + self.unit * integer * (_OUTWARD if integer > 0 else 1.0 / _OUTWARD) + ROUNDING

    def bounds(self, integers: Int32) -> Float64:
        """(m,) :meth:`bound` of each of several integers."""
        steps = self.unit * integers.astype(np.float64)
        return self.base + steps * np.where(steps > 0.0, _OUTWARD, 1.0 / _OUTWARD) + ROUNDING


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Codes of the rows of one part.

    Attributes:
        turn: (m, d) P; centre: (d,) μ. Float64 numbers, exact.
        scale: S; rest: T; lost: C.
        longest: an upper bound on ‖w‖ of every row.
        spread: an upper bound on ‖P‖, as an operator.
        codes: (n, D) int8: k, then τ repeated, then χ repeated.
        always: numbers of rows that no bound is known of: they are never passed over.
    """

    turn: Float64
    centre: Float64
    scale: float
    rest: float
    lost: float
    longest: float
    spread: float
    codes: Int8
    always: Ids

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.codes)

    def __post_init__(self) -> None:
        m, d = self.turn.shape
        turned = float(np.sqrt(np.square(self.turn).sum()))
        if not (d <= DIM and m + REST + LOST <= self.width <= WIDEST and turned <= MOST_TURNED):
            raise ValueError(f"rounding may be more than what is added for it: {self.turn.shape}, ‖P‖ {turned}")
        if not (self.longest <= LONG and min(self.scale, self.rest, self.lost) > 0.0 and self.spread <= MOST_TURNED):
            raise ValueError(f"no filter of unit rows: {self.longest}, {self.scale}, {self.rest}, {self.lost}")

    @property
    def width(self) -> int:
        """Bytes a row."""
        return self.codes.shape[1]

    def ask(self, query: Float32) -> Question:
        """Write a query (d,) as a code."""
        y = query.astype(np.float64)
        if not float(np.sqrt(np.square(y).sum())) <= LONG:  # nothing is claimed of such numbers: all rows are kept
            return Question(np.zeros(self.width, dtype=np.int8), math.inf, 1.0)
        seen = self.turn @ y
        length = _longer(seen)
        unseen = _longer(y - seen @ self.turn)
        step = float(np.abs(seen).max(initial=0.0)) / PEAK or 1.0
        while True:
            unit = step * self.scale
            rest, lost = (math.ceil(one / unit * _OUTWARD) for one in (unseen * self.rest, length * self.lost))
            if rest <= REST * PEAK and lost <= LOST * PEAK:
                break
            step *= 1.25
        parts = np.clip(np.rint(seen / step), -PEAK, PEAK)
        left = _longer(seen - step * parts)
        base = float(y @ self.centre) + left * self.longest + ROUNDING * (1.0 + self.spread * self.longest)
        code = np.concatenate([parts, _spread(rest, REST), _spread(lost, LOST), np.zeros(self._padding)])
        return Question(code.astype(np.int8), base, unit)

    @property
    def _padding(self) -> int:
        return self.width - len(self.turn) - REST - LOST

    def integers(self, questions: list[Question]) -> Iterator[tuple[int, Int32]]:
        """(first row, (rows, b) integers) of all rows, some at a time. What is given is overwritten by the next."""
        return integer_products(self.codes, np.stack([one.code for one in questions]))

    def only(self, kept: Ids | slice, always: Ids) -> RowFilter:
        """The filter of some rows.

        Args:
            kept: which; a slice copies nothing.
            always: which of these, in their new numbers, are never passed over.
        """
        return replace(self, codes=self.codes[kept], always=always)


def _longer(a: Float64) -> float:
    """An upper bound on a norm, and on what rounding made of the vector."""
    length = float(np.sqrt(np.square(a).sum()))
    return length * _OUTWARD + ROUNDING


def _spread(total: int, places: int) -> Float64:
    """A number as a sum of at most PEAK each."""
    return np.clip(total - PEAK * np.arange(places), 0, PEAK).astype(np.float64)
