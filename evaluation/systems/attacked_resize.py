"""The resize as attacks go through it: the same map, with a gradient that costs no more than the map."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...images.resize import Resize


def resize_for_attack(operator: Resize, x: Tensor) -> Tensor:
    """``operator.apply``, differentiably: (b, 3, H, W) → (b, 3, h, w).

    The resize multiplies band by band, and autograd would answer each band with a whole image of zeros; the gradient
    of R(q) = A_h·q·A_wᵀ is A_hᵀ·g·A_w, two products.
    """
    return _Resized.apply(x, operator)  # pyright: ignore[reportReturnType] - torch leaves apply without a type


class _Resized(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: Resize) -> Tensor:
        ctx.operator = operator
        return operator.apply(x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        (gradient,) = grad_outputs
        tall, columns = _matrices(ctx.operator, gradient.dtype, gradient.device)
        return (tall @ gradient) @ columns, None


@lru_cache(maxsize=32)
def _matrices(operator: Resize, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """A_hᵀ (H, h) and A_w (w, W)."""
    with torch.inference_mode(False):
        rows, columns = torch.from_numpy(operator.rows.copy()), torch.from_numpy(operator.columns.copy())
        return rows.T.to(device, dtype), columns.to(device, dtype)
