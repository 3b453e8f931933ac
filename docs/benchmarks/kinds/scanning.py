"""Rescans and re-encodings: turned, blurred, reduced, unevenly lit, as JPEG."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]


def turned(pixels: Pixels, degrees: float) -> Pixels:
    """About the centre, the corners in the colour of the sheet's edge."""
    edge = np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]), axis=0)
    fill = tuple(round(float(level)) for level in edge)
    return np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=fill))


def blurred(pixels: Pixels, share: float) -> Pixels:
    """Gaussian, σ as a share of the short side."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(share * min(pixels.shape[:2]))))


def halved(pixels: Pixels) -> Pixels:
    """Half the size."""
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((width // 2, height // 2), Image.Resampling.LANCZOS))


def lit(pixels: Pixels, fall: tuple[float, float], level: float) -> Pixels:
    """Uneven light: it falls off by such shares across and down, and is so bright at its brightest."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    light = 1 + fall[0] * (x - 0.5) + fall[1] * (y - 0.5)
    return np.clip(pixels * (level * light / light.max())[..., None], 0, 255).astype(np.uint8)


def encoded(pixels: Pixels, quality: int) -> Pixels:
    """Through a JPEG."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def scanned(pixels: Pixels, rng: np.random.Generator, *, most: float = 3.0) -> Pixels:
    """As a scanner or a telephone gives a sheet: a little of everything."""
    pixels = turned(pixels, rng.uniform(-most, most))
    pixels = lit(pixels, (rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)), rng.uniform(0.75, 1.0))
    if rng.random() < 0.5:
        pixels = blurred(pixels, rng.uniform(0.001, 0.006))
    if rng.random() < 0.4:
        pixels = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))
    return encoded(pixels, int(rng.integers(30, 86)))


RESCANS = {
    "turned 1°": lambda pixels: turned(pixels, 1.0),
    "turned −2°": lambda pixels: turned(pixels, -2.0),
    "blurred": lambda pixels: blurred(pixels, 0.005),
    "half size": halved,
    "uneven light": lambda pixels: lit(pixels, (0.08, 0.05), 0.97),
    "JPEG 30": lambda pixels: encoded(pixels, 30),
    "JPEG 85": lambda pixels: encoded(pixels, 85),
    "1°, half size, JPEG 50": lambda pixels: encoded(halved(turned(pixels, 1.0)), 50),
    "−1°, blurred, JPEG 60": lambda pixels: encoded(blurred(turned(pixels, -1.0), 0.003), 60),
    "1.5°, light, JPEG 40": lambda pixels: encoded(lit(turned(pixels, 1.5), (-0.06, 0.06), 0.95), 40),
}
"""What is asked to be found again of one stored picture."""
