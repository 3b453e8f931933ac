"""Absolute values."""

from __future__ import annotations

from torch import Tensor

from ..forward_error import Claim
from .base import ProvedLayer


class Absolute(ProvedLayer):
    """y = |x|, an activation: non-expansive because ||s| − |t|| ≤ |s − t| for every coordinate (T8)."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop the signs."""
        return x.abs()

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Non-expansive; the shape is kept."""
        return Claim.rearrangement("absolute", shape, "non-expansive: signs dropped")
