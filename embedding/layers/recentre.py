"""Channel means removed by batch while training, and by a constant once shipped.

Sorting pairs raises the mean of every channel, and nothing in an orthogonal network takes it away again: after a few
layers most of the norm is one constant image, and so is most of the embedding, whose angles then say little. Here the
mean over the batch is subtracted in training, and a constant, its running average, afterwards: a translation, which
keeps every distance (T8). No division by a standard deviation: that would cost a constant. Source: mean-only batch
normalisation, Salimans and Kingma, arXiv 1602.07868, §3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...core.errors import ModelError
from ...core.types import UpperBound
from ..forward_error import ARITHMETIC, Affine, Arithmetic, Claim, inflate
from .base import ProvedLayer, require_float32
from .cayley import full_precision

_SHARE = 0.02
"""Weight of a new batch in the running average."""


class Recentre(nn.Module):
    """Trainable form: y = x − mean, per channel over batch and places; in ``eval`` the running average. Fold to ship.

    Args:
        channels: c.
    """

    mean: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.settling = False

    def forward(self, x: Tensor) -> Tensor:  # b c ... -> b c ...
        """Subtract the means, in the dtype of x."""
        if not (self.training or self.settling):
            return x - _as_channels(self.mean, x)
        with full_precision(x):
            mean = x.mean([0, *range(2, x.ndim)], dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)
        self._keep(mean.detach())
        return x - _as_channels(mean, x)

    @torch.no_grad()
    def fold(self) -> Translate:
        """The shipped form: the running average as a constant."""
        return Translate(self.mean.detach().float().cpu())

    def _keep(self, mean: Tensor) -> None:
        share = 1.0 if self.settling else _SHARE
        with torch.no_grad():
            self.mean.lerp_(mean.to(self.mean.dtype), share)


class Translate(ProvedLayer):
    """y = x − offset, one number per channel: an isometry (T8).

    Args:
        offset: (c,) float32.
    """

    offset: Tensor

    def __init__(self, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("offset", offset.clone())

    def forward(self, x: Tensor) -> Tensor:  # b c ... -> b c ...
        """Subtract the constants, in the dtype of x."""
        return x - _as_channels(self.offset, x)

    @torch.no_grad()
    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Isometry; the shape is kept."""
        require_float32(self, "translate")
        if not shape or shape[0] != len(self.offset) or not bool(torch.isfinite(self.offset).all()):
            raise ModelError(f"translate moves {len(self.offset)} channels by finite numbers, not inputs of {shape}")
        size = inflate(math.sqrt(math.prod(shape[1:])) * float(self.offset.double().norm()))
        errors = {dtype: _error(arithmetic, size, math.prod(shape)) for dtype, arithmetic in ARITHMETIC.items()}
        return Claim("translate", UpperBound(1.0, "isometry: constants subtracted"), size, shape, errors)


def _error(arithmetic: Arithmetic, size: float, values: int) -> Affine:
    """One rounding of every result, whose norm is at most ‖x‖ + ‖offset‖."""
    return Affine(arithmetic.unit, arithmetic.unit * size + values * arithmetic.tiny).inflated()


def _as_channels(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x.dtype).reshape(-1, *[1] * (x.ndim - 2))
