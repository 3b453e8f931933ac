"""Complex-wavelet structural similarity (Sampat, Wang, Gupta, Bovik & Markey 2009).

Of a complex steerable pyramid only the coarsest oriented bands enter. Their filters have the closed form
low(r/2)·high(r)·angle(θ) on the lowest frequencies of the image, because every earlier low-pass of the pyramid is flat
there; so one Fourier transform, cut to those frequencies, gives them, and no pyramid has to be built.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .contract import Facts, Metric
from .ssim import gaussian_taps

LEVELS, ORIENTATIONS, WINDOW = 4, 8, 7
SMALLEST_BAND = 8
"""Least side of the coarsest bands: below this, fewer levels are used."""
TINY = 1e-12
"""Makes two empty bands alike: 0/0 counts as 1."""

FACTS = Facts(
    name="cw-ssim",
    title="CW-SSIM",
    source=(
        "Sampat, Wang, Gupta, Bovik & Markey 2009; 1 − CW-SSIM of the luma (Rec. 601) at level 4 of a complex "
        "steerable pyramid with 8 orientations (a lower level below 64 px), window 7, centre-weighted"
    ),
    highest=1.0,
    smallest_side=SMALLEST_BAND,
    licence="Apache-2.0 (retr)",
    weights="none",
)


def luma(x: Tensor) -> Tensor:
    """(b, 3, h, w) → (b, 1, h, w) by the weights of Rec. 601."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=x.dtype, device=x.device).view(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True)


def coarse_bands(x: Tensor, *, levels: int, orientations: int = ORIENTATIONS) -> Tensor:
    """Oriented complex bands of the last of ``levels`` levels.

    Args:
        x: (b, 1, h, w).
        levels: at least 1; the bands have sides h // 2^(levels − 1), w // 2^(levels − 1).
        orientations: number of directions.

    Returns:
        (b, orientations, h', w') complex; their common scale is arbitrary.
    """
    height, width = (side >> (levels - 1) for side in x.shape[2:])
    spectrum = _lowest_frequencies(torch.fft.fft2(x), height, width)  # b 1 h' w'
    return torch.fft.ifft2(spectrum * _band_filters(height, width, orientations, x))


def cw_ssim_distance(ref: Tensor, img: Tensor) -> Tensor:
    """1 − CW-SSIM, (b,)."""
    levels = level_count(*ref.shape[2:])
    first, second = coarse_bands(luma(ref), levels=levels), coarse_bands(luma(img), levels=levels)
    product = first * second.conj()
    coherent = _root(_window_mean(product.real) ** 2 + _window_mean(product.imag) ** 2)
    energy = _window_mean(_squared(first) + _squared(second))
    similarity = (2 * coherent + TINY) / (energy + TINY)
    return 1 - (similarity * _centre_weights(first.shape[2:], similarity)).sum((2, 3)).mean(1)


def level_count(height: int, width: int) -> int:
    """LEVELS, or fewer where the coarsest band would be smaller than SMALLEST_BAND."""
    return max(1, min(LEVELS, int(math.log2(min(height, width) / SMALLEST_BAND)) + 1))


def load_cw_ssim() -> Metric:
    """The metric ``cw-ssim``; computed in float64, for squares of small coefficients cancel in float32."""
    return Metric(FACTS, lambda ref, img: cw_ssim_distance(ref.double(), img.double()))


def _lowest_frequencies(spectrum: Tensor, height: int, width: int) -> Tensor:
    """The central height × width frequencies of a transform whose zero frequency stands first."""
    centred = torch.fft.fftshift(spectrum, dim=(2, 3))
    top = spectrum.shape[2] // 2 - height // 2
    left = spectrum.shape[3] // 2 - width // 2
    return torch.fft.ifftshift(centred[:, :, top : top + height, left : left + width], dim=(2, 3))


def _band_filters(height: int, width: int, orientations: int, like: Tensor) -> Tensor:
    """(1, orientations, height, width): radial band × one-sided angular window (so that bands are analytic)."""
    rows = torch.fft.fftfreq(height, dtype=like.dtype, device=like.device)[:, None] * 2 * math.pi
    columns = torch.fft.fftfreq(width, dtype=like.dtype, device=like.device)[None, :] * 2 * math.pi
    radius, angle = torch.sqrt(rows**2 + columns**2), torch.atan2(-rows, columns)
    octaves = torch.log2(radius.clamp(min=1e-9) / (math.pi / 2)).clamp(-1, 1)  # −1 at π/4, 0 at π/2, 1 at π
    high = torch.cos(math.pi / 2 * octaves.clamp(max=0))
    low = torch.cos(math.pi / 2 * octaves.clamp(min=0))
    centres = math.pi * torch.arange(orientations, dtype=like.dtype, device=like.device) / orientations
    along = torch.cos(angle[None] - centres[:, None, None]).clamp(min=0) ** (orientations - 1)
    return (low * high * along)[None]


def _squared(z: Tensor) -> Tensor:
    """|z|², with slope 0 at 0."""
    return z.real**2 + z.imag**2


def _root(x: Tensor) -> Tensor:
    """√x of x ≥ 0, with slope 0 (not ∞) at 0."""
    zero = x == 0
    return x.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


def _window_mean(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, WINDOW, stride=1)


def _centre_weights(band: torch.Size, like: Tensor) -> Tensor:
    """(h − 6, w − 6) Gaussian of σ a quarter of the band's side, sum 1."""
    tall, wide = (gaussian_taps(side - WINDOW + 1, side / 4, like) for side in band)
    return tall[:, None] * wide[None, :]
