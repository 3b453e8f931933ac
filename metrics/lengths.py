"""Lengths whose slope is finite where they vanish."""

from __future__ import annotations

import torch
from torch import Tensor


def channel_length(x: Tensor) -> Tensor:
    """Euclidean length over channels, (b, c, h, w) → (b, 1, h, w), with slope 0 (not NaN) where every channel is 0.

    Trunks end in rectifiers, so that happens; one such place would turn the gradient of every pixel it sees into NaN.
    """
    squares = (x**2).sum(1, keepdim=True)
    empty = squares == 0
    return torch.where(empty, 0.0, torch.sqrt(torch.where(empty, 1.0, squares)))
