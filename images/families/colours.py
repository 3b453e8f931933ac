"""Fewer colours: fewer bits for each value, or a palette of so many colours."""

from __future__ import annotations

import numpy as np
import PIL
from PIL import Image, ImageOps

from .family import Finite, Pixels


def bits(pixels: Pixels, *, depths: tuple[int, int]) -> Finite:
    """Pillow's posterize: the lowest bits of every value are set to 0."""
    image, steps = Image.fromarray(np.ascontiguousarray(pixels)), np.arange(depths[1], depths[0] - 1, -1)
    return Finite(
        name="bits",
        program=f"posterize of Pillow {PIL.__version__}, stored without loss",
        values=steps.astype(np.float64),
        identity=8.0,
        sizes=np.tile(np.asarray(pixels.shape[:2]), (len(steps), 1)),
        make=lambda at: np.asarray(ImageOps.posterize(image, int(steps[at]))),
        label=lambda at: f"{steps[at]} bits",
        names=("bits",),
    )


def palette(pixels: Pixels, *, colours: tuple[int, int]) -> Finite:
    """Pillow's median cut to each number of colours, without dithering, as a palette image decodes."""
    image, steps = Image.fromarray(np.ascontiguousarray(pixels)), np.arange(colours[1], colours[0] - 1, -1)

    def make(at: int) -> Pixels:
        made = image.quantize(int(steps[at]), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        return np.asarray(made.convert("RGB"))

    return Finite(
        name="palette",
        program=f"median cut of Pillow {PIL.__version__} without dithering, stored without loss",
        values=steps.astype(np.float64),
        identity=257.0,
        sizes=np.tile(np.asarray(pixels.shape[:2]), (len(steps), 1)),
        make=make,
        label=lambda at: f"{steps[at]} colours",
        names=("colours",),
    )
