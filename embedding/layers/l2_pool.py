"""Norms of disjoint k×k blocks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...core.errors import ModelError, UsageError
from ...core.types import UpperBound
from ..forward_error import ARITHMETIC, Affine, Arithmetic, Claim
from .base import ProvedLayer, require_image


class L2Pool(ProvedLayer):
    """y = √(sum of squares over a k×k block), stride k: non-expansive, because |‖a‖ − ‖b‖| ≤ ‖a − b‖ per block (T8).

    It keeps the norm of x. Where a block is zero its derivative is taken as 0, which is a subgradient.

    Args:
        size: k.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        if size < 1:
            raise UsageError(f"l2-pool takes blocks of at least one pixel, got {size}")
        self.size = size

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h/k w/k
        """The norms of the blocks."""
        b, c, h, w = x.shape
        k = self.size
        return torch.linalg.vector_norm(x.reshape(b, c, h // k, k, w // k, k), dim=(3, 5))

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Non-expansive; (c, h, w) → (c, h/k, w/k)."""
        c, h, w = require_image(shape, None, "l2-pool")
        if h % self.size or w % self.size:
            raise ModelError(f"l2-pool {self.size}×{self.size} cannot divide an image of {h}×{w}")
        errors = {dtype: self._error(arithmetic, math.prod(shape)) for dtype, arithmetic in ARITHMETIC.items()}
        bound = UpperBound(1.0, "non-expansive: norms of disjoint blocks")
        return Claim("l2-pool", bound, 0.0, (c, h // self.size, w // self.size), errors)

    def _error(self, arithmetic: Arithmetic, values: int) -> Affine:
        """k² + 1 roundings under the root and one by it; √(s + e) − √s ≤ √e for squares that underflow."""
        underflow = 2.0 * math.sqrt(values * arithmetic.tiny)
        return Affine(arithmetic.gamma(self.size**2 + 2), underflow).inflated()
