"""The SLL dense layer, trainable and folded.

h(x) = x − 2·Wᵀ·D·relu(W·x + b), W (m, n), D_i = 1/t_i, t_i = Σ_j |(W·Wᵀ)_ij|·q_j/q_i with q > 0 learned as exp of a
parameter. 1-Lipschitz by T8 (``embedding.residual``). Source: Araujo et al., arXiv 2303.03169. The published LipSim
(arXiv 2310.18274) uses q rightly here, so both forms are the same function.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import ModelError
from ..forward_error import Claim
from ..residual import ResidualNumbers, dense_rows, require_representable, safe_diagonal, scale_from
from .base import ProvedLayer, require_float32
from .cayley import full_precision


class SLLDense(nn.Module):
    """Trainable form: D follows the weight and q. Prove and ship the folded form.

    Args:
        features: n, in and out.
        inner: m.
        generator: source of the initial weights.
    """

    def __init__(self, features: int, inner: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inner, features))
        self.bias = nn.Parameter(torch.empty(1, inner))
        self.q = nn.Parameter(torch.empty(inner))
        nn.init.xavier_normal_(self.weight, generator=generator)
        nn.init.uniform_(self.bias, -(features**-0.5), features**-0.5, generator=generator)
        nn.init.normal_(self.q, generator=generator)

    def diagonal(self) -> Tensor:
        """D, differentiable in the weight and q: (m,)."""
        q = torch.exp(self.q - self.q.max())
        rows = ((self.weight @ self.weight.T).abs() @ q) / q
        return torch.where(rows > 0, 1.0 / rows.clamp_min(torch.finfo(rows.dtype).tiny), 0.0)

    def forward(self, x: Tensor) -> Tensor:  # b n -> b n
        """The residual block with D as it stands, computed in full precision."""
        with full_precision(x):
            diagonal = self.diagonal()
        return residual_dense(x, self.weight, self.bias.flatten(), diagonal)

    @torch.no_grad()
    def fold(self) -> FoldedSLLDense:
        """The shipped form: D in float32, rounded so that the block is proved 1-Lipschitz."""
        weight, scale = self.weight.detach().float().cpu(), scale_from(self.q.cpu())
        diagonal = safe_diagonal(dense_rows(weight, scale))
        return FoldedSLLDense(weight, self.bias.detach().float().cpu().flatten(), diagonal, scale)


class FoldedSLLDense(ProvedLayer):
    """Shipped form: plain float32 numbers, no computation of D.

    Args:
        weight: (m, n) float32.
        bias: (m,) float32.
        diagonal: (m,) float32, D ≥ 0.
        scale: (m,) float32, positive: the witness q of the proof. It does not enter the map.
    """

    weight: Tensor
    bias: Tensor
    diagonal: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, diagonal: Tensor, scale: Tensor) -> None:
        super().__init__()
        for name, value in (("weight", weight), ("bias", bias), ("diagonal", diagonal), ("scale", scale)):
            self.register_buffer(name, value.clone())

    def forward(self, x: Tensor) -> Tensor:  # b n -> b n
        """The residual block, in the dtype of x."""
        return residual_dense(x, self.weight.to(x.dtype), self.bias.to(x.dtype), self.diagonal.to(x.dtype))

    @torch.no_grad()
    def claim(self, shape: tuple[int, ...]) -> Claim:
        """1 where the shipped D is small enough, else 1 + 2η; the shape is kept."""
        require_float32(self, "sll-dense")
        weight, bias, diagonal, scale = (x.cpu() for x in (self.weight, self.bias, self.diagonal, self.scale))
        if shape != (weight.shape[1],):
            raise ModelError(f"sll-dense takes inputs of shape ({weight.shape[1]},), got {shape}")
        if not bool((scale > 0).all()):
            raise ModelError("sll-dense needs a positive scaling")
        require_representable(max(weight.shape))
        size = weight.double().abs()
        return ResidualNumbers(
            rows=dense_rows(weight, scale),
            diagonal=diagonal,
            bias=bias,
            row_sums=size.sum(1),
            column_sums=float((diagonal.double().sqrt() @ size).max()),
            terms=weight.shape[1],
            back_terms=weight.shape[0],
            positions=1,
        ).claim("sll-dense", shape)


def residual_dense(x: Tensor, weight: Tensor, bias: Tensor, diagonal: Tensor) -> Tensor:
    """Compute x − 2·Wᵀ·D·relu(W·x + b) for x (b, n), weight (m, n), bias and diagonal (m,)."""
    active = diagonal * torch.relu(x @ weight.T + bias)
    return x - 2 * (active @ weight)
