"""Groups of channels moved by a few pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import UsageError
from ..forward_error import Claim
from .base import ProvedLayer, require_image


class Shift(ProvedLayer):
    """Four groups of c//4 channels moved up, down, left and right; what is left of the channels stays.

    Zeros come in and what leaves the image is dropped: each output is an input or 0, and no input is used twice, so the
    map is non-expansive (T8). Between 1×1 mixings it lets pixels meet their neighbours, without arithmetic. Source:
    Wu et al., "Shift", arXiv 1711.08141.

    Args:
        pixels: by how many pixels.
    """

    def __init__(self, pixels: int = 1) -> None:
        super().__init__()
        if pixels < 1:
            raise UsageError(f"a shift moves by at least one pixel, got {pixels}")
        self.pixels = pixels

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """Move the groups."""
        c, p = x.shape[1], self.pixels
        up, down, left, right, rest = x.split([c // 4] * 4 + [c - 4 * (c // 4)], dim=1)
        pad = nn.functional.pad  # a negative amount crops
        moved = [pad(up, (0, 0, -p, p)), pad(down, (0, 0, p, -p)), pad(left, (-p, p)), pad(right, (p, -p))]
        # An empty part would make torch forget a channels-last layout.
        return torch.cat([part for part in (*moved, rest) if part.shape[1]], dim=1)

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Non-expansive; the shape is kept."""
        require_image(shape, None, "shift")
        return Claim.rearrangement("shift", shape, "non-expansive: channels moved, zeros filled in")
