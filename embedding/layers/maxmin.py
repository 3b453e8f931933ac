"""Pairs of channels sorted."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...core.errors import ModelError
from ..forward_error import Claim
from .base import ProvedLayer


class MaxMin(ProvedLayer):
    """y = (max(a, b), min(a, b)) for the halves x = (a, b) of the channels: GroupSort of pairs, an activation.

    Sorting pairs is non-expansive and keeps the norm of x; its derivative is a permutation everywhere but at ties,
    where one of two permutations is taken (T8). Source: Anil et al., arXiv 1811.05381.
    """

    def forward(self, x: Tensor) -> Tensor:  # b c ... -> b c ...
        """Sort the pairs (i, i + c/2)."""
        return _SortPairs.apply(x)  # type: ignore[no-any-return]

    def quick(self, x: Tensor) -> Tensor:  # b c ... -> b c ...
        """Without the permutation, which only a derivative needs."""
        a, b = x.chunk(2, dim=1)
        return torch.cat((torch.maximum(a, b), torch.minimum(a, b)), dim=1)

    def claim(self, shape: tuple[int, ...]) -> Claim:
        """Non-expansive; the shape is kept, with an even number of channels."""
        if not shape or shape[0] % 2:
            raise ModelError(f"maxmin sorts pairs of channels and cannot take inputs of shape {shape}")
        return Claim.rearrangement("maxmin", shape, "non-expansive: pairs sorted")


class _SortPairs(torch.autograd.Function):
    """The sort with its permutation remembered.

    torch's own derivatives of maximum and minimum share ties out in a dozen passes over the image; they took more time
    than all matrix products of a training step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=1)
        ctx.save_for_backward((a >= b).to(x.dtype))
        half, y = a.shape[1], torch.empty_like(x)
        torch.maximum(a, b, out=y[:, :half])
        torch.minimum(a, b, out=y[:, half:])
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        (kept,) = ctx.saved_tensors
        top, bottom = grad_outputs[0].chunk(2, dim=1)
        back, half = torch.empty_like(grad_outputs[0]), top.shape[1]
        difference = (top - bottom).mul_(kept)  # products are several times faster than torch.where in bfloat16
        torch.add(bottom, difference, out=back[:, :half])
        torch.sub(top, difference, out=back[:, half:])
        return back
