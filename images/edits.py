"""Benign edits: what people and platforms do to a copy without meaning to hide it. Seeded, uint8 → uint8.

| edit | geometric | distribution of its parameters |
|---|---|---|
| `identity` | no | none: the same pixels |
| `jpeg` | no | quality uniform in 10…60, 4:2:0 chroma |
| `blur` | no | Gaussian, σ uniform in 0.4…1.2 % of the short side, at least 0.5 px |
| `noise` | no | Gaussian per value, σ uniform in 4…16 levels |
| `brightness` | no | factor uniform in 0.6…0.85 or, as often, in 1.15…1.5 |
| `contrast` | no | about the mean grey; factor as for brightness |
| `saturation` | no | about each pixel's grey; factor uniform in 0…0.6 or, as often, in 1.4…2 |
| `greyscale` | no | none: ITU-R 601 luma in all three channels |
| `text` | no | one line of 1–3 words, 8…16 % of the height, white with a black outline or the reverse, anywhere |
| `emoji` | no | 1–3 drawn faces or hearts, each 12…25 % of the short side, anywhere |
| `border` | yes | one colour (black, white or random), 3…12 % of each side, added outside |
| `crop` | yes | keeps 70…90 % of each side, anywhere |
| `rotation` | yes | 3…15° either way, about the centre, size kept, corners black or white |
| `flip` | yes | none: left to right |
| `resize` | no | short side to 64…128 px, or to ¾ of it where that is less; aspect kept, Lanczos |

An edit is geometric when content leaves its place in the frame. Sizes may change; a side never falls below 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

from .edits_geometry import border, crop, flip, rotation
from .edits_overlay import emoji, text
from .jpeg import through_jpeg

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One kind of edit.

    Attributes:
        name: its key in :data:`EDITS`.
        geometric: whether content leaves its place in the frame.
        apply: (pixels, rng) → edited pixels; equal generators give equal results; the input is left alone.
    """

    name: str
    geometric: bool
    apply: Callable[[Pixels, np.random.Generator], Pixels]


def identity(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The same pixels."""
    del rng
    return pixels.copy()


def jpeg(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Through JPEG at quality 10…60 and back."""
    return through_jpeg(pixels, quality=int(rng.integers(10, 61)))


def blur(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Gaussian blur, σ 0.4…1.2 % of the short side, at least 0.5 px."""
    sigma = max(0.5, rng.uniform(0.004, 0.012) * min(pixels.shape[:2]))
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Independent Gaussian noise, σ 4…16 levels, clipped to 0…255."""
    noisy = pixels + rng.normal(0.0, rng.uniform(4, 16), pixels.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def brightness(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """All values times a factor well away from 1."""
    return np.array(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(_factor(rng, (0.6, 0.85), (1.15, 1.5))))


def contrast(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Distances from the mean grey times a factor well away from 1."""
    return np.array(ImageEnhance.Contrast(Image.fromarray(pixels)).enhance(_factor(rng, (0.6, 0.85), (1.15, 1.5))))


def saturation(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Distances from each pixel's grey times a factor well away from 1."""
    return np.array(ImageEnhance.Color(Image.fromarray(pixels)).enhance(_factor(rng, (0.0, 0.6), (1.4, 2.0))))


def greyscale(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Luma in all three channels."""
    del rng
    return np.array(Image.fromarray(pixels).convert("L").convert("RGB"))


def resize(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Short side down to 64…128 px, or to ¾ of itself where that is less."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    scale = min(int(rng.integers(64, 129)), max(1, round(0.75 * short))) / short
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _factor(rng: np.random.Generator, less: tuple[float, float], more: tuple[float, float]) -> float:
    """Uniform in one of two intervals, each as often: a factor near 1 would edit nothing."""
    return float(rng.uniform(*(less if rng.random() < 0.5 else more)))


EDITS: dict[str, Edit] = {
    edit.name: edit
    for edit in (
        Edit("identity", False, identity),
        Edit("jpeg", False, jpeg),
        Edit("blur", False, blur),
        Edit("noise", False, noise),
        Edit("brightness", False, brightness),
        Edit("contrast", False, contrast),
        Edit("saturation", False, saturation),
        Edit("greyscale", False, greyscale),
        Edit("text", False, text),
        Edit("emoji", False, emoji),
        Edit("border", True, border),
        Edit("crop", True, crop),
        Edit("rotation", True, rotation),
        Edit("flip", True, flip),
        Edit("resize", False, resize),
    )
}
"""Every edit by name, in the order that tables show them."""
