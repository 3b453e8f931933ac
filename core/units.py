"""The three ways a size of change is given: ℓ2 in pixels, RMSE in 8-bit levels, and PSNR in dB (THEORY §0).

Conversions are rounded in the direction that the caller's promise needs, to the next float64 on that side: what is
proved may only be stated smaller, what is asked for may only be proved larger, and an attack may only get less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from functools import partial
from numbers import Real
from typing import Literal, get_args

from .errors import UsageError

Unit = Literal["l2", "rmse", "psnr"]

_DIGITS = 80
"""Decimal digits of a conversion."""
_ERROR = Decimal("1e-45")
"""More than the relative error of a conversion (the logarithm loses the most: 33 digits near 0 dB), less than half the
relative distance of an exact result from a float64 that it is not (2⁻¹³³ between the squares of an RMSE)."""
_MOST_DB = 10_000.0
"""Beyond ± this the ℓ2 norm is out of the range of float64."""


@dataclass(frozen=True, slots=True)
class Radius:
    """A radius around one image of n values in [0, 1] (n = 3·H·W).

    Attributes:
        l2: Euclidean norm over all n values, ≥ 0 and finite.
        values: n, the number of values of the query as decoded.
        given: the number and the unit that somebody asked for, which ``l2`` covers; None for a radius that was proved.
    """

    l2: float
    values: int
    given: tuple[float, Unit] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.l2) and self.l2 >= 0):
            raise ValueError(f"a radius must be finite and non-negative, got {self.l2!r}")
        if self.values <= 0:
            raise ValueError(f"a radius needs an image with values, got {self.values}")

    @classmethod
    def asked(cls, amount: float, unit: Unit, values: int) -> Radius:
        """A budget as somebody gave it: its unit keeps the number as it is.

        Raises:
            UsageError: as :func:`to_l2`, and for one beyond float64.
        """
        amount = _number(amount, unit)
        l2 = to_l2(amount, unit, values)
        if math.isinf(l2):
            raise UsageError(f"a budget of {amount} {unit} is out of the range of numbers")
        return cls(l2, values, (amount, unit))

    @property
    def rmse(self) -> float:
        """255·r/√n, rounded down: root mean square change in 8-bit levels; does not depend on the resolution."""
        return rmse_of(self.l2, self.values) if self._unit != "rmse" else self._amount

    @property
    def psnr(self) -> float | None:
        """The floor in dB, rounded up: every image at least this close is covered. None at radius 0 (no image is)."""
        return psnr_of(self.l2, self.values) if self._unit != "psnr" else self._amount

    def as_json(self) -> dict[str, float | None]:
        """``{"l2": …, "rmse": …, "psnr": …}``."""
        return {"l2": self.l2, "rmse": self.rmse, "psnr": self.psnr}

    @property
    def _amount(self) -> float:
        assert self.given is not None, "asked only where a unit was given"
        return self.given[0]

    @property
    def _unit(self) -> Unit | None:
        return None if self.given is None else self.given[1]


UNITS: tuple[str, ...] = get_args(Unit)


def check_unit(name: str) -> Unit:
    """Validate a unit's name.

    Raises:
        UsageError: for another word, naming the choices.
    """
    if name not in UNITS:
        raise UsageError(f"unknown unit {name!r}; choose rmse (8-bit levels), l2 (pixels) or psnr (dB)")
    return name  # type: ignore[return-value]


def to_l2(amount: float, unit: Unit, values: int, *, inside: bool = False) -> float:
    """Convert a budget to ℓ2 for an image of n values.

    Args:
        amount: ℓ2 norm, RMSE in 8-bit levels, or PSNR in dB.
        unit: which of the three.
        values: n = 3·H·W.
        inside: rounded down, so that whoever stays within the ℓ2 norm stays within the budget: what an attack gets.
            Otherwise rounded up, so that whatever holds within the ℓ2 norm holds within the budget: what is proved.

    Raises:
        UsageError: for what is no finite number, or a negative norm.
    """
    amount = _number(amount, unit)
    if not math.isfinite(amount) or (unit != "psnr" and amount < 0):
        raise UsageError(f"a budget must be a finite number ≥ 0, got {amount} {unit}")
    if unit == "l2":
        return amount
    return _directed(partial(_exact_l2, amount, unit, values), up=not inside)


def _exact_l2(amount: float, unit: Unit, values: int, context: Context) -> Decimal:
    """ℓ2 of an RMSE or a PSNR, before it is rounded to a float64."""
    if unit == "rmse":
        return context.divide(context.multiply(Decimal(amount), context.sqrt(values)), 255)
    decibels = Decimal(min(_MOST_DB, max(-_MOST_DB, amount)))
    return context.multiply(context.sqrt(values), context.power(10, context.divide(decibels, Decimal(-20))))


def _number(amount: float, unit: str) -> float:
    """A budget as a number of Python's own, which keeps its value: those of numpy know no exact arithmetic."""
    if isinstance(amount, bool) or not isinstance(amount, Real):
        raise UsageError(f"a budget is a number, got {amount!r} {unit}")
    try:
        number = float(amount)
    except OverflowError as error:
        raise UsageError(f"a budget must be a finite number ≥ 0, got one beyond float64, {unit}") from error
    return amount if type(amount) is int and amount == number else number


def rmse_of(l2: float, values: int, *, up: bool = False) -> float:
    """255·ℓ2/√n in 8-bit levels, rounded down for what is proved and ``up`` for what is measured."""
    return _directed(lambda c: c.divide(c.multiply(255, Decimal(l2)), c.sqrt(values)), up=up)


def psnr_of(l2: float, values: int, *, up: bool = True) -> float | None:
    """−20·log10(ℓ2/√n) in dB, rounded up for what is proved, down for what is measured; None for no change."""
    if l2 == 0:
        return None
    norm = Decimal(l2)
    return _directed(lambda c: c.multiply(10, c.log10(c.divide(values, c.multiply(norm, norm)))), up=up)


def _directed(conversion: Callable[[Context], Decimal], *, up: bool) -> float:
    """The float64 next to a real number on one side of it, or the number itself where it is a float64."""
    context = Context(prec=_DIGITS)
    found = conversion(context)
    if context.flags[Inexact]:
        error = context.multiply(found.copy_abs(), _ERROR)
        found = context.add(found, error) if up else context.subtract(found, error)
    nearest = float(found)
    if up:
        return nearest if Decimal(nearest) >= found else math.nextafter(nearest, math.inf)
    return nearest if Decimal(nearest) <= found else math.nextafter(nearest, -math.inf)
