"""The CPL dense layer, trainable and folded.

h(x) = x − (2/s)·Wᵀ·relu(W·x + b), W (m, n), s ≥ ‖W‖²: 1-Lipschitz by T8 with D = 1/s. Source: Meunier et al.,
arXiv 2110.12690. As in ``cpl_conv``, power iteration serves in training only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...core.errors import ModelError
from ..forward_error import Claim
from ..residual import ResidualNumbers, require_representable, safe_diagonal, squared_norm_rows
from ..spectral import dense_bound
from .base import ProvedLayer, require_float32
from .cayley import full_precision
from .cpl_conv import step_method
from .sll_dense import residual_dense


class CPLDense(nn.Module):
    """Trainable form. Prove and ship the folded form.

    Args:
        features: n, in and out.
        inner: m.
        generator: source of the initial weights.
    """

    probe: Tensor

    def __init__(self, features: int, inner: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inner, features))
        self.bias = nn.Parameter(torch.zeros(inner))
        nn.init.xavier_normal_(self.weight, generator=generator)
        self.register_buffer("probe", torch.empty(features).normal_(generator=generator))

    def forward(self, x: Tensor) -> Tensor:  # b n -> b n
        """The residual block; 1/s by power iteration in training, proved otherwise."""
        with full_precision(x):
            step = self._estimate() if self.training else self._proved().to(x.device, self.weight.dtype)
        return residual_dense(x, self.weight, self.bias, step.expand(self.weight.shape[0]))

    def _estimate(self) -> Tensor:
        """1/‖W·v‖² for v one step of power iteration further, differentiable in the weight: () measured, not proved."""
        with torch.no_grad():
            probe = self.weight.T @ (self.weight @ self.probe)
            self.probe.copy_(probe / probe.norm().clamp_min(torch.finfo(probe.dtype).tiny))
        image = self.weight @ self.probe.clone()
        return 1.0 / image.square().sum().clamp_min(torch.finfo(image.dtype).eps)

    @torch.no_grad()
    def _proved(self) -> Tensor:
        """1/s rounded down to float32: (1,)."""
        return safe_diagonal(squared_norm_rows(dense_bound(self.weight.detach().float()), 1))

    @torch.no_grad()
    def fold(self) -> FoldedCPLDense:
        """The shipped form: 1/s in float32, rounded so that the block is proved 1-Lipschitz."""
        return FoldedCPLDense(self.weight.detach().float().cpu(), self.bias.detach().float().cpu(), self._proved())


class FoldedCPLDense(ProvedLayer):
    """Shipped form: plain float32 numbers.

    Args:
        weight: (m, n) float32.
        bias: (m,) float32.
        step: (1,) float32, 1/s.
    """

    weight: Tensor
    bias: Tensor
    step: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, step: Tensor) -> None:
        super().__init__()
        for name, value in (("weight", weight), ("bias", bias), ("step", step)):
            self.register_buffer(name, value.clone())

    def forward(self, x: Tensor) -> Tensor:  # b n -> b n
        """The residual block, in the dtype of x."""
        step = self.step.to(x.dtype).expand(self.weight.shape[0])
        return residual_dense(x, self.weight.to(x.dtype), self.bias.to(x.dtype), step)

    @torch.no_grad()
    def claim(self, shape: tuple[int, ...]) -> Claim:
        """1 where the shipped step is small enough, else 1 + 2η; the shape is kept."""
        require_float32(self, "cpl-dense")
        weight, bias, step = self.weight.cpu(), self.bias.cpu(), self.step.cpu()
        if shape != (weight.shape[1],):
            raise ModelError(f"cpl-dense takes inputs of shape ({weight.shape[1]},), got {shape}")
        require_representable(max(weight.shape))
        size, norm = weight.double().abs(), dense_bound(weight)
        return ResidualNumbers(
            rows=squared_norm_rows(norm, weight.shape[0]),
            diagonal=step.expand(weight.shape[0]),
            bias=bias,
            row_sums=size.sum(1),
            column_sums=math.sqrt(max(float(step), 0.0)) * float(size.sum(0).max()),
            terms=weight.shape[1],
            back_terms=weight.shape[0],
            positions=1,
            method=step_method(norm),
        ).claim("cpl-dense", shape)
