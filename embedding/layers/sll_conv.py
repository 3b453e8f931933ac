"""The SLL convolution, trainable and folded.

h(x) = x − 2·Wᵀ·D·relu(W·x + b), W a stride-1 zero-padded convolution c → m with an odd k×k kernel, and D_i = 1/t_i,
t_i = Σ_j Σ_shift |K_ij(shift)|·q_j/q_i, K the correlation of the kernel with itself. 1-Lipschitz by T8
(``embedding.residual``). Source: Araujo et al., "A Unified Algebraic Perspective on Lipschitz Neural Networks",
arXiv 2303.03169. In the form that LipSim (arXiv 2310.18274) was published with, q_i and 1/q_i are multiplied into the
same row and cancel: there t_i = Σ_j Σ_shift |K_ij(shift)|, and q is a parameter without effect.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ...core.errors import ModelError, UsageError
from ..forward_error import Claim
from ..residual import ResidualNumbers, conv_rows, correlation_sums, require_representable, safe_diagonal, scale_from
from .base import ProvedLayer, require_float32, require_image
from .cayley import full_precision

QForm = Literal["published", "right"]


class SLLConv(nn.Module):
    """Trainable form: D follows the kernel. Prove and ship the folded form.

    Args:
        channels: c, in and out.
        inner: m.
        size: k, odd.
        q_form: ``right`` (q scales the rows of K; it starts at 0, where both forms agree) or ``published`` (q cancels).
        generator: source of the initial weights.
    """

    def __init__(
        self,
        channels: int,
        inner: int,
        *,
        size: int = 3,
        q_form: QForm = "right",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if size % 2 == 0:
            raise UsageError(f"an SLL convolution needs an odd kernel size, got {size}")
        self.q_form: QForm = q_form
        self.kernel = nn.Parameter(torch.empty(inner, channels, size, size))
        self.bias = nn.Parameter(torch.empty(1, inner, 1, 1))
        self.q = nn.Parameter(torch.empty(inner))
        nn.init.xavier_normal_(self.kernel, generator=generator)
        bound = (channels * size * size) ** -0.5
        nn.init.uniform_(self.bias, -bound, bound, generator=generator)
        if q_form == "right":
            nn.init.zeros_(self.q)
        else:
            nn.init.normal_(self.q, generator=generator)

    def diagonal(self) -> Tensor:
        """D, differentiable in the kernel and, in the right form, in q: (m,)."""
        gram = correlation_sums(self.kernel)
        q = torch.exp(self.q - self.q.max()) if self.q_form == "right" else torch.ones_like(self.q)
        rows = (gram @ q) / q
        return torch.where(rows > 0, 1.0 / rows.clamp_min(torch.finfo(rows.dtype).tiny), 0.0)

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """The residual block with D as it stands, computed in full precision."""
        with full_precision(x):
            diagonal = self.diagonal()
        return convolved_residual(x, self.kernel, self.bias.flatten(), diagonal)

    @torch.no_grad()
    def fold(self) -> FoldedSLLConv:
        """The shipped form: D in float32, rounded so that the block is proved 1-Lipschitz."""
        kernel = self.kernel.detach().float().cpu()
        scale = scale_from(self.q.cpu()) if self.q_form == "right" else torch.ones(kernel.shape[0])
        diagonal = safe_diagonal(conv_rows(kernel, scale))
        return FoldedSLLConv(kernel, self.bias.detach().float().cpu().flatten(), diagonal, scale)


class FoldedSLLConv(ProvedLayer):
    """Shipped form: plain float32 numbers, no computation of D.

    Args:
        kernel: (m, c, k, k) float32.
        bias: (m,) float32.
        diagonal: (m,) float32, D ≥ 0.
        scale: (m,) float32, positive: the witness q of the proof. It does not enter the map.
    """

    kernel: Tensor
    bias: Tensor
    diagonal: Tensor
    scale: Tensor

    def __init__(self, kernel: Tensor, bias: Tensor, diagonal: Tensor, scale: Tensor) -> None:
        super().__init__()
        for name, value in (("kernel", kernel), ("bias", bias), ("diagonal", diagonal), ("scale", scale)):
            self.register_buffer(name, value.clone())

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """The residual block, in the dtype of x."""
        return residual_conv(x, self.kernel.to(x.dtype), self.bias.to(x.dtype), self.diagonal.to(x.dtype))

    def quick(self, x: Tensor) -> Tensor:  # b c h w -> b c h w
        """By the backend's convolutions."""
        return convolved_residual(x, self.kernel.to(x.dtype), self.bias.to(x.dtype), self.diagonal.to(x.dtype))

    @torch.no_grad()
    def claim(self, shape: tuple[int, ...]) -> Claim:
        """1 where the shipped D is small enough, else 1 + 2η; the shape is kept."""
        require_float32(self, "sll-conv")
        kernel, bias, diagonal, scale = (x.cpu() for x in (self.kernel, self.bias, self.diagonal, self.scale))
        _, h, w = require_image(shape, kernel.shape[1], "sll-conv")
        if kernel.shape[-1] % 2 == 0 or not bool((scale > 0).all()):
            raise ModelError("sll-conv needs an odd kernel and a positive scaling")
        size = kernel.double().abs()
        require_representable(size[0].numel())
        weighted = diagonal.double().sqrt()[:, None] * size.sum((2, 3))
        return ResidualNumbers(
            rows=conv_rows(kernel, scale),
            diagonal=diagonal,
            bias=bias,
            row_sums=size.sum((1, 2, 3)),
            column_sums=float(weighted.sum(0).max()),
            terms=size[0].numel(),
            back_terms=size[:, 0].numel(),
            positions=h * w,
        ).claim("sll-conv", shape)


def residual_conv(x: Tensor, kernel: Tensor, bias: Tensor, diagonal: Tensor) -> Tensor:
    """Compute x − 2·Wᵀ·D·relu(W·x + b) by matrix products.

    W·x is one product of the (m·k², c) matrix of taps with the pixels, then shifted sums; Wᵀ is its mirror image. In
    float64 on a CPU this is several times faster than a convolution, whose backends unfold c·k² rows instead of m·k²,
    and the arithmetic is known, which a convolution's is not (``embedding.forward_error``).

    Args:
        x: (b, c, h, w).
        kernel: (m, c, k, k), odd k.
        bias: (m,).
        diagonal: (m,).
    """
    b, c, h, w = x.shape
    inner, _, size, _ = kernel.shape
    # Pixel p meets tap (u, v) at output p − (u, v) + k//2: a fold places it there once the taps are reversed.
    taps = kernel.flip(2, 3).permute(0, 2, 3, 1).reshape(inner * size * size, c)
    pixels = x.reshape(b, c, h * w)
    inside = nn.functional.fold(taps @ pixels, (h, w), size, padding=size // 2)
    active = diagonal[:, None, None] * torch.relu(inside + bias[:, None, None])
    columns = nn.functional.unfold(active, size, padding=size // 2)
    return (pixels - 2 * (taps.T @ columns)).reshape(b, c, h, w)


def convolved_residual(x: Tensor, kernel: Tensor, bias: Tensor, diagonal: Tensor) -> Tensor:
    """The same map by the backend's own convolutions, which are faster in training and in low precision."""
    pad = kernel.shape[-1] // 2
    active = torch.relu(nn.functional.conv2d(x, kernel, bias, padding=pad)) * diagonal[:, None, None]
    return x - 2 * nn.functional.conv_transpose2d(active, kernel, padding=pad)
