"""The shipped convolution: a plain kernel and a bias."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ...core.errors import ModelError, UsageError
from ..forward_error import Claim
from ..spectral import conv_bound
from .affine import AffineNumbers
from .base import ProvedLayer, require_float32, require_image
from .shrink import shrunk

Padding = Literal["zeros", "circular"]
PADDINGS: tuple[Padding, ...] = ("zeros", "circular")


class LinearConv(ProvedLayer):
    """y = W·x + b, W a convolution. Its constant is bounded from above on the shipped kernel (T8, ``spectral``).

    The image is padded by (k−1)//2 before and k−1−(k−1)//2 after on both axes, with zeros or around the torus: stride
    1 keeps its size, stride s divides it.

    Args:
        kernel: (o, c/groups, k, k) float32.
        bias: (o,) float32.
        stride: s.
        padding: ``zeros`` or ``circular``.
        groups: channel groups that do not meet.
    """

    kernel: Tensor
    bias: Tensor

    def __init__(
        self, kernel: Tensor, bias: Tensor, *, stride: int = 1, padding: Padding = "zeros", groups: int = 1
    ) -> None:
        super().__init__()
        require_layout(kernel.shape[1] * groups, kernel.shape[0], stride=stride, padding=padding, groups=groups)
        self.stride, self.groups = stride, groups
        self.padding: Padding = padding
        self.register_buffer("kernel", kernel.clone())
        self.register_buffer("bias", bias.clone())

    def forward(self, x: Tensor) -> Tensor:  # b c h w -> b o h/s w/s
        """The affine map, in the dtype of x, by a matrix product whose arithmetic is known."""
        kernel, bias = self.kernel.to(x.dtype), self.bias.to(x.dtype)
        if kernel.shape[-1] == self.stride == self.groups == 1:
            return mix_channels(x, kernel.flatten(1), bias)
        return self._columns(x, kernel) + bias[:, None, None]

    def quick(self, x: Tensor) -> Tensor:  # b c h w -> b o h/s w/s
        """By the backend's convolution: less than half of the time, without the unfolded columns."""
        kernel, bias = self.kernel.to(x.dtype), self.bias.to(x.dtype)
        size = kernel.shape[-1]
        inside = self.padding == "zeros" and size % 2 == 1  # what the backend can pad by itself, without a copy
        padded = x if inside else pad_image(x, size, self.padding)
        pad = size // 2 if inside else 0
        return nn.functional.conv2d(padded, kernel, bias, stride=self.stride, padding=pad, groups=self.groups)

    def _columns(self, x: Tensor, kernel: Tensor) -> Tensor:
        o, inputs, k, _ = kernel.shape
        b, _, h, w = x.shape
        columns = nn.functional.unfold(pad_image(x, k, self.padding), k, stride=self.stride)  # b c·k² places
        split = columns.reshape(b, self.groups, inputs * k * k, -1)
        product = kernel.reshape(self.groups, o // self.groups, inputs * k * k) @ split
        return product.reshape(b, o, -(-h // self.stride), -(-w // self.stride))

    @torch.no_grad()
    def claim(self, shape: tuple[int, ...]) -> Claim:
        """(c, h, w) → (o, h/s, w/s), rounded up for zero padding."""
        require_float32(self, "linear-conv")
        kernel, bias = self.kernel.cpu(), self.bias.cpu()
        _, h, w = require_image(shape, kernel.shape[1] * self.groups, "linear-conv")
        self._require_torus(h, w)
        output = (kernel.shape[0], -(-h // self.stride), -(-w // self.stride))
        size = kernel.double().abs()
        numbers = AffineNumbers(
            bias,
            row_sum=float(size.sum((1, 2, 3)).max()),
            column_sum=max(float(part.sum((0, 2, 3)).max()) for part in size.chunk(self.groups)),
            terms=kernel[0].numel(),
            positions=output[1] * output[2],
        )
        return numbers.claim("linear-conv", conv_bound(kernel, stride=self.stride, groups=self.groups), output)

    def _require_torus(self, h: int, w: int) -> None:
        k, s = self.kernel.shape[-1], self.stride
        if self.padding == "circular" and (h % s or w % s or min(h, w) < k):
            raise ModelError(
                f"a circular convolution of {k} taps and stride {s} needs sides that are multiples of {s} and at least "
                f"{k}, got {h}×{w}"
            )


def mix_channels(x: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    """A 1×1 convolution as one product over channels-last memory: (b, c, h, w), (o, c), (o,) → (b, o, h, w)."""
    return nn.functional.linear(x.permute(0, 2, 3, 1), matrix, bias).permute(0, 3, 1, 2)


def pad_image(x: Tensor, size: int, padding: Padding) -> Tensor:
    """Pad both axes for a kernel of ``size`` taps: size − 1 in all, the smaller half before."""
    before = (size - 1) // 2
    after = size - 1 - before
    mode = "constant" if padding == "zeros" else "circular"
    return nn.functional.pad(x, (before, after, before, after), mode=mode) if size > 1 else x


def convolve(x: Tensor, kernel: Tensor, bias: Tensor, *, stride: int, padding: Padding, groups: int) -> Tensor:
    """The same map by the backend's own convolution, for training."""
    padded = pad_image(x, kernel.shape[-1], padding)
    return nn.functional.conv2d(padded, kernel, bias, stride=stride, groups=groups)


def require_layout(inputs: int, outputs: int, *, stride: int, padding: str, groups: int) -> None:
    """Refuse numbers that are no convolution.

    Raises:
        UsageError: naming them.
    """
    if padding not in PADDINGS:
        raise UsageError(f"unknown padding {padding!r}; choose {' or '.join(PADDINGS)}")
    if min(inputs, outputs, stride, groups) < 1 or inputs % groups or outputs % groups:
        raise UsageError(
            f"a convolution needs positive numbers, and groups that divide its channels; got {inputs} to {outputs} "
            f"channels, stride {stride}, {groups} groups"
        )


def ship_conv(
    kernel: Tensor, bias: Tensor, *, stride: int = 1, padding: Padding = "zeros", groups: int = 1
) -> LinearConv:
    """The shipped form of a float64 kernel that is 1-Lipschitz up to rounding, rounded so that it is proved to be."""
    rounded = shrunk(kernel, lambda k: conv_bound(k, stride=stride, groups=groups).value)
    return LinearConv(rounded, bias.detach().float().cpu(), stride=stride, padding=padding, groups=groups)
