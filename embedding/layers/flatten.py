"""An image read as a vector."""

from __future__ import annotations

import math

from torch import Tensor

from ..forward_error import Claim
from .base import ProvedLayer


class Flatten(ProvedLayer):
    """(b, c, h, w) ↦ (b, c·h·w), channel-major. An isometry (T8)."""

    def forward(self, x: Tensor) -> Tensor:  # b ... -> b n
        """Flatten everything but the batch."""
        return x.flatten(1)

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Isometry; any shape → (n,)."""
        return Claim.rearrangement("flatten", (math.prod(shape),), "isometry: coordinates renamed")
