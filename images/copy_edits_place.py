"""Families that move content or change the shape; distributions are listed in ``images.copy_edits``.

Places are drawn as shares of the room there is, so that one set of parameters fits every size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from . import edits_geometry
from .copy_edits_colour import Drawn, Pixels, either, pick_colour


def draw_border(rng: np.random.Generator) -> Drawn:
    """A frame all around, or a letterbox: above and below, or left and right."""
    if rng.random() < 0.5:
        down = across = float(rng.uniform(0.03, 0.12))
    else:
        share, upright = float(rng.uniform(0.06, 0.2)), bool(rng.random() < 0.5)
        down, across = (share, 0.0) if upright else (0.0, share)
    return {"down": down, "across": across, "colour": pick_colour(rng)}


def border(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """One colour outside the image: ``down`` of the height above and below, ``across`` of the width at the sides."""
    height, width = pixels.shape[:2]
    down, across = math.ceil(drawn["down"] * height), math.ceil(drawn["across"] * width)
    framed = np.empty((height + 2 * down, width + 2 * across, 3), dtype=np.uint8)
    framed[:] = np.array(drawn["colour"], dtype=np.uint8)
    framed[down : down + height, across : across + width] = pixels
    return framed


def flip(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Left to right."""
    del drawn
    return edits_geometry.flip(pixels, np.random.default_rng(0))


def draw_rotation(rng: np.random.Generator) -> Drawn:
    """2…20° either way (counter-clockwise for positive angles), and the level of the corners."""
    degrees = float(rng.uniform(2, 20)) * (1 if rng.random() < 0.5 else -1)
    return {"degrees": degrees, "corner": (0, 255, 128)[int(rng.integers(3))]}


def rotation(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """About the centre; the size stays."""
    corner = (drawn["corner"],) * 3
    return np.array(Image.fromarray(pixels).rotate(drawn["degrees"], Image.Resampling.BICUBIC, fillcolor=corner))


def draw_crop(rng: np.random.Generator) -> Drawn:
    """Shares kept of height and width, drawn apart, and where the window lies: 0 at the top or left, 1 opposite."""
    kept, place = rng.uniform(0.5, 0.95, 2), rng.random(2)
    return {"height": float(kept[0]), "width": float(kept[1]), "down": float(place[0]), "across": float(place[1])}


def crop(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """A window of the image."""
    height, width = pixels.shape[:2]
    tall, wide = max(1, round(drawn["height"] * height)), max(1, round(drawn["width"] * width))
    top, left = round(drawn["down"] * (height - tall)), round(drawn["across"] * (width - wide))
    return pixels[top : top + tall, left : left + wide].copy()


def draw_aspect(rng: np.random.Generator) -> Drawn:
    """The factor on width ÷ height."""
    return {"factor": either(rng, (0.6, 0.85), (1.18, 1.67))}


def aspect(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Squeeze or stretch; the area stays."""
    root = math.sqrt(drawn["factor"])
    return resized(pixels, pixels.shape[0] / root, pixels.shape[1] * root)


def draw_downscale(rng: np.random.Generator) -> Drawn:
    """The longest side, in pixels."""
    return {"longest": int(rng.integers(64, 129))}


def downscale(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Shrink to that longest side, or to ¾ of it where that is less: an image is never enlarged."""
    height, width = pixels.shape[:2]
    scale = min(drawn["longest"] / max(height, width), 0.75)
    return resized(pixels, height * scale, width * scale)


def resized(pixels: Pixels, height: float, width: float) -> Pixels:
    """To the nearest whole size of at least 1 px a side, Lanczos."""
    size = max(1, round(width)), max(1, round(height))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
