"""Sums over disjoint k×k blocks, divided by k."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ...core.errors import ModelError
from ...core.types import UpperBound
from ..forward_error import ARITHMETIC, Affine, Arithmetic, Claim
from .base import ProvedLayer, require_image


class SumPool(ProvedLayer):
    """y = (sum over a k×k block)/k with stride k. Its rows are orthonormal, so the constant is exactly 1 (T8).

    A row has k² entries 1/k: norm √(k²/k²) = 1; blocks are disjoint, so rows are orthogonal. (Average pooling, which
    divides by k², would be 1/k-Lipschitz and waste the budget.)

    Args:
        size: k.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h/k w/k
        """Sum blocks and divide by k."""
        return scaled_block_sums(x, self.size)

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Orthonormal rows; (c, h, w) → (c, h/k, w/k)."""
        c, h, w = require_image(shape, None, "sum-pool")
        if h % self.size or w % self.size:
            raise ModelError(f"sum-pool {self.size}×{self.size} cannot divide an image of {h}×{w}")
        errors = {dtype: self._error(arithmetic, math.prod(shape)) for dtype, arithmetic in ARITHMETIC.items()}
        bound = UpperBound(1.0, "orthonormal rows: disjoint block sums divided by k")
        return Claim("sum-pool", bound, 0.0, (c, h // self.size, w // self.size), errors)

    def _error(self, arithmetic: Arithmetic, values: int) -> Affine:
        """At most k² roundings per block, entries non-negative, so ‖|P|‖ = 1."""
        return Affine(arithmetic.gamma(self.size**2), 2.0 * values * arithmetic.tiny).inflated()


def scaled_block_sums(x: Tensor, size: int) -> Tensor:
    """Sums over size×size blocks, divided by size: (b, c, h, w) → (b, c, h/size, w/size), in the dtype of x.

    Average pooling with its divisor replaced: one plain loop per block, and a third of the time of reshape and sum.
    """
    return nn.functional.avg_pool2d(x, size, divisor_override=size)
