"""Zero channels appended to an image."""

from __future__ import annotations

from torch import Tensor, nn

from ...core.errors import ModelError
from ..forward_error import Claim
from .base import ProvedLayer, require_image


class ChannelPad(ProvedLayer):
    """x ↦ (x, 0): appends zero channels. An isometry (T8), so the constant is exactly 1.

    Args:
        channels: channel count after padding.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b channels h w
        """Append the zero channels."""
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.channels - x.shape[1]))

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Isometry; (c, h, w) → (channels, h, w)."""
        c, h, w = require_image(shape, None, "channel-pad")
        if c > self.channels:
            raise ModelError(f"channel-pad cannot pad {c} channels to {self.channels}")
        return Claim.rearrangement("channel-pad", (self.channels, h, w), "isometry: zero channels appended")
