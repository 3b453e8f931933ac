"""The first channels of an image."""

from __future__ import annotations

from torch import Tensor

from ...core.errors import ModelError
from ..forward_error import Claim
from .base import ProvedLayer, require_image


class ChannelTruncate(ProvedLayer):
    """x ↦ its first channels. A coordinate projection, so non-expansive (T8).

    Args:
        channels: how many to keep.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b channels h w
        """Keep the first channels."""
        return x[:, : self.channels]

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Projection; (c, h, w) → (channels, h, w) with channels ≤ c."""
        c, h, w = require_image(shape, None, "channel-truncate")
        if c < self.channels:
            raise ModelError(f"channel-truncate keeps {self.channels} channels and got {c}")
        return Claim.rearrangement("channel-truncate", (self.channels, h, w), "projection on the first channels")
