"""Which other threat models an ℓ2 radius covers (docs/theory.md, Spaces, units, symbols)."""

from __future__ import annotations

import math
from typing import Literal

from ..core.errors import UsageError
from ..core.numerics import round_up

ThreatNorm = Literal["l2", "linf", "l1", "pixels"]


def covers(radius: float, norm: ThreatNorm, amount: float, n: int) -> bool:
    """Whether every perturbation of the threat model has an ℓ2 norm below the radius.

    ℓ2 and ℓ1: ε < r. ℓ∞: ε·√n < r. k changed pixels of three values in [0, 1]: √(3k) < r. Rounded against us.

    Args:
        radius: certified ℓ2 radius, ≥ 0.
        norm: l2, l1, linf or pixels.
        amount: ε, or the number of pixels k.
        n: number of values of the query as decoded, 3·H·W.

    Raises:
        UsageError: for a negative or non-finite number, or an unknown norm.
    """
    if not (radius >= 0 and math.isfinite(amount) and amount >= 0 and n > 0):
        raise UsageError(f"radius, amount and n must be finite and ≥ 0, got {radius}, {amount}, {n}")
    if norm in ("l2", "l1"):
        return amount < radius
    if norm == "linf":
        return round_up(amount * round_up(math.sqrt(n))) < radius
    if norm == "pixels":
        return round_up(math.sqrt(round_up(3.0 * min(amount, n / 3)))) < radius
    raise UsageError(f"unknown norm {norm!r}; choose l2, linf, l1 or pixels")
