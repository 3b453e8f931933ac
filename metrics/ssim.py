"""Structural similarity, one scale and several (Wang et al. 2004; Wang, Simoncelli & Bovik 2003).

Gaussian window of 11 pixels with σ 1.5, no padding (only windows inside the image count), K1 0.01, K2 0.03, each of
R, G, B apart and then the mean. No downsampling before: the authors' script halves large images first, as piq does by
default; here 256 px images are compared as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .contract import Facts, Metric

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first, as the paper measured them."""

SSIM_FACTS = Facts(
    name="ssim",
    title="SSIM",
    source="Wang, Bovik, Sheikh & Simoncelli 2004; 1 − SSIM, mean of R, G, B, no downsampling",
    highest=2.0,
    smallest_side=WINDOW,
    licence="Apache-2.0 (retr)",
    weights="none",
)

MS_SSIM_FACTS = Facts(
    name="ms-ssim",
    title="MS-SSIM",
    source=(
        "Wang, Simoncelli & Bovik 2003; 1 − MS-SSIM; of the five scales those whose image holds a window "
        "(three at 64 px, five from 176 px), their exponents scaled to sum 1"
    ),
    highest=1.0,
    smallest_side=WINDOW,
    licence="Apache-2.0 (retr)",
    weights="none",
)


def gaussian_taps(size: int, sigma: float, like: Tensor) -> Tensor:
    """(size,) Gaussian weights of sum 1, centred."""
    places = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    taps = torch.exp(-(places**2) / (2 * sigma**2))
    return taps / taps.sum()


def ssim_terms(ref: Tensor, img: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the windows of luminance × contrast × structure, and of contrast × structure: (b, 3) each.

    Args:
        ref: (b, 3, h, w) with sides of at least WINDOW.
        img: as ref.
    """
    taps = gaussian_taps(WINDOW, SIGMA, ref)
    mean_ref, mean_img = _blur(ref, taps), _blur(img, taps)
    var_ref = _blur(ref * ref, taps) - mean_ref**2
    var_img = _blur(img * img, taps) - mean_img**2
    covariance = _blur(ref * img, taps) - mean_ref * mean_img
    contrast = (2 * covariance + C2) / (var_ref + var_img + C2)
    luminance = (2 * mean_ref * mean_img + C1) / (mean_ref**2 + mean_img**2 + C1)
    return (luminance * contrast).mean((2, 3)), contrast.mean((2, 3))


def ssim_distance(ref: Tensor, img: Tensor) -> Tensor:
    """1 − SSIM, (b,)."""
    return 1 - ssim_terms(ref, img)[0].mean(1)


def scale_count(height: int, width: int) -> int:
    """How many of the five scales, each half of the one before, still hold a window."""
    scales, side = 1, min(height, width) // 2
    while scales < len(SCALE_WEIGHTS) and side >= WINDOW:
        scales, side = scales + 1, side // 2
    return scales


def ms_ssim_distance(ref: Tensor, img: Tensor) -> Tensor:
    """1 − MS-SSIM, (b,): contrast × structure of every scale and luminance of the last, to their exponents.

    A negative mean counts as zero, with gradient zero.
    """
    count = scale_count(*ref.shape[2:])
    chosen = torch.tensor(SCALE_WEIGHTS[:count], dtype=ref.dtype, device=ref.device)
    product = torch.ones(ref.shape[:2], dtype=ref.dtype, device=ref.device)  # b 3
    for scale, exponent in enumerate(chosen / chosen.sum()):
        full, contrast = ssim_terms(ref, img)
        product = product * _positive_power(full if scale == count - 1 else contrast, exponent)
        ref, img = functional.avg_pool2d(ref, 2), functional.avg_pool2d(img, 2)
    return 1 - product.mean(1)


def load_ssim() -> Metric:
    """The metric ``ssim``."""
    return Metric(SSIM_FACTS, ssim_distance)


def load_ms_ssim() -> Metric:
    """The metric ``ms-ssim``."""
    return Metric(MS_SSIM_FACTS, ms_ssim_distance)


def _blur(x: Tensor, taps: Tensor) -> Tensor:
    """Separable window over each channel, no padding: (b, c, h, w) → (b, c, h − 10, w − 10)."""
    channels = x.shape[1]
    column = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    tall = functional.conv2d(x, column, groups=channels)
    return functional.conv2d(tall, column.mT, groups=channels)


def _positive_power(x: Tensor, exponent: Tensor) -> Tensor:
    """max(x, 0) to an exponent in (0, 1], without the infinite slope at 0 turning gradients into NaN."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0) ** exponent, 0.0)
