"""Values that cross rooms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .numerics import round_up

Score = Literal["cosine", "euclidean"]


@dataclass(frozen=True, slots=True)
class UpperBound:
    """A number proved to be at least the true quantity, and how that was proved.

    Only an UpperBound may enter a certificate. A measured value (power iteration, a largest ratio seen)
    is a float and must never be wrapped in this type.

    Attributes:
        value: the bound, finite and ≥ 0.
        method: a short sentence naming the proof.
    """

    value: float
    method: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value >= 0):
            raise ValueError(f"an upper bound must be finite and non-negative, got {self.value!r}")
        if not self.method:
            raise ValueError("an upper bound must name its method")

    def times(self, other: UpperBound) -> UpperBound:
        """Bound of a composition: the product, rounded up (THEORY T8)."""
        return UpperBound(round_up(self.value * other.value), f"{self.method} × {other.method}")
