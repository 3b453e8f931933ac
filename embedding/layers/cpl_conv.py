"""The CPL convolution, trainable and folded.

h(x) = x − (2/s)·Wᵀ·relu(W·x + b), W a stride-1 zero-padded convolution c → m with an odd k×k kernel, s ≥ ‖W‖². One
step of gradient descent on a convex potential, 1-Lipschitz by T8 with D = 1/s. Source: Meunier et al.,
arXiv 2110.12690, who take s from power iteration, which converges from below; here that serves in training only, and
what is evaluated or shipped has s from a bound from above.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...core.errors import ModelError, UsageError
from ...core.types import UpperBound
from ..forward_error import Claim
from ..residual import ResidualNumbers, require_representable, safe_diagonal, squared_norm_rows
from ..spectral import conv_bound
from .base import ProvedLayer, require_float32, require_image
from .cayley import full_precision
from .sll_conv import convolved_residual, residual_conv

PROBE = 16
"""Side of the image that power iteration runs on."""


class CPLConv(nn.Module):
    """Trainable form. Prove and ship the folded form.

    Args:
        channels: c, in and out.
        inner: m.
        size: k, odd.
        generator: source of the initial weights.
    """

    probe: Tensor

    def __init__(self, channels: int, inner: int, *, size: int = 3, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if size % 2 == 0:
            raise UsageError(f"a CPL convolution needs an odd kernel size, got {size}")
        self.kernel = nn.Parameter(torch.empty(inner, channels, size, size))
        self.bias = nn.Parameter(torch.zeros(inner))
        nn.init.xavier_normal_(self.kernel, generator=generator)
        self.register_buffer("probe", torch.empty(1, channels, PROBE, PROBE).normal_(generator=generator))

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """The residual block; 1/s by power iteration in training, proved otherwise."""
        with full_precision(x):
            step = self._estimate() if self.training else self._proved().to(x.device, self.kernel.dtype)
        return convolved_residual(x, self.kernel, self.bias, step.expand(self.kernel.shape[0]))

    def _estimate(self) -> Tensor:
        """1/‖W·v‖² for v one step of power iteration further, differentiable in the kernel: () measured, not proved."""
        pad = self.kernel.shape[-1] // 2
        with torch.no_grad():
            back = nn.functional.conv2d(self.probe, self.kernel, padding=pad)
            probe = nn.functional.conv_transpose2d(back, self.kernel, padding=pad)
            self.probe.copy_(probe / probe.norm().clamp_min(torch.finfo(probe.dtype).tiny))
        image = nn.functional.conv2d(self.probe.clone(), self.kernel, padding=pad)
        return 1.0 / image.square().sum().clamp_min(torch.finfo(image.dtype).eps)

    @torch.no_grad()
    def _proved(self) -> Tensor:
        """1/s rounded down to float32: (1,)."""
        kernel = self.kernel.detach().float().cpu()
        return safe_diagonal(squared_norm_rows(conv_bound(kernel), 1))

    @torch.no_grad()
    def fold(self) -> FoldedCPLConv:
        """The shipped form: 1/s in float32, rounded so that the block is proved 1-Lipschitz."""
        return FoldedCPLConv(self.kernel.detach().float().cpu(), self.bias.detach().float().cpu(), self._proved())


class FoldedCPLConv(ProvedLayer):
    """Shipped form: plain float32 numbers.

    Args:
        kernel: (m, c, k, k) float32.
        bias: (m,) float32.
        step: (1,) float32, 1/s.
    """

    kernel: Tensor
    bias: Tensor
    step: Tensor

    def __init__(self, kernel: Tensor, bias: Tensor, step: Tensor) -> None:
        super().__init__()
        for name, value in (("kernel", kernel), ("bias", bias), ("step", step)):
            self.register_buffer(name, value.clone())

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """The residual block, in the dtype of x."""
        step = self.step.to(x.dtype).expand(self.kernel.shape[0])
        return residual_conv(x, self.kernel.to(x.dtype), self.bias.to(x.dtype), step)

    def quick(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """By the backend's convolutions."""
        step = self.step.to(x.dtype).expand(self.kernel.shape[0])
        return convolved_residual(x, self.kernel.to(x.dtype), self.bias.to(x.dtype), step)

    @torch.no_grad()
    def claim(self, shape: tuple[int, ...]) -> Claim:
        """1 where the shipped step is small enough, else 1 + 2η; the shape is kept."""
        require_float32(self, "cpl-conv")
        kernel, bias, step = self.kernel.cpu(), self.bias.cpu(), self.step.cpu()
        _, h, w = require_image(shape, kernel.shape[1], "cpl-conv")
        if kernel.shape[-1] % 2 == 0:
            raise ModelError("cpl-conv needs an odd kernel")
        require_representable(kernel[0].numel())
        size, norm = kernel.double().abs(), conv_bound(kernel)
        return ResidualNumbers(
            rows=squared_norm_rows(norm, kernel.shape[0]),
            diagonal=step.expand(kernel.shape[0]),
            bias=bias,
            row_sums=size.sum((1, 2, 3)),
            column_sums=math.sqrt(max(float(step), 0.0)) * float(size.sum((0, 2, 3)).max()),
            terms=size[0].numel(),
            back_terms=size[:, 0].numel(),
            positions=h * w,
            method=step_method(norm),
        ).claim("cpl-conv", shape)


def step_method(norm: UpperBound) -> str:
    """How a CPL block's constant is proved."""
    return f"residual block: step·‖W‖² ≤ 1 with ‖W‖ ≤ {norm.value:.6g} ({norm.method})"
