"""The orthogonal convolution, trainable.

The kernel is a product of convolutions of one and two taps: an orthogonal matrix, and k−1 times [P, I−P] down and
[Q, I−Q] across, with P and Q orthogonal projections of half rank. Their symbols, P + (I−P)·e^{iθ}, are unitary, so the
symbol of the product is: an isometry around a torus, non-expansive with zero padding, which only crops (T8). With other
channel counts rows or columns are left out; a stride s is a pixel-unshuffle by s before the kernel, written as one
strided kernel. Sources: Li et al., BCOP, arXiv 1911.00937; Boissin et al., AOC, arXiv 2501.07930 (strides).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import UsageError
from .cayley import cayley, full_precision
from .linear_conv import LinearConv, Padding, convolve, require_layout, ship_conv


class OrthogonalConv(nn.Module):
    """Trainable form: matrices by the Cayley transform. Prove and ship the folded form.

    Args:
        inputs: c.
        outputs: o.
        size: k, odd or even, a multiple of the stride.
        stride: s.
        padding: ``zeros`` or ``circular``; see ``LinearConv``.
        groups: channel groups that do not meet.
        generator: source of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        size: int = 3,
        stride: int = 1,
        padding: Padding = "zeros",
        groups: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        require_layout(inputs, outputs, stride=stride, padding=padding, groups=groups)
        if size < 1 or size % stride:
            raise UsageError(f"an orthogonal convolution of stride {stride} needs a multiple of it as size, got {size}")
        self.stride, self.groups = stride, groups
        self.padding: Padding = padding
        self.rows, self.columns = outputs // groups, inputs // groups * stride**2
        side = max(self.rows, self.columns)
        self.skew = nn.Parameter(torch.empty(groups, 2 * (size // stride) - 1, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.normal_(self.skew, std=side**-0.5, generator=generator)

    @torch.no_grad()
    def pass_through(self) -> None:
        """Set the parameters so that the layer hands its input on, and can still learn.

        The two taps of a direction come in pairs: [P, I−P] and [I−P, P] make one tap in the middle.

        Raises:
            UsageError: where no parameters do so: other outputs than inputs, a stride, groups of odd size, an even k.
        """
        steps, side = self.skew.shape[1], self.skew.shape[2]
        if self.rows != self.columns or self.stride != 1 or side % 2 or steps % 4 != 1:
            raise UsageError("this orthogonal convolution cannot be set to pass its input on")
        self.skew.zero_()
        self.bias.zero_()
        ones = torch.eye(side // 2, dtype=self.skew.dtype, device=self.skew.device)
        for step in range(1, steps):
            if (step - 1) // 2 % 2:  # every second of a direction: a quarter turn takes P to I−P
                self.skew[:, step, : side // 2, side // 2 :] = ones

    def kernel(self, skew: Tensor) -> Tensor:
        """The kernel that a parameter makes, differentiable, in its precision: (o, c/groups, k, k)."""
        matrices = cayley(skew)
        whole = matrices[:, 0, :, :, None, None]
        for step in range(1, matrices.shape[1]):
            whole = _two_taps(whole, projection(matrices[:, step]), across=step % 2 == 0)
        cropped = whole[:, : self.rows, : self.columns].flatten(0, 1)
        return nn.functional.pixel_shuffle(cropped, self.stride) if self.stride > 1 else cropped

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b o h/s w/s
        """The convolution with its kernel made in full precision."""
        with full_precision(x):
            kernel = self.kernel(self.skew)
        return convolve(x, kernel, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)

    @torch.no_grad()
    def fold(self) -> LinearConv:
        """The shipped form: a kernel in float32, proved at most 1."""
        kernel = self.kernel(self.skew.detach().double().cpu())
        return ship_conv(kernel, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)


def projection(matrix: Tensor) -> Tensor:
    """The orthogonal projection on the first half of an orthogonal matrix's columns: (..., n, n) → (..., n, n)."""
    half = matrix[..., : (matrix.shape[-1] + 1) // 2]
    return half @ half.mT


def _two_taps(kernel: Tensor, projector: Tensor, *, across: bool) -> Tensor:
    """Compose a kernel (g, n, n, u, v) with the two taps P, I−P (g, n, n), along v (across) or u: one tap more."""
    first = torch.einsum("gijuv,gjk->gikuv", kernel, projector)
    pads = ((0, 1), (1, 0)) if across else ((0, 0, 0, 1), (0, 0, 1, 0))
    return nn.functional.pad(first, pads[0]) + nn.functional.pad(kernel - first, pads[1])
