"""The rounding of an affine map y = A·x + b, A a matrix or a convolution computed as a matrix product."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.errors import ModelError
from ...core.types import UpperBound
from ..forward_error import ARITHMETIC, Affine, Arithmetic, Claim, inflate


@dataclass(frozen=True)
class AffineNumbers:
    """The numbers that the rounding of an affine map rests on.

    Attributes:
        bias: (m,) the shipped b.
        row_sum: largest row sum of |A|.
        column_sum: at least the largest column sum of |A|.
        terms: products in one output.
        positions: how often b repeats over the image (1 for a dense layer).
    """

    bias: Tensor
    row_sum: float
    column_sum: float
    terms: int
    positions: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.row_sum + self.column_sum) and bool(torch.isfinite(self.bias).all())):
            raise ModelError("an affine layer holds numbers that are not finite; it has no bound")

    @property
    def offset(self) -> float:
        """Bound on ‖b‖ over all positions."""
        return inflate(math.sqrt(self.positions) * float(self.bias.double().norm()))

    def claim(self, kind: str, bound: UpperBound, output: tuple[int, ...]) -> Claim:
        """The map's claim, given its proved constant."""
        errors = {dtype: self._error(arithmetic) for dtype, arithmetic in ARITHMETIC.items()}
        return Claim(kind, bound, self.offset, output, errors)

    def _error(self, arithmetic: Arithmetic) -> Affine:
        """|error| ≤ γ·(|A|·|x| + |b|) and ‖|A|‖₂ ≤ √(largest row sum · largest column sum); underflow adds."""
        absolute = inflate(math.sqrt(inflate(self.row_sum) * inflate(self.column_sum)))
        underflow = 2.0 * self.bias.numel() * self.positions * (self.terms + 2) * arithmetic.tiny
        rounding = Affine(absolute, self.offset).scaled(arithmetic.gamma(self.terms + 1))
        return (rounding + Affine(0.0, underflow)).inflated()
