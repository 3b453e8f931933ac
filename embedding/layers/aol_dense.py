"""The AOL dense layer, trainable.

y = D·W·x + b with D_ii = (Σ_j |W·Wᵀ|_ij)^(−1/2) where there are fewer outputs than inputs, else y = W·D·x + b with the
columns of W in place of its rows: |W·Wᵀ| ⪯ diag(row sums), so D·W·Wᵀ·D ⪯ I and the map is 1-Lipschitz (T8). Source:
Prach and Lampert, "Almost-Orthogonal Layers", arXiv 2208.03160, which has the second form; the first is its transpose.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .cayley import full_precision
from .linear import LinearDense, ship_dense


class AOLDense(nn.Module):
    """Trainable form: the scaling follows the weight. Prove and ship the folded form.

    Args:
        inputs: n.
        outputs: m.
        generator: source of the initial weights: orthonormal rows or columns, where D is 1.
    """

    def __init__(self, inputs: int, outputs: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if self.weight.device.type != "meta":
            nn.init.orthogonal_(self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:  # b n -> b m
        """The affine map; D is computed in full precision, and multiplies x or W·x, which are smaller than W."""
        with full_precision(x):
            scale = diagonal(self.weight)
        if self.weight.shape[0] <= self.weight.shape[1]:
            return nn.functional.linear(x, self.weight) * scale + self.bias
        return nn.functional.linear(x * scale, self.weight, self.bias)

    @torch.no_grad()
    def fold(self) -> LinearDense:
        """The shipped form: a matrix in float32, proved at most 1."""
        return ship_dense(rescaled(self.weight.detach().double().cpu()), self.bias)


def diagonal(weight: Tensor) -> Tensor:
    """D of a weight (m, n): one number per row where there are fewer rows than columns, else one per column."""
    short = weight if weight.shape[0] <= weight.shape[1] else weight.T
    return scaling((short @ short.T).abs().sum(1))


def rescaled(weight: Tensor) -> Tensor:
    """The 1-Lipschitz matrix of a weight (m, n)."""
    scale = diagonal(weight)
    return scale[:, None] * weight if weight.shape[0] <= weight.shape[1] else weight * scale


def scaling(sums: Tensor) -> Tensor:
    """1/√sums, and 0 for an empty row."""
    return torch.where(sums > 0, sums.clamp_min(torch.finfo(sums.dtype).tiny).rsqrt(), 0.0)
