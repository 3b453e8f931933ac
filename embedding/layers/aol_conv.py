"""The AOL convolution, trainable.

y = D·W·x + b with D_ii = (Σ_j Σ_shift |K_ij(shift)|)^(−1/2), K the correlation of the kernel's rows with one another:
|W·Wᵀ| has row sums at most D⁻², so D·W·Wᵀ·D ⪯ I and the map is 1-Lipschitz (T8). With more outputs than inputs the same
holds with columns in place of rows, y = W·D·x + b. A stride s is a pixel-unshuffle by s and a kernel on its channels;
the columns are then those of the unshuffled image. Source: Prach and Lampert, arXiv 2208.03160 (columns, stride 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..residual import correlation_sums
from ..spectral import unshuffle_kernel
from .aol_dense import scaling
from .cayley import full_precision
from .linear_conv import LinearConv, Padding, convolve, require_layout, ship_conv


class AOLConv(nn.Module):
    """Trainable form: the scaling follows the kernel. Prove and ship the folded form.

    Args:
        inputs: c.
        outputs: o.
        size: k, odd or even.
        stride: s.
        padding: ``zeros`` or ``circular``; see ``LinearConv``.
        groups: channel groups that do not meet.
        generator: source of the initial weights: one orthogonal matrix per group on the middle taps, where D is 1.
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
        self.stride, self.groups = stride, groups
        self.padding: Padding = padding
        self.kernel = nn.Parameter(torch.zeros(outputs, inputs // groups, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if self.kernel.device.type != "meta":
            self._start(generator)

    def _start(self, generator: torch.Generator | None) -> None:
        side = min(self.stride, self.kernel.shape[-1])
        first = (self.kernel.shape[-1] - side) // 2
        for group in self.kernel.data.chunk(self.groups):
            block = torch.empty(group.shape[0], group.shape[1] * side * side)
            nn.init.orthogonal_(block, generator=generator)
            group[:, :, first : first + side, first : first + side] = block.reshape(*group.shape[:2], side, side)

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b o h/s w/s
        """The convolution with the kernel rescaled in full precision."""
        with full_precision(x):
            kernel = rescaled_kernel(self.kernel, stride=self.stride, groups=self.groups)
        return convolve(x, kernel, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)

    @torch.no_grad()
    def fold(self) -> LinearConv:
        """The shipped form: a kernel in float32, proved at most 1."""
        kernel = rescaled_kernel(self.kernel.detach().double().cpu(), stride=self.stride, groups=self.groups)
        return ship_conv(kernel, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)


def rescaled_kernel(kernel: Tensor, *, stride: int, groups: int) -> Tensor:
    """The 1-Lipschitz kernel of (o, c/groups, k, k), of the same shape."""
    size = kernel.shape[-1]
    parts = [_rescaled_group(part) for part in unshuffle_kernel(kernel, stride).chunk(groups)]
    whole = nn.functional.pixel_shuffle(torch.cat(parts), stride) if stride > 1 else torch.cat(parts)
    return whole[:, :, :size, :size]


def _rescaled_group(kernel: Tensor) -> Tensor:
    if kernel.shape[0] <= kernel.shape[1]:
        return scaling(correlation_sums(kernel).sum(1))[:, None, None, None] * kernel
    return scaling(correlation_sums(kernel.transpose(0, 1)).sum(1))[:, None, None] * kernel
