"""Edits that move content within the frame; their parameters are listed in :mod:`retr.images.edits`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def border(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A frame of one colour outside the image, 3…12 % of each side wide and at least 1 px."""
    height, width = pixels.shape[:2]
    share = rng.uniform(0.03, 0.12)
    colour = [(0, 0, 0), (255, 255, 255), tuple(int(c) for c in rng.integers(0, 256, 3))][int(rng.integers(3))]
    down, across = max(1, round(share * height)), max(1, round(share * width))
    framed = np.empty((height + 2 * down, width + 2 * across, 3), dtype=np.uint8)
    framed[:] = np.array(colour, dtype=np.uint8)
    framed[down:-down, across:-across] = pixels
    return framed


def crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A window of 70…90 % of each side, anywhere inside."""
    height, width = pixels.shape[:2]
    share = rng.uniform(0.7, 0.9)
    kept_height, kept_width = max(1, round(share * height)), max(1, round(share * width))
    top, left = int(rng.integers(height - kept_height + 1)), int(rng.integers(width - kept_width + 1))
    return pixels[top : top + kept_height, left : left + kept_width].copy()


def rotation(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """3…15° either way about the centre; the size stays, the corners turn black or white."""
    angle = rng.uniform(3, 15) * (1 if rng.random() < 0.5 else -1)
    corner = (0, 0, 0) if rng.random() < 0.5 else (255, 255, 255)
    turned = Image.fromarray(pixels).rotate(angle, Image.Resampling.BICUBIC, fillcolor=corner)
    return np.array(turned)


def flip(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Left to right."""
    del rng
    return pixels[:, ::-1].copy()
