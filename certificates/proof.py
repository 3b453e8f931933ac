"""The proof object that goes with a certified answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..core.types import UpperBound


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a reader needs to check a certified answer, validated when it is made.

    Attributes:
        rows_scanned: rows whose scores were computed or bounded.
        rows_total: rows in the snapshot.
        network: proved bound L_g of the network (T8).
        resize: proved bound ρ of the resize from this query's size.
        slack: what rounding took from the radii, in pixels, ≥ 0 (docs/theory.md, Rounding).
        limited_by: id of the item whose half-space is nearest, None where nothing limits.
        exact: the answer is that of a float64 scan of every row.
    """

    rows_scanned: int
    rows_total: int
    network: UpperBound
    resize: UpperBound
    slack: float
    limited_by: str | None
    exact: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.rows_scanned <= self.rows_total:
            raise ValueError(f"scanned {self.rows_scanned} of {self.rows_total} rows")
        if self.exact and self.rows_scanned != self.rows_total:
            raise ValueError(f"an exact answer scans every row, not {self.rows_scanned} of {self.rows_total}")
        if not (self.network.value > 0 and self.resize.value > 0):
            raise ValueError("the Lipschitz bounds must be positive")
        if not (math.isfinite(self.slack) and self.slack >= 0):
            raise ValueError(f"the slack must be finite and ≥ 0, got {self.slack}")

    @property
    def lipschitz(self) -> UpperBound:
        """L = L_g·ρ, rounded up: the constant that every radius was divided by."""
        return self.network.times(self.resize)

    def as_json(self) -> dict[str, Any]:
        """The ``certificate`` object of a query's JSON answer."""
        network, resize = self.network, self.resize
        return {
            "exact": self.exact,
            "rows_scanned": self.rows_scanned,
            "rows_total": self.rows_total,
            "lipschitz": {"network": network.value, "resize": resize.value, "total": self.lipschitz.value},
            "methods": {"network": network.method, "resize": resize.method},
            "slack": self.slack,
            "limited_by": self.limited_by,
        }
