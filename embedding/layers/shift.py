"""Groups of channels moved by a few pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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
        return _Move.apply(x, self.pixels)  # type: ignore[no-any-return]

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Non-expansive; the shape is kept."""
        require_image(shape, None, "shift")
        return Claim.rearrangement("shift", shape, "non-expansive: channels moved, zeros filled in")


class _Move(torch.autograd.Function):
    """The groups moved, written to their places at once; the derivative moves them back.

    Padding each group and joining them takes four passes over the image where this takes one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, pixels: int) -> Tensor:
        ctx.pixels = pixels
        return _moved(x, pixels, back=False)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        return _moved(grad_outputs[0], ctx.pixels, back=True), None


def _moved(x: Tensor, pixels: int, *, back: bool) -> Tensor:
    """Groups up, down, left and right; or each the other way."""
    group, y = x.shape[1] // 4, torch.empty_like(x)
    for number, (axis, forward) in enumerate(((2, False), (2, True), (3, False), (3, True))):
        part = slice(number * group, (number + 1) * group)
        _move(x[:, part], y[:, part], axis, min(pixels, x.shape[axis]), forward=forward != back)
    y[:, 4 * group :] = x[:, 4 * group :]
    return y


def _move(source: Tensor, target: Tensor, axis: int, pixels: int, *, forward: bool) -> None:
    """Copy along an axis by some pixels, towards higher indices if ``forward``; zeros come in."""
    kept, size = source.shape[axis] - pixels, source.shape[axis]
    low, high = (0, kept), (pixels, size)
    begin, end = (low, high) if forward else (high, low)
    target.narrow(axis, end[0], kept).copy_(source.narrow(axis, begin[0], kept))
    target.narrow(axis, 0 if forward else kept, size - kept).zero_()
