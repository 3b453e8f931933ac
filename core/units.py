"""The three ways a radius is reported: ℓ2 in pixels, RMSE in 8-bit levels, and the PSNR floor in dB (THEORY §0)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import UsageError
from .numerics import round_down

Unit = Literal["l2", "rmse", "psnr"]


@dataclass(frozen=True, slots=True)
class Radius:
    """A radius around one image of n values in [0, 1] (n = 3·H·W).

    Attributes:
        l2: Euclidean norm over all n values, ≥ 0 and finite.
        values: n, the number of values of the query as decoded.
    """

    l2: float
    values: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.l2) and self.l2 >= 0):
            raise ValueError(f"a radius must be finite and non-negative, got {self.l2!r}")
        if self.values <= 0:
            raise ValueError(f"a radius needs an image with values, got {self.values}")

    @property
    def rmse(self) -> float:
        """255·r/√n: root mean square change in 8-bit levels; does not depend on the resolution."""
        return round_down(255.0 * self.l2 / math.sqrt(self.values))

    @property
    def psnr(self) -> float | None:
        """The floor in dB: every image at least this close is covered. None at radius 0 (no image is)."""
        if self.l2 == 0:
            return None
        return -20.0 * math.log10(self.l2 / math.sqrt(self.values))

    def as_json(self) -> dict[str, float | None]:
        """``{"l2": …, "rmse": …, "psnr": …}``."""
        return {"l2": self.l2, "rmse": self.rmse, "psnr": self.psnr}


UNITS: tuple[str, ...] = get_args(Unit)


def check_unit(name: str) -> Unit:
    """Validate a unit's name.

    Raises:
        UsageError: for another word, naming the choices.
    """
    if name not in UNITS:
        raise UsageError(f"unknown unit {name!r}; choose rmse (8-bit levels), l2 (pixels) or psnr (dB)")
    return name  # type: ignore[return-value]


def to_l2(amount: float, unit: Unit, values: int) -> float:
    """Convert a budget to ℓ2 for an image of n values.

    Args:
        amount: ℓ2 norm, RMSE in 8-bit levels, or PSNR in dB.
        unit: which of the three.
        values: n = 3·H·W.

    Raises:
        UsageError: for a non-finite or a negative norm.
    """
    if not math.isfinite(amount) or (unit != "psnr" and amount < 0):
        raise UsageError(f"a budget must be a finite number ≥ 0, got {amount} {unit}")
    if unit == "l2":
        return amount
    if unit == "rmse":
        return amount * math.sqrt(values) / 255.0
    return math.sqrt(values) * 10.0 ** (-amount / 20.0)
