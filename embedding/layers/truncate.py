"""The first coordinates of a vector."""

from __future__ import annotations

from torch import Tensor

from ...core.errors import ModelError
from ..forward_error import Claim
from .base import ProvedLayer


class Truncate(ProvedLayer):
    """x ↦ (x_1, …, x_dim). A coordinate projection, so non-expansive (T8).

    Args:
        dim: how many coordinates to keep.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:  # b n -> b dim
        """Keep the first coordinates."""
        return x[:, : self.dim]

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Projection; (n,) → (dim,) with dim ≤ n."""
        if len(shape) != 1 or shape[0] < self.dim:
            raise ModelError(f"truncate keeps {self.dim} coordinates and cannot take inputs of shape {shape}")
        return Claim.rearrangement("truncate", (self.dim,), "projection on the first coordinates")
