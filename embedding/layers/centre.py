"""The mean of every channel removed."""

from __future__ import annotations

import math

from torch import Tensor

from ...core.types import UpperBound
from ..forward_error import ARITHMETIC, Affine, Arithmetic, Claim, inflate
from .base import ProvedLayer, require_image


class Centre(ProvedLayer):
    """y = x − mean of x over its channel's pixels: an orthogonal projection, so non-expansive (T8).

    What follows cannot see the brightness of a channel.
    """

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """Remove the means."""
        return x - x.mean((2, 3), keepdim=True)

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Orthogonal projection; the shape is kept."""
        _, h, w = require_image(shape, None, "centre")
        errors = {dtype: _error(arithmetic, h * w, math.prod(shape)) for dtype, arithmetic in ARITHMETIC.items()}
        return Claim("centre", UpperBound(1.0, "orthogonal projection: channel means removed"), 0.0, shape, errors)


def _error(arithmetic: Arithmetic, pixels: int, values: int) -> Affine:
    """The mean is off by γ_{n+1}·mean|x|, which is γ_{n+1}·‖x‖ over its places; the subtraction rounds once."""
    of_mean = arithmetic.gamma(pixels + 1)
    slope = of_mean + arithmetic.unit * (1.0 + of_mean)
    return Affine(inflate(slope), 4.0 * values * arithmetic.tiny).inflated()
