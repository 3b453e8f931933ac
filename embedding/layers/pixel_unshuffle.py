"""Blocks of pixels turned into channels."""

from __future__ import annotations

from torch import Tensor, nn

from ...core.errors import ModelError, UsageError
from ..forward_error import Claim
from .base import ProvedLayer, require_image


class PixelUnshuffle(ProvedLayer):
    """y[c·r² + i·r + j, p, q] = x[c, p·r + i, q·r + j]: a permutation of the coordinates, so an isometry (T8).

    Args:
        factor: r, side of a block.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        if factor < 1:
            raise UsageError(f"pixel-unshuffle takes a factor of at least 1, got {factor}")
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c·r² h/r w/r
        """Rearrange the blocks."""
        return nn.functional.pixel_unshuffle(x, self.factor)

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Isometry; (c, h, w) → (c·r², h/r, w/r)."""
        c, h, w = require_image(shape, None, "pixel-unshuffle")
        r = self.factor
        if h % r or w % r:
            raise ModelError(f"pixel-unshuffle by {r} cannot divide an image of {h}×{w}")
        return Claim.rearrangement("pixel-unshuffle", (c * r * r, h // r, w // r), "isometry: coordinates permuted")
