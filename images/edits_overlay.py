"""Edits that draw over an image: a line of text, faces, hearts; parameters are listed in :mod:`retr.images.edits`."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Point = tuple[float, float]

WORDS = (
    "look",
    "new",
    "sale",
    "wow",
    "today",
    "photo",
    "2024",
    "best",
    "hello",
    "copy",
    "www",
    "share",
    "love",
    "news",
)
"""What texts are made of."""
_YELLOW, _RED, _DARK = (255, 204, 50), (230, 40, 60), (60, 40, 20)
_SMOOTH = 4
"""Shapes are drawn this many times larger and reduced, for smooth edges."""


def text(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """One line of one to three words with an outline, 8…16 % of the height, anywhere in the image."""
    image = Image.fromarray(pixels)
    words = " ".join(WORDS[int(index)] for index in rng.integers(len(WORDS), size=int(rng.integers(1, 4))))
    size = max(4.0, rng.uniform(0.08, 0.16) * image.height)
    ink, outline = ((255, 255, 255), (0, 0, 0)) if rng.random() < 0.5 else ((0, 0, 0), (255, 255, 255))
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((0, 0), words, font=font)
    x = rng.uniform(0, max(0.0, image.width - (right - left)))
    y = rng.uniform(0, max(0.0, image.height - (bottom - top)))
    stroke = max(1, round(size / 16))
    draw.text((round(x - left), round(y - top)), words, fill=ink, font=font, stroke_width=stroke, stroke_fill=outline)
    return np.array(image)


def emoji(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """One to three faces or hearts, each 12…25 % of the short side, anywhere in the image."""
    image = Image.fromarray(pixels)
    for _ in range(int(rng.integers(1, 4))):
        side = max(1, round(rng.uniform(0.12, 0.25) * min(image.size)))
        shape = (_face if rng.random() < 0.5 else _heart)(side)
        place = int(rng.integers(image.width - side + 1)), int(rng.integers(image.height - side + 1))
        image.paste(shape, place, shape)
    return np.array(image)


def _face(side: int) -> Image.Image:
    """A smiling disc, RGBA, side × side."""
    canvas = _canvas(side)
    big, draw = canvas.width, ImageDraw.Draw(canvas)
    stroke = max(1, round(big / 14))
    draw.ellipse((0, 0, big - 1, big - 1), fill=_YELLOW, outline=_DARK, width=max(1, stroke // 2))
    for centre in (0.34, 0.66):
        draw.ellipse(((centre - 0.07) * big, 0.26 * big, (centre + 0.07) * big, 0.46 * big), fill=_DARK)
    draw.arc((0.22 * big, 0.3 * big, 0.78 * big, 0.8 * big), 20, 160, fill=_DARK, width=stroke)
    return _reduced(canvas, side)


def _heart(side: int) -> Image.Image:
    """A red heart, RGBA, side × side: x = 16 sin³t, y = 13 cos t − 5 cos 2t − 2 cos 3t − cos 4t, scaled to the box."""
    canvas = _canvas(side)
    outline = [_heart_point(2 * math.pi * step / 60, canvas.width) for step in range(60)]
    ImageDraw.Draw(canvas).polygon(outline, fill=_RED)
    return _reduced(canvas, side)


def _heart_point(t: float, size: int) -> Point:
    x = 16 * math.sin(t) ** 3
    y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    return (x + 17) / 34 * size, (13 - y) / 31 * size


def _canvas(side: int) -> Image.Image:
    """A transparent square to draw on, larger than wanted."""
    return Image.new("RGBA", (side * _SMOOTH, side * _SMOOTH), (0, 0, 0, 0))


def _reduced(canvas: Image.Image, side: int) -> Image.Image:
    return canvas.resize((side, side), Image.Resampling.BOX)
