"""The shipped dense layer: a plain matrix and a bias."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import ModelError
from ..forward_error import Claim
from ..spectral import dense_bound
from .affine import AffineNumbers
from .base import ProvedLayer, require_float32
from .shrink import shrunk


class LinearDense(ProvedLayer):
    """y = W·x + b. Its constant is the largest singular value of the shipped W, bounded from above (T8).

    Args:
        weight: (m, n) float32.
        bias: (m,) float32.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.clone())
        self.register_buffer("bias", bias.clone())

    def forward(self, x: Tensor) -> Tensor:  # b n -> b m
        """The affine map, in the dtype of x."""
        return nn.functional.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))

    @torch.no_grad()
    def claim(self, shape: tuple[int, ...]) -> Claim:
        """(n,) → (m,)."""
        require_float32(self, "linear")
        weight, bias = self.weight.cpu(), self.bias.cpu()
        if shape != (weight.shape[1],):
            raise ModelError(f"linear takes inputs of shape ({weight.shape[1]},), got {shape}")
        size = weight.double().abs()
        numbers = AffineNumbers(
            bias, row_sum=float(size.sum(1).max()), column_sum=float(size.sum(0).max()), terms=weight.shape[1]
        )
        return numbers.claim("linear", dense_bound(weight), (weight.shape[0],))


def ship_dense(weight: Tensor, bias: Tensor) -> LinearDense:
    """The shipped form of a float64 matrix that is 1-Lipschitz up to rounding, rounded so that it is proved to be."""
    return LinearDense(shrunk(weight, lambda w: dense_bound(w).value), bias.detach().float().cpu())
