"""Channels of every pixel mixed by one orthogonal matrix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .cayley import cayley, full_precision
from .linear_conv import LinearConv, mix_channels, ship_conv


class OrthogonalMix(nn.Module):
    """y = W·x + b at every pixel, W = (I − A)·(I + A)⁻¹ with A = P − Pᵀ learned: an isometry (T8).

    Trainable form; prove and ship the folded form. Source of the transform: Trockman and Kolter, arXiv 2104.07167.

    Args:
        channels: c, in and out.
        generator: source of the initial weights, a random rotation.
    """

    def __init__(self, channels: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.skew = nn.Parameter(torch.empty(channels, channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.normal_(self.skew, std=channels**-0.5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """Mix the channels; the matrix is made in full precision, the product runs in autocast's."""
        with full_precision(x):
            matrix = cayley(self.skew)
        return mix_channels(x, matrix, self.bias)

    @torch.no_grad()
    def fold(self) -> LinearConv:
        """The shipped form: a 1×1 kernel in float32, proved at most 1."""
        return ship_conv(cayley(self.skew.double())[:, :, None, None], self.bias)
