"""A-priori bounds on what rounding does to one layer: how far the computed value can lie from the exact one.

The model is the standard one (Higham, ASNA, §2.2 and §3.1): each operation is exact up to a relative error u, sums
may be taken in any order, and what underflows is off by at most the smallest normal number (flushing to zero
included). It covers direct and matrix-product arithmetic. It does not cover Winograd, FFT, TF32 or bfloat16 kernels,
which is why the layers here multiply matrices and never call a convolution whose algorithm the backend may choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..core.numerics import UNIT32, UNIT64, gamma
from ..core.types import UpperBound

SLOP = 2.0**-30
"""Relative room for the float64 rounding of our own bound arithmetic: more than γ_n for n up to 2²⁰ operations."""


def inflate(value: float) -> float:
    """Round a computed bound outward by SLOP."""
    return value * (1.0 + SLOP)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """One floating-point format.

    Attributes:
        unit: unit roundoff u.
        tiny: smallest normal number, the largest error of an operation that underflows.
    """

    unit: float
    tiny: float

    def gamma(self, n: int) -> float:
        """γ_n in this format."""
        return gamma(n, self.unit)


ARITHMETIC: dict[torch.dtype, Arithmetic] = {
    torch.float32: Arithmetic(UNIT32, 2.0**-126),
    torch.float64: Arithmetic(UNIT64, 2.0**-1022),
}
"""The formats a forward error is known for."""


@dataclass(frozen=True, slots=True)
class Affine:
    """The bound slope·X + intercept on an error, for inputs of norm at most X."""

    slope: float
    intercept: float

    def __call__(self, norm: float) -> float:
        """The error for inputs of norm at most ``norm``."""
        return self.slope * norm + self.intercept

    def __add__(self, other: Affine) -> Affine:
        return Affine(self.slope + other.slope, self.intercept + other.intercept)

    def scaled(self, factor: float) -> Affine:
        """The bound times a non-negative number."""
        return Affine(factor * self.slope, factor * self.intercept)

    def inflated(self) -> Affine:
        """The bound with room for its own rounding."""
        return self.scaled(1.0 + SLOP)


EXACT = Affine(0.0, 0.0)
"""A layer that only moves numbers about."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one layer h guarantees on inputs of one shape.

    Attributes:
        kind: name of the layer's kind.
        bound: proved Lipschitz constant, ℓ2 → ℓ2.
        offset: bound on ‖h(0)‖₂, so that ‖h(x)‖ ≤ offset + bound·‖x‖.
        output: shape of the output, without the batch.
        errors: per dtype, bound on ‖computed h(x) − h(x)‖₂ given a bound on ‖x‖₂.
    """

    kind: str
    bound: UpperBound
    offset: float
    output: tuple[int, ...]
    errors: Mapping[torch.dtype, Affine]

    @classmethod
    def rearrangement(cls, kind: str, output: tuple[int, ...], why: str) -> Claim:
        """A layer that copies, drops or zero-fills coordinates: norm at most 1, no rounding."""
        return cls(kind, UpperBound(1.0, why), 0.0, output, dict.fromkeys(ARITHMETIC, EXACT))
