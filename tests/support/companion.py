"""A small companion that finds what block means do not: pictures by their colours alone, wherever they lie."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


class Colours(nn.Module):
    """(b, 3, h, w) → (b, 24): a soft histogram of each colour, less its mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch."""
        centres = torch.linspace(0.0, 1.0, 8).view(1, 1, 8, 1)
        near = torch.exp(-200.0 * (x.flatten(2).unsqueeze(2) - centres) ** 2).mean(3)
        return (near - near.mean(2, keepdim=True)).flatten(1)


def write_companion(path: Path, side: int = 16) -> str:
    """Write it as TorchScript; returns its spec."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is deprecated")
        torch.jit.save(torch.jit.trace(Colours(), torch.rand(1, 3, side, side)), str(path))
    return f"torchscript:{path}@{side}x{side}"
